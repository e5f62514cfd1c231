// Package webhook receives the platform's events. It makes the links that the
// platform posts to, and the inbox behind them.
//
// The platform's events do not say which campaign they belong to, so the link does:
// it names the campaign, and the contact if the request carries only one. It is
// signed, so that events cannot be forged. The inbox stores an event before it
// answers; package events finds out what it means.
package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/velents"
)

// Path is where events arrive below the public address.
const Path = "/webhooks/velents"

// A Target is what the events of a link are about.
type Target struct {
	Campaign string
	Contact  int // its place in the list, from 1; 0: the event's number says
}

// Link is the address for a target's events, below the public address base.
func Link(base, secret string, to Target) string {
	query := url.Values{"campaign": {to.Campaign}, "sig": {sign(secret, to)}}
	if to.Contact > 0 {
		query.Set("contact", strconv.Itoa(to.Contact))
	}
	return strings.TrimSuffix(base, "/") + Path + "?" + query.Encode()
}

// TargetOf reads a link's query. It reports false unless Link made this query with
// the secret.
func TargetOf(secret string, query url.Values) (Target, bool) {
	to := Target{Campaign: query.Get("campaign")}
	if query.Has("contact") {
		contact, err := strconv.Atoi(query.Get("contact"))
		if err != nil || contact < 1 { // else the campaign's signature would be good for any such contact
			return Target{}, false
		}
		to.Contact = contact
	}
	return to, hmac.Equal([]byte(query.Get("sig")), []byte(sign(secret, to)))
}

func sign(secret string, to Target) string {
	text := "campaign\x00" + to.Campaign
	if to.Contact > 0 {
		text = "contact\x00" + strconv.Itoa(to.Contact) + "\x00" + to.Campaign
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

const (
	// maxBodyBytes bounds an event. A long conversation takes some ten thousand bytes.
	maxBodyBytes = 1 << 20
	// patience bounds storing: the platform waits for the answer, and may come again
	// after a 503.
	patience = 2 * time.Second
	// comeAgain is when a refused event should be posted again, in seconds.
	comeAgain = "10"

	// Nobody knows whether the platform comes again. So an event in which somebody asks not
	// to be contacted is tried for insistFor, whatever was answered: longer than a failover
	// or a restart of Redis takes. mostHeld bounds the bytes of such events.
	insistFor = 10 * time.Minute
	mostHeld  = 16 << 20
)

// keeper stores events; *store.Store is the real one.
type keeper interface {
	AddEvent(ctx context.Context, e store.Event) error
}

// An Inbox receives the platform's events. It answers 204 once one is stored, and
// gives no reason when it refuses one.
type Inbox struct {
	Events keeper
	Secret string // that signs the links
	// Previous is the secret before the present one was set; empty: there is none. Links
	// that it has signed are valid, or people would not be heard who answer them.
	Previous string
	// Authorization is the header x-velents-authorization that the platform sends, as
	// set in its dashboard; empty: it is not checked.
	Authorization string
	Reader        *velents.EventReader // that the Applier of this process has, too; may be nil
	Received      func(status int)     // called for each request; may be nil
	Log           *slog.Logger

	last atomic.Pointer[signed] // that came in with an event
	held atomic.Int64           // bytes of events that insist tries to store
}

// ServeHTTP takes one event.
func (in *Inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status := in.take(w, r)
	if in.Received != nil {
		in.Received(status)
	}
	if status == http.StatusNoContent {
		w.WriteHeader(status)
		return
	}
	switch status {
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", comeAgain)
	}
	http.Error(w, http.StatusText(status), status)
}

// take returns the status to answer.
func (in *Inbox) take(w http.ResponseWriter, r *http.Request) int {
	if r.URL.Path != Path {
		return http.StatusNotFound
	}
	if r.Method != http.MethodPost {
		return http.StatusMethodNotAllowed
	}
	to, ok := in.targetOf(r.URL)
	if !ok || !in.authorized(r) {
		return http.StatusUnauthorized
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return http.StatusRequestEntityTooLarge
	}
	if err != nil {
		return http.StatusBadRequest
	}
	says, err := in.Reader.Read(body)
	switch {
	case errors.Is(err, velents.ErrNobody) && to.Contact > 0: // the link names the contact
	case (errors.Is(err, velents.ErrNobody) || errors.Is(err, velents.ErrUnknownEvent)) && saysSomething(says):
		// It may hold an opt-out.
	case errors.Is(err, velents.ErrUnknownEvent):
		in.Log.InfoContext(r.Context(), "event of no use", "campaign", to.Campaign, "error", err)
		return http.StatusNoContent // it would be of no use a second time either
	case err != nil:
		in.Log.WarnContext(r.Context(), "event refused", "campaign", to.Campaign, "error", err)
		return http.StatusBadRequest
	}
	// Not the request's own context: an event is worth keeping even when the
	// platform no longer waits.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), patience)
	defer cancel()
	return in.store(ctx, store.Event{Campaign: to.Campaign, Contact: to.Contact, Body: body}, says)
}

// store returns the status to answer. Where there is no room, there still is for an event
// in which somebody asks not to be contacted.
func (in *Inbox) store(ctx context.Context, e store.Event, says velents.Event) int {
	err := in.Events.AddEvent(ctx, e)
	if err == nil {
		return http.StatusNoContent
	}
	if !mayStop(says) {
		in.Log.WarnContext(ctx, "event not stored", "error", err)
		return http.StatusServiceUnavailable
	}
	if errors.Is(err, store.ErrFull) {
		e.Urgent = true
		err = in.Events.AddEvent(ctx, e)
	}
	if err != nil {
		in.insist(ctx, e, err)
		return http.StatusServiceUnavailable
	}
	return http.StatusNoContent
}

// insist goes on trying to store an event that Redis has not taken. If the platform comes
// again, it is stored twice, which does no harm.
func (in *Inbox) insist(ctx context.Context, e store.Event, err error) {
	size := int64(len(e.Body))
	if in.held.Add(size) > mostHeld {
		in.held.Add(-size)
		in.lose(ctx, e, err)
		return
	}
	in.Log.WarnContext(ctx, "somebody asks not to be contacted, and the event is not stored yet; it is tried again", "campaign", e.Campaign, "error", err)
	ctx = context.WithoutCancel(ctx)
	go func() {
		defer in.held.Add(-size)
		err := store.RetryWrite(ctx, insistFor, func(ctx context.Context) error { return in.Events.AddEvent(ctx, e) })
		if err != nil {
			in.lose(ctx, e, err)
		}
	}()
}

// lose tells people that a wish is lost.
func (in *Inbox) lose(ctx context.Context, e store.Event, err error) {
	in.Log.ErrorContext(ctx, "somebody asks not to be contacted, and the event is not stored", "campaign", e.Campaign, "error", err)
}

// A signed is a query and what it is about. The events of a campaign often come by one.
type signed struct {
	query string
	to    Target
}

func (in *Inbox) targetOf(link *url.URL) (to Target, ok bool) {
	last := in.last.Load()
	if last != nil && subtle.ConstantTimeCompare([]byte(last.query), []byte(link.RawQuery)) == 1 {
		return last.to, true
	}
	query := link.Query()
	if to, ok = TargetOf(in.Secret, query); !ok && in.Previous != "" {
		to, ok = TargetOf(in.Previous, query)
	}
	if ok {
		in.last.Store(&signed{link.RawQuery, to})
	}
	return to, ok
}

// mayStop reports whether somebody asks in an event not to be contacted, in words. What a
// rule of a campaign says of it is not known here.
func mayStop(says velents.Event) bool {
	return says.Message != nil && campaign.IsStopWord(says.Message.Customer) ||
		slices.ContainsFunc(says.History, func(t velents.Turn) bool { return campaign.IsStopWord(t.Text) })
}

func saysSomething(e velents.Event) bool {
	return e.Message != nil || len(e.History) > 0 || e.Extraction != nil
}

func (in *Inbox) authorized(r *http.Request) bool {
	if in.Authorization == "" {
		return true
	}
	have, want := sha256.Sum256([]byte(r.Header.Get("x-velents-authorization"))), sha256.Sum256([]byte(in.Authorization))
	return subtle.ConstantTimeCompare(have[:], want[:]) == 1
}
