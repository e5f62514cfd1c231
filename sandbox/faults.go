package sandbox

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Faults are what goes wrong. The shares are of all requests, from 0 to 1, and add up
// to 1 at most: a request meets one fault or none. The seed and the order of arrival
// decide which request meets which fault.
//
// The JSON form is that of PUT /sandbox/faults.
type Faults struct {
	// In front of the application: no work is done, and the limit does not count.
	ResetBefore float64 `json:"reset_before"` // the connection is reset
	HangBefore  float64 `json:"hang_before"`  // no answer, ever
	TooMany     float64 `json:"too_many"`     // a proxy's own 429, without X-RateLimit headers
	Outage      bool    `json:"outage"`       // a proxy's 503 page for all requests
	Outages     []Span  `json:"outages"`      // the same, at times since the start
	SignIn      bool    `json:"sign_in"`      // a sign-in page with status 200 for all requests

	// In the application: the same.
	Maintenance      bool            `json:"maintenance"`       // as MaintenanceForm says
	Maintenances     []Span          `json:"maintenances"`      // the same, at times since the start
	MaintenanceForm  MaintenanceForm `json:"maintenance_form"`  // FormJSON
	MaintenanceRetry int             `json:"maintenance_retry"` // seconds of Retry-After; 0: none

	Unauthorized      bool  `json:"unauthorized"`       // every token is refused
	UnauthorizedAfter After `json:"unauthorized_after"` // the same from a moment on

	// In the application: counted, but no work is done.
	ServerError float64 `json:"server_error"` // 500, safe to retry
	HTMLErrors  bool    `json:"html_errors"`  // it is a proxy's 502 page
	Latency     Span    `json:"latency"`      // between arrival and handling, evenly distributed

	// After the application: the work is done, but the client does not learn of it.
	ResetAfter     float64 `json:"reset_after"`     // the connection is reset
	Hang           float64 `json:"hang"`            // no answer, ever
	BadGateway     float64 `json:"bad_gateway"`     // nginx's 502 page: PHP is gone
	GatewayTimeout float64 `json:"gateway_timeout"` // nginx's 504 page: PHP is slow
	UnknownError   float64 `json:"unknown_error"`   // Cloudflare's 520 page: the origin's answer was cut
	Fatal          float64 `json:"fatal"`           // PHP's fatal error: 500, without X-RateLimit headers
	WebPage        float64 `json:"web_page"`        // a sign-in page with status 200
}

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

type share struct {
	fate fate
	of   float64 // all requests
}

func (f Faults) shares() []share {
	return []share{
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

// pick turns an even draw from [0, 1) into a fate.
func (f Faults) pick(draw float64) fate {
	for _, s := range f.shares() {
		if draw < s.of {
			return s.fate
		}
		draw -= s.of
	}
	return served
}

func (f Faults) check() error {
	total := 0.0
	for _, s := range f.shares() {
		if !(s.of >= 0 && s.of <= 1) { // NaN too
			return fmt.Errorf("faults: share %v: want 0 to 1", s.of)
		}
		total += s.of
	}
	switch {
	case total > 1+1e-9:
		return fmt.Errorf("faults: shares add up to %.3g: want 1 at most", total)
	case f.MaintenanceForm != "" && !slices.Contains(forms, f.MaintenanceForm):
		return fmt.Errorf("maintenance %q: want %s", f.MaintenanceForm, oneOf(forms))
	case f.MaintenanceRetry < 0:
		return fmt.Errorf("maintenance: Retry-After %d: want 0 or more seconds", f.MaintenanceRetry)
	}
	return nil
}

func (f Faults) outageAt(elapsed time.Duration) bool { return f.Outage || during(f.Outages, elapsed) }

// maintenanceAt is the maintenance at a time since the start, or nil.
func (f Faults) maintenanceAt(elapsed time.Duration) *maintenance {
	if !f.Maintenance && !during(f.Maintenances, elapsed) {
		return nil
	}
	return &maintenance{f.MaintenanceForm, f.MaintenanceRetry}
}

// A MaintenanceForm is how the application answers during maintenance.
type MaintenanceForm string

// The forms that the options of php artisan down make.
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

// A plan is everything that is decided about a request when it arrives.
type plan struct {
	fate         fate
	latency      time.Duration
	outage       bool
	signIn       bool
	maintenance  *maintenance // nil: up
	unauthorized bool
	html         bool
}

// A faultSource makes a plan for each request.
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
	// Always two draws, so that a change of faults does not change which later requests
	// meet a fault.
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
