// Package sandbox is a stand-in for the Velents platform: an http.Handler to rehearse a
// campaign against before real people are contacted. It counts how often each number was
// contacted, so it can also judge its clients. It is written from the wire alone and shares
// no code with the client.
//
// # What it imitates, and how surely
//
// Published by the vendor: the operations of both surfaces, bearer tokens, the
// statuses 400, 401, 403, 404, 422, 429 and 5xx with their JSON, the headers
// X-RateLimit-Limit, X-RateLimit-Remaining and Retry-After, a limit per token
// and minute, the webhook events and the envelope of the Support Center.
//
// Seen in a production client: the paths and bodies of Batch and Dispatch, 3 as
// the channel id of voice, the older "ondone" event of calls, the header
// x-velents-authorization on events.
//
// Measured on Laravel 8.83 behind nginx and php-fpm, with which make laravel compares it:
// which answers have rate headers and count against the limit; the order of refusals;
// errors keyed by path (rows.3.phone), their texts, and which looser forms are accepted; a
// window that opens with the first request, does not count its 429s and answers them with
// a Retry-After that can be a second short, or 0; maintenance; answers to clients that do
// not ask for JSON; nginx's answers in place of PHP when the work may be done.
//
// Inferred: that the platform is such a Laravel application; that it accepts a batch as a
// whole or not at all; the id of WhatsApp, the rules for phone numbers, the size limits,
// the paths of the three GET operations of an agent, the bodies of successful answers, how
// it echoes body and headers of a webhook, and the names of the abilities.
//
// # The way of a request
//
// First comes what stands in front of PHP, without X-RateLimit headers and not counted: an
// outage (503), a body that is too large (413), a reset or hanging connection, a proxy's
// own 429, a sign-in page. Next, also without the headers and not counted, the
// application's maintenance (503, 302), its own 413, route (404, 405) and token (401). Then
// the limit (429), which counts everything that passes it. Then the latency and a server
// error, and with the headers ability (403), input (422) and the work itself. Last comes
// what can happen to the answer of finished work: a reset, silence, a web page, a proxy's
// 502, 504 or 520, PHP's death.
//
// The paths under /sandbox/ show and change it while it runs:
//
//	GET    /sandbox/ledger          numbers contacted more than once; ?all=1 every number; ?phone= one
//	DELETE /sandbox/ledger          forget contacts and counts
//	GET    /sandbox/stats           Stats
//	GET    /sandbox/limit           the limit; PUT {"limit":10} changes it, 0 lifts it
//	GET    /sandbox/faults          Faults; PUT {"reset_after":0.1} changes those named, DELETE ends all
package sandbox

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	randv2 "math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Server is the platform. Use New.
type Server struct {
	cfg      Config
	log      *slog.Logger
	app      *http.ServeMux
	control  *http.ServeMux
	agents   map[string]bool
	channels map[int]bool
	bad      map[uint64]bool
	faults   *faultSource
	ledger   ledger
	desk     desk
	courier  *courier
	done     chan struct{}
	close    func()

	mu     sync.Mutex
	limit  int
	tokens map[string]*tokenState
	stats  Stats // without the counts per token and of the ledger
}

// New returns a platform that has seen no requests.
func New(cfg Config) (*Server, error) {
	cfg.setDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg:      cfg,
		log:      cfg.Logger,
		limit:    cfg.Limit,
		agents:   setOf(cfg.Tokens),
		channels: setOf(cfg.Channels),
		bad:      make(map[uint64]bool),
		ledger:   ledger{counts: make(map[uint64]uint32)},
		tokens:   make(map[string]*tokenState),
		done:     make(chan struct{}),
		faults:   &faultSource{started: time.Now(), rng: randv2.New(randv2.NewPCG(cfg.Seed, 0))},
	}
	for i, phone := range cfg.BadNumbers {
		number, ok := parsePhone(phone)
		if !ok {
			return nil, fmt.Errorf("bad number %d: want a plus and 7 to 15 digits", i+1)
		}
		s.bad[number] = true
	}
	if err := s.faults.set(cfg.Faults); err != nil {
		return nil, err
	}
	s.courier = newCourier(cfg.Webhooks, cfg.Seed, s.count)
	s.close = sync.OnceFunc(func() {
		close(s.done)
		s.courier.close()
	})
	s.app = s.routes()
	s.control = s.controls()
	return s, nil
}

// ServeHTTP answers as the platform and, under /sandbox/, as the sandbox.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/sandbox/") {
		s.control.ServeHTTP(w, r)
		return
	}
	began := time.Now()
	p := s.faults.next(began)
	s.count(func(st *Stats) { st.Requests++ })
	token := s.known(bearer(r))
	out := &reply{header: make(http.Header), status: http.StatusOK, plan: p, asksJSON: asksJSON(r), laravel: s.cfg.Laravel}
	cut := s.handle(out, r, p)
	if !cut {
		s.finish(w, r, token, out)
	}
	s.log.DebugContext(r.Context(), "request", "method", r.Method, "path", r.URL.Path, "token", TokenID(token),
		"status", out.status, "cut", cut, "contacts", out.contacts, "took", time.Since(began))
	if !cut {
		return
	}
	if p.fate == hangBefore || p.fate == hangAfter {
		select {
		case <-r.Context().Done():
		case <-s.done:
		}
	}
	reset(w)
}

// handle fills out with the answer. cut means that the connection is cut instead.
func (s *Server) handle(out *reply, r *http.Request, p plan) (cut bool) {
	if p.outage {
		out.page(http.StatusServiceUnavailable)
		return false
	}
	if r.ContentLength > s.cfg.MaxBody {
		return s.tooLarge(out)
	}
	var body bytes.Buffer
	body.Grow(int(max(r.ContentLength, 0)) + bytes.MinRead) // ReadFrom needs MinRead free to see the end
	_, err := body.ReadFrom(http.MaxBytesReader(nil, r.Body, s.cfg.MaxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return s.tooLarge(out)
	}
	if err != nil {
		return s.cut(nil) // the client left while it sent
	}
	r.Body = whole{&body}

	switch {
	case p.fate == resetBefore || p.fate == hangBefore:
		return s.cut(nil)
	case p.fate == proxyTooMany:
		out.header.Set("Retry-After", "1")
		out.page(http.StatusTooManyRequests)
		return false
	case p.signIn:
		out.signIn()
		return false
	case p.maintenance != nil:
		p.maintenance.answer(out, r)
		return false
	case s.cfg.MaxPost > 0 && int64(body.Len()) > s.cfg.MaxPost:
		out.fail(http.StatusRequestEntityTooLarge, "")
		return false
	}

	s.app.ServeHTTP(out, r)
	if !out.counted {
		return false // refused before any work: nothing can be lost
	}
	switch p.fate {
	case resetAfter, hangAfter:
		return s.cut(out)
	case badGateway:
		s.lose(out).page(http.StatusBadGateway)
	case gatewayTimeout:
		s.lose(out).page(http.StatusGatewayTimeout)
	case unknownError:
		s.lose(out).cloudflare()
	case fatal:
		s.lose(out).fail(http.StatusInternalServerError, "Server Error")
	case webPage:
		s.lose(out).signIn()
	}
	return false
}

type tokenState struct {
	window window
	inside int // admitted requests that are not answered yet
	stats  TokenStats
}

func setOf[T comparable](list []T) map[T]bool {
	set := make(map[T]bool, len(list))
	for _, v := range list {
		set[v] = true
	}
	return set
}

// Close ends hanging requests and the delivery of events. Requests in flight are
// finished without further latency.
func (s *Server) Close() error {
	s.close()
	return nil
}

// SetFaults replaces the faults for the following requests.
func (s *Server) SetFaults(f Faults) error { return s.faults.set(f) }

// lose empties an answer, so that another can take its place.
func (s *Server) lose(out *reply) *reply {
	s.cut(out)
	out.header, out.body = make(http.Header), nil
	return out
}

// A whole is a body that has been read to its end.
type whole struct{ *bytes.Buffer }

func (whole) Close() error { return nil }

// tooLarge refuses a body without reading it to its end.
func (s *Server) tooLarge(out *reply) (cut bool) {
	out.header.Set("Connection", "close")
	out.page(http.StatusRequestEntityTooLarge)
	return false
}

// cut counts a request whose answer is lost. done is the answer of finished work; nil
// if the work was not done.
func (s *Server) cut(done *reply) bool {
	s.count(func(st *Stats) {
		if done == nil {
			st.CutBefore++
			return
		}
		st.CutAfter++
		st.CutAfterContacts += done.contacts
	})
	return true
}

func (s *Server) finish(w http.ResponseWriter, r *http.Request, token string, out *reply) {
	s.mu.Lock()
	s.state(token).stats.Statuses[out.status]++
	if r.Context().Err() != nil {
		s.stats.Abandoned++
	}
	s.mu.Unlock()

	header := w.Header()
	for key, values := range out.header {
		header[key] = values
	}
	header.Set("Content-Length", strconv.Itoa(len(out.body)))
	w.WriteHeader(out.status)
	_, _ = w.Write(out.body) // a client that left shows in Abandoned
}

// reset ends the connection without an answer, by RST if possible.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // net/http closes it
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// state returns the token's state; callers hold s.mu.
func (s *Server) state(token string) *tokenState {
	t := s.tokens[token]
	if t == nil {
		t = &tokenState{stats: TokenStats{Statuses: make(map[int]int)}}
		s.tokens[token] = t
	}
	return t
}

func (s *Server) count(change func(*Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.stats)
}

// randomID returns an id like the public ids of the platform.
func randomID() string { return rand.Text() }

// parsePhone reads strict E.164: a plus and 7 to 15 digits, the first not 0.
func parsePhone(s string) (uint64, bool) {
	if len(s) < 8 || len(s) > 16 || s[0] != '+' || s[1] == '0' {
		return 0, false
	}
	var number uint64
	for _, c := range []byte(s[1:]) {
		if c < '0' || c > '9' {
			return 0, false
		}
		number = number*10 + uint64(c-'0')
	}
	return number, true
}
