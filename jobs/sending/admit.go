package sending

import (
	"context"
	"maps"
	"slices"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/hours"
)

// admit finds which contacts of a request may begin before fence, by what is known
// now: while the campaign runs a person may ask to be left alone, or be contacted by
// another campaign. Contacts that must not be sent are canceled; those that may not be
// sent yet stay pending. admit reserves the numbers of the others first and reads the
// contact record then, so that no other campaign can contact them in between.
func (p *pass) admit(ctx context.Context, piece []int, fence time.Time) (admitted []int, err error) {
	if piece, err = p.sift(ctx, piece); err != nil { // time has passed since the permit was asked for
		return nil, err
	}
	if piece, err = p.siftSuppressed(ctx, piece); err != nil {
		return nil, err
	}
	got, err := p.reserve(ctx, piece, fence)
	if err != nil || len(got) == 0 {
		return nil, err
	}
	deferred := make(map[int]deferral)
	if admitted, err = p.siftByRecord(ctx, got, p.clock.now(), deferred); err != nil {
		return nil, err
	}
	if len(deferred) == 0 {
		return admitted, nil
	}
	if err := p.putOff(ctx, nil, deferred); err != nil {
		return nil, err
	}
	p.giveBack(ctx, slices.Collect(maps.Keys(deferred)))
	return admitted, nil
}

// siftSuppressed cancels contacts that are on the do-not-contact list.
func (p *pass) siftSuppressed(ctx context.Context, piece []int) (ready []int, err error) {
	if len(piece) == 0 {
		return nil, nil
	}
	suppressed, err := p.Store.FindSuppressed(ctx, p.phonesOf(piece))
	if err != nil {
		return nil, err
	}
	deferred := make(map[int]deferral)
	for i, index := range piece {
		if suppressed[i] {
			deferred[index] = deferral{reason: campaign.Say(campaign.MsgDoNotContact), cancel: true}
		} else {
			ready = append(ready, index)
		}
	}
	return ready, p.explain(ctx, deferred)
}

func (p *pass) phonesOf(contacts []int) []campaign.Phone {
	phones := make([]campaign.Phone, len(contacts))
	for i, index := range contacts {
		phones[i] = p.chunk.Contacts[index].Phone
	}
	return phones
}

// siftByRecord takes out contacts by the contact record: those that any campaign has
// contacted too often for this one's rules, and those that another campaign has
// contacted lately, where this one skips them. For the latter a request of our own
// that is in the record does not count.
func (p *pass) siftByRecord(ctx context.Context, contacts []int, now time.Time, deferred map[int]deferral) (ready []int, err error) {
	skip, limits := p.campaign.Settings.SkipContactedDays, p.campaign.Settings.Limits
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
	on, err := p.Store.DaysContacted(ctx, now, days, p.phonesOf(contacts))
	if err != nil {
		return nil, err
	}
	for i, index := range contacts {
		wait := 0
		if limited(limits) {
			wait = limits.Wait(on[i][:hours.DaysCounted])
		}
		switch {
		case skip > 0 && !p.chunk.Record(index).Recorded && slices.Contains(on[i][:skip+1], true):
			deferred[index] = deferral{reason: campaign.Say(campaign.MsgRecent, "days", skip), cancel: true}
		case wait > 0:
			until := now.Truncate(24*time.Hour).AddDate(0, 0, wait) // days of the record begin with those of UTC
			deferred[index] = deferral{until: until, reason: campaign.Say(campaign.MsgLimits)}
		default:
			ready = append(ready, index)
		}
	}
	return ready, nil
}

func limited(l hours.Limits) bool { return l.PerDay > 0 || l.PerWeek > 0 }
