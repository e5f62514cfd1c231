package sending

import (
	"cmp"
	"context"
	"maps"
	"slices"
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
	plain  string           // what is waited for where the reason is empty
	cancel bool             // it is not to be sent at all
}

// why is what is waited for, without anything personal.
func (d deferral) why() string { return cmp.Or(d.plain, d.reason.String()) }

// deferrals are the contacts that may not be sent now, and until when.
type deferrals struct {
	mu sync.Mutex
	of map[int]deferral // by contact
}

// A Rest says that nobody else of a chunk may be contacted before a time, and why. The
// zero Rest: nothing of it waits.
type Rest struct {
	Until time.Time
	Why   string // names nobody
}

// sift returns the contacts that may be sent now. It keeps until when the others are
// deferred, writes down why where that differs from contact to contact, and cancels
// those that are too late.
func (p *pass) sift(ctx context.Context, contacts []int, now time.Time) (ready []int, err error) {
	deferred := make(map[int]deferral)
	if contacts, err = p.siftContested(ctx, contacts, deferred); err != nil {
		return nil, err
	}
	if len(contacts) == 0 {
		return nil, p.putOff(ctx, nil, deferred)
	}
	opens := make(map[*hours.Clock]deferral)
	for _, index := range contacts {
		if d, is := p.deferral(index, now, opens); is {
			deferred[index] = d
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

// deferral is what the canary, the attempts, the end and the hours of the campaign
// have against sending a contact now, if they have any. opens keeps what was found of
// each clock.
func (p *pass) deferral(index int, now time.Time, opens map[*hours.Clock]deferral) (d deferral, is bool) {
	s, record := &p.campaign.Settings, p.chunk.Record(index)
	if index >= p.chunk.Len()-p.campaign.HeldBack(p.chunk.Ref.Chunk, p.chunk.Len()) {
		return deferral{until: now.Add(timings.KeepDue), plain: "the canary"}, true // or sooner: the end of the canary releases the chunk
	}
	if s.UsedUpForGood(record) {
		return deferral{reason: campaign.Say(campaign.MsgUsedUp, "attempts", s.MostAttempts()), cancel: true}, true
	}
	if endsWith(s, record) && !now.Before(s.FinishBy) {
		return deferral{reason: campaign.Say(campaign.MsgLate, "end", s.FinishBy.UTC()), cancel: true}, true
	}
	clock := p.clockOf(index)
	if clock == nil {
		return deferral{reason: campaign.Say(campaign.MsgNoZone)}, true
	}
	d, known := opens[clock]
	if !known {
		switch at, err := clock.Opens(now); {
		case err != nil:
			d = deferral{reason: campaign.Say(campaign.MsgNeverMeet, "zone", clock.Name)}
		case at.After(now):
			d = deferral{until: at, plain: "its hours"}
			if p.calendar.ByContact() {
				d.reason = campaign.Say(campaign.MsgHours, "zone", clock.Name)
			}
		default:
			d = deferral{until: now}
		}
		opens[clock] = d
	}
	return d, !d.until.Equal(now)
}

// clockOf is by whose hours a contact is sent; nil: its number tells no zone.
func (p *pass) clockOf(index int) *hours.Clock {
	number := ""
	if p.calendar.ByContact() {
		number = p.chunk.Contacts[index].Phone.E164()
	}
	return p.calendar.Of(number)
}

// fence is until when requests that begin together may begin, in whole milliseconds, as the
// script takes it. It notes in each until when it may leave.
func (p *pass) fence(rs []*request, now time.Time) time.Time {
	fence := now.Add(timings.BeginPatience)
	for _, r := range rs {
		if r.closes = p.closes(r.piece, now); !r.closes.IsZero() && !fence.Before(r.closes) {
			fence = r.closes.Add(-time.Millisecond)
		}
	}
	fence = fence.Truncate(time.Millisecond)
	for _, r := range rs {
		r.fence = fence
	}
	return fence
}

// closes is when the first of some contacts may no longer be sent: at the end of the
// campaign, or of its hours; zero: never.
func (p *pass) closes(piece []int, now time.Time) (first time.Time) {
	s := &p.campaign.Settings
	known := make(map[*hours.Clock]bool)
	note := func(at time.Time) {
		if !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	for _, index := range piece {
		if endsWith(s, p.chunk.Record(index)) {
			note(s.FinishBy)
		}
		if clock := p.clockOf(index); clock != nil && !known[clock] {
			known[clock] = true
			note(clock.Closes(now))
		}
	}
	return first
}

// endsWith reports whether a contact is not sent after the end of its campaign. One that a
// person asked for after the launch is.
func endsWith(s *campaign.Settings, r campaign.Record) bool {
	return !s.FinishBy.IsZero() && (r.Run == 0 || r.Rung > 0)
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
		deferred[index] = deferral{until: p.terms.Day.Until, plain: "its daily cap"}
	}
	return contacts[:left], nil
}

// putOff keeps until when contacts are deferred and writes down why. It cancels those
// that are not to be sent.
func (p *pass) putOff(ctx context.Context, ready []int, deferred map[int]deferral) error {
	p.deferred.mu.Lock()
	for _, index := range ready {
		delete(p.deferred.of, index)
	}
	for index, d := range deferred {
		p.deferred.of[index] = d
	}
	p.deferred.mu.Unlock()
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
	now, err := p.Store.Clock(ctx, p.campaign.Name)
	if err != nil {
		return err
	}
	rest, idle := p.wake(now)
	if !idle {
		return after
	}
	p.rest = rest
	if rest.Until.IsZero() {
		return nil
	}
	return p.Store.Defer(ctx, p.chunk.Ref, p.chunk.Seq, rest.Until.Sub(now))
}

// wake says until when no contact of the chunk may be sent or is to be canceled, and why;
// the zero Rest when none is pending. idle is false when that is now.
func (p *pass) wake(now time.Time) (rest Rest, idle bool) {
	pending := p.chunk.In(campaign.Pending)
	if len(pending) == 0 {
		return Rest{}, true
	}
	rest = Rest{now.Add(longestIdle), "a person's decision"}
	first := time.Time{}
	p.deferred.mu.Lock()
	defer p.deferred.mu.Unlock()
	for _, index := range pending {
		d, deferred := p.deferred.of[index]
		switch {
		case !deferred || !d.until.IsZero() && !d.until.After(now):
			return Rest{}, false
		case !d.until.IsZero() && (first.IsZero() || d.until.Before(first)):
			first, rest.Why = d.until, d.why()
		}
	}
	if !first.IsZero() && first.Before(rest.Until) {
		rest.Until = first
	}
	if end := p.campaign.Settings.FinishBy; end.After(now) && end.Before(rest.Until) {
		rest = Rest{end, "its end"}
	}
	return rest, true
}

// admit finds which contacts of a request may begin before fence, by what is known
// now: while the campaign runs a person may ask to be left alone, or be contacted by
// another campaign. Contacts that must not be sent are canceled; those that may not be
// sent yet stay pending. admit reserves the numbers of the others first and reads the
// contact record then, so that no other campaign can contact them in between.
func (p *pass) admit(ctx context.Context, piece []int, fence time.Time) (admitted []int, err error) {
	// Time has passed since the permit was asked for. Redis is asked only where something
	// goes by the time. A rule that is forgotten here is kept all the same, by the clock
	// as this pass last heard it.
	now := p.clock.now()
	if s := p.campaign.Settings; !s.Hours.IsZero() || !s.FinishBy.IsZero() || s.DailyCap > 0 || limited(s.Limits) {
		if now, err = p.Store.Clock(ctx, p.campaign.Name); err != nil {
			return nil, err
		}
	}
	if piece, err = p.sift(ctx, piece, now); err != nil || len(piece) == 0 {
		return nil, err
	}
	deferred := make(map[int]deferral)
	if piece, err = p.siftSuppressed(ctx, piece, deferred); err != nil {
		return nil, err
	}
	if piece, err = p.reserve(ctx, piece, fence, deferred); err != nil {
		return nil, err
	}
	if admitted, err = p.siftByRecord(ctx, piece, p.clock.now(), deferred); err != nil {
		return nil, err
	}
	if err := p.putOff(ctx, nil, deferred); err != nil {
		return nil, err
	}
	p.giveBack(ctx, slices.Collect(maps.Keys(deferred)), fence)
	return admitted, nil
}

// siftSuppressed cancels contacts that are on the do-not-contact list.
func (p *pass) siftSuppressed(ctx context.Context, piece []int, deferred map[int]deferral) (ready []int, err error) {
	suppressed, err := p.Store.FindSuppressed(ctx, p.phonesOf(piece))
	if err != nil {
		return nil, err
	}
	for i, index := range piece {
		if suppressed[i] {
			deferred[index] = deferral{reason: campaign.Say(campaign.MsgDoNotContact), cancel: true}
		} else {
			ready = append(ready, index)
		}
	}
	return ready, nil
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
// that is in the record does not count, nor one of the campaign that this one follows up.
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
	lately := make([]bool, len(contacts))
	for i := range contacts {
		lately[i] = skip > 0 && slices.Contains(on[i][:skip+1], true)
	}
	if err := p.spareOwn(ctx, contacts, now, lately); err != nil {
		return nil, err
	}
	for i, index := range contacts {
		wait := 0
		if limited(limits) {
			wait = limits.Wait(on[i][:hours.DaysCounted])
		}
		switch {
		case lately[i]:
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

// spareOwn takes those back who were contacted lately by nobody but this campaign, or the one
// that it follows up before their numbers were taken from there. When admit asks, their numbers
// are reserved: no other request with one of them is on its way, and the ledgers say whom it
// has reached. Beside a campaign that was purged nobody can tell: then a contact that is contacted
// anew is left out, and not one whose own request is repeated.
func (p *pass) spareOwn(ctx context.Context, contacts []int, now time.Time, lately []bool) error {
	s := p.campaign.Settings
	var places, asked []int
	for i, is := range lately {
		if is && (s.FollowsUp != "" || p.chunk.Record(contacts[i]).Recorded) {
			places, asked = append(places, i), append(asked, contacts[i])
		}
	}
	if len(asked) == 0 {
		return nil
	}
	repeated := func(n int) bool { r := p.chunk.Record(asked[n]); return r.Recorded && r.Rung == 0 }
	by, purged, err := p.Store.ContactedElsewhere(ctx, campaign.ContactedSince(now, s.SkipContactedDays), p.phonesOf(asked), repeated,
		store.Spared{Campaign: p.campaign.Name}, store.Spared{Campaign: s.FollowsUp, Until: cmp.Or(s.FollowsUpFrom, p.campaign.CreatedAt)})
	for n, i := range places {
		lately[i] = err != nil || by[n] || purged != "" && !repeated(n)
	}
	return err
}

func limited(l hours.Limits) bool { return l.PerDay > 0 || l.PerWeek > 0 }
