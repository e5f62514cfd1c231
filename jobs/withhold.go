package jobs

import (
	"context"
	"fmt"
	"slices"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/hours"
	"campaign-runner/campaign/store"
)

// admit finds who of a request may begin before fence, by what is known now: somebody
// may ask to be left alone, or be contacted by another campaign, while this one runs.
// Who must not be contacted is canceled; who may not be now is left out and stays
// pending. The numbers of the others are reserved, and only with them in hand it is
// asked whom other campaigns have contacted: they cannot be contacted in between.
func (r *run) admit(ctx context.Context, piece []int, fence time.Time) (rest []int, err error) {
	if piece, err = r.sift(ctx, piece); err != nil { // the permit has taken its time
		return nil, err
	}
	if piece, err = r.withhold(ctx, piece); err != nil {
		return nil, err
	}
	got, err := r.reserve(ctx, piece, fence)
	if err != nil || len(got) == 0 {
		return nil, err
	}
	deferred := make(map[int]deferral)
	if rest, err = r.siftByRecord(ctx, got, r.clock.now(), deferred); err != nil {
		return nil, err
	}
	if len(deferred) == 0 {
		return rest, nil
	}
	if err := r.putOff(ctx, nil, deferred); err != nil {
		return nil, err
	}
	out := make([]int, 0, len(deferred))
	for index := range deferred {
		out = append(out, index)
	}
	r.giveBack(ctx, out)
	return rest, nil
}

// withhold cancels who is on the do-not-contact list.
func (r *run) withhold(ctx context.Context, piece []int) (rest []int, err error) {
	if len(piece) == 0 {
		return nil, nil
	}
	suppressed, err := r.store.FindSuppressed(ctx, r.phonesOf(piece))
	if err != nil {
		return nil, err
	}
	deferred := make(map[int]deferral)
	for i, index := range piece {
		if suppressed[i] {
			deferred[index] = deferral{reason: "on the do-not-contact list", cancel: true}
		} else {
			rest = append(rest, index)
		}
	}
	return rest, r.explain(ctx, deferred)
}

func (r *run) phonesOf(contacts []int) []campaign.Phone {
	phones := make([]campaign.Phone, len(contacts))
	for i, index := range contacts {
		phones[i] = r.chunk.Contacts[index].Phone
	}
	return phones
}

// siftByRecord takes out who was contacted lately, by the contact record: by any
// campaign too often for the limits of this one's rules, or by another campaign where
// this one leaves those out. A request of our own that stands in the record does not
// count for the latter.
func (r *run) siftByRecord(ctx context.Context, contacts []int, now time.Time, deferred map[int]deferral) (ready []int, err error) {
	skip, limits := r.campaign.Settings.SkipContactedDays, r.campaign.Settings.Limits
	days := 0
	if skip > 0 {
		days = skip + 1 // today, too
	}
	if limited(limits) {
		days = max(days, hours.DaysCounted)
	}
	if days == 0 || len(contacts) == 0 {
		return contacts, nil
	}
	on, err := r.store.DaysContacted(ctx, now, days, r.phonesOf(contacts))
	if err != nil {
		return nil, err
	}
	for i, index := range contacts {
		wait := 0
		if limited(limits) {
			wait = limits.Wait(on[i][:hours.DaysCounted])
		}
		switch {
		case skip > 0 && !r.chunk.Record(index).Recorded && slices.Contains(on[i][:skip+1], true):
			deferred[index] = deferral{reason: fmt.Sprintf("contacted within the last %d days", skip), cancel: true}
		case wait > 0:
			until := now.Truncate(24*time.Hour).AddDate(0, 0, wait) // days of the record begin with those of UTC
			deferred[index] = deferral{until: until, reason: "contacted as often as its rules allow for now"}
		default:
			ready = append(ready, index)
		}
	}
	return ready, nil
}

func limited(l hours.Limits) bool { return l.PerDay > 0 || l.PerWeek > 0 }

// recorded marks the moves that the contact record is to know of, and returns whose
// they are: those by which somebody was contacted, or may have been.
func recorded(c campaign.Campaign, contacts []campaign.Contact, moves []store.Move) (people []campaign.Phone) {
	if c.Settings.Unrecorded {
		return nil
	}
	for i, m := range moves {
		if m.MayReach() && m.Index < len(contacts) {
			moves[i].Recorded = true
			people = append(people, contacts[m.Index].Phone)
		}
	}
	return people
}
