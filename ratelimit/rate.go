package ratelimit

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Rate is a number of requests allowed per window. It holds while the server
// sends no limit headers; they override the number, never the window. The zero
// Rate is 30 per minute.
type Rate struct {
	Limit     int
	Window    time.Duration
	Unlimited bool // no limit until a header or a 429 tells of one
}

var defaultRate = Rate{Limit: 30, Window: time.Minute}

var errRate = errors.New(`want requests per window such as "30/60s", or "none"`)

// ParseRate reads "30/60s", "30/1m" or "none".
func ParseRate(s string) (Rate, error) {
	if s == "none" {
		return Rate{Unlimited: true}, nil
	}
	limit, window, ok := strings.Cut(s, "/")
	if !ok {
		return Rate{}, fmt.Errorf("rate %q: %w", s, errRate)
	}
	var r Rate
	var errLimit, errWindow error
	r.Limit, errLimit = strconv.Atoi(limit)
	r.Window, errWindow = time.ParseDuration(window)
	if errLimit != nil || errWindow != nil || r.validate() != nil {
		return Rate{}, fmt.Errorf("rate %q: %w", s, errRate)
	}
	return r, nil
}

// The longest window keeps its times, in milliseconds, far inside what a Lua
// number holds exactly.
const (
	minWindow = time.Second
	maxWindow = 31 * 24 * time.Hour
	maxLimit  = 10_000_000
)

// Count is how many requests are allowed per window; 0 when there is no limit.
func (r Rate) Count() (limit int, window time.Duration) {
	if r == (Rate{}) {
		r = defaultRate
	}
	return r.Limit, r.Window
}

func (r Rate) validate() error {
	switch {
	case r.Unlimited || r == Rate{}:
		return nil
	case r.Limit < 1 || r.Limit > maxLimit:
		return fmt.Errorf("rate: limit %d: want 1 to %d", r.Limit, maxLimit)
	case r.Window < minWindow || r.Window > maxWindow:
		return fmt.Errorf("rate: window %v: want %v to %v", r.Window, minWindow, maxWindow)
	}
	return nil
}

// String is the text that ParseRate reads.
func (r Rate) String() string {
	switch {
	case r.Unlimited:
		return "none"
	case r == Rate{}:
		return defaultRate.String()
	case r.Window%time.Second == 0:
		return fmt.Sprintf("%d/%ds", r.Limit, r.Window/time.Second)
	}
	return fmt.Sprintf("%d/%v", r.Limit, r.Window)
}

// Set makes a *Rate a flag.Value.
func (r *Rate) Set(s string) (err error) {
	*r, err = ParseRate(s)
	return err
}

// Type names the flag's value in a command's help.
func (r *Rate) Type() string { return "rate" }
