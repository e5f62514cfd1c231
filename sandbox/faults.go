package sandbox

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Faults are what goes wrong. The shares are of all requests, from 0 to 1, and
// add up to 1 at most: a request meets one fault or none. Which request meets
// which follows from the seed and the order of arrival.
//
// The JSON form is that of PUT /sandbox/faults.
type Faults struct {
	// In front of the application: not carried out, not counted by the limit.
	ResetBefore float64 `json:"reset_before"` // the connection is reset
	HangBefore  float64 `json:"hang_before"`  // no answer, ever
	TooMany     float64 `json:"too_many"`     // a proxy's own 429, without X-RateLimit headers
	Outage      bool    `json:"outage"`       // a proxy's 503 page for everybody
	Outages     []Span  `json:"outages"`      // the same, at times since the start
	SignIn      bool    `json:"sign_in"`      // everybody gets a sign-in page with status 200

	// In the application, not counted and not carried out either.
	Maintenance      bool            `json:"maintenance"`       // as MaintenanceForm says
	Maintenances     []Span          `json:"maintenances"`      // the same, at times since the start
	MaintenanceForm  MaintenanceForm `json:"maintenance_form"`  // FormJSON
	MaintenanceRetry int             `json:"maintenance_retry"` // seconds of Retry-After; 0: it is not sent

	Unauthorized      bool  `json:"unauthorized"`       // every token is refused
	UnauthorizedAfter After `json:"unauthorized_after"` // the same, from a moment on

	// In the application: counted, not carried out.
	ServerError float64 `json:"server_error"` // 500, safe to retry
	HTMLErrors  bool    `json:"html_errors"`  // it is a proxy's 502 page instead
	Latency     Span    `json:"latency"`      // between arrival and handling, evenly spread

	// After the application: carried out, but the client does not learn of it.
	ResetAfter     float64 `json:"reset_after"`     // the connection is reset
	Hang           float64 `json:"hang"`            // no answer, ever
	BadGateway     float64 `json:"bad_gateway"`     // nginx's 502 page: PHP is gone
	GatewayTimeout float64 `json:"gateway_timeout"` // nginx's 504 page: PHP is slow
	UnknownError   float64 `json:"unknown_error"`   // Cloudflare's 520 page: the origin's answer was cut
	Fatal          float64 `json:"fatal"`           // PHP's fatal error: 500, without X-RateLimit headers
	WebPage        float64 `json:"web_page"`        // a sign-in page with status 200
}

// A fate is what happens to one request.
type fate int

const (
	served fate = iota
	resetBefore
	hangBefore
	proxyTooMany
	serverError
	resetAfter
	hangAfter
	badGateway
	gatewayTimeout
	unknownError
	fatal
	webPage
)

// shares lists what a draw decides between.
func (f Faults) shares() []struct {
	fate  fate
	share float64
} {
	return []struct {
		fate  fate
		share float64
	}{
		{resetBefore, f.ResetBefore},
		{hangBefore, f.HangBefore},
		{proxyTooMany, f.TooMany},
		{serverError, f.ServerError},
		{resetAfter, f.ResetAfter},
		{hangAfter, f.Hang},
		{badGateway, f.BadGateway},
		{gatewayTimeout, f.GatewayTimeout},
		{unknownError, f.UnknownError},
		{fatal, f.Fatal},
		{webPage, f.WebPage},
	}
}

// pick turns one even draw from [0, 1) into a fate.
func (f Faults) pick(draw float64) fate {
	for _, s := range f.shares() {
		if draw < s.share {
			return s.fate
		}
		draw -= s.share
	}
	return served
}

func (f Faults) check() error {
	total := 0.0
	for _, s := range f.shares() {
		if !(s.share >= 0 && s.share <= 1) { // NaN too
			return fmt.Errorf("faults: share %v: want 0 to 1", s.share)
		}
		total += s.share
	}
	switch {
	case total > 1+1e-9:
		return fmt.Errorf("faults: shares add up to %.3g: want 1 at most", total)
	case f.MaintenanceForm != "" && !slices.Contains(forms, f.MaintenanceForm):
		return fmt.Errorf("maintenance %q: want one of %v", f.MaintenanceForm, forms)
	case f.MaintenanceRetry < 0:
		return fmt.Errorf("maintenance: Retry-After %d: want 0 or more seconds", f.MaintenanceRetry)
	}
	return nil
}

// during tells whether a time after the start is in one of the spans.
func during(spans []Span, elapsed time.Duration) bool {
	return slices.ContainsFunc(spans, func(s Span) bool { return elapsed >= s.From && elapsed < s.To })
}

func (f Faults) outageAt(elapsed time.Duration) bool { return f.Outage || during(f.Outages, elapsed) }

// maintenanceAt is the application's maintenance a time after the start, nil when it
// is up.
func (f Faults) maintenanceAt(elapsed time.Duration) *maintenance {
	if !f.Maintenance && !during(f.Maintenances, elapsed) {
		return nil
	}
	return &maintenance{f.MaintenanceForm, f.MaintenanceRetry}
}

// MaintenanceForm is what the application says while it is down for maintenance.
type MaintenanceForm string

// The forms, as the options of php artisan down make them.
const (
	FormJSON     MaintenanceForm = "json"     // 503; a page for clients that do not ask for JSON
	FormPage     MaintenanceForm = "page"     // 503 as a page, whatever the client asks for
	FormRedirect MaintenanceForm = "redirect" // 302
)

var forms = []MaintenanceForm{FormJSON, FormPage, FormRedirect}

type maintenance struct {
	form       MaintenanceForm
	retryAfter int
}

func (m maintenance) answer(out *reply, r *http.Request) {
	if m.form == FormRedirect {
		out.redirect(r, "/maintenance")
		return
	}
	if m.retryAfter > 0 {
		out.header.Set("Retry-After", strconv.Itoa(m.retryAfter))
	}
	if m.form == FormPage {
		out.asksJSON = false
	}
	out.fail(http.StatusServiceUnavailable, "Service Unavailable")
}

// A plan is everything decided about a request when it arrives.
type plan struct {
	fate         fate
	latency      time.Duration
	outage       bool
	signIn       bool
	maintenance  *maintenance // nil: up
	unauthorized bool
	html         bool
}

// faultSource hands a plan to each request.
type faultSource struct {
	started time.Time

	mu     sync.Mutex
	faults Faults
	rng    *rand.Rand
	seen   int // requests
}

func (s *faultSource) next(now time.Time) plan {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Two draws for every request, so that a change of faults does not change
	// which later requests the seed singles out.
	draw, slow := s.rng.Float64(), s.rng.Float64()
	f, elapsed := s.faults, now.Sub(s.started)
	s.seen++
	return plan{
		fate:         f.pick(draw),
		latency:      f.Latency.at(slow),
		outage:       f.outageAt(elapsed),
		signIn:       f.SignIn,
		maintenance:  f.maintenanceAt(elapsed),
		unauthorized: f.Unauthorized || f.UnauthorizedAfter.passed(s.seen-1, elapsed),
		html:         f.HTMLErrors,
	}
}

func (s *faultSource) get() Faults {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults.clone()
}

func (s *faultSource) set(f Faults) error {
	if err := f.check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = f.clone()
	return nil
}

func (f Faults) clone() Faults {
	f.Outages, f.Maintenances = slices.Clone(f.Outages), slices.Clone(f.Maintenances)
	return f
}

// A Span is a stretch of time. Its text is "50ms-800ms", or "50ms" for one that
// begins where it ends.
type Span struct{ From, To time.Duration }

func (s Span) at(share float64) time.Duration {
	return s.From + time.Duration(share*float64(s.To-s.From))
}

// String is the text of the span, empty for the zero Span.
func (s Span) String() string {
	if s == (Span{}) {
		return ""
	}
	return s.From.String() + "-" + s.To.String()
}

// MarshalText is String.
func (s Span) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the text of a span; an empty text is the zero Span.
func (s *Span) UnmarshalText(text []byte) error {
	*s = Span{}
	if len(text) == 0 {
		return nil
	}
	first, last, ranged := strings.Cut(string(text), "-")
	if !ranged {
		last = first
	}
	from, err := time.ParseDuration(first)
	if err != nil {
		return fmt.Errorf("span: want one like 50ms-800ms: %w", err)
	}
	to, err := time.ParseDuration(last)
	if err != nil {
		return fmt.Errorf("span: want one like 50ms-800ms: %w", err)
	}
	if to < from {
		return errors.New("span: it ends before it begins")
	}
	*s = Span{from, to}
	return nil
}

// After is a moment, told by the requests seen or the time passed since the
// start. Its text is "100" or "30s". The zero After never comes.
type After struct {
	Requests int
	Elapsed  time.Duration
}

func (a After) passed(requests int, elapsed time.Duration) bool {
	return a.Requests > 0 && requests >= a.Requests || a.Elapsed > 0 && elapsed >= a.Elapsed
}

// String is the text of the moment, empty for the zero After.
func (a After) String() string {
	switch {
	case a.Requests > 0:
		return strconv.Itoa(a.Requests)
	case a.Elapsed > 0:
		return a.Elapsed.String()
	default:
		return ""
	}
}

// MarshalText is String.
func (a After) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads the text of a moment; an empty text is the zero After.
func (a *After) UnmarshalText(text []byte) error {
	*a = After{}
	if len(text) == 0 {
		return nil
	}
	if n, err := strconv.Atoi(string(text)); err == nil && n > 0 {
		a.Requests = n
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if err != nil || d <= 0 {
		return fmt.Errorf("moment %q: want a number of requests or a time since the start, above 0", text)
	}
	a.Elapsed = d
	return nil
}
