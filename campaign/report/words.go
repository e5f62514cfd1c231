package report

import (
	"fmt"
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

// Percent is a part of a whole: "61.7 %". It is cut, not rounded, so 100 % means
// all. Without a whole it is empty.
func Percent(part, whole int) string {
	if whole == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f %%", float64(part*1000/whole)/10)
}
