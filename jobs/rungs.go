package jobs

import (
	"context"
	"errors"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/timings"
)

// climb looks at the chunks of a campaign whose contacts may have a rung that is due, and
// makes those contacts pending. What is found of the others says when their chunk is looked
// at next. Several workers may do so at once: a contact climbs only from what was looked at.
func (q *Queue) climb(ctx context.Context, name string, now time.Time) error {
	due, err := q.store.RungsDue(ctx, name, now, sweepChunks)
	if err != nil || len(due) == 0 {
		return err
	}
	c, err := q.store.Campaign(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil || !c.Sends() {
		return err
	}
	return eachChunk(ctx, name, due, func(ctx context.Context, n int) error {
		ref := store.Ref{Campaign: name, Chunk: n}
		err := q.climbChunk(ctx, c, ref)
		switch {
		case errors.Is(err, store.ErrNotRunning), errors.Is(err, store.ErrOutdated), errors.Is(err, store.ErrLate), errors.Is(err, store.ErrGone):
			return nil // the next look goes by what is now
		case err == nil, meetsAll(err):
			return err
		}
		return errors.Join(err, q.store.PutOffRungs(ctx, ref, now.Add(timings.TroubleDue))) // others must not wait behind it
	})
}

// climbChunk looks at one chunk. Its counts are read before its outcomes: what is told in
// between makes the look void.
func (q *Queue) climbChunk(ctx context.Context, c campaign.Campaign, ref store.Ref) error {
	chunk, err := q.store.ReadLedger(ctx, ref)
	if err != nil {
		return err
	}
	reason, _, cells := c.Settings.ThenRules().Need()
	facts, err := q.factsOf(ctx, c, reason, true, cells) // after the ledger, whose reasons may be new
	if err != nil {
		return err
	}
	of, damaged := facts(ctx, chunk)
	if of == nil {
		return damaged
	}
	now, err := q.store.Clock(ctx, c.Name)
	if err != nil {
		return err
	}
	change := store.Change{
		Act: store.Climb, Due: timings.ReleaseDue, Terms: &store.Terms{Version: c.Version}, Latest: now.Add(timings.BeginPatience),
		Looked: new(store.Look), Log: store.Decision{By: q.by, Action: store.ActionRung},
	}
	for i := range chunk.Len() {
		if store.Damaged(damaged, i) { // a rung may be to come for it: the others' do not wait
			change.Looked.Add(campaign.Rung{At: now.Add(timings.TroubleDue), Open: true})
			continue
		}
		rung, is := c.NextRung(of(i))
		switch {
		case !is || rung.Open && !rung.At.After(now):
		case rung.At.After(now):
			change.Looked.Add(rung)
		default:
			move := campaign.Move{Cause: campaign.Climb, Rung: rung.Number}
			change.Moves = append(change.Moves, store.Move{Index: i, Move: move})
		}
	}
	done, err := q.store.Apply(ctx, chunk, change)
	if err != nil || len(done.Moved) == 0 {
		return errors.Join(err, damaged)
	}
	q.log.InfoContext(ctx, "contacts are contacted again", "campaign", c.Name, "chunk", ref.Chunk, "contacts", len(done.Moved))
	_, err = q.release(ctx, c, store.ChunkSeq{Ref: ref, Seq: chunk.Seq})
	return errors.Join(err, damaged)
}
