package jobs

import (
	"context"
	"sync"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// contestedReason is told of a contact that waits for another request.
const contestedReason = "another request with this number is on its way"

// A redisClock is what is known of Redis's clock: what it said, and when that was
// heard. It is never ahead of it.
type redisClock struct {
	mu          sync.Mutex
	said, heard time.Time
}

func (c *redisClock) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said, c.heard = now, time.Now()
}

func (c *redisClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.said.Add(time.Since(c.heard))
}

// reserves reports whether the run reserves the numbers that it contacts: others are
// to know of a recorded one's, and one that asks whom others have contacted has to
// know of theirs.
func (r *run) reserves() bool {
	return !r.campaign.Settings.Unrecorded || r.campaign.Settings.SkipContactedDays > 0
}

// reserve takes the reservation of each contact's number and returns the contacts for
// which it got it, to be begun before fence. It waits for none: a contact whose number
// somebody else has is put off to a time.
func (r *run) reserve(ctx context.Context, piece []int, fence time.Time) (got []int, err error) {
	if !r.reserves() {
		return piece, nil
	}
	wanted := make([]store.Reservation, len(piece))
	r.mu.Lock()
	r.reservations++
	for i, index := range piece {
		wanted[i] = store.Reservation{
			Phone: r.chunk.Contacts[index].Phone, Ref: r.chunk.Ref, Index: index,
			Token: r.token, N: r.reservations, Until: fence,
		}
		r.reserved[index] = wanted[i] // from now on it may be ours
	}
	r.mu.Unlock()
	owners, err := r.store.Reserve(ctx, wanted, nil)
	if err != nil {
		return nil, err
	}
	standings, err := r.standings(ctx, owners)
	if err != nil {
		return nil, err
	}
	// Whose owner holds nothing any more is taken over, if nobody else is faster.
	var free []store.Reservation
	var over []store.Owner
	for i, owner := range owners {
		if owner != "" && standings[i].Free() {
			free, over = append(free, wanted[i]), append(over, owner)
		}
	}
	others, err := r.store.Reserve(ctx, free, over)
	if err != nil {
		return nil, err
	}
	taken := make(map[int]bool)
	for i, owner := range others {
		taken[free[i].Index] = owner == ""
	}
	deferred := make(map[int]deferral)
	for i, index := range piece {
		if owners[i] == "" || taken[index] {
			got = append(got, index)
		} else {
			deferred[index] = contested(standings[i], r.clock.now())
		}
	}
	if len(deferred) == 0 {
		return got, nil
	}
	r.mu.Lock()
	for index := range deferred {
		delete(r.reserved, index)
	}
	r.mu.Unlock()
	return got, r.putOff(ctx, nil, deferred)
}

// standings tells how each owner stands; "" stands for nobody.
func (r *run) standings(ctx context.Context, owners []store.Owner) ([]store.Standing, error) {
	for _, owner := range owners {
		if owner != "" {
			return r.store.Standings(ctx, owners)
		}
	}
	return make([]store.Standing, len(owners)), nil
}

// contested is until when a number is left to its owner.
func contested(owner store.Standing, now time.Time) deferral {
	wait := owner.Fence
	if owner.Sending || wait <= 0 { // or somebody else has just taken it over
		wait = contestedWait
	}
	return deferral{until: now.Add(wait), reason: contestedReason}
}

// siftContested takes out contacts that were put off for another request with their
// number, while that is on its way. It reserves nothing.
func (r *run) siftContested(ctx context.Context, contacts []int, deferred map[int]deferral) (ready []int, err error) {
	var asked []int
	var phones []campaign.Phone
	for _, index := range contacts {
		is, err := r.isContested(ctx, index)
		if err != nil {
			return nil, err
		}
		if is {
			asked, phones = append(asked, index), append(phones, r.chunk.Contacts[index].Phone)
		}
	}
	if len(asked) == 0 {
		return contacts, nil
	}
	owners, err := r.store.Owners(ctx, phones)
	if err != nil {
		return nil, err
	}
	standings, err := r.standings(ctx, owners)
	if err != nil {
		return nil, err
	}
	waits := make(map[int]bool)
	for i, index := range asked {
		if owners[i] != "" && !standings[i].Free() {
			waits[index] = true
			deferred[index] = contested(standings[i], r.clock.now())
		}
	}
	for _, index := range contacts {
		if !waits[index] {
			ready = append(ready, index)
		}
	}
	return ready, nil
}

// isContested reports whether the contact was put off for another request.
func (r *run) isContested(ctx context.Context, index int) (bool, error) {
	reason := r.chunk.Record(index).Reason
	if reason == campaign.NoReason || !r.reserves() {
		return false, nil
	}
	r.mu.Lock()
	code := r.contestedCode
	r.mu.Unlock()
	if code == campaign.NoReason {
		var err error
		if code, err = r.store.ReasonCode(ctx, r.campaign.Name, contestedReason); err != nil {
			return false, err
		}
		r.mu.Lock()
		r.contestedCode = code
		r.mu.Unlock()
	}
	return reason == code, nil
}

// giveBack gives the contacts' numbers back, but for those whose request's answer is
// not written down yet.
func (r *run) giveBack(ctx context.Context, piece []int) {
	var held []store.Reservation
	r.mu.Lock()
	for _, index := range piece {
		if reservation, is := r.reserved[index]; is && r.chunk.Record(index).State != campaign.Sending {
			held = append(held, reservation)
			delete(r.reserved, index)
		}
	}
	r.mu.Unlock()
	if len(held) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBackPatience)
	defer cancel()
	if err := r.store.GiveBack(ctx, held); err != nil {
		r.log.WarnContext(ctx, "numbers stay reserved until somebody wants them", "contacts", len(held), "error", err)
	}
}

// leaveReserved gives these contacts' numbers back to nobody: it is not known what
// becomes of them, or the contact record does not know of them.
func (r *run) leaveReserved(piece []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, index := range piece {
		delete(r.reserved, index)
	}
}
