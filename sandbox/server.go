// Package sandbox is a stand-in for the Velents platform: an http.Handler to
// rehearse a campaign against before real people are called, and a judge of
// whoever calls it, since it remembers how often each number was contacted.
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
// Measured on Laravel 8.83 behind nginx and php-fpm, against which make laravel
// holds it: what has rate headers and counts against the limit, and what does not;
// the order in which things are refused; errors keyed by path (rows.3.phone), their
// texts, and what is taken in a looser form; a window that opens with the first
// request, does not count its 429s and answers them with a Retry-After that can be
// a second short, or 0; maintenance; what is said to clients that do not ask for
// JSON; what nginx says in PHP's place when the work may be done.
//
// Inferred: that the platform is such a Laravel application. A batch accepted as a
// whole or not at all. Also the id of WhatsApp, the rules of a phone number, the
// size limits, the paths of the three GET operations of an agent, the bodies of all
// answers that succeed, how body and headers of a webhook are echoed, and the names
// of the abilities.
//
// # The way of a request
//
// First what stands in front of PHP, without X-RateLimit headers and not counted: an
// outage (503), a body that is too large (413), a reset or hanging connection, a
// proxy's own 429, a sign-in page. Then, as little counted and without the headers,
// the application's maintenance (503, 302), its own 413, route (404, 405) and token
// (401). Then the limit (429), which counts all that passes it. Then the latency, a
// server error, and what the headers are on: ability (403), input (422), and the work
// itself. Last, what can happen to the answer of work that was done: a reset,
// silence, a web page, a 502, 504 or 520 of what stands in front, PHP's death.
//
// Under /sandbox/ it can be looked at and changed while it runs:
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
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Unlimited, as Config.Limit, admits every request and sends no headers of a
// limit.
const Unlimited = -1

// Config describes the platform to imitate. A zero field means its default.
type Config struct {
	Tokens        []string            // agents' tokens; any token is an agent when empty
	SupportTokens map[string][]string // Support Center tokens with their abilities, "*" for all; any of four parts joined by _ when empty

	Limit     int           // requests of a token per window; 30; Unlimited
	Window    time.Duration // 1m
	Overrun   int           // requests let in beyond the limit while others of the token are under way
	NoHeaders bool          // keep the limit but not the X-RateLimit headers
	Laravel   int           // version whose texts are told, from 8 on; 10

	Channels    []int       // accepted channel ids; 3 (voice) and 7
	ValueKeys   []string    // values every contact needs; none
	ValuesShape ValuesShape // how the value keys are told; ShapeData
	BadNumbers  []string    // well-formed numbers that are refused nevertheless
	Unnamed422  bool        // refuse bad contacts without saying which
	MaxRows     int         // contacts of a batch; 1000
	MaxBody     int64       // bytes of a request that nginx takes; 1 MiB
	MaxPost     int64       // bytes of a request that PHP takes; any

	Faults Faults // none
	Seed   uint64 // of the faults and conversations

	Webhooks Webhooks     // off
	Logger   *slog.Logger // requests at debug level, without numbers; discards when nil
}

// Server is the platform. Use New.
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
	stats  Stats // what is not kept per token or in the ledger
}

type tokenState struct {
	window window
	inside int // requests that the limit has let in and that are not answered yet
	stats  TokenStats
}

// New returns a platform that nobody has called yet.
func New(cfg Config) (*Server, error) {
	if cfg.Limit == 0 {
		cfg.Limit = 30
	}
	if cfg.Window == 0 {
		cfg.Window = time.Minute
	}
	if len(cfg.Channels) == 0 {
		cfg.Channels = []int{3, 7}
	}
	if cfg.ValuesShape == "" {
		cfg.ValuesShape = ShapeData
	}
	if cfg.MaxRows == 0 {
		cfg.MaxRows = 1000
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = 1 << 20
	}
	if cfg.Laravel == 0 {
		cfg.Laravel = 10
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case cfg.Limit < Unlimited:
		return nil, fmt.Errorf("limit %d: want a number of requests, or Unlimited", cfg.Limit)
	case cfg.Window < 0:
		return nil, fmt.Errorf("window %v: want more than 0", cfg.Window)
	case cfg.Overrun < 0:
		return nil, fmt.Errorf("overrun %d: want 0 or more requests", cfg.Overrun)
	case cfg.Laravel < 8:
		return nil, fmt.Errorf("laravel %d: want version 8 or later", cfg.Laravel)
	case cfg.MaxRows < 0:
		return nil, fmt.Errorf("rows %d: want more than 0", cfg.MaxRows)
	case cfg.MaxBody < 0 || cfg.MaxPost < 0:
		return nil, fmt.Errorf("body of %d bytes: want more than 0", min(cfg.MaxBody, cfg.MaxPost))
	case !slices.Contains(shapes, cfg.ValuesShape):
		return nil, fmt.Errorf("values shape %q: want one of %v", cfg.ValuesShape, shapes)
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
	if err := cfg.Webhooks.check(); err != nil {
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

func setOf[T comparable](list []T) map[T]bool {
	set := make(map[T]bool, len(list))
	for _, v := range list {
		set[v] = true
	}
	return set
}

// Close ends hanging requests and the delivery of events. Requests under way
// are finished without further latency.
func (s *Server) Close() error {
	s.close()
	return nil
}

// SetLimit changes the limit from the next request on; 0 or less lifts it.
func (s *Server) SetLimit(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = n
}

// SetFaults replaces the faults from the next request on.
func (s *Server) SetFaults(f Faults) error { return s.faults.set(f) }

// ServeHTTP answers as the platform, and under /sandbox/ about it.
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

// handle fills out with the answer, and tells whether it is cut off instead.
func (s *Server) handle(out *reply, r *http.Request, p plan) (cut bool) {
	if p.outage {
		out.page(http.StatusServiceUnavailable)
		return false
	}
	if r.ContentLength > s.cfg.MaxBody {
		return s.tooLarge(out)
	}
	var body bytes.Buffer
	body.Grow(int(max(r.ContentLength, 0)) + bytes.MinRead) // what ReadFrom wants free to see the end
	_, err := body.ReadFrom(http.MaxBytesReader(nil, r.Body, s.cfg.MaxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return s.tooLarge(out)
	}
	if err != nil {
		return s.cut(nil) // the client left while it was sending
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
		return false // refused on the way: nothing can be lost
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

// lose empties an answer that something else is told in place of.
func (s *Server) lose(out *reply) *reply {
	s.cut(out)
	out.header, out.body = make(http.Header), nil
	return out
}

// throttled lets a request through the limit of its token to next, or to a fault of
// the application.
func (s *Server) throttled(out *reply, r *http.Request, next endpoint) {
	token := bearer(r)
	if out.counted = s.admit(out, token); !out.counted {
		return
	}
	defer s.left(token)
	s.pause(out.plan.latency)
	switch {
	case out.plan.fate == serverError && out.plan.html:
		out.page(http.StatusBadGateway)
		return
	case out.plan.fate == serverError:
		out.fail(http.StatusInternalServerError, "Server Error")
	default:
		next(out, r)
	}
	s.limitHeaders(out, token)
}

// whole is a body that has been read to its end.
type whole struct{ *bytes.Buffer }

func (whole) Close() error { return nil }

// tooLarge refuses a body without reading it to its end.
func (s *Server) tooLarge(out *reply) (cut bool) {
	out.header.Set("Connection", "close")
	out.page(http.StatusRequestEntityTooLarge)
	return false
}

// cut counts a request whose answer is lost; done is what it had come to, nil
// when it was not carried out.
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

// finish sends the answer.
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

// reset ends the connection without an answer, by RST where it can.
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

// admit counts the request in its token's window, or answers 429.
func (s *Server) admit(out *reply, token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	t := s.state(token)
	limit := s.limit
	if limit > 0 && t.inside > 0 {
		limit += s.cfg.Overrun // looking and counting are two steps
	}
	admitted, opened := t.window.take(now, limit, s.cfg.Window)
	if !admitted {
		if !s.cfg.NoHeaders {
			out.header.Set("X-RateLimit-Limit", strconv.Itoa(s.limit))
			out.header.Set("X-RateLimit-Remaining", "0")
			out.header.Set("X-RateLimit-Reset", strconv.FormatInt(t.window.ends.Unix(), 10))
		}
		out.header.Set("Retry-After", strconv.FormatInt(t.window.retryAfter(now), 10))
		out.fail(http.StatusTooManyRequests, "Too Many Attempts.")
		return false
	}
	if opened {
		t.stats.Windows++
		t.stats.Opened, t.stats.Before = now, t.stats.Counted
	}
	if t.stats.Counted == 0 {
		t.stats.First = now
	}
	t.inside++
	t.stats.Counted++
	t.stats.Last = now
	t.stats.MostInWindow = max(t.stats.MostInWindow, t.window.count)
	return true
}

// left is called when a request that was let in has its answer.
func (s *Server) left(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state(token).inside--
}

func (s *Server) limitHeaders(out *reply, token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cfg.NoHeaders || s.limit <= 0 {
		return
	}
	out.header.Set("X-RateLimit-Limit", strconv.Itoa(s.limit))
	out.header.Set("X-RateLimit-Remaining", strconv.Itoa(s.state(token).window.remaining(time.Now(), s.limit)))
}

// state is the token's own; callers hold s.mu.
func (s *Server) state(token string) *tokenState {
	t := s.tokens[token]
	if t == nil {
		t = &tokenState{stats: TokenStats{Statuses: make(map[int]int)}}
		s.tokens[token] = t
	}
	return t
}

func (s *Server) pause(d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-time.After(d):
	case <-s.done:
	}
}

func (s *Server) count(change func(*Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.stats)
}

// randomID is an id as the platform's public ids look.
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
