package quotasim

import (
	"math"
	"sync"
	"time"

	"campaign-runner/ratelimit"
)

// kind is the way in which a server counts.
type kind int

const (
	fixed   kind = iota // a window opened by its first request, ended to the millisecond
	floored             // the same on a clock of whole seconds: up to a second shorter
	aligned             // windows begin with the clock's minute
	sliding             // a log of the last window's requests
	leaky               // a bucket that drains evenly
)

func (k kind) String() string {
	return [...]string{"fixed window", "whole-second window", "aligned minute", "sliding log", "leaky bucket"}[k]
}

// server counts requests as a Laravel throttle does, or in one of the other
// usual ways. It answers what it counted when the request had been handled.
type server struct {
	kind     kind
	window   time.Duration
	headers  bool
	mu       sync.Mutex
	limit    int
	opened   time.Time // fixed, floored, aligned
	count    int
	times    []time.Time // sliding
	level    float64     // leaky
	drained  time.Time
	failing  bool
	capacity float64 // what it would have served so far
	since    time.Time
	second   *server // a limit beside this one; nil: none
}

func newServer(k kind, limit int, window time.Duration) *server {
	now := time.Now()
	return &server{kind: k, limit: limit, window: window, headers: true, drained: now, since: now}
}

// setLimit changes the limit in the middle of a window.
func (s *server) setLimit(limit int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.account(time.Now())
	s.limit = limit
}

func (s *server) setFailing(failing bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = failing
}

func (s *server) account(now time.Time) {
	perSecond := float64(s.limit) / s.window.Seconds()
	if s.second != nil {
		perSecond = min(perSecond, float64(s.second.limit)/s.second.window.Seconds())
	}
	s.capacity += perSecond * now.Sub(s.since).Seconds()
	s.since = now
}

// nominal is how many requests the limit has allowed so far.
func (s *server) nominal() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.account(time.Now())
	return s.capacity
}

// forget lets go of what no longer counts.
func (s *server) forget(now time.Time) {
	switch s.kind {
	case fixed:
		if now.Sub(s.opened) >= s.window {
			s.count = 0
		}
	case floored:
		if now.Sub(s.opened.Truncate(time.Second)) >= s.window {
			s.count = 0
		}
	case aligned:
		if !now.Truncate(s.window).Equal(s.opened) {
			s.count, s.opened = 0, now.Truncate(s.window)
		}
	case sliding:
		for len(s.times) > 0 && now.Sub(s.times[0]) >= s.window {
			s.times = s.times[1:]
		}
		s.count = len(s.times)
	case leaky:
		s.level = max(0, s.level-now.Sub(s.drained).Seconds()*float64(s.limit)/s.window.Seconds())
		s.drained = now
		s.count = int(math.Ceil(s.level))
	}
}

// arrive counts a request, or refuses it.
func (s *server) arrive() (status int) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(now)
	if s.count >= s.limit {
		return 429
	}
	if s.second != nil && s.second.arrive() == 429 {
		return 429
	}
	if s.count == 0 && s.kind != aligned {
		s.opened = now
	}
	s.count++
	s.times = append(s.times, now)
	s.level++
	if s.failing {
		return 503
	}
	return 200
}

// answer is what the server says of a request that it has handled.
func (s *server) answer(status int) ratelimit.Answer {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(now)
	if s.second != nil { // the headers tell of the limit with less left
		s.second.forget(now)
		if s.second.limit-s.second.count < s.limit-s.count {
			return s.second.answer(status)
		}
	}
	a := ratelimit.Answer{Status: status, Failed: status >= 500}
	if s.headers {
		a.Known, a.Limit, a.Remaining = true, s.limit, max(0, s.limit-s.count)
	}
	if status == 429 {
		a.HasRetryAfter, a.RetryAfter = true, s.retryAfter(now)
		a.Remaining = 0
	}
	return a
}

// retryAfter is the difference of two clocks of whole seconds.
func (s *server) retryAfter(now time.Time) time.Duration {
	var free time.Time
	switch s.kind {
	case sliding:
		free = now
		if len(s.times) > 0 {
			free = s.times[0].Add(s.window)
		}
	case leaky:
		free = now.Add(time.Duration((s.level - float64(s.limit-1)) / float64(s.limit) * float64(s.window)))
	default:
		free = s.opened.Add(s.window)
	}
	return max(0, free.Truncate(time.Second).Sub(now.Truncate(time.Second)))
}
