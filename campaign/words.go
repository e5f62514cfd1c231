package campaign

import (
	"strconv"
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
