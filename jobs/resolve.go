package jobs

import (
	"context"
	"fmt"
	"sync"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// A Resolution is what a person found in the platform's own dashboard about
// unconfirmed contacts.
type Resolution struct {
	Accepted bool // the platform has them; otherwise it never saw them
	Chunk    *int // only this chunk's; nil: all

	Seen *Seen // those that a person has looked up; nil: it is bound to nothing
}

// holds reports whether it is about a contact.
func (r Resolution) holds(is campaign.Record) bool {
	return is.State == campaign.Unconfirmed && r.Seen.covers(is)
}

// message says it in the log.
func (r Resolution) message() campaign.Message {
	text := campaign.Say(campaign.MsgNeverSeen)
	if r.Accepted {
		text = campaign.Say(campaign.MsgSent)
	}
	if r.Chunk != nil {
		text = campaign.Say(campaign.MsgOfChunk, "what", text, "chunk", *r.Chunk)
	}
	return text
}

// Unconfirmed are the contacts that a resolution is about, as they are now.
func (q *Queue) Unconfirmed(ctx context.Context, name string, res Resolution) (Seen, error) {
	c, err := q.store.Campaign(ctx, name)
	if err != nil {
		return Seen{}, err
	}
	chunks, err := res.chunks(c)
	if err != nil {
		return Seen{}, err
	}
	return q.count(ctx, c, chunks, res)
}

// count counts what a resolution is about.
func (q *Queue) count(ctx context.Context, c campaign.Campaign, chunks []int, res Resolution) (found Seen, err error) {
	found = Seen{Run: c.Run, Until: time.Unix(0, 0)} // nobody, so far
	var mu sync.Mutex
	err = q.eachLedger(ctx, c.Name, chunks, func(_ context.Context, chunk *store.Chunk) error {
		mu.Lock()
		defer mu.Unlock()
		for i := range chunk.Len() {
			if is := chunk.Record(i); res.holds(is) {
				found.Contacts++
				if is.ChangedAt().After(found.Until) {
					found.Until = is.ChangedAt()
				}
			}
		}
		return nil
	})
	return found, err
}

// chunks are those that it is about.
func (r Resolution) chunks(c campaign.Campaign) ([]int, error) {
	switch {
	case c.Kept() != nil:
		return nil, c.Kept()
	case r.Chunk == nil:
		return allOf(c.Chunks), nil
	case *r.Chunk < 0 || *r.Chunk >= c.Chunks:
		return nil, fmt.Errorf("resolve %s: chunk %d: it has %d, counted from 0", c.Name, *r.Chunk, c.Chunks)
	}
	return []int{*r.Chunk}, nil
}

// Resolve moves unconfirmed contacts by what a person found. Those that the platform
// never saw are sent. It returns how many contacts there were.
func (q *Queue) Resolve(ctx context.Context, name string, res Resolution) (contacts int, err error) {
	c, err := q.store.Campaign(ctx, name)
	if err != nil {
		return 0, err
	}
	chunks, err := res.chunks(c)
	if err != nil {
		return 0, err
	}
	if res.Seen != nil {
		found, err := q.count(ctx, c, chunks, res)
		if !onlyUndone(err) {
			return 0, err
		}
		if err := res.Seen.check(found.Contacts, c.Run); err != nil {
			return 0, err
		}
	}
	move := campaign.Move{Cause: campaign.ConfirmNever}
	if res.Accepted {
		move.Cause = campaign.ConfirmSent
		if move.Reason, err = q.store.ReasonCode(ctx, name, campaign.Say(campaign.MsgConfirmed)); err != nil {
			return 0, err
		}
	}
	unconfirmed := func(_ context.Context, chunk *store.Chunk) (func(int) bool, error) {
		return func(i int) bool { return res.holds(chunk.Record(i)) }, nil
	}
	contacts, err = q.moveSelected(ctx, c, chunks, unconfirmed, move, store.ActionResolve)
	if contacts > 0 {
		q.note(ctx, name, store.ActionResolve, res.message())
	}
	if !onlyUndone(err) || res.Accepted || contacts == 0 || !c.Sends() {
		return contacts, err
	}
	_, left := q.Release(ctx, name)
	return contacts, undone(err, left)
}
