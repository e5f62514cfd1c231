package dashboard

import (
	"cmp"
	"context"
	"crypto/hmac"
	"net/http"
	"time"

	"campaign-runner/campaign/users"
)

const (
	sessionCookie = "campaign_session"
	// A session ends this long after it began, and this long after its last request. A page
	// that stays open makes none.
	sessionLife = 24 * time.Hour
	sessionIdle = 8 * time.Hour
	// prolongEvery is how often a session in use is prolonged: each time is a write.
	prolongEvery = time.Minute
)

// What a session holds.
const (
	heldUser  = "user"
	heldStamp = "stamp" // of a user, as it was when the session began
	heldProof = "proof" // of ADMIN_PASSWORD, in place of a stamp
)

// signedIn says whose session a request belongs to.
func (g *gate) signedIn(r *http.Request, list []users.User) (visitor, error) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return visitor{}, errStranger
	}
	ctx, err := g.sessions.Load(r.Context(), cookie.Value)
	if err != nil {
		return visitor{}, err
	}
	name := g.sessions.GetString(ctx, heldUser)
	if name == "" || !time.Now().Before(g.sessions.Deadline(ctx)) {
		return visitor{}, errStranger
	}
	if proof := g.sessions.GetBytes(ctx, heldProof); proof != nil {
		if g.Password == "" || !hmac.Equal(proof, g.proof(cookie.Value)) {
			return visitor{}, errStranger
		}
		return visitor{g.User, users.Admin, true}, nil
	}
	u, _ := findUser(list, name)
	if u.Role == users.Nobody || u.Stamp != g.sessions.GetString(ctx, heldStamp) {
		return visitor{}, errStranger
	}
	return visitor{u.Name, u.Role, true}, nil
}

// begin begins a session for a user, or for who has the password if u is nil. Its token is
// new, whatever the browser had before.
func (g *gate) begin(w http.ResponseWriter, r *http.Request, u *users.User) error {
	if err := g.end(w, r); err != nil { // the one before
		return err
	}
	ctx, err := g.sessions.Load(r.Context(), "")
	if err == nil {
		err = g.sessions.RenewToken(ctx)
	}
	if err != nil {
		return err
	}
	if u != nil {
		g.sessions.Put(ctx, heldUser, u.Name)
		g.sessions.Put(ctx, heldStamp, u.Stamp)
	} else {
		g.sessions.Put(ctx, heldUser, g.User)
		g.sessions.Put(ctx, heldProof, g.proof(g.sessions.Token(ctx)))
	}
	token, ends, err := g.sessions.Commit(ctx)
	if err != nil {
		return err
	}
	g.setCookie(w, r, sessionCookie, token, ends)
	return nil
}

// end ends the session of a request, and takes its cookie away.
func (g *gate) end(w http.ResponseWriter, r *http.Request) error {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return nil
	}
	g.setCookie(w, r, sessionCookie, "", time.Time{})
	ctx, err := g.sessions.Load(context.WithValue(r.Context(), watchKey{}, true), cookie.Value)
	if err != nil {
		return err
	}
	return g.sessions.Destroy(ctx)
}

// setCookie keeps a value in the browser; one that has ended is taken away.
func (g *gate) setCookie(w http.ResponseWriter, r *http.Request, name, value string, ends time.Time) {
	seconds := -1
	if left := time.Until(ends); left > 0 {
		seconds = int(left / time.Second)
	}
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: cmp.Or(g.BasePath, "/"), MaxAge: seconds, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: isSecure(r),
	})
}

// readSession is for what is known of sessions.
func (g *gate) readSession(ctx context.Context, id string) ([]byte, error) {
	held, err := g.Store.Session(ctx, id)
	if err == nil && held == nil {
		err = errStranger
	}
	return held, err
}

// A sessionStore is the gate's sessions as scs keeps them. What is read may be a moment
// old, or as old as Redis does not answer.
type sessionStore struct{ *gate }

func (s sessionStore) FindCtx(ctx context.Context, id string) ([]byte, bool, error) {
	held, since, err := s.held.get(ctx, id, sessionFor)
	switch {
	case isStranger(err):
		return nil, false, nil
	case since.IsZero():
		return nil, false, err
	}
	if err == nil && ctx.Value(watchKey{}) == nil {
		_, _, _ = s.longer.get(ctx, id, prolongEvery) // another request does it, if this one cannot
	}
	return held, true, nil
}

func (s sessionStore) CommitCtx(ctx context.Context, id string, session []byte, ends time.Time) error {
	return s.Store.KeepSession(ctx, id, session, min(time.Until(ends), sessionIdle))
}

func (s sessionStore) DeleteCtx(ctx context.Context, id string) error {
	err := s.Store.EndSession(ctx, id)
	s.held.forget(id)
	return err
}

// scs asks by these where it has no context, which is never.

func (s sessionStore) Find(id string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), id)
}
func (s sessionStore) Commit(id string, session []byte, ends time.Time) error {
	return s.CommitCtx(context.Background(), id, session, ends)
}
func (s sessionStore) Delete(id string) error { return s.DeleteCtx(context.Background(), id) }
