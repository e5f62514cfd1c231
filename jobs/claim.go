package jobs

import (
	"context"
	"errors"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/sending"
	"campaign-runner/jobs/timings"
)

// recoverClaim ends a claim that has expired or whose worker is gone, and makes the
// contacts unconfirmed that are still sending under it: their request may have
// arrived, and other campaigns must know of them. While the claim is alive it changes
// nothing and returns how long that lasts at the most. Only a steady worker may find
// that another is gone.
//
// It ends the claim first, which succeeds only if that is dead: from then on its
// sender can no longer say that nothing was sent. Then it moves the contacts that are
// still sending, the contact record first. If it is interrupted, the next one does it
// again.
func (q *Queue) recoverClaim(ctx context.Context, c campaign.Campaign, chunk *store.Chunk, steady bool) (wait time.Duration, err error) {
	if chunk.Claim == "" && len(chunk.In(campaign.Sending)) == 0 {
		return 0, nil
	}
	end := store.Change{Act: store.Recover, Due: timings.KeepDue}
	if steady {
		if err := q.nameDead(ctx, c, chunk, &end); err != nil {
			return 0, err
		}
	}
	done, err := q.store.Apply(ctx, chunk, end)
	var busy *store.BusyError
	switch {
	case errors.As(err, &busy):
		return max(busy.Left, time.Second), nil
	case errors.Is(err, store.ErrLate):
		return time.Second, nil // what was known of the claim is old
	case err != nil:
		return 0, err
	}
	if err := q.store.Reload(ctx, chunk); err != nil {
		return 0, err
	}
	lost := chunk.In(campaign.Sending)
	if len(lost) == 0 {
		return 0, nil
	}
	reason, err := q.store.ReasonCode(ctx, c.Name, campaign.Say(campaign.MsgSenderDied))
	if err != nil {
		return 0, err
	}
	change := store.Change{
		Act: store.Recover, Due: timings.KeepDue, Log: store.Decision{By: q.by, Action: store.ActionRecover},
		Moves: sending.Moves(lost, campaign.Lose, reason), ContactedAt: done.Now,
	}
	change.Contacted = sending.Recorded(c, chunk.Contacts, change.Moves)
	done, err = q.store.Apply(ctx, chunk, change)
	if errors.As(err, &busy) {
		return max(busy.Left, time.Second), nil // another has recovered it, and goes on with the chunk
	}
	if err != nil {
		return 0, err
	}
	if done.Unrecorded != nil {
		q.log.WarnContext(ctx, "contacts not recorded: other campaigns will not know of them", "campaign", c.Name, "error", done.Unrecorded)
	}
	if len(done.Tripped) > 0 { // contacts that are lost count for the guard
		err = q.ExplainTrip(ctx, c, done.Tripped)
	}
	return 0, err
}

// nameDead names the chunk's claim in a change if its worker is gone.
func (q *Queue) nameDead(ctx context.Context, c campaign.Campaign, chunk *store.Chunk, end *store.Change) error {
	dead, err := q.store.ClaimIsDead(ctx, chunk.Claim)
	if err != nil || !dead {
		return err
	}
	now, err := q.store.Clock(ctx, c.Name)
	end.Dead, end.Latest = chunk.Claim, now.Add(timings.BeginPatience)
	return err
}

// cancelPending cancels the contacts of a chunk that are still to be sent, and returns
// how many.
func (q *Queue) cancelPending(ctx context.Context, chunk *store.Chunk) (int, error) {
	done, err := q.store.Apply(ctx, chunk, store.Change{
		Act: store.Steer, Moves: sending.Moves(chunk.In(campaign.Pending), campaign.Cancel, campaign.NoReason),
		Log: store.Decision{By: q.by, Action: store.ActionCancel},
	})
	return len(done.Moved), err
}
