package jobs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// ExplainTrip says why the guard has paused a campaign: by the latest verdicts it went
// by.
func (q *Queue) ExplainTrip(ctx context.Context, c campaign.Campaign, latest []store.Verdict) error {
	texts, err := q.store.ReasonTexts(ctx, c.Name)
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
	reason := fmt.Sprintf("more than %v of the latest %d contacts were not accepted: %s; %s",
		c.Settings.MaxFailureShare, len(latest), tellTally(tally, texts), q.places(ctx, c, bad))
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
func (q *Queue) places(ctx context.Context, c campaign.Campaign, contacts map[int][]int) string {
	var parts []string
	chunks := slices.Sorted(maps.Keys(contacts))
	for _, n := range chunks[:min(len(chunks), chunksTold)] {
		indexes, noun := contacts[n], "contacts"
		chunk, err := q.store.ReadChunk(ctx, store.Ref{Campaign: c.Name, Chunk: n})
		if err == nil {
			noun = "lines"
		}
		var told []string
		for _, i := range indexes[:min(len(indexes), contactsTold)] {
			if err == nil {
				i = chunk.Contacts[i].Line
			}
			told = append(told, fmt.Sprint(i))
		}
		text := fmt.Sprintf("chunk %d: %s %s", n, noun, strings.Join(told, ", "))
		if more := len(indexes) - len(told); more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		parts = append(parts, text)
	}
	if more := len(chunks) - len(parts); more > 0 {
		parts = append(parts, fmt.Sprintf("and in %d more chunks", more))
	}
	return strings.Join(parts, "; ")
}
