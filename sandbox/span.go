package sandbox

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Span is a span of time. Its text is "50ms-800ms", or "50ms" if both ends are equal.
type Span struct{ From, To time.Duration }

func (s Span) at(share float64) time.Duration {
	return s.From + time.Duration(share*float64(s.To-s.From))
}

// String is the text of the span; empty for the zero Span.
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

// An After is a moment, by the requests seen or the time since the start. Its text is
// "100" or "30s". The zero After never comes.
type After struct {
	Requests int
	Elapsed  time.Duration
}

func (a After) passed(requests int, elapsed time.Duration) bool {
	return a.Requests > 0 && requests >= a.Requests || a.Elapsed > 0 && elapsed >= a.Elapsed
}

// String is the text of the moment; empty for the zero After.
func (a After) String() string {
	switch {
	case a.Requests > 0:
		return strconv.Itoa(a.Requests)
	case a.Elapsed > 0:
		return a.Elapsed.String()
	}
	return ""
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

// during reports whether a time since the start is in one of the spans.
func during(spans []Span, elapsed time.Duration) bool {
	return slices.ContainsFunc(spans, func(s Span) bool { return elapsed >= s.From && elapsed < s.To })
}
