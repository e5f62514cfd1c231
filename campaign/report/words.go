package report

import (
	"fmt"
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

// Percent is a part of a whole: "61.7 %". It is cut, not rounded, so 100 % means
// all. Without a whole it is empty.
func Percent(part, whole int) string {
	if whole == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f %%", float64(part*1000/whole)/10)
}
