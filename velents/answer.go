package velents

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Answer is what is known of an answer beside its body. It is zero but for
// Latency when there was none.
type Answer struct {
	Status      int
	Rate        Rate
	RateHeaders bool          // those of the platform's limit were there, whatever they said
	ID          string        // of the batch or conversation, when the body names one
	Latency     time.Duration // from the call to the answer's last byte
}

// Rate is the platform's word on the quota of the token.
type Rate struct {
	Known     bool // both headers were there and made sense
	Limit     int  // requests per window
	Remaining int  // in the present window
}

const maxRateLimit = 1_000_000 // beyond it a limit is no limit, or nonsense

func rateOf(h http.Header) Rate {
	limit, err := strconv.Atoi(h.Get("X-RateLimit-Limit"))
	if err != nil || limit < 1 || limit > maxRateLimit {
		return Rate{}
	}
	remaining, err := strconv.Atoi(h.Get("X-RateLimit-Remaining"))
	if err != nil || remaining < 0 || remaining > limit {
		return Rate{}
	}
	return Rate{Known: true, Limit: limit, Remaining: remaining}
}

const maxRetryAfter = 24 * time.Hour

// retryAfter reads the header of that name: seconds, or a time. It is bounded
// to a day, and not below zero. A time counts from the answer's own Date, since
// the clocks of the two ends may differ; now stands in for a missing one.
func retryAfter(h http.Header, now time.Time) (wait time.Duration, ok bool) {
	value := h.Get("Retry-After")
	if value == "" {
		return 0, false
	}
	if strings.Trim(value, "0123456789") == "" {
		seconds, err := strconv.Atoi(value)
		if err != nil || seconds > int(maxRetryAfter/time.Second) {
			return maxRetryAfter, true
		}
		return time.Duration(seconds) * time.Second, true
	}
	until, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return min(max(0, until.Sub(now)), maxRetryAfter), true
}
