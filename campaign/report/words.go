package report

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"campaign-runner/campaign"
)

// About is a duration as people say it, rounded up: "about 34 minutes".
func About(d time.Duration) string {
	const day = 24 * time.Hour
	up := func(unit time.Duration) int { return int((d + unit - 1) / unit) }
	switch {
	case d < time.Second:
		return "at once"
	case d < 90*time.Second:
		return "about " + campaign.Count(up(time.Second), "second", "seconds")
	case d < 2*time.Hour:
		return "about " + campaign.Count(up(time.Minute), "minute", "minutes")
	case d < 2*day:
		return "about " + campaign.Count(up(time.Hour), "hour", "hours")
	}
	return "about " + campaign.Count(up(day), "day", "days")
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
