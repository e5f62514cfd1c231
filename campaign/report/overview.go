package report

import (
	"cmp"
	"context"
	"slices"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// An Overview is a campaign with all its totals.
type Overview struct {
	Summary
	Reasons      []Reason         `json:"reasons"` // the most frequent first
	Run          int              `json:"run"`     // 0 for the launch, one more for each rerun
	Chunks       int              `json:"chunks"`
	ChunkSize    int              `json:"chunk_size"`
	RequestsLeft int              `json:"calls_left"` // requests still needed if all succeed
	Rows         int              `json:"rows"`
	Invalid      int              `json:"invalid"`
	Duplicates   int              `json:"duplicates"`
	Suppressed   int              `json:"suppressed"`
	NotChosen    int              `json:"not_chosen"`
	Refused      map[string]int   `json:"refused"`
	Erased       int              `json:"erased,omitempty"`     // contacts whose person was erased
	ETA          time.Time        `json:"eta,omitzero"`         // when its last request will have left, those of --then included as expected; zero: not foreseeable
	CanaryEnds   time.Time        `json:"canary_ends,omitzero"` // when its canary will have left; the rest is taken to start at once
	Opens        time.Time        `json:"opens,omitzero"`       // when the next contact may be sent; zero: now, or none is left
	Held         int              `json:"held,omitzero"`        // contacts that only an operator can unblock, by a sample
	Missed       int              `json:"missed,omitzero"`      // contacts that will not be reached before it is to finish
	Listens      bool             `json:"listens"`              // it asks the platform for events
	Unheard      campaign.Message `json:"unheard,omitzero"`     // why not all of them are heard; empty: nothing is wrong
	Settings     []Setting        `json:"settings"`             // in force, by the flag that sets them
	Rungs        *Rungs           `json:"rungs,omitempty"`      // contacted again by itself; null when it has no --then
	Quota        *store.Quota     `json:"quota"`                // of the agent, as a worker sees it; null when none is alive

	// MayHaveBeenReached counts the contacts that the platform may have reached without
	// our knowing: the unconfirmed, and those whose request ended in an error of the
	// platform.
	MayHaveBeenReached int    `json:"may_have_been_reached"`
	InDoubt            States `json:"-"` // by state, those after whose request the platform failed
}

// Find reads the overview of a campaign.
func Find(ctx context.Context, s Store, name string) (Overview, error) {
	return NewForecaster(s).Find(ctx, name)
}

// Find reads the overview of a campaign.
func (f *Forecaster) Find(ctx context.Context, name string) (Overview, error) {
	s := f.store
	present, err := look(ctx, s)
	if err != nil {
		return Overview{}, err
	}
	c, tally, err := read(ctx, s, name)
	if err != nil {
		return Overview{}, err
	}
	o := Overview{
		Summary:    present.summary(c, tally),
		Reasons:    []Reason{},
		InDoubt:    make(States),
		Run:        int(c.Run),
		Chunks:     c.Chunks,
		ChunkSize:  c.Settings.ChunkSize,
		Listens:    c.Settings.WebhookURL != "",
		Unheard:    Hearing(c.Settings.WebhookURL != "", c.Settings.Agent, present.alive),
		Settings:   settingsOf(c),
		Rows:       c.Counts.Rows,
		Invalid:    c.Counts.Invalid,
		Duplicates: c.Counts.Duplicates,
		Suppressed: c.Counts.Suppressed,
		NotChosen:  c.Counts.NotChosen,
		Refused:    c.Counts.Refused,
		Erased:     c.Erased,
	}
	o.MayHaveBeenReached = tally.MayHaveBeenReached()
	for _, state := range campaign.States() {
		o.InDoubt[state.String()] = tally.InDoubt[state]
	}
	if o.Refused == nil {
		o.Refused = map[string]int{}
	}
	if quota, ok := present.quotaOf(c.Settings.Agent); ok {
		o.Quota = &quota
	}
	if o.Rungs, err = rungsOf(ctx, s, c, tally); err != nil {
		return Overview{}, err
	}
	if o.WaitingFor.Is(campaign.MsgRungs) {
		o.WaitingFor = o.Rungs.Message()
	}
	openChunks, err := s.OpenChunks(ctx, name)
	if err != nil {
		return Overview{}, err
	}
	o.RequestsLeft = requestsLeft(c, openChunks, tally.Open())
	if err := o.explain(ctx, s, tally); err != nil {
		return Overview{}, err
	}
	err = o.foresee(ctx, f, store.Reading{Campaign: c, Tally: tally}, present)
	return o, err
}

// explain adds the reasons for states.
func (o *Overview) explain(ctx context.Context, s Store, tally campaign.Tally) error {
	known := reasons{store: s, campaign: o.Campaign}
	for key, contacts := range tally.Reasons {
		reason, err := known.of(ctx, key.Reason)
		if err != nil {
			return err
		}
		o.Reasons = append(o.Reasons, Reason{key.State.String(), reason, contacts, key.Reason})
	}
	slices.SortFunc(o.Reasons, func(a, b Reason) int {
		return cmp.Or(b.Contacts-a.Contacts, cmp.Compare(a.State, b.State), cmp.Compare(a.Reason.String(), b.Reason.String()))
	})
	return nil
}

// foresee adds the forecast to an overview.
func (o *Overview) foresee(ctx context.Context, f *Forecaster, st store.Reading, p present) error {
	if !foreseeable(st) {
		return nil
	}
	forecast, err := f.of(ctx, p, st)
	if err != nil {
		return err
	}
	o.Held = forecast.Held
	if forecast.work.Rate > 0 {
		o.ETA, o.Missed, o.CanaryEnds = forecast.Ends, forecast.Missed, forecast.Canary
	}
	if opens := forecast.opens(); opens.After(p.now) {
		o.Opens = opens
	}
	var quota store.Quota
	if o.Quota != nil {
		quota = *o.Quota
	}
	o.rests(hoursWait(*o, forecast.work, forecast.Plan, o.States.In(campaign.Pending)), o.Opens, quota)
	return nil
}

// requestsLeft is how many requests a campaign still needs if all of them succeed.
func requestsLeft(c campaign.Campaign, openChunks, open int) int {
	if c.Settings.Mode == campaign.Dispatch {
		return open
	}
	most := c.RequestRows()
	return max(openChunks, (open+most-1)/most)
}

// A Setting is a value that was chosen for a campaign.
type Setting struct {
	Setting string `json:"setting"`
	Value   string `json:"value"`
}

func settingsOf(c campaign.Campaign) []Setting {
	list := []Setting{}
	for _, d := range c.Settings.InForce() {
		list = append(list, Setting{d.Flag, d.Other})
	}
	return list
}
