package sending

import (
	"context"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/timings"
)

// commit writes a change under our claim, for as long as it takes Redis to come
// back: an answer that was received must not be lost.
func (p *pass) commit(ctx context.Context, change store.Change) error {
	change.Act, change.Token, change.Terms = store.Commit, p.token, p.terms
	change.Log.By, change.Log.Action = p.Worker.By, store.ActionRequest
	change.Contacted, change.ContactedAt = Recorded(p.campaign, p.chunk.Contacts, change.Moves), p.clock.now()
	return store.RetryWrite(ctx, timings.CommitPatience, func(ctx context.Context) error {
		done, err := p.Store.Apply(ctx, p.chunk, change)
		if err != nil {
			return err
		}
		if done.Unrecorded != nil {
			p.log.WarnContext(ctx, "contacts not recorded: other campaigns will not know of them", "error", done.Unrecorded)
			p.reserved.abandon(indexesOf(change.Moves))
		}
		if len(done.Refused) > 0 {
			// Evidence came first, or the claim was taken over: what is written
			// stands, and it is not ours to change.
			p.log.InfoContext(ctx, "contacts left as they are", "contacts", len(done.Refused))
		}
		if len(done.Tripped) > 0 {
			p.agenda.finish(nil)
			return p.Queue.ExplainTrip(ctx, p.campaign, done.Tripped)
		}
		return nil
	})
}

// reason is the code of a text, found for as long as a commit would be tried.
func (p *pass) reason(ctx context.Context, reason campaign.Message) (code campaign.Reason, err error) {
	err = store.RetryWrite(ctx, timings.CommitPatience, func(ctx context.Context) error {
		code, err = p.Store.ReasonCode(ctx, p.campaign.Name, reason)
		return err
	})
	return code, err
}

// Moves are the moves of contacts that all move alike, now.
func Moves(contacts []int, cause campaign.Cause, reason campaign.Reason) []store.Move {
	now := time.Now()
	list := make([]store.Move, len(contacts))
	for i, index := range contacts {
		list[i] = store.Move{Index: index, Move: campaign.Move{Cause: cause, Reason: reason, At: now}}
	}
	return list
}

// Recorded marks the moves that go into the contact record, and returns the people
// they are about: those who were contacted by them, or may have been.
func Recorded(c campaign.Campaign, contacts []campaign.Contact, moves []store.Move) (people []campaign.Phone) {
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

func indexesOf(moves []store.Move) []int {
	indexes := make([]int, len(moves))
	for i, m := range moves {
		indexes[i] = m.Index
	}
	return indexes
}
