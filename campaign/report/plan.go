package report

import (
	"context"
	"errors"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/plan"
	"campaign-runner/campaign/store"
	"campaign-runner/ratelimit"
)

// A Foresight is how a campaign will go.
type Foresight struct {
	Campaign   string         `json:"campaign"`
	State      campaign.Phase `json:"state"`
	Pending    int            `json:"pending"`
	Rungs      *Rungs         `json:"rungs,omitempty"` // to come, beside what the plan holds
	Hours      string         `json:"hours"`           // when its contacts may be contacted
	Rate       string         `json:"rate"`            // requests per window that it assumes: "30/60s", or none
	Measured   bool           `json:"rate_measured"`
	Unapproved bool           `json:"waits_for_approval,omitempty"` // the plan is as if it was approved now
	plan.Plan
	FinishBy time.Time `json:"finish_by,omitzero"`
	Now      time.Time `json:"now"` // Redis's clock
}

// Foretell plans what is left of a campaign, at the quota as a worker sees it, or at
// rate when no worker does.
func Foretell(ctx context.Context, s Store, name string, rate ratelimit.Rate) (Foresight, error) {
	c, tally, err := read(ctx, s, name)
	switch {
	case err != nil:
	case c.Phase == campaign.Loading:
		err = errors.New("plan " + name + ": it is still loading; 'enqueue --dry-run' tells the plan of a file")
	default:
		err = c.Kept()
	}
	if err != nil {
		return Foresight{}, err
	}
	rungs, err := rungsOf(ctx, s, c, tally)
	if err != nil {
		return Foresight{}, err
	}
	present, err := look(ctx, s)
	if err != nil {
		return Foresight{}, err
	}
	f := Foresight{
		Campaign: name, State: tally.Phase(c.Phase), Pending: tally.States[campaign.Pending], Rungs: rungs,
		Unapproved: c.Approval.Wanted, Hours: c.Settings.Hours.String(), FinishBy: c.Settings.FinishBy, Now: present.now.UTC(),
	}
	forecaster := NewForecaster(s)
	forecaster.chunks, forecaster.rate, forecaster.byDay = plan.SampleSize, &rate, true
	forecast, err := forecaster.of(ctx, present, store.Reading{Campaign: c, Tally: tally})
	f.Plan, f.Measured, f.Rate = forecast.Plan, forecast.measured, rate.String()
	if q := present.quotas[c.Settings.Agent]; f.Measured {
		f.Rate = ratelimit.Rate{Limit: q.Limit, Window: time.Duration(q.Window * float64(time.Second))}.String()
	}
	return f, err
}

// paceWindow is how far back a pace looks. With batches of hundreds every few
// seconds, a shorter one would jump.
const paceWindow = 2 * time.Minute

// A Pace is how fast a campaign has got through its contacts lately.
type Pace struct {
	PerMinute float64       // contacts; 0: none lately, or unknown
	Left      time.Duration // until the last contact; 0: unknown
}

// PaceOf is the pace of a campaign by its series, and by its states at now.
func PaceOf(series []store.Sample, states States, now time.Time) Pace {
	if len(series) == 0 {
		return Pace{}
	}
	from := now.Add(-paceWindow)
	if first := series[0].At; first.After(from) {
		from = first
	}
	through, before := 0, -1
	for _, sample := range series {
		open := sample.Tally.Open()
		if sample.At.After(from) {
			through += max(before-open, 0) // a rerun opens contacts again
		}
		before = open
	}
	through += max(before-states.Open(), 0)
	over := now.Sub(from)
	if through == 0 || over < store.SampleEvery {
		return Pace{}
	}
	p := Pace{PerMinute: float64(through) / over.Minutes()}
	p.Left = time.Duration(float64(states.Open()) / p.PerMinute * float64(time.Minute))
	return p
}

// Until is the pace with the time left until a forecast's end, which allows for hours,
// failures and other campaigns. Without a forecast it stays as it is.
func (p Pace) Until(eta, now time.Time) Pace {
	if eta.After(now) {
		p.Left = eta.Sub(now)
	}
	return p
}
