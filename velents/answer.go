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

// Answer is what is known of an answer beside its body. Without an answer only Latency is
// set.
type Answer struct {
	Status      int
	Rate        Rate
	RateHeaders bool          // the answer had the headers of the platform's limit, readable or not
	ID          string        // of the batch or conversation, when the body names one
	Latency     time.Duration // from the request to the answer's last byte
}

// Rate is what the platform says about the quota of the token.
type Rate struct {
	Known     bool // both headers were there and made sense
	Limit     int  // requests per window
	Remaining int  // in the present window
}

const maxRateLimit = 1_000_000 // a higher limit is nonsense

// rateOf reads the rate headers: Laravel's, or those of the IETF draft in its older and
// newer forms. Of several limits the one with the least left counts. A negative rest means
// that nothing is left, not that the rest is unknown.
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

// lowest is the rate with the least left.
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

// numbers are the numbers in the lines of a header, without their parameters.
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

// retryAfter reads Retry-After: seconds, or a time. The wait is between zero and a day. A
// time counts from the Date of the answer, since the clocks of the two ends may differ, and
// from now without a Date.
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

// resetAfter reads when the limit is reset, which a 429 without Retry-After may say: a Unix
// time in seconds or milliseconds, or seconds from now as in the IETF draft.
func resetAfter(h http.Header, now time.Time) (wait time.Duration, ok bool) {
	for _, name := range []string{"X-RateLimit-Reset", "X-Rate-Limit-Reset", "RateLimit-Reset"} {
		told := numbers(h[canonical(name)])
		if len(told) == 0 {
			continue
		}
		if told[0] > 1e11 {
			told[0] /= 1000
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

// bounded is a wait of that many seconds, rounded up and between zero and a day.
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
