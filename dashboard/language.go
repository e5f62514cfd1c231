package dashboard

import (
	"cmp"
	"net/http"

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
	kept := ""
	if cookie, err := r.Cookie(languageCookie); err == nil {
		kept = cookie.Value
	}
	return texts.Choose(kept, r.Header.Get("Accept-Language"))
}
