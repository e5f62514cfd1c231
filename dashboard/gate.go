package dashboard

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"

	"campaign-runner/campaign/texts"
	"campaign-runner/campaign/users"
)

// A gate knows who may come in. Without users it lets in this machine, or those who have
// the password, as admins. With users, people sign in; the password goes on working.
type gate struct {
	Config
	refuse func(w http.ResponseWriter, r *http.Request, err error)                   // an error as a page
	fail   func(w http.ResponseWriter, r *http.Request, status int, text texts.Line) // a text as a page

	people   *known[[]users.User] // of one name, which is empty
	held     *known[[]byte]       // sessions by their id
	longer   *known[struct{}]     // when they were prolonged
	sessions *scs.SessionManager
	checker  *users.Checker
	guesses  guesses
}

const (
	// A change of users, and the end of a session, is noticed within this time.
	peopleFor  = 2 * time.Second
	sessionFor = 2 * time.Second
	// keptSessions are those that this worker remembers while Redis does not answer.
	keptSessions = 1000
)

func newGate(cfg Config) *gate {
	g := &gate{Config: cfg, checker: users.NewChecker(), guesses: newGuesses(cfg.Store)}
	g.people = newKnown(1, g.readUsers)
	g.held = newKnown(keptSessions, g.readSession)
	g.longer = newKnown(keptSessions, func(ctx context.Context, id string) (struct{}, error) {
		return struct{}{}, cfg.Store.ProlongSession(ctx, id, sessionIdle)
	})
	g.sessions = scs.New()
	g.sessions.Store, g.sessions.HashTokenInStore, g.sessions.Lifetime = sessionStore{g}, true, sessionLife
	return g
}

// A shutError says why the door is shut for a request, whatever it asks for.
type shutError struct {
	status int
	text   string
	wait   time.Duration // until another try makes sense; 0: it never does
}

func (e *shutError) Error() string { return e.text }

func isShut(err error) bool { return errors.As(err, new(*shutError)) }

// errStranger: who asks has to sign in first.
var errStranger = errors.New("sign in first")

func isStranger(err error) bool { return errors.Is(err, errStranger) }

// errPassword asks for the one password, errSlowed for patience.
func errPassword() error {
	return &shutError{status: http.StatusUnauthorized, text: "user and password, please"}
}

func errSlowed(wait time.Duration) error {
	return &shutError{http.StatusTooManyRequests, "too many wrong passwords: try again in " + waitText(wait), wait}
}

// visitor says who asks. An error says why they do not come in.
func (g *gate) visitor(r *http.Request) (visitor, error) {
	if name, password, ok := r.BasicAuth(); ok && g.Password != "" {
		if err := g.knows(r, name, password); err != nil {
			return visitor{}, err
		}
		return visitor{Name: g.User, Role: users.Admin}, nil
	}
	list, err := g.users(r.Context())
	switch {
	case err != nil:
		return visitor{}, err
	case len(list) > 0:
		return g.signedIn(r, list)
	case g.Password != "":
		return visitor{}, errPassword()
	}
	return visitor{Role: users.Admin}, fromHere(r)
}

// users are all users as they were a moment ago; or, while Redis does not answer, as they
// were last. Of a worker that has never read them nothing is asked.
func (g *gate) users(ctx context.Context) ([]users.User, error) {
	list, since, err := g.people.get(ctx, "", peopleFor)
	if since.IsZero() {
		return nil, err
	}
	return list, nil
}

// readUsers reads the users, and logs what has changed about them.
func (g *gate) readUsers(ctx context.Context, _ string) ([]users.User, error) {
	list, err := g.Store.Users(ctx)
	if err != nil {
		return nil, err
	}
	before, since := g.people.last("")
	if since.IsZero() {
		return list, nil
	}
	for _, u := range list {
		was, there := findUser(before, u.Name)
		if !there || was.Stamp != u.Stamp {
			g.Logger.InfoContext(ctx, "a user of the pages was added or changed", "user", u.Name, "role", u.Role, "by", u.By)
		}
	}
	for _, u := range before {
		if _, there := findUser(list, u.Name); !there {
			g.Logger.InfoContext(ctx, "a user of the pages was removed", "user", u.Name)
		}
	}
	return list, nil
}

func findUser(list []users.User, name string) (users.User, bool) {
	key := users.Key(name)
	if i := slices.IndexFunc(list, func(u users.User) bool { return users.Key(u.Name) == key }); i >= 0 {
		return list[i], true
	}
	return users.User{}, false
}

// isPassword reports whether that is ADMIN_USER with ADMIN_PASSWORD, if there is one. Both are compared in
// constant time.
func (g *gate) isPassword(name, password string) bool {
	want, have := sha256.Sum256([]byte(g.User+"\x00"+g.Password)), sha256.Sum256([]byte(name+"\x00"+password))
	return subtle.ConstantTimeCompare(have[:], want[:]) == 1
}

// knows checks the password that comes with a request.
func (g *gate) knows(r *http.Request, name, password string) error {
	right, from := g.isPassword(name, password), addressOf(r)
	if right && g.guesses.trusts(from) {
		return nil
	}
	who := "" // what is no user's name may be a password in the wrong place
	if name == g.User {
		who = name
	}
	tries := g.guesses.byPassword(r.Context(), from, g.User)
	if wait := g.guesses.take(r.Context(), tries); wait > 0 {
		g.told(r, slowed, who)
		return errSlowed(wait)
	}
	if !right {
		g.guesses.distrust(from)
		g.told(r, wrong, who)
		return errPassword()
	}
	g.guesses.giveBack(r.Context(), tries)
	g.guesses.trust(r.Context(), from, g.User)
	return nil
}

// What becomes of a try to come in.
const (
	right  = "right"
	wrong  = "wrong"
	slowed = "slowed"
)

// SignInResults are all that Config.SignIn is told.
func SignInResults() []string { return []string{right, wrong, slowed} }

// told counts and logs a try to come in. who is the name of a known user, or empty.
func (g *gate) told(r *http.Request, result, who string) {
	g.SignIn(result)
	if who == "" {
		who = "unknown"
	}
	log := func() {
		g.Logger.WarnContext(r.Context(), "a password was wrong or came too fast", "result", result, "user", who, "from", addressOf(r))
	}
	switch result {
	case right:
		g.Logger.InfoContext(r.Context(), "signed in", "user", who, "from", addressOf(r))
	case wrong:
		log()
	default:
		g.guesses.seldom.Do(log) // there may be thousands a second
	}
}

// turnAway answers a request whose visitor does not come in.
func (g *gate) turnAway(w http.ResponseWriter, r *http.Request, err error) {
	var shut *shutError
	switch {
	case errors.As(err, &shut):
		if shut.status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="campaign runner", charset="UTF-8"`)
		}
		if shut.wait > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(shut.wait/time.Second)+1))
		}
		http.Error(w, shut.text, shut.status)
	case isStranger(err) && wantsPage(r):
		http.Redirect(w, r, g.BasePath+"/sign-in"+backTo(r), http.StatusSeeOther)
	case isStranger(err):
		w.Header().Set("WWW-Authenticate", challenge)
		http.Error(w, errStranger.Error(), http.StatusUnauthorized)
	case isDown(err):
		g.refuse(w, r, err)
	default: // a stranger is not told what Redis says
		g.Logger.WarnContext(r.Context(), "who may see the pages cannot be read", "error", err)
		g.fail(w, r, http.StatusServiceUnavailable, texts.Of("error.users"))
	}
}

// challenge names the sign-in page: browsers show nothing of their own for it.
const challenge = `Sign-In realm="campaign runner"`

// wantsPage reports whether a person waits for a page, and not a script for data.
func wantsPage(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

// forbid says that a visitor's role does not allow a request.
func (g *gate) forbid(w http.ResponseWriter, r *http.Request, v visitor, least users.Role) {
	text := texts.Of("role.needed", "role", texts.Of("role."+v.Role.String()), "least", texts.Of("role."+least.String()))
	if !wantsPage(r) {
		http.Error(w, string(texts.Printer{}.Value(text)), http.StatusForbidden)
		return
	}
	g.fail(w, r, http.StatusForbidden, text)
}

// proof shows that a session was begun with the password of today. Redis holds it, and
// without the browser's token nobody can try passwords on it.
func (g *gate) proof(token string) []byte {
	mac := hmac.New(sha256.New, []byte(token))
	fmt.Fprintf(mac, "%s\x00%s", g.User, g.Password)
	return mac.Sum(nil)
}
