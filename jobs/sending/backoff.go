package sending

import (
	"math/rand/v2"
	"time"
)

// A backoff is the longest wait before each attempt.
type backoff struct{ base, max time.Duration }

// retryBackoff lets the five attempts that a contact has by default span about
// a minute and a half, longer than a restart of the platform. What fails for
// longer blocks the whole quota instead of using up attempts.
var retryBackoff = backoff{base: 6 * time.Second, max: 10 * time.Minute}

// delay is the longest wait before an attempt, counted from 1.
func (b backoff) delay(attempt int) time.Duration {
	if attempt <= 1 {
		return 0
	}
	d := b.base
	for range attempt - 2 {
		if d *= 2; d >= b.max {
			return b.max // before the doubling overflows
		}
	}
	return min(d, b.max)
}

// jitter is a random part of d, any from none to all of it ("full jitter"), so
// that chunks which failed together do not come back together.
func jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(d)
}
