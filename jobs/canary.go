package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// canaryRest is for how long a chunk may be left alone because the canary leaves
// all of it to be sent later; 0 when it does not. Whoever looks after the first of
// them sees to the end of a canary whose own chunks are through.
func canaryRest(c campaign.Campaign, chunk int) time.Duration {
	switch first := (c.Canary + c.Settings.ChunkSize - 1) / c.Settings.ChunkSize; {
	case c.Canary == 0 || chunk < first:
		return 0
	case chunk == first:
		return keepDue
	}
	return restDue
}

// judgeCanary ends a canary of which everybody is decided, but for those whom only a
// person can let go: by its share the rest goes on by itself, otherwise it waits for a
// person.
func (q *Queue) judgeCanary(ctx context.Context, c campaign.Campaign) error {
	if c.Canary == 0 || c.Phase != campaign.Running {
		return nil
	}
	all, err := q.store.Tally(ctx, c.Name)
	if err != nil {
		return err
	}
	texts, err := q.store.ReasonTexts(ctx, c.Name)
	if err != nil {
		return err
	}
	if len(c.Ends) == 0 && all.Open()-stuck(all, texts) > max(c.Counts.Contacts-c.Canary, 0) {
		return nil // some of it are still open
	}
	var canary campaign.Tally
	for n := 0; n < c.Chunks && n*c.Settings.ChunkSize < c.Canary; n++ {
		chunk, err := q.store.ReadLedger(ctx, store.Ref{Campaign: c.Name, Chunk: n})
		if err != nil {
			return err
		}
		for i := range chunk.Len() - c.HeldBack(n, chunk.Len()) {
			canary.Count(chunk.Record(i))
		}
		if canary.Open() > stuck(canary, texts) {
			return nil
		}
	}
	went := fmt.Sprintf("canary of %d: %s", canary.Contacts(), tellTally(canary, texts))
	phase, action, reason := campaign.Ready, store.ActionPause, went
	if goesOn(c.Settings.CanaryGoOn, canary) || all.Open() == canary.Open() {
		phase, action, reason = campaign.Running, store.ActionResume, ""
	}
	ended, err := q.store.EndCanary(ctx, c, phase, reason)
	if err != nil || !ended {
		return err
	}
	q.note(ctx, c.Name, action, went)
	q.log.InfoContext(ctx, "canary is over", "campaign", c.Name, "state", phase, "result", went)
	if phase != campaign.Running {
		return nil
	}
	if _, err = q.Release(ctx, c.Name); errors.Is(err, store.ErrNotRunning) {
		return nil // stopped again already
	}
	return err
}

// stuck counts those who are pending until a person changes something.
func stuck(t campaign.Tally, texts map[campaign.Reason]string) (contacts int) {
	for at, n := range t.Reasons {
		if at.State == campaign.Pending && needsPerson(texts[at.Reason]) {
			contacts += n
		}
	}
	return contacts
}

// goesOn decides whether the rest goes on by itself after a canary of which so
// many came to what.
func goesOn(most *campaign.Share, t campaign.Tally) bool {
	bad := t.States[campaign.Rejected] + t.States[campaign.Failed] + t.States[campaign.Unconfirmed]
	sent := t.Contacts() - t.States[campaign.Canceled] - t.Open()
	return most != nil && sent > 0 && !most.Exceeded(bad, sent)
}

// reasonsTold is how many reasons are named for each state.
const reasonsTold = 3

// tellTally is a tally in words: "47 accepted, 3 rejected (2 bad number, 1 busy)".
func tellTally(t campaign.Tally, texts map[campaign.Reason]string) string {
	var parts []string
	for _, state := range campaign.States() {
		if t.States[state] == 0 {
			continue
		}
		var why []campaign.StateReason
		for at := range t.Reasons {
			if at.State == state {
				why = append(why, at)
			}
		}
		slices.SortFunc(why, func(a, b campaign.StateReason) int {
			if n := t.Reasons[b] - t.Reasons[a]; n != 0 {
				return n
			}
			return int(a.Reason) - int(b.Reason)
		})
		var told []string
		for _, at := range why[:min(len(why), reasonsTold)] {
			if text := texts[at.Reason]; len(why) == 1 && t.Reasons[at] == t.States[state] {
				told = append(told, text)
			} else {
				told = append(told, fmt.Sprintf("%d %s", t.Reasons[at], text))
			}
		}
		if more := len(why) - len(told); more > 0 {
			told = append(told, fmt.Sprintf("%d other reasons", more))
		}
		part := fmt.Sprintf("%d %s", t.States[state], state)
		if len(told) > 0 {
			part += " (" + strings.Join(told, "; ") + ")"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}
