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

// sampledRows bounds the chunks whose rows are read for a plan, which takes longer
// than their ledgers.
const sampledRows = 60

// workOf is what is left of a campaign, by a sample of its chunks.
func workOf(ctx context.Context, s *store.Store, c campaign.Campaign, pending int, now time.Time, chunks int) (plan.Work, error) {
	calendar, err := c.Settings.Hours.Calendar()
	if err != nil {
		return plan.Work{}, fmt.Errorf("hours of %s: %w", c.Name, err)
	}
	w := plan.Work{PerCall: perCall(c), Tries: c.Settings.MaxAttempts}
	if c.Settings.FinishBy.After(now) { // later, only those are left whom a person has asked for
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

// perCall is how many contacts a request of a campaign carries.
func perCall(c campaign.Campaign) int {
	if c.Settings.Mode == campaign.Dispatch {
		return 1
	}
	most := c.Settings.ChunkSize
	for _, fewer := range []int{c.RowsPerCall, c.Settings.RowsPerRequest} {
		if fewer > 0 {
			most = min(most, fewer)
		}
	}
	return most
}

// atQuota is the work at the pace of a quota, without what others on the token use,
// and not before a block of it is over.
func atQuota(w plan.Work, q store.Quota) plan.Work {
	if q.Blocked && q.Next.After(w.Start) {
		w.Start = q.Next
	}
	if q.Limit > 0 && q.Window > 0 {
		w.AtLimit(max(float64(q.Limit)-q.Others, 1), time.Duration(q.Window*float64(time.Second)))
	}
	return w
}

// A Foresight is how a campaign will go.
type Foresight struct {
	Campaign string         `json:"campaign"`
	State    campaign.Phase `json:"state"`
	Pending  int            `json:"pending"`
	Hours    string         `json:"hours"` // when its contacts may be contacted
	Rate     string         `json:"rate"`  // requests per window that it is counted with: "30/60s", or none
	Measured bool           `json:"rate_measured"`
	plan.Plan
	FinishBy time.Time `json:"finish_by,omitzero"`
	Now      time.Time `json:"now"` // Redis's clock
}

// Foretell tells how what is left of a campaign will go, at the quota as a worker
// sees it, or at rate where none does.
func Foretell(ctx context.Context, s *store.Store, name string, rate ratelimit.Rate) (Foresight, error) {
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

// liveSample bounds the chunks that are read each time somebody looks.
const liveSample = 100

// foresee adds to an overview what is to come.
func (o *Overview) foresee(ctx context.Context, s *store.Store, c campaign.Campaign, p present) error {
	pending := o.States.In(campaign.Pending)
	if pending == 0 || o.State != campaign.Running && o.State != campaign.Scheduled {
		return nil
	}
	w, err := workOf(ctx, s, c, pending, p.now, liveSample)
	if err != nil {
		return err
	}
	if o.Quota != nil {
		w = atQuota(w, *o.Quota)
	}
	forecast := plan.Make(w, p.now.UTC())
	o.Held = forecast.Held
	if w.Rate > 0 {
		o.ETA, o.Missed = forecast.Ends, forecast.Missed
	}
	if opens := forecast.Begins; opens.After(p.now) {
		o.Opens = opens
	}
	blocked := o.Quota != nil && o.Quota.Blocked && !o.Opens.After(o.Quota.Next)
	if o.WaitingFor.IsZero() || o.Paced && !blocked {
		if wait := hoursWait(*o, w, forecast, pending); !wait.IsZero() {
			o.WaitingFor, o.Paced = wait, false
		}
	}
	return nil
}

// hoursWait says that nobody may be contacted now.
func hoursWait(o Overview, w plan.Work, forecast plan.Plan, pending int) campaign.Message {
	switch {
	case o.States.In(campaign.Sending) > 0:
	case forecast.Begins.IsZero() && forecast.Held > 0:
		return campaign.Say(campaign.MsgAllHeld, "contacts", pending, "reason", campaign.Say(campaign.MsgNoZone), "campaign", o.Campaign)
	case !o.Opens.IsZero() && w.PerDay > 0 && w.Today >= w.PerDay:
		return campaign.Say(campaign.MsgDailyCap, "cap", w.PerDay, "opens", o.Opens)
	case !o.Opens.IsZero():
		return campaign.Say(campaign.MsgOutsideHours, "opens", o.Opens)
	}
	return campaign.Message{}
}
