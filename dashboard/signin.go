package dashboard

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"campaign-runner/campaign/texts"
	"campaign-runner/campaign/users"
)

// browserCookie tells a browser in which somebody has signed in before from others.
const browserCookie = "campaign_browser"

// A signInPage is the page on which people sign in, in their language.
type signInPage struct {
	Language texts.Language
	Say      texts.Printer
	Others   []languageLink
	Name     string
	To       string // path to go to then
	Problem  template.HTML
}

// A languageLink leads to a page in another language.
type languageLink struct {
	Language texts.Language
	Address  string
}

// T is a text of the catalogue.
func (s signInPage) T(key string) template.HTML { return template.HTML(s.Say.Say(key)) }

// backTo is the query that leads back to a page after signing in.
func backTo(r *http.Request) string {
	if r.Method != http.MethodGet {
		return ""
	}
	return "?" + url.Values{"to": {r.URL.RequestURI()}}.Encode()
}

// ours is a path of these pages; anything else is the first page, so that no link to the
// sign-in page leads elsewhere.
func (p *pages) ours(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || strings.ContainsAny(to, "\\\r\n") || strings.HasPrefix(to, "//") ||
		!strings.HasPrefix(u.Path, p.link("/")) || u.Path == p.link("/sign-in") {
		return p.link("/")
	}
	return to
}

// askedToSignIn reports whether there is somebody to sign in as. If not, or if the visitor
// has done so, it answers the request.
func (p *pages) askedToSignIn(w http.ResponseWriter, r *http.Request, to string) bool {
	list, err := p.gate.users(r.Context())
	switch {
	case err != nil:
		p.refuse(w, r, err)
		return false
	case len(list) == 0 || r.Method == http.MethodGet && visitorOf(r).Role > users.Nobody:
		http.Redirect(w, r, p.ours(to), http.StatusSeeOther)
		return false
	}
	return true
}

func (p *pages) signInForm(w http.ResponseWriter, r *http.Request) {
	if to := r.URL.Query().Get("to"); p.askedToSignIn(w, r, to) {
		p.showSignIn(w, r, http.StatusOK, signInPage{To: p.ours(to)}, "")
	}
}

// showSignIn shows the page; problem is the key of what went wrong, if something did.
func (p *pages) showSignIn(w http.ResponseWriter, r *http.Request, status int, s signInPage, problem string, parameters ...any) {
	s.Language = p.language(w, r)
	s.Say = texts.Printer{Language: s.Language, HTML: true}
	if problem != "" {
		s.Problem = template.HTML(s.Say.Say(problem, parameters...))
	}
	for _, other := range texts.Languages() {
		if other != s.Language {
			query := url.Values{"lang": {string(other)}, "to": {s.To}}
			s.Others = append(s.Others, languageLink{other, p.link("/sign-in?") + query.Encode()})
		}
	}
	p.write(w, r, status, s.Language, "sign-in", "sign-in", s)
}

func (p *pages) signIn(w http.ResponseWriter, r *http.Request) {
	if !p.readForm(w, r) {
		return
	}
	s := signInPage{Name: strings.TrimSpace(r.PostForm.Get("name")), To: p.ours(r.PostForm.Get("to"))}
	if !p.askedToSignIn(w, r, s.To) {
		return
	}
	// Who leaves while the password is checked has still guessed.
	err := p.gate.enter(w, r.WithContext(context.WithoutCancel(r.Context())), s.Name, r.PostForm.Get("password"))
	var shut *shutError
	switch {
	case err == nil:
		http.Redirect(w, r, s.To, http.StatusSeeOther)
	case errors.Is(err, users.ErrBusy):
		p.showSignIn(w, r, http.StatusServiceUnavailable, s, "signin.busy")
	case isStranger(err):
		w.Header().Set("WWW-Authenticate", challenge)
		p.showSignIn(w, r, http.StatusUnauthorized, s, "signin.wrong")
	case errors.As(err, &shut):
		seconds := int(shut.wait/time.Second) + 1
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
		p.showSignIn(w, r, shut.status, s, "signin.slowed", "n", seconds)
	default:
		p.refuse(w, r, err)
	}
}

// enter checks a name and a password, and begins a session. It takes as long for a name
// that is unknown, and says nothing else of it.
func (g *gate) enter(w http.ResponseWriter, r *http.Request, name, password string) error {
	ctx := r.Context()
	list, err := g.users(ctx)
	if err != nil {
		return err
	}
	u, known := findUser(list, name)
	isAdmin := !known && users.Key(name) == users.Key(g.User) && g.Password != ""
	who := u.Name
	if isAdmin {
		who = g.User
	}
	browser := ""
	if cookie, err := r.Cookie(browserCookie); err == nil {
		browser = cookie.Value
	}
	sign := func(browser string) string {
		if isAdmin {
			return hex.EncodeToString(g.proof(browser))
		}
		return users.Key(name) + " " + u.Stamp // of another password once that changes
	}
	tries := g.guesses.bySignIn(ctx, addressOf(r), name, browser, sign(browser))
	if wait := g.guesses.take(ctx, tries); wait > 0 {
		g.told(r, slowed, who)
		return errSlowed(wait)
	}
	ok, err := g.checker.Check(ctx, u.Password, password)
	if err != nil {
		return err
	}
	if isAdmin {
		ok = g.isPassword(g.User, password)
	}
	if !ok {
		g.told(r, wrong, who)
		return errStranger
	}
	if isAdmin {
		err = g.begin(w, r, nil)
	} else {
		err = g.begin(w, r, &u)
	}
	if err != nil {
		return err
	}
	g.guesses.giveBack(ctx, tries)
	if browser == "" {
		browser = rand.Text()
	}
	if g.guesses.know(ctx, hashed("browser", browser), sign(browser)) == nil {
		g.setCookie(w, r, browserCookie, browser, time.Now().Add(knownFor))
	}
	g.told(r, right, who)
	return nil
}

func (p *pages) signOut(w http.ResponseWriter, r *http.Request) {
	if v := visitorOf(r); v.Signed {
		if err := p.gate.end(w, r); err != nil {
			p.refuse(w, r, err)
			return
		}
		p.Logger.InfoContext(r.Context(), "signed out", "user", v.Name, "from", addressOf(r))
	}
	http.Redirect(w, r, p.link("/sign-in"), http.StatusSeeOther)
}
