// Package ratelimit decides when the next request may leave, so that all
// workers on one token together use the whole of its limit, and no more.
//
// Servers count requests in a window that the first request opens, in a window of
// the clock, in a sliding log or in a bucket. All of them serve a client that never
// sends more than the limit within any span as long as the window. So the quota keeps
// a log of the last window's requests, in Redis, for all processes. What the log
// leaves of the limit may be sent.
//
// The server's headers correct the log. What they say is old when it arrives, and may
// or may not include the requests that were under way beside it. So they give an
// interval, and the log is moved into it, no further. If the log is too short, others
// use the token: they are added. If it is too long, the server has forgotten some
// requests: the oldest are dropped. When many are dropped at once, a window has just
// opened, and its end is known.
//
// What is left is spread over the rest of the window, without what others will take.
// Where little is known (at the start, after silence or a 429, for the last few
// requests when others use the token) requests go one by one, each after the answer to
// the one before. Repeated failures block as a 429 does.
//
// The package never sends or retries anything.
package ratelimit

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Config tunes a Quota. A zero field means its default.
type Config struct {
	Rate    Rate          // holds while the server sends no limit headers; 30 per 60 s
	Asks    bool          // a guest for a request or two: its window does not count, and its success does not end the caution after a lost answer
	Share   float64       // of the limit that is ours, above 0 up to 1; 1. Less leaves room for other systems
	Timeout time.Duration // after which a permit without a report was lost with its worker; 75 s
	Logger  *slog.Logger  // discards when nil
}

const (
	defaultTimeout = 75 * time.Second
	// Retry-After is the difference of two clocks that show whole seconds, so
	// it can be up to one second too short.
	retrySlack = slackMillis * time.Millisecond
	// Reporting survives its context, but not longer than this.
	reportTimeout = 5 * time.Second
)

func (c Config) policy() (policy, error) {
	if c.Rate == (Rate{}) {
		c.Rate = defaultRate
	}
	if c.Share == 0 {
		c.Share = 1
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	switch {
	case c.Share < 0.001 || c.Share > 1:
		return policy{}, fmt.Errorf("quota: share %v: want above 0 up to 1", c.Share)
	case c.Timeout < time.Second:
		return policy{}, fmt.Errorf("quota: timeout %v: want at least 1s", c.Timeout)
	}
	if err := c.Rate.validate(); err != nil {
		return policy{}, fmt.Errorf("quota: %w", err)
	}
	p := policy{
		Limit:   int64(c.Rate.Limit),
		Window:  c.Rate.Window.Milliseconds(),
		Asks:    c.Asks,
		Share:   int64(c.Share * 1000),
		Timeout: c.Timeout.Milliseconds(),
	}
	if c.Rate.Unlimited {
		p.Limit = 0
	}
	if p.Window == 0 { // "none" has no window of its own; headers may tell a limit later
		p.Window = defaultRate.Window.Milliseconds()
	}
	return p, nil
}

// A Permit allows one request. It must be reported or returned.
type Permit struct {
	// Probe says that an answer was lost and that this request finds out whether
	// answers come again. It is alone on its way, and should carry as little as
	// possible.
	Probe bool

	state   int64 // the identity of the state that granted it
	serial  int64
	counted int64 // how many permits before it the server had surely counted
	expired int64 // how many requests had run out then
}

// An Answer is what became of a request.
type Answer struct {
	Status           int  // 0: no answer came
	Known            bool // both rate headers were there
	Limit, Remaining int  // of the rate headers
	RetryAfter       time.Duration
	HasRetryAfter    bool
	Failed           bool // 5xx, refused connection: repeated ones block
	Held             bool // the platform says that it takes no work for now: blocks until RetryAfter, or backs off
	Lost             bool // the request may or may not have been carried out: blocks, and a probe follows
	Unsent           bool // nothing reached the server, it counted nothing
}

// maxRetryAfter is the longest block: a server that asks for more is asked again after a
// day.
const maxRetryAfter = 24 * time.Hour

// outcome adds a second to the wait of a Retry-After, see retrySlack. Without Retry-After a 429
// blocks for a sixth of a window.
func (a Answer) outcome() outcome {
	o := outcome{
		Refused:  a.Status == 429 || a.Status == 425,
		Answered: a.Status != 0,
		Failed:   a.Failed,
		Held:     a.Held,
		Lost:     a.Lost,
	}
	o.Counted = !a.Unsent && !o.Refused
	if a.Known && a.Limit > 0 && a.Limit <= maxLimit {
		o.Limit = int64(a.Limit)
		o.Remaining = int64(min(max(a.Remaining, 0), a.Limit))
	}
	if a.HasRetryAfter && (o.Refused || o.Held) {
		o.RetryAfter = (min(max(a.RetryAfter, 0), maxRetryAfter) + retrySlack).Milliseconds()
	}
	return o
}

// Status describes a quota at one moment.
type Status struct {
	Limit           int // 0: no limit is known
	Remaining       int
	Window          time.Duration
	OthersPerWindow float64       // requests by others on the same token, estimated
	Wait            time.Duration // until the next request may leave
	Reason          Reason        // why it waits; empty when it need not
	Blocked         bool          // it waits because of a 429, of failures, or of a lost answer
	Failures        int           // failed requests in a row
	Probing         bool          // an answer was lost: requests go one by one, with one contact each, until one succeeds
}

// book keeps the state: in this process, or in Redis for all of them.
type book interface {
	acquire(context.Context, ask) reply
	report(ctx context.Context, peer int64, told []told) reply
	look(context.Context) (s state, now int64, err error)
}

// A Quota hands out the right to send a request. It is safe for concurrent use.
type Quota struct {
	policy  policy
	book    book
	log     *slog.Logger
	peer    int64
	gate    gate
	turn    chan []Permit // the right to ask, with the permits that the last one to ask left
	waiting atomic.Int64  // callers of AcquireUpTo
	wanted  atomic.Int64  // permits that they want
	reports Together[told]
	seen    seen // to log changes
}

// seen is how the quota stood when this process heard of it last.
type seen struct {
	mu      sync.Mutex
	limit   int64
	window  int64
	blocked time.Time // until then; zero: not
}

// New returns a quota for this process alone.
func New(cfg Config) (*Quota, error) {
	p, err := cfg.policy()
	if err != nil {
		return nil, err
	}
	return newQuota(cfg, p, newLocalBook(p)), nil
}

func newQuota(cfg Config, p policy, b book) *Quota {
	q := &Quota{policy: p, book: b, log: cfg.Logger, peer: identity(), turn: make(chan []Permit, 1)}
	if q.log == nil {
		q.log = slog.New(slog.DiscardHandler)
	}
	q.gate.moved = make(chan struct{}, 1)
	q.gate.set(0)
	q.turn <- nil
	return q
}

// identity is random and exact as a Lua number.
func identity() int64 { return 1 + rand.Int64N(1<<46) }

// Acquire waits for a permit, first come first served, until its context ends.
func (q *Quota) Acquire(ctx context.Context) (Permit, error) {
	permits, err := q.AcquireUpTo(ctx, 1)
	if err != nil {
		return Permit{}, err
	}
	return permits[0], nil
}

// AcquireUpTo waits as Acquire does, and returns at most that many permits: those that
// may be used at once, without what other callers are due.
func (q *Quota) AcquireUpTo(ctx context.Context, most int) ([]Permit, error) {
	came := time.Now()
	q.waiting.Add(1)
	q.wanted.Add(int64(most))
	var permits, mine []Permit
	var err error
	select {
	case permits = <-q.turn:
	case <-ctx.Done():
		q.waiting.Add(-1)
		q.wanted.Add(int64(-most))
		q.tidy()
		return nil, fmt.Errorf("quota: wait: %w", context.Cause(ctx))
	}
	for len(permits) == 0 && err == nil {
		if err = q.gate.wait(ctx); err == nil {
			permits = q.ask(ctx, came)
		}
	}
	if err == nil {
		n := min(most, share(len(permits), int(q.waiting.Load()), int(q.wanted.Load())))
		mine, permits = permits[:n:n], permits[n:]
	}
	q.waiting.Add(-1)
	q.wanted.Add(int64(-most))
	q.turn <- permits
	q.tidy()
	if err != nil {
		return nil, fmt.Errorf("quota: wait: %w", err)
	}
	return mine, nil
}

// share is how many of the permits one of the callers may take: what it wants when all
// can have that, else as many as each of the others. A long list must not wait before a
// short one.
func share(permits, callers, wanted int) int {
	if permits >= wanted {
		return permits
	}
	return (permits + callers - 1) / callers
}

// tidy gives back the permits that are left when no caller waits any more.
func (q *Quota) tidy() {
	if q.waiting.Load() > 0 {
		return
	}
	select {
	case permits := <-q.turn:
		q.turn <- nil
		all := make([]told, len(permits))
		for i, p := range permits {
			all[i].permit = p
		}
		q.tellAll(context.Background(), all)
	default: // another caller is asking, and tidies up after that
	}
}

func (q *Quota) ask(ctx context.Context, came time.Time) []Permit {
	// A permit granted to a caller that is gone would count as used.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reportTimeout)
	defer cancel()
	r := q.book.acquire(ctx, ask{
		Peer:   q.peer,
		Waited: time.Since(came).Milliseconds(),
		Want:   max(1, q.wanted.Load()),
	})
	q.heed(ctx, r)
	permits := make([]Permit, r.Permits)
	for i := range permits {
		permits[i] = r.Permit
		permits[i].serial += int64(i)
	}
	return permits
}

// Report takes what became of a permit's request. It returns soon, also when its
// context has ended.
func (q *Quota) Report(ctx context.Context, permit Permit, a Answer) {
	q.report(ctx, permit, a.outcome())
}

// Return gives back a permit with which nothing was sent.
func (q *Quota) Return(ctx context.Context, permit Permit) { q.report(ctx, permit, outcome{}) }

func (q *Quota) report(ctx context.Context, permit Permit, o outcome) {
	q.reports.Do(told{permit, o}, func(all []told) { q.tellAll(ctx, all) })
}

func (q *Quota) tellAll(ctx context.Context, all []told) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reportTimeout)
	defer cancel()
	for part := range slices.Chunk(all, maxReports) {
		q.heed(ctx, q.book.report(ctx, q.peer, part))
	}
}

// maxReports bounds what one run of the script takes in.
const maxReports = 100

// heed follows what the state says: when to ask next, and how the quota stands.
func (q *Quota) heed(ctx context.Context, r reply) {
	q.gate.set(time.Duration(r.Wait) * time.Millisecond)
	q.tell(ctx, r)
}

// tell logs what has changed, and blocks that are longer than worthTelling.
func (q *Quota) tell(ctx context.Context, r reply) {
	q.seen.mu.Lock()
	defer q.seen.mu.Unlock()
	window := time.Duration(r.Window) * time.Millisecond
	if r.Limit != q.seen.limit && r.Limit > 0 {
		q.log.InfoContext(ctx, "rate limit changed", "limit", r.Limit, "was", q.seen.limit, "window", window)
	} else if r.Window != q.seen.window && q.seen.window > 0 {
		q.log.InfoContext(ctx, "rate window changed", "window", window, "was", time.Duration(q.seen.window)*time.Millisecond)
	}
	q.seen.limit, q.seen.window = r.Limit, r.Window
	now := time.Now()
	switch until := now.Add(time.Duration(r.Blocked) * time.Millisecond); {
	case r.Blocked == 0 && q.seen.blocked.After(now.Add(worthTelling)):
		q.log.InfoContext(ctx, "quota unblocked")
		q.seen.blocked = time.Time{}
	case until.After(q.seen.blocked.Add(worthTelling)) && r.Blocked > worthTelling.Milliseconds():
		q.log.WarnContext(ctx, "quota blocked", "until", until.UTC().Format(time.RFC3339), "reason", reasons[r.Why])
		q.seen.blocked = until
	}
}

// worthTelling is the shortest block that is logged.
const worthTelling = 10 * time.Second

// A Reason is why the next request waits, in English.
type Reason string

const (
	Full    Reason = "the quota is used up"
	Pace    Reason = "spread over the window"
	Refused Reason = "refused with 429"
	Failing Reason = "the platform is failing"
	Probe   Reason = "one request is finding out"
	Held    Reason = "the platform asks to wait (503)"
	Lost    Reason = "an answer was lost; one contact will find out"
)

var reasons = map[int64]Reason{
	whyFull: Full, whyPace: Pace, whyRefused: Refused, whyFailing: Failing, whyProbe: Probe, whyHeld: Held, whyLost: Lost,
}

// Status is how the quota stands.
func (q *Quota) Status(ctx context.Context) (Status, error) {
	s, now, err := q.book.look(ctx)
	if err != nil {
		return Status{}, fmt.Errorf("quota: status: %w", err)
	}
	return s.status(now, q.policy), nil
}

func (s *state) status(now int64, p policy) Status {
	now = s.advance(now, p)
	at, why := s.next(now, p, 0)
	st := Status{
		Limit:           int(s.limit(p)),
		Window:          time.Duration(s.Span.Window) * time.Millisecond,
		OthersPerWindow: float64(s.Others) / 1000,
		Failures:        int(s.Failures),
		Probing:         s.Lost > 0,
	}
	if st.Limit > 0 {
		st.Remaining = int(max(0, s.credits(p)))
	}
	if at > now {
		st.Wait = time.Duration(at-now) * time.Millisecond
		st.Reason = reasons[why]
		st.Blocked = now < s.Block
	}
	return st
}
