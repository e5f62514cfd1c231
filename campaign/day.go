package campaign

import (
	"time"

	"campaign-runner/campaign/hours"
)

// A Day is a day of a campaign's calendar.
type Day struct{ From, Until time.Time } // Until is the next one's

// DayOf is the day of a time by the clock of the campaign's hours; by UTC when it
// has none, or goes by each contact's own.
func (s Settings) DayOf(t time.Time) Day {
	zone, err := hours.LoadZone(s.Hours.Zone)
	if err != nil {
		zone = time.UTC
	}
	year, month, day := t.In(zone).Date()
	return Day{time.Date(year, month, day, 0, 0, 0, 0, zone), time.Date(year, month, day+1, 0, 0, 0, 0, zone)}
}
