package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"campaign-runner/campaign"
)

// About is a duration as people say it, rounded up: "about 34 minutes".
func About(d time.Duration) string {
	switch unit, n := Rough(d); unit {
	case "once":
		return "at once"
	default:
		return "about " + campaign.Count(n, strings.TrimSuffix(unit, "s"), unit)
	}
}

// Rough is a time span in a unit that suits it: seconds, minutes, hours or days, or once
// for none.
func Rough(d time.Duration) (unit string, n int) {
	const day = 24 * time.Hour
	up := func(unit time.Duration) int { return int((d + unit - 1) / unit) }
	switch {
	case d < time.Second:
		return "once", 0
	case d < 90*time.Second:
		return "seconds", up(time.Second)
	case d < 2*time.Hour:
		return "minutes", up(time.Minute)
	case d < 2*day:
		return "hours", up(time.Hour)
	}
	return "days", up(day)
}

// Shares are parts of a whole as people read them, which add up to 100 %. No part that is
// there is 0 %, and only all is 100 %. Without a whole they are empty.
func Shares(parts []int) []string {
	texts := make([]string, len(parts))
	whole := 0
	for _, part := range parts {
		whole += part
	}
	if whole == 0 {
		return texts
	}
	// In tenths of a percent: each is cut, and those that lose most by it get the rest.
	tenths, order := make([]int, len(parts)), make([]int, len(parts))
	rest := 1000
	for i, part := range parts {
		tenths[i], order[i] = part*1000/whole, i
		if part > 0 {
			tenths[i] = max(tenths[i], 1)
		}
		rest -= tenths[i]
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if rest < 0 { // small parts have taken too much, which the largest gives
			return tenths[b] - tenths[a]
		}
		return cmp.Compare(parts[b]*1000%whole, parts[a]*1000%whole)
	})
	for at := 0; rest != 0; at = (at + 1) % len(order) {
		i, step := order[at], 1
		if rest < 0 {
			step = -1
		}
		last := tenths[i]+step == 1000 && parts[i] < whole || tenths[i]+step < 1
		if parts[i] > 0 && !last && (rest < 0 || parts[i]*1000%whole > 0) {
			tenths[i] += step
			rest -= step
		}
	}
	for i, n := range tenths {
		texts[i] = fmt.Sprintf("%d.%d %%", n/10, n%10)
	}
	return texts
}

// Percent is a part of a whole: "61.7 %". It is cut, not rounded, so 100 % means
// all. Without a whole it is empty.
func Percent(part, whole int) string {
	if whole == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f %%", float64(part*1000/whole)/10)
}
