package jobs

import (
	"context"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/sending"
)

// StopContact keeps a contact from being sent: it cancels it while it is pending, and ends
// a dead sender's claim on it. If wait is positive, a request with it is on its way: ask
// again after that.
func (q *Queue) StopContact(ctx context.Context, c campaign.Campaign, at store.Place) (wait time.Duration, err error) {
	chunk, err := q.store.ReadLedger(ctx, at.Ref)
	if err != nil || at.Index >= chunk.Len() {
		return 0, err
	}
	switch chunk.Record(at.Index).State {
	case campaign.Sending:
		return q.recoverClaim(ctx, c, chunk, false)
	case campaign.Pending:
		reason, err := q.store.ReasonCode(ctx, c.Name, campaign.Say(campaign.MsgErased))
		if err != nil {
			return 0, err
		}
		_, err = q.store.Apply(ctx, chunk, store.Change{
			Act: store.Steer, Moves: sending.Moves([]int{at.Index}, campaign.Cancel, reason),
			Log: store.Decision{By: q.by, Action: store.ActionCancel},
		})
		return 0, err // it may have begun just before: then it is still open
	}
	return 0, nil
}
