package jobs

import (
	"context"
	"fmt"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// withhold cancels those of a request that must not be contacted, by what is
// known now, and returns the others: somebody may ask to be left alone, or be
// reached by another campaign, while this one runs. Whoever this campaign has
// tried already is not held back for having been contacted recently: that was us.
// Whoever may not be contacted now is left out and stays pending.
func (r *run) withhold(ctx context.Context, piece []int) (rest []int, err error) {
	if piece, err = r.sift(ctx, piece); err != nil || len(piece) == 0 {
		return nil, err // the permit has taken its time
	}
	phones := make([]campaign.Phone, len(piece))
	for i, index := range piece {
		phones[i] = r.chunk.Contacts[index].Phone
	}
	suppressed, err := r.store.FindSuppressed(ctx, phones)
	if err != nil {
		return nil, err
	}
	recent := make([]bool, len(piece))
	days := r.campaign.Settings.SkipContactedDays
	if days > 0 {
		now, err := r.store.Now(ctx)
		if err != nil {
			return nil, err
		}
		if recent, err = r.store.FindContacted(ctx, now, days, phones); err != nil {
			return nil, err
		}
	}
	why := make(map[string][]int)
	for i, index := range piece {
		switch {
		case suppressed[i]:
			why["on the do-not-contact list"] = append(why["on the do-not-contact list"], index)
		case recent[i] && r.chunk.Record(index).Attempts == 0:
			text := fmt.Sprintf("contacted within the last %d days", days)
			why[text] = append(why[text], index)
		default:
			rest = append(rest, index)
		}
	}
	for text, contacts := range why {
		reason, err := r.store.ReasonCode(ctx, r.campaign.Name, text)
		if err != nil {
			return nil, err
		}
		change := store.Change{
			Act: store.Steer, Due: keepDue, Moves: moves(contacts, campaign.Cancel, reason),
			Log: store.Decision{By: r.queue.by, Action: store.ActionWithhold},
		}
		if _, err := r.store.Apply(ctx, r.chunk, change); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

// remember lets other campaigns, and the limits of rules, know whom this one has
// contacted, or may have.
func remember(ctx context.Context, st *store.Store, c campaign.Campaign, contacts []campaign.Contact, moved []store.Move) error {
	if c.Settings.Unrecorded {
		return nil
	}
	var phones []campaign.Phone
	for _, m := range moved {
		if m.Cause == campaign.Accept || m.Cause == campaign.Lose {
			phones = append(phones, contacts[m.Index].Phone)
		}
	}
	if len(phones) == 0 {
		return nil
	}
	return st.RecordContacted(ctx, time.Now(), phones)
}
