package campaign

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

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

// OneOf is a choice: "a, b or c".
func OneOf[T any](values []T) string {
	names := make([]string, len(values))
	for i, v := range values {
		names[i] = fmt.Sprint(v)
	}
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// saidAs are values as the several parameters of a Message.
func saidAs[T any](values []T) []Message {
	texts := make([]Message, len(values))
	for i, v := range values {
		texts[i] = Text(fmt.Sprint(v))
	}
	return texts
}

// Moment is a time to the minute, as the reader's clock shows it.
func Moment(t time.Time) string { return t.Local().Format("2006-01-02 15:04 MST") }

// Clock is a time to the second, with its date unless that is today.
func Clock(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format(time.TimeOnly)
	}
	return Moment(t)
}
