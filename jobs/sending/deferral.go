package sending

import (
	"context"
	"sync"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/hours"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/timings"
)

// longestIdle is how long a chunk is left alone while none of its contacts may be
// sent.
const longestIdle = 24 * time.Hour

// A deferral is what keeps a contact from being sent now.
type deferral struct {
	until  time.Time        // by Redis's clock; zero: a person must decide
	reason campaign.Message // empty: it goes without saying
	cancel bool             // it is not to be sent at all
}

// deferrals are the contacts that may not be sent now, and until when.
type deferrals struct {
	mu    sync.Mutex
	until map[int]time.Time // by contact; zero: until a person decides
}

// sift returns the contacts that may be sent now. It keeps until when the others are
// deferred, writes down why where that differs from contact to contact, and cancels
// those that are too late.
func (p *pass) sift(ctx context.Context, contacts []int) (ready []int, err error) {
	deferred := make(map[int]deferral)
	if contacts, err = p.siftContested(ctx, contacts, deferred); err != nil {
		return nil, err
	}
	if len(contacts) == 0 {
		return nil, p.putOff(ctx, nil, deferred)
	}
	now, err := p.Store.Now(ctx)
	if err != nil {
		return nil, err
	}
	opens := make(map[*hours.Clock]deferral)
	for _, index := range contacts {
		if d := p.deferral(index, now, opens); d != nil {
			deferred[index] = *d
		} else {
			ready = append(ready, index)
		}
	}
	if limited(p.campaign.Settings.Limits) { // here, too, so that no permit is taken in vain; admit decides
		if ready, err = p.siftByRecord(ctx, ready, now, deferred); err != nil {
			return nil, err
		}
	}
	if ready, err = p.siftByCap(ctx, ready, now, deferred); err != nil {
		return nil, err
	}
	return ready, p.putOff(ctx, ready, deferred)
}

// putOff keeps until when contacts are deferred, and writes down why.
func (p *pass) putOff(ctx context.Context, ready []int, deferred map[int]deferral) error {
	p.deferred.mu.Lock()
	for _, index := range ready {
		delete(p.deferred.until, index)
	}
	for index, d := range deferred {
		p.deferred.until[index] = d.until
	}
	p.deferred.mu.Unlock()
	return p.explain(ctx, deferred)
}

// deferral is what the canary, the attempts, the end and the hours of the campaign
// have against sending a contact now; nil: nothing. opens keeps what was found of
// each clock.
func (p *pass) deferral(index int, now time.Time, opens map[*hours.Clock]deferral) *deferral {
	s, record := p.campaign.Settings, p.chunk.Record(index)
	if index >= p.chunk.Len()-p.campaign.HeldBack(p.chunk.Ref.Chunk, p.chunk.Len()) {
		return &deferral{until: now.Add(timings.KeepDue)} // or sooner: the end of the canary releases the chunk
	}
	if s.UsedUpForGood(record) {
		return &deferral{reason: campaign.Say(campaign.MsgUsedUp, "attempts", s.MaxContactAttempts), cancel: true}
	}
	// A contact that a person asked for after the launch is not too late.
	if end := s.FinishBy; !end.IsZero() && !now.Before(end) && record.Run == 0 {
		return &deferral{reason: campaign.Say(campaign.MsgLate, "end", end.UTC()), cancel: true}
	}
	clock := p.calendar.Of(p.chunk.Contacts[index].Phone.E164())
	if clock == nil {
		return &deferral{reason: campaign.Say(campaign.MsgNoZone)}
	}
	d, known := opens[clock]
	if !known {
		switch at, err := clock.Opens(now); {
		case err != nil:
			d = deferral{reason: campaign.Say(campaign.MsgNeverMeet, "zone", clock.Name)}
		case at.After(now):
			d = deferral{until: at}
			if p.calendar.ByContact() {
				d.reason = campaign.Say(campaign.MsgHours, "zone", clock.Name)
			}
		default:
			d = deferral{until: now}
		}
		opens[clock] = d
	}
	if d.until.Equal(now) {
		return nil
	}
	return &d
}

// siftByCap defers the contacts beyond the day's cap to the next day.
func (p *pass) siftByCap(ctx context.Context, contacts []int, now time.Time, deferred map[int]deferral) (ready []int, err error) {
	most := p.campaign.Settings.DailyCap
	if most == 0 || len(contacts) == 0 {
		return contacts, nil
	}
	begun, err := p.Store.Begun(ctx, p.campaign.Name, now)
	if err != nil {
		return nil, err
	}
	left := min(max(most-begun, 0), len(contacts))
	for _, index := range contacts[left:] {
		deferred[index] = deferral{until: p.terms.Day.Until}
	}
	return contacts[:left], nil
}

// explain writes down why contacts wait, and cancels those that are not to be sent.
func (p *pass) explain(ctx context.Context, deferred map[int]deferral) error {
	change := store.Change{Act: store.Steer, Due: timings.KeepDue, Log: store.Decision{By: p.Worker.By, Action: store.ActionDefer}}
	codes := make(map[campaign.Message]campaign.Reason)
	for index, d := range deferred {
		if d.reason.IsZero() {
			continue
		}
		code, known := codes[d.reason]
		if !known {
			var err error
			if code, err = p.Store.ReasonCode(ctx, p.campaign.Name, d.reason); err != nil {
				return err
			}
			codes[d.reason] = code
		}
		cause := campaign.Hold
		if d.cancel {
			cause = campaign.Cancel
		} else if p.chunk.Record(index).Reason == code {
			continue
		}
		change.Moves = append(change.Moves, Moves([]int{index}, cause, code)...)
	}
	if len(change.Moves) == 0 {
		return nil
	}
	_, err := p.Store.Apply(ctx, p.chunk, change)
	return err
}

// idleOr leaves the chunk alone if none of its contacts may be sent now, until one
// may; otherwise it returns after. An idle chunk has no task: one that waits for days
// would not hear of what is changed meanwhile. The sweeper releases the chunk.
func (p *pass) idleOr(ctx context.Context, after *ComeBack) error {
	now, err := p.Store.Now(ctx)
	if err != nil {
		return err
	}
	wake, idle := p.wake(now)
	if !idle {
		return after
	}
	if wake.IsZero() {
		return nil
	}
	return p.Store.Defer(ctx, p.chunk.Ref, p.chunk.Seq, wake.Sub(now))
}

// wake is when a contact of the chunk may be sent, or is to be canceled; zero when
// none is pending. idle is false when that is now.
func (p *pass) wake(now time.Time) (wake time.Time, idle bool) {
	pending := p.chunk.In(campaign.Pending)
	if len(pending) == 0 {
		return time.Time{}, true
	}
	wake = now.Add(longestIdle)
	if end := p.campaign.Settings.FinishBy; end.After(now) && end.Before(wake) {
		wake = end
	}
	p.deferred.mu.Lock()
	defer p.deferred.mu.Unlock()
	for _, index := range pending {
		until, deferred := p.deferred.until[index]
		switch {
		case !deferred || !until.IsZero() && !until.After(now):
			return now, false
		case !until.IsZero() && until.Before(wake):
			wake = until
		}
	}
	return wake, true
}
