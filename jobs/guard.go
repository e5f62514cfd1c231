package jobs

import (
	"context"
	"maps"
	"slices"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// ExplainTrip says why the guard has paused a campaign: by the latest verdicts it went
// by.
func (q *Queue) ExplainTrip(ctx context.Context, c campaign.Campaign, latest []store.Verdict) error {
	reasons, err := q.store.Reasons(ctx, c.Name)
	if err != nil {
		return err
	}
	var tally campaign.Tally
	bad := make(map[int][]int) // contacts, by chunk
	for _, v := range latest {
		tally.Count(campaign.Record{State: v.State, Reason: v.Reason})
		if !v.State.Evidence() {
			bad[v.Chunk] = append(bad[v.Chunk], v.Index)
		}
	}
	reason := campaign.Say(campaign.MsgGuardTold, "share", c.Settings.MaxFailureShare, "contacts", len(latest),
		"states", tellTally(tally, reasons), "places", q.places(ctx, c, bad))
	told, err := q.store.Explain(ctx, c.Name, reason)
	if err != nil || !told {
		return err
	}
	q.note(ctx, c.Name, store.ActionPause, reason)
	q.log.WarnContext(ctx, "campaign paused", "campaign", c.Name, "reason", reason)
	return nil
}

// How many chunks are named, and how many contacts of each.
const (
	chunksTold   = 3
	contactsTold = 5
)

// places says in which lines of the list contacts are, by chunk. It gives no number.
func (q *Queue) places(ctx context.Context, c campaign.Campaign, contacts map[int][]int) (parts []campaign.Message) {
	chunks := slices.Sorted(maps.Keys(contacts))
	for _, n := range chunks[:min(len(chunks), chunksTold)] {
		indexes := contacts[n]
		chunk, err := q.store.ReadChunk(ctx, store.Ref{Campaign: c.Name, Chunk: n})
		var told []int
		for _, i := range indexes[:min(len(indexes), contactsTold)] {
			if err == nil {
				i = chunk.Contacts[i].Line
			}
			told = append(told, i)
		}
		part := campaign.Say(campaign.MsgLines, "chunk", n, "places", told)
		if err != nil {
			part = campaign.Say(campaign.MsgPlaces, "chunk", n, "places", told)
		}
		if more := len(indexes) - len(told); more > 0 {
			part = campaign.Say(campaign.MsgAndMore, "some", part, "more", more)
		}
		parts = append(parts, part)
	}
	if more := len(chunks) - len(parts); more > 0 {
		parts = append(parts, campaign.Say(campaign.MsgMoreChunks, "chunks", more))
	}
	return parts
}
