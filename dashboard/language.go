package dashboard

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"

	"campaign-runner/campaign/texts"
)

// languageCookie keeps the language that a visitor has switched to.
const languageCookie = "language"

// language is that of a visitor: the one switched to by ?lang=, now or before, or else the
// browser's.
func (p *pages) language(w http.ResponseWriter, r *http.Request) texts.Language {
	if l, err := texts.ParseLanguage(r.URL.Query().Get("lang")); err == nil {
		http.SetCookie(w, &http.Cookie{
			Name: languageCookie, Value: string(l), Path: cmp.Or(p.BasePath, "/"), MaxAge: 365 * 24 * 60 * 60,
			HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: isSecure(r),
		})
		return l
	}
	return languageOf(r)
}

// languageOf is the language of a request: the one that its page names for its live parts,
// the one switched to before, or the browser's.
func languageOf(r *http.Request) texts.Language {
	kept := ""
	if cookie, err := r.Cookie(languageCookie); err == nil {
		kept = cookie.Value
	}
	return texts.Choose(r.URL.Query().Get("in"), kept, r.Header.Get("Accept-Language"))
}

// inLanguage is the address of a page's live parts, in the language of the page.
func inLanguage(address string, l texts.Language) string {
	if address == "" {
		return ""
	}
	joint := "?"
	if strings.Contains(address, "?") {
		joint = "&"
	}
	return address + joint + "in=" + string(l)
}

// A switcher leads to the same page in another language.
type switcher struct {
	To      texts.Language
	Address string
	Posted  []field // what the page was asked for by, where that stands in no address
}

// A field is one of a form.
type field struct{ Name, Text string }

// switchFrom leads to the other language of a page. here is where the page is found; empty:
// at the address of the request.
func (p *pages) switchFrom(r *http.Request, l texts.Language, here string, posted []field) *switcher {
	to := texts.Languages()[0]
	if to == l {
		to = texts.Languages()[1]
	}
	at := &url.URL{Path: p.link(r.URL.Path), RawQuery: r.URL.RawQuery}
	if found, err := url.Parse(here); here != "" && err == nil {
		at = found
	}
	q := at.Query()
	q.Del("did")
	q.Set("lang", string(to))
	at.RawQuery = q.Encode()
	return &switcher{to, at.String(), posted}
}
