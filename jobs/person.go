package jobs

import (
	"context"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/sending"
)

// StopContact keeps a contact from being sent: it cancels it while it is pending, and ends
// a dead sender's claim on it or on its ticket. If wait is positive, a request with it is on its way: ask
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
	return q.stopTicket(ctx, at)
}

// stopTicket ends a dead maker's claim on a ticket. While the claim lasts it says how long
// that is.
func (q *Queue) stopTicket(ctx context.Context, at store.Place) (wait time.Duration, err error) {
	ticket, err := q.store.Ticket(ctx, at)
	if err != nil {
		return 0, err
	}
	if ticket == nil || ticket.State != campaign.TicketCreating {
		return q.stopReply(ctx, at)
	}
	due, err := q.store.TicketDue(ctx, at)
	if err != nil {
		return 0, err
	}
	now, err := q.store.Now(ctx)
	if err != nil || now.Before(due) {
		return due.Sub(now), err
	}
	lost := ticket.Lost(campaign.Say(campaign.MsgTicketLost), now)
	_, err = q.store.SetTicket(ctx, at, ticket, &lost, 0, 0)
	return 0, err
}

// stopReply ends a dead worker's claim on a message that is passed on to the ticket.
func (q *Queue) stopReply(ctx context.Context, at store.Place) (wait time.Duration, err error) {
	f, err := q.store.Follow(ctx, at)
	if err != nil || !f.InHand() {
		return 0, err
	}
	due, err := q.store.FollowDueAt(ctx, at)
	if err != nil {
		return 0, err
	}
	now, err := q.store.Now(ctx)
	if err != nil || now.Before(due) {
		return due.Sub(now), err
	}
	claim := f.Said[f.Next()].Claim
	return 0, q.store.UpdateFollow(ctx, at, 0, func(f *campaign.Follow) (store.FollowDue, bool) {
		i := f.Claimed(claim)
		if i < 0 {
			return store.FollowDue{Leave: true}, false
		}
		f.Said[i].State, f.Said[i].Claim, f.Said[i].Reason = campaign.TicketUnconfirmed, "", campaign.Say(campaign.MsgTicketLost)
		return store.FollowDue{}, true
	})
}
