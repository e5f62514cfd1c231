package dashboard

import (
	"net/http"
	"slices"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/hours"
	"campaign-runner/campaign/plan"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/texts"
	"campaign-runner/ratelimit"
)

// An outlook is how the rest of a campaign will go.
type outlook struct {
	report.Foresight
	When hours.Schedule // its contacts may be contacted
}

// Zones reports whether its contacts go by more than one clock, or by hours.
func (o outlook) Zones() bool {
	return len(o.Steps) > 1 || len(o.Steps) == 1 && o.Steps[0].Name != ""
}

// zonesShown is how many zones have a column of their own, those with the most contacts.
const zonesShown = 5

// A planned day is what is sent on a day.
type planned struct {
	At       time.Time // noon, in UTC
	Contacts int
	Zones    []int // contacts by zone, in the order of DayZones
}

// onDays are dates with their weekday.
var onDays = [...]string{"plan.on_sun", "plan.on_mon", "plan.on_tue", "plan.on_wed", "plan.on_thu", "plan.on_fri", "plan.on_sat"}

// Date is the day with its weekday.
func (d planned) Date() texts.Line {
	return texts.Of(onDays[d.At.Weekday()], "date", texts.Name(d.At.Format(time.DateOnly)))
}

// DayZones are the zones that have a column; with Others there is one more.
func (o outlook) DayZones() (names []string) {
	if len(o.Steps) < 2 {
		return nil
	}
	steps := slices.Clone(o.Steps)
	slices.SortStableFunc(steps, func(a, b plan.Step) int { return b.Contacts - a.Contacts })
	for _, step := range steps[:min(len(steps), zonesShown)] {
		names = append(names, step.Name)
	}
	return names
}

// Others reports whether some zones share a column.
func (o outlook) Others() bool { return len(o.Steps) > zonesShown }

// ByDay are the days on which something is sent.
func (o outlook) ByDay() (days []planned) {
	zones := o.DayZones()
	for _, day := range o.Days {
		at, err := time.Parse(time.DateOnly, day.Date)
		if err != nil {
			continue // it was written by us
		}
		if at = at.Add(12 * time.Hour); len(days) == 0 || !days[len(days)-1].At.Equal(at) {
			days = append(days, planned{At: at, Zones: make([]int, len(zones)+1)})
		}
		last := &days[len(days)-1]
		last.Contacts += day.Contacts
		column := slices.Index(zones, day.Name)
		if column < 0 {
			column = len(zones)
		}
		last.Zones[column] += day.Contacts
	}
	for i := range days {
		if !o.Others() {
			days[i].Zones = days[i].Zones[:len(zones)]
		}
	}
	return days
}

// Verdict is when it ends, in a sentence.
func (o outlook) Verdict() texts.Line {
	switch {
	case o.Pending == 0:
		return nil
	case o.State != campaign.Running && o.State != campaign.Scheduled:
		return texts.Of("plan.stopped", "state", o.State)
	case o.Ends.IsZero():
		return texts.Of("plan.no_end")
	}
	return texts.Of("plan.ends", "time", o.Ends)
}

// Quota is how many requests the plan assumes.
func (o outlook) Quota() texts.Line {
	rate, err := ratelimit.ParseRate(o.Rate)
	if err != nil || rate.Unlimited {
		return texts.Of("quota.unknown")
	}
	said := texts.Of("quota.rate", "n", rate.Limit, "window", spanText(rate.Window))
	if !o.Measured {
		return texts.Of("plan.assumed", "rate", said)
	}
	return said
}

// ByRungs tells whom it will contact again by itself.
func (o outlook) ByRungs() any {
	if m := o.Rungs.Message(); !m.IsZero() {
		return m
	}
	return texts.Line(nil)
}

// plan serves how the rest of a campaign will go.
func (p *pages) plan(w http.ResponseWriter, r *http.Request, c campaign.Campaign) error {
	found, err := report.Foretell(r.Context(), p.store, c.Name, ratelimit.Rate{})
	if err != nil {
		return err
	}
	p.show(w, r, http.StatusOK, "plan", view{Title: texts.Of("plan.of", "campaign", texts.Name(c.Name)), Nav: "campaigns", Body: outlook{found, c.Settings.Hours}})
	return nil
}
