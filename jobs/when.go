package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/hours"
	"campaign-runner/campaign/store"
)

// longestRest is how long a chunk of which nobody may be sent is left alone.
const longestRest = 24 * time.Hour

// A deferral is what keeps a contact from being sent now.
type deferral struct {
	until  time.Time // by Redis's clock; zero: a person must decide
	reason string    // for people; empty: it goes without saying
	cancel bool      // it is not to be sent at all
}

// neverMeet ends the reason of contacts whose zones have no hour in common.
const neverMeet = " never meet"

// needsPerson reports whether it is for this reason that a contact waits until a
// person changes something.
func needsPerson(reason string) bool {
	return reason == hours.NoZoneReason || strings.HasSuffix(reason, neverMeet)
}

// sift parts contacts into those that may be sent now, and the others, of whom it
// keeps until when that is. It writes down why, where it differs from contact to
// contact, and cancels whoever is too late.
func (r *run) sift(ctx context.Context, contacts []int) (ready []int, err error) {
	deferred := make(map[int]deferral)
	if contacts, err = r.siftContested(ctx, contacts, deferred); err != nil {
		return nil, err
	}
	s := r.campaign.Settings
	if s.Hours.IsZero() && s.Limits == (hours.Limits{}) && s.FinishBy.IsZero() &&
		r.campaign.Canary == 0 && s.DailyCap == 0 && s.MaxContactAttempts == 0 || len(contacts) == 0 {
		return contacts, r.putOff(ctx, contacts, deferred)
	}
	now, err := r.store.Now(ctx)
	if err != nil {
		return nil, err
	}
	opens := make(map[*hours.Clock]deferral)
	for _, index := range contacts {
		switch d := r.deferral(index, now, opens); {
		case d != nil:
			deferred[index] = *d
		default:
			ready = append(ready, index)
		}
	}
	if limited(s.Limits) { // no permit for nobody; see admit
		if ready, err = r.siftByRecord(ctx, ready, now, deferred); err != nil {
			return nil, err
		}
	}
	if ready, err = r.siftByCap(ctx, ready, now, deferred); err != nil {
		return nil, err
	}
	return ready, r.putOff(ctx, ready, deferred)
}

// putOff keeps until when contacts are not to be sent, and writes down why.
func (r *run) putOff(ctx context.Context, ready []int, deferred map[int]deferral) error {
	r.mu.Lock()
	for _, index := range ready {
		delete(r.deferred, index)
	}
	for index, d := range deferred {
		r.deferred[index] = d.until
	}
	r.mu.Unlock()
	return r.explain(ctx, deferred)
}

// deferral is what the hours, the end and the settings of the campaign have against
// sending a contact now; nil: nothing. opens keeps what was found of each clock.
func (r *run) deferral(index int, now time.Time, opens map[*hours.Clock]deferral) *deferral {
	if index >= r.chunk.Len()-r.campaign.HeldBack(r.chunk.Ref.Chunk, r.chunk.Len()) {
		return &deferral{until: now.Add(keepDue)} // or sooner: whoever ends the canary releases the rest
	}
	if r.campaign.Settings.UsedUpForGood(r.chunk.Record(index)) {
		return &deferral{reason: fmt.Sprintf("its attempts over all runs are used up: %d", r.campaign.Settings.MaxContactAttempts), cancel: true}
	}
	// Whoever was asked for by a person after the launch is not too late.
	if end := r.campaign.Settings.FinishBy; !end.IsZero() && !now.Before(end) && r.chunk.Record(index).Run == 0 {
		return &deferral{reason: hours.LateReason + end.UTC().Format(time.RFC3339) + ", when the campaign was to finish", cancel: true}
	}
	clock := r.calendar.Of(r.chunk.Contacts[index].Phone.E164())
	if clock == nil {
		return &deferral{reason: hours.NoZoneReason}
	}
	d, known := opens[clock]
	if !known {
		switch at, err := clock.Opens(now); {
		case err != nil:
			d = deferral{reason: "the hours of " + clock.Name + neverMeet}
		case at.After(now):
			d = deferral{until: at}
			if r.calendar.ByContact() {
				d.reason = "waits for its hours in " + clock.Name
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

// siftByCap leaves to the next day whoever is too many for this one.
func (r *run) siftByCap(ctx context.Context, contacts []int, now time.Time, deferred map[int]deferral) (ready []int, err error) {
	most := r.campaign.Settings.DailyCap
	if most == 0 || len(contacts) == 0 {
		return contacts, nil
	}
	begun, err := r.store.Begun(ctx, r.campaign.Name, now)
	if err != nil {
		return nil, err
	}
	left := min(max(most-begun, 0), len(contacts))
	for _, index := range contacts[left:] {
		deferred[index] = deferral{until: r.terms.Day.Until}
	}
	return contacts[:left], nil
}

// explain writes down why contacts wait, and cancels those that are not to be sent.
func (r *run) explain(ctx context.Context, deferred map[int]deferral) error {
	change := store.Change{Act: store.Steer, Due: keepDue, Log: store.Decision{By: r.queue.by, Action: store.ActionDefer}}
	codes := make(map[string]campaign.Reason)
	for index, d := range deferred {
		if d.reason == "" {
			continue
		}
		code, known := codes[d.reason]
		if !known {
			var err error
			if code, err = r.store.ReasonCode(ctx, r.campaign.Name, d.reason); err != nil {
				return err
			}
			codes[d.reason] = code
		}
		cause := campaign.Hold
		if d.cancel {
			cause = campaign.Cancel
		} else if r.chunk.Record(index).Reason == code {
			continue
		}
		change.Moves = append(change.Moves, moves([]int{index}, cause, code)...)
	}
	if len(change.Moves) == 0 {
		return nil
	}
	_, err := r.store.Apply(ctx, r.chunk, change)
	return err
}

// orRest leaves the chunk alone until somebody of it may be sent, if that is
// nobody now; otherwise the task comes back. It is the sweeper that releases a
// chunk at rest: a task that waits for days would not hear of what is changed
// meanwhile.
func (r *run) orRest(ctx context.Context, after *comeBack) error {
	now, err := r.store.Now(ctx)
	if err != nil {
		return err
	}
	wake, rests := r.wake(now)
	if !rests {
		return after
	}
	if wake.IsZero() {
		return nil // nobody is left
	}
	return r.store.Defer(ctx, r.chunk.Ref, r.chunk.Seq, wake.Sub(now))
}

// wake is when somebody of the chunk may be sent, or is to be canceled; zero: it
// has nobody left. rests is false when that is now.
func (r *run) wake(now time.Time) (wake time.Time, rests bool) {
	pending := r.chunk.In(campaign.Pending)
	if len(pending) == 0 {
		return time.Time{}, true
	}
	wake = now.Add(longestRest)
	if end := r.campaign.Settings.FinishBy; end.After(now) && end.Before(wake) {
		wake = end
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, index := range pending {
		until, deferred := r.deferred[index]
		switch {
		case !deferred || !until.IsZero() && !until.After(now):
			return now, false
		case !until.IsZero() && until.Before(wake):
			wake = until
		}
	}
	return wake, true
}

// startDue starts a scheduled campaign whose time has come. One that is too late,
// because nobody was there to start it, is left to a person.
func (q *Queue) startDue(ctx context.Context, c campaign.Campaign, now time.Time) error {
	late := now.Sub(c.Settings.StartAt)
	if late < 0 {
		return nil
	}
	if late > c.Settings.MaxLateness {
		reason := fmt.Sprintf("it was to start at %s, and nothing was there to start it within %v", c.Settings.StartAt.Format(time.RFC3339), c.Settings.MaxLateness)
		_, moved, err := q.store.SetPhase(ctx, c.Name, campaign.Ready, reason, campaign.Scheduled)
		if moved {
			q.note(ctx, c.Name, store.ActionPause, reason)
			q.log.WarnContext(ctx, "campaign is late and waits for a person", "campaign", c.Name, "late", late)
		}
		return err
	}
	// Whoever starts it releases it: no other sweeper is to find its chunks overdue,
	// and release them in between, each with a task too many.
	if err := q.store.Postpone(ctx, c.Name, releaseDue); err != nil {
		return err
	}
	_, started, err := q.store.SetPhase(ctx, c.Name, campaign.Running, "", campaign.Scheduled)
	if err != nil || !started {
		return err
	}
	q.note(ctx, c.Name, store.ActionResume, "its time has come")
	q.log.InfoContext(ctx, "campaign started", "campaign", c.Name, "late", late)
	_, err = q.Release(ctx, c.Name)
	if errors.Is(err, store.ErrNotRunning) {
		return nil // stopped again already
	}
	return err
}
