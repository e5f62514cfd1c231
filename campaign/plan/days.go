package plan

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"campaign-runner/campaign/hours"
)

// countDays counts contacts of a group that are sent evenly from one time to another, by the
// days of its clock.
func (r *run) countDays(group int, contacts float64, from, to time.Time) {
	if r.days == nil || contacts == 0 {
		return
	}
	zone, whole := r.zoneOf(group), to.Sub(from)
	for {
		midnight := hours.Midnight(from, zone, 1)
		share := 1.0
		if whole > 0 {
			share = float64(min(to.Sub(from), midnight.Sub(from))) / float64(whole)
		}
		r.days[Day{Date: from.In(zone).Format(time.DateOnly), Name: r.Groups[group].Name}] += contacts * share
		if from = midnight; !from.Before(to) {
			return
		}
	}
}

// zoneOf is where the days of a group begin.
func (r *run) zoneOf(group int) *time.Location {
	if clock := r.Groups[group].Clock; clock != nil && len(clock.Zones) > 0 {
		return clock.Zones[0]
	}
	return cmp.Or(r.Midnight, time.UTC)
}

// byDay are the days in order. Rounded, those of a group add up to what is sent of it.
func (r *run) byDay() (days []Day) {
	sent, told := make(map[string]float64), make(map[string]float64)
	order := slices.SortedFunc(maps.Keys(r.days), func(a, b Day) int {
		return cmp.Or(strings.Compare(a.Date, b.Date), strings.Compare(a.Name, b.Name))
	})
	for _, day := range order {
		sent[day.Name] += r.days[day]
		n := math.Round(sent[day.Name]) - told[day.Name]
		told[day.Name] += n
		if day.Contacts = int(n); n > 0 {
			days = append(days, day)
		}
	}
	return days
}
