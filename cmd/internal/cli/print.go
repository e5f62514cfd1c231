package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"golang.org/x/term"
)

// PrintJSON prints v as one object on one line.
func PrintJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// Number is n with thousands separated: 1,234,567.
func Number(n int) string {
	digits := strconv.Itoa(n)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// Count is n with its noun: "1 line", "2,000 lines".
func Count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Number(n) + " " + many
}

// About is a duration as people say it, rounded up: "about 34 minutes".
func About(d time.Duration) string {
	const day = 24 * time.Hour
	up := func(unit time.Duration) int { return int((d + unit - 1) / unit) }
	switch {
	case d < time.Second:
		return "at once"
	case d < 90*time.Second:
		return "about " + Count(up(time.Second), "second", "seconds")
	case d < 2*time.Hour:
		return "about " + Count(up(time.Minute), "minute", "minutes")
	case d < 2*day:
		return "about " + Count(up(time.Hour), "hour", "hours")
	}
	return "about " + Count(up(day), "day", "days")
}

// IsTerminal reports whether a person looks at w.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
