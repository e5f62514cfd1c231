package jobs

import (
	"context"
	"fmt"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// A Resolution is what a person found in the platform's own dashboard about
// unconfirmed contacts.
type Resolution struct {
	Accepted bool // the platform has them; otherwise it never saw them
	Chunk    *int // only this chunk's; nil: all
}

func (r Resolution) String() string {
	text := "the platform never saw them"
	if r.Accepted {
		text = "the platform has them"
	}
	if r.Chunk != nil {
		text += fmt.Sprintf(": chunk %d", *r.Chunk)
	}
	return text
}

// Resolve moves unconfirmed contacts by what a person found. Those that the platform
// never saw are sent. It returns how many contacts there were.
func (q *Queue) Resolve(ctx context.Context, name string, res Resolution) (contacts int, err error) {
	c, err := q.store.Campaign(ctx, name)
	if err != nil {
		return 0, err
	}
	if err := c.Kept(); err != nil {
		return 0, err
	}
	chunks := allChunks(c)
	if res.Chunk != nil {
		if *res.Chunk < 0 || *res.Chunk >= c.Chunks {
			return 0, fmt.Errorf("resolve %s: chunk %d: it has %d, counted from 0", name, *res.Chunk, c.Chunks)
		}
		chunks = []int{*res.Chunk}
	}
	move := campaign.Move{Cause: campaign.ConfirmNever}
	if res.Accepted {
		move.Cause = campaign.ConfirmSent
		if move.Reason, err = q.store.ReasonCode(ctx, name, "confirmed by hand"); err != nil {
			return 0, err
		}
	}
	unconfirmed := byRecord(func(r campaign.Record) bool { return r.State == campaign.Unconfirmed })
	contacts, err = q.moveSelected(ctx, c, chunks, unconfirmed, move, store.ActionResolve)
	if contacts > 0 {
		q.note(ctx, name, store.ActionResolve, res.String())
	}
	if !onlyUndone(err) || res.Accepted || contacts == 0 || c.Phase != campaign.Running {
		return contacts, err
	}
	_, left := q.Release(ctx, name)
	return contacts, undone(err, left)
}
