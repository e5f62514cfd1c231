package sandbox

import "time"

// window counts the requests of one token as Laravel's throttle does: the first
// request opens it, wherever the clock stands, and it ends a fixed time later.
type window struct {
	ends  time.Time
	count int
}

// take counts a request unless the limit is reached; a refused one leaves no
// trace. A limit of 0 or less admits everything.
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

// remaining is what is left at now, which may be in a later window than the
// request that asks: the platform looks after it has done its work. It is less than
// 0 when more were let in than the limit, or the limit was lowered.
func (w *window) remaining(now time.Time, limit int) int {
	if !now.Before(w.ends) {
		return limit
	}
	return limit - w.count
}

// retryAfter is the difference of two clocks that know whole seconds only. It
// can be up to a second short, and 0.
func (w *window) retryAfter(now time.Time) int64 {
	return max(0, w.ends.Unix()-now.Unix())
}
