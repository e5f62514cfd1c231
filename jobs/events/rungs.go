package events

import (
	"context"
	"maps"
	"slices"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// heardOf is the record that an event about a conversation is about: of a contact that waits
// for its rung, that of the conversation before.
func heardOf(r campaign.Record, o campaign.Outcome, conversation string) campaign.Record {
	known := conversation != "" && conversation == o.Conversation && o.Run == r.Run && o.Rung+1 == r.Rung
	if r.WaitsForRung() || r.State == campaign.Pending && r.Rung > 0 && known {
		return r.BeforeRung()
	}
	return r
}

// late reports whether an event comes too late after the request for a rung to follow.
func late(s campaign.Settings, r campaign.Record, now time.Time) bool {
	talks := r.State == campaign.Accepted || r.State == campaign.Started
	return len(s.Then) > 0 && talks && now.Sub(r.ChangedAt()) > s.Within()
}

// takeOff takes contacts off their rungs whose rules are no longer true of them by what was
// told of the conversations before. It reads the records anew: a contact may have climbed
// while its outcome was written. One that climbs later does so by the new outcome. before are
// the causes by events about the conversations before, causes those by others.
func (a *Applier) takeOff(ctx context.Context, c campaign.Campaign, p *part, outcomes map[int]campaign.Outcome, causes, before map[int]campaign.Cause) error {
	if len(c.Settings.Then) == 0 && len(before) == 0 {
		return nil
	}
	read := a.store.ReadRecords
	_, _, cells := c.Settings.ThenRules().Need()
	if cells {
		read = a.store.ReadChunk
	}
	chunk, err := read(ctx, p.ref)
	if err != nil {
		return err
	}
	p.chunk = chunk
	header := c.Settings.ColumnNames()
	for _, index := range slices.Sorted(maps.Keys(outcomes)) {
		r, o := chunk.Record(index), outcomes[index]
		cause, heard := before[index]
		if other, moves := causes[index]; moves && r.WaitsForRung() { // it climbed meanwhile
			cause, heard = max(cause, other), true
			delete(causes, index)
		}
		if !heard || r.State != campaign.Pending || r.Rung == 0 {
			continue
		}
		facts := campaign.Facts{Record: r.BeforeRung(), Outcome: o}
		facts.Record.State = campaign.Started
		if cause == campaign.End || !o.Ended.IsZero() {
			cause, facts.Record.State = campaign.End, campaign.Ended
		} else {
			cause = campaign.Start
		}
		if cells {
			facts.Cell = campaign.Cells(header, chunk.Contacts[index].Fields)
		}
		if c.Settings.AsksFor(facts) {
			continue
		}
		move := campaign.Move{Cause: cause, Rung: r.Rung}
		if _, allowed := r.Next(move); allowed {
			p.moves = append(p.moves, store.Move{Index: index, Move: move})
		}
	}
	return nil
}
