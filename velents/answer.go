package velents

import (
	"errors"
	"iter"
	"math"
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

// rateOf reads the rate headers: Laravel's, or those of the IETF draft in its
// older and newer forms. Where several limits are told, the one with less left
// binds. A negative rest is none: the limit is reached, not unknown.
func rateOf(h http.Header) Rate {
	for _, prefix := range []string{"X-RateLimit-", "X-Rate-Limit-", "RateLimit-"} {
		if r := lowest(numbers(h[canonical(prefix+"Limit")]), numbers(h[canonical(prefix+"Remaining")])); r.Known {
			return r
		}
	}
	fields, policy := h[canonical("RateLimit")], h[canonical("RateLimit-Policy")]
	limits, remaining := parameters(fields, "limit"), parameters(fields, "remaining")
	if len(limits) == 0 {
		limits, remaining = parameters(policy, "q"), parameters(fields, "r")
	}
	return lowest(limits, remaining)
}

func canonical(name string) string { return http.CanonicalHeaderKey(name) }

// lowest is the rate with the least left of limits with their rests.
func lowest(limits, remaining []float64) Rate {
	var lowest Rate
	for i, left := range remaining {
		if len(limits) == 0 {
			break
		}
		limit := int(limits[min(i, len(limits)-1)])
		if limit < 1 || limit > maxRateLimit {
			continue
		}
		r := Rate{Known: true, Limit: limit, Remaining: int(min(max(left, 0), float64(limit)))}
		if !lowest.Known || r.Remaining < lowest.Remaining {
			lowest = r
		}
	}
	return lowest
}

// numbers are those that the lines of a header list, each without its parameters.
func numbers(lines []string) (list []float64) {
	for item := range items(lines) {
		text, _, _ := strings.Cut(item, ";")
		if n, err := strconv.ParseFloat(strings.TrimSpace(text), 64); err == nil && !math.IsNaN(n) {
			list = append(list, n)
		}
	}
	return list
}

// parameters are the numbers that the lines of a header give to a key.
func parameters(lines []string, key string) (list []float64) {
	for item := range items(lines) {
		for part := range strings.SplitSeq(item, ";") {
			name, value, _ := strings.Cut(part, "=")
			if n, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil && !math.IsNaN(n) && strings.EqualFold(strings.TrimSpace(name), key) {
				list = append(list, n)
			}
		}
	}
	return list
}

func items(lines []string) iter.Seq[string] {
	return strings.SplitSeq(strings.Join(lines, ","), ",")
}

const maxRetryAfter = 24 * time.Hour

// retryAfter reads the header of that name: seconds, or a time. It is bounded
// to a day, and not below zero. A time counts from the answer's own Date, since
// the clocks of the two ends may differ; now stands in for a missing one.
func retryAfter(h http.Header, now time.Time) (wait time.Duration, ok bool) {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if value == "" {
		return 0, false
	}
	if seconds, err := strconv.ParseFloat(value, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return bounded(seconds)
	}
	until, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	return min(max(0, until.Sub(serverTime(h, now))), maxRetryAfter), true
}

// resetAfter reads when the limit is set back, as a 429 without Retry-After may
// tell: a unix time, or seconds in the IETF draft.
func resetAfter(h http.Header, now time.Time) (wait time.Duration, ok bool) {
	for _, name := range []string{"X-RateLimit-Reset", "X-Rate-Limit-Reset", "RateLimit-Reset"} {
		told := numbers(h[canonical(name)])
		if len(told) == 0 {
			continue
		}
		if told[0] > 1e9 {
			told[0] -= float64(serverTime(h, now).Unix())
		}
		return bounded(told[0])
	}
	fields := h[canonical("RateLimit")]
	if told := append(parameters(fields, "reset"), parameters(fields, "t")...); len(told) > 0 {
		return bounded(told[0])
	}
	return 0, false
}

// bounded is a wait of so many seconds, rounded up to a whole one.
func bounded(seconds float64) (wait time.Duration, ok bool) {
	if math.IsNaN(seconds) {
		return 0, false
	}
	return time.Duration(math.Ceil(min(max(0, seconds), maxRetryAfter.Seconds()))) * time.Second, true
}

func serverTime(h http.Header, now time.Time) time.Time {
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		return date
	}
	return now
}
