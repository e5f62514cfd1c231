package sending

import (
	"context"
	"slices"
	"sync"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/timings"
)

// contestedReason is the reason of a contact that waits for another request.
var contestedReason = campaign.Say(campaign.MsgContested)

// reservations are those of a pass.
type reservations struct {
	mu        sync.Mutex
	by        map[int]held    // those that may be ours, by contact
	rounds    int             // in which any were asked for
	contested campaign.Reason // the code of contestedReason, once it is known
}

// A held is what a reservation of a pass has of its own.
type held struct {
	round int
	until time.Time
}

func (p *pass) reservationOf(index int, h held) store.Reservation {
	return store.Reservation{Phone: p.chunk.Contacts[index].Phone, Ref: p.chunk.Ref, Index: index, Token: p.token, N: h.round, Until: h.until}
}

// abandon leaves these contacts' numbers reserved: it is not known what becomes of
// the contacts, or the contact record does not know of them.
func (r *reservations) abandon(contacts ...int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, index := range contacts {
		delete(r.by, index)
	}
}

// reserves reports whether this campaign reserves the numbers that it contacts. It
// does if others are to know of them, or if it must know of theirs.
func (p *pass) reserves() bool {
	return !p.campaign.Settings.Unrecorded || p.campaign.Settings.SkipContactedDays > 0
}

// reserve takes the reservations of contacts that are to begin before fence, and
// returns the contacts for which it got one. It waits for none: a contact whose
// number another request has is deferred.
func (p *pass) reserve(ctx context.Context, piece []int, fence time.Time, deferred map[int]deferral) ([]int, error) {
	if !p.reserves() {
		return piece, nil
	}
	wanted := p.want(piece, fence)
	owners, err := p.Store.Reserve(ctx, wanted, nil)
	if err != nil {
		return nil, err
	}
	standings, err := p.Store.Standings(ctx, owners)
	if err != nil {
		return nil, err
	}
	// A reservation whose owner has no use for it any more is taken over.
	var free []store.Reservation
	var over []store.Owner
	for i, owner := range owners {
		if owner != "" && standings[i].Free() {
			free, over = append(free, wanted[i]), append(over, owner)
		}
	}
	others, err := p.Store.Reserve(ctx, free, over)
	if err != nil {
		return nil, err
	}
	taken, got := make(map[int]bool), make([]int, 0, len(piece))
	for i, owner := range others { // "" unless somebody was faster
		taken[free[i].Index] = owner == ""
	}
	for i, index := range piece {
		if owners[i] == "" || taken[index] {
			got = append(got, index)
		} else {
			p.reserved.abandon(index) // it is another's
			deferred[index] = contested(standings[i], p.clock.now())
		}
	}
	return got, nil
}

// want notes the reservations that are about to be asked for: from then on each may
// be ours, also when the answer is lost.
func (p *pass) want(piece []int, fence time.Time) []store.Reservation {
	r := &p.reserved
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rounds++
	wanted := make([]store.Reservation, len(piece))
	for i, index := range piece {
		h := held{r.rounds, fence}
		wanted[i], r.by[index] = p.reservationOf(index, h), h
	}
	return wanted
}

// contested defers a contact for as long as its number is left to its owner.
func contested(owner store.Standing, now time.Time) deferral {
	wait := owner.Fence
	if owner.Sending || wait <= 0 { // or somebody has just taken it over
		wait = timings.ContestedWait
	}
	return deferral{until: now.Add(wait), reason: contestedReason}
}

// siftContested takes out contacts that were deferred for another request with their
// number, while that is under way. It reserves nothing.
func (p *pass) siftContested(ctx context.Context, contacts []int, deferred map[int]deferral) (ready []int, err error) {
	var asked []int
	for _, index := range contacts {
		is, err := p.isContested(ctx, index)
		if err != nil {
			return nil, err
		}
		if is {
			asked = append(asked, index)
		}
	}
	if len(asked) == 0 {
		return contacts, nil
	}
	owners, err := p.Store.Owners(ctx, p.phonesOf(asked))
	if err != nil {
		return nil, err
	}
	standings, err := p.Store.Standings(ctx, owners)
	if err != nil {
		return nil, err
	}
	for i, index := range asked {
		if owners[i] != "" && !standings[i].Free() {
			deferred[index] = contested(standings[i], p.clock.now())
		}
	}
	return slices.DeleteFunc(slices.Clone(contacts), func(index int) bool { _, waits := deferred[index]; return waits }), nil
}

// isContested reports whether the contact was deferred for another request.
func (p *pass) isContested(ctx context.Context, index int) (bool, error) {
	reason := p.chunk.Record(index).Reason
	if reason == campaign.NoReason || !p.reserves() {
		return false, nil
	}
	r := &p.reserved
	r.mu.Lock()
	code := r.contested
	r.mu.Unlock()
	if code == campaign.NoReason {
		var err error
		if code, err = p.Store.ReasonCode(ctx, p.campaign.Name, contestedReason); err != nil {
			return false, err
		}
		r.mu.Lock()
		r.contested = code
		r.mu.Unlock()
	}
	return reason == code, nil
}

// giveBack gives back the contacts' reservations that have this fence.
func (p *pass) giveBack(ctx context.Context, piece []int, fence time.Time) {
	p.giveAllBack(ctx, []*request{{piece: piece, fence: fence}})
}

// giveAllBack gives back the reservations of requests' contacts that have the fence of
// their request: a later one of the pass may have its own by now. It keeps those of
// contacts that are sending: their answer is not written down.
func (p *pass) giveAllBack(ctx context.Context, rs []*request) {
	contacts := 0
	for _, r := range rs {
		contacts += len(r.piece)
	}
	mine := make([]store.Reservation, 0, contacts)
	p.reserved.mu.Lock()
	for _, r := range rs {
		for _, index := range r.piece {
			if h, is := p.reserved.by[index]; is && h.until.Equal(r.fence) && p.chunk.Record(index).State != campaign.Sending {
				mine = append(mine, p.reservationOf(index, h))
				delete(p.reserved.by, index)
			}
		}
	}
	p.reserved.mu.Unlock()
	if len(mine) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timings.GiveBackPatience)
	defer cancel()
	if err := p.Store.GiveBack(ctx, mine); err != nil {
		p.log.WarnContext(ctx, "numbers stay reserved until somebody wants them", "contacts", len(mine), "error", err)
	}
}
