package report

import (
	"context"
	"errors"
	"fmt"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/plan"
	"campaign-runner/campaign/store"
	"campaign-runner/ratelimit"
)

// A Foresight is how a campaign will go.
type Foresight struct {
	Campaign string         `json:"campaign"`
	State    campaign.Phase `json:"state"`
	Pending  int            `json:"pending"`
	Hours    string         `json:"hours"` // when its contacts may be contacted
	Rate     string         `json:"rate"`  // requests per window that it assumes: "30/60s", or none
	Measured bool           `json:"rate_measured"`
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
	present, err := look(ctx, s)
	if err != nil {
		return Foresight{}, err
	}
	f := Foresight{
		Campaign: name, State: tally.Phase(c.Phase), Pending: tally.States[campaign.Pending],
		Hours: c.Settings.Hours.String(), FinishBy: c.Settings.FinishBy, Now: present.now.UTC(),
	}
	w, err := workOf(ctx, s, c, f.Pending, present.now, plan.SampleSize)
	if err != nil {
		return Foresight{}, err
	}
	q, ok := present.quotas[c.Settings.Agent]
	if ok {
		w = atQuota(w, q)
	}
	if ok && q.Limit > 0 {
		f.Measured = true
		f.Rate = ratelimit.Rate{Limit: q.Limit, Window: time.Duration(q.Window * float64(time.Second))}.String()
	} else {
		limit, window := rate.Count()
		w.AtLimit(float64(limit), window)
		f.Rate = rate.String()
	}
	f.Plan = plan.Make(w, f.Now)
	return f, nil
}

// workOf is what is left of a campaign, by a sample of its chunks.
func workOf(ctx context.Context, s Store, c campaign.Campaign, pending int, now time.Time, chunks int) (plan.Work, error) {
	calendar, err := c.Settings.Hours.Calendar()
	if err != nil {
		return plan.Work{}, fmt.Errorf("hours of %s: %w", c.Name, err)
	}
	w := plan.Work{PerCall: c.RequestRows(), Tries: c.Settings.MaxAttempts}
	if c.Settings.FinishBy.After(now) { // later, all that is left was asked for by a rerun
		w.FinishBy = c.Settings.FinishBy
	}
	if c.Phase == campaign.Scheduled {
		w.Start = c.Settings.StartAt
	}
	if w.PerDay = c.Settings.DailyCap; w.PerDay > 0 {
		w.Midnight = c.Settings.DayOf(now).From.Location()
		if w.Today, err = s.Begun(ctx, c.Name, now); err != nil {
			return plan.Work{}, err
		}
	}
	read := s.ReadLedger
	if calendar.ByContact() {
		read, chunks = s.ReadChunk, min(chunks, sampledRows)
	}
	groups := plan.NewGroups(calendar)
	var sample [][]plan.Contact
	err = inOrder(ctx, c.Name, plan.Sample(c.Chunks, chunks), read, func(chunk *store.Chunk) error {
		contacts := make([]plan.Contact, chunk.Len())
		for i := range contacts {
			record, number := chunk.Record(i), ""
			if chunk.Contacts != nil {
				number = chunk.Contacts[i].Phone.E164()
			}
			contacts[i] = plan.Contact{Group: groups.Of(number), Tries: int(record.Tries), Left: record.State == campaign.Pending}
		}
		sample = append(sample, contacts)
		return nil
	})
	w.Groups = groups.List()
	w.Learn(sample, pending)
	return w, err
}

// sampledRows bounds the chunks whose rows are read for a plan: rows take longer
// than ledgers.
const sampledRows = 60

// atQuota is the work at the pace of a quota, without the requests of others on the
// token, and not before a block ends.
func atQuota(w plan.Work, q store.Quota) plan.Work {
	if q.Blocked && q.Next.After(w.Start) {
		w.Start = q.Next
	}
	if q.Limit > 0 && q.Window > 0 {
		w.AtLimit(max(float64(q.Limit)-q.Others, 1), time.Duration(q.Window*float64(time.Second)))
	}
	return w
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
