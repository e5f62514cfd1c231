package report

import (
	"context"
	"time"

	"campaign-runner/campaign"
)

// Rungs are contacts that a campaign contacts again by itself. What is to come is expected,
// as the last looks found it: events change it.
type Rungs struct {
	Pending int       `json:"pending"`          // of the pending contacts, those that wait for a rung
	Waiting int       `json:"waiting"`          // contacts that will be contacted again, if nothing changes
	Open    int       `json:"open"`             // contacts of which an event may tell so
	NextAt  time.Time `json:"next_at,omitzero"` // no rung comes before
}

// rungsOf reads the rungs of a campaign; nil when it has none.
func rungsOf(ctx context.Context, s catalog, c campaign.Campaign, tally campaign.Tally) (*Rungs, error) {
	if len(c.Settings.Then) == 0 && tally.Rungs == 0 && tally.ForRung == 0 {
		return nil, nil
	}
	r := &Rungs{Pending: tally.ForRung}
	if tally.Rungs == 0 {
		return r, nil
	}
	found, err := s.Rungs(ctx, c.Name)
	r.Waiting, r.Open, r.NextAt = found.Waiting, found.Open, found.Next
	return r, err
}

// Message says what is expected; nothing when nothing is.
func (r *Rungs) Message() campaign.Message {
	switch {
	case r == nil || r.NextAt.IsZero():
		return campaign.Message{}
	case r.Waiting+r.Open == 0:
		return campaign.Say(campaign.MsgRungs)
	case r.Waiting == 0:
		return campaign.Say(campaign.MsgRungsPerhaps, "open", r.Open, "next", r.NextAt)
	}
	return campaign.Say(campaign.MsgRungsToCome, "waiting", r.Waiting, "open", r.Open, "next", r.NextAt)
}

// RungOf is the rung that is to come for a contact, unless that is still open.
func RungOf(c campaign.Campaign, f campaign.Facts) (next campaign.Rung, is bool) {
	if c.Phase == campaign.CanceledPhase {
		return next, false
	}
	next, is = c.NextRung(f)
	return next, is && !next.Open
}
