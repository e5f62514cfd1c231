package sandbox

import (
	"net/http"
	"strconv"
	"time"
)

// throttled passes a request through the limit of its token to next, or to a fault of
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

// admit counts the request in its token's window, or answers 429.
func (s *Server) admit(out *reply, token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	t := s.state(token)
	limit := s.limit
	if limit > 0 && t.inside > 0 {
		limit += s.cfg.Overrun // the platform reads and counts in two steps
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

func (s *Server) pause(d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-time.After(d):
	case <-s.done:
	}
}

// SetLimit changes the limit for the following requests; 0 or less lifts it.
func (s *Server) SetLimit(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = n
}

// A window counts the requests of one token as Laravel does: the first request opens
// it, and it ends a fixed time later.
type window struct {
	ends  time.Time
	count int
}

// take counts a request unless the limit is reached; a refused one leaves no trace. A
// limit of 0 or less admits everything.
func (w *window) take(now time.Time, limit int, length time.Duration) (admitted, opened bool) {
	if !now.Before(w.ends) {
		*w, opened = window{ends: now.Add(length)}, true
	}
	if limit > 0 && w.count >= limit {
		return false, opened
	}
	w.count++
	return true, opened
}

// remaining is what is left at now. That may be in a later window than the request: the
// platform looks after it has done the work. It is negative when more requests were
// admitted than the limit, or the limit was lowered.
func (w *window) remaining(now time.Time, limit int) int {
	if !now.Before(w.ends) {
		return limit
	}
	return limit - w.count
}

// retryAfter is the difference of two clocks of whole seconds: it can be up to a second
// short, or 0.
func (w *window) retryAfter(now time.Time) int64 {
	return max(0, w.ends.Unix()-now.Unix())
}
