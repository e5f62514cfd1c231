package jobs

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/timings"
)

// canaryDue is when a chunk is due that lies wholly behind the canary; 0 for others.
// The first such chunk is due soon: looking at it ends a canary whose own chunks are
// through.
func canaryDue(c campaign.Campaign, chunk int) time.Duration {
	switch first := (c.Canary + c.Settings.ChunkSize - 1) / c.Settings.ChunkSize; {
	case c.Canary == 0 || chunk < first:
		return 0
	case chunk == first:
		return timings.KeepDue
	}
	return timings.IdleDue
}

// judgeCanary ends the canary once every canary contact is final, ignoring those that
// only a person can unblock. Its share decides whether the rest goes on by itself or
// waits for a person.
func (q *Queue) judgeCanary(ctx context.Context, c campaign.Campaign) error {
	if c.Canary == 0 || !c.Sends() {
		return nil
	}
	all, err := q.store.Tally(ctx, c.Name)
	if err != nil {
		return err
	}
	reasons, err := q.store.Reasons(ctx, c.Name)
	if err != nil {
		return err
	}
	if len(c.Ends) == 0 && all.Open()-stuck(all, reasons) > max(c.Counts.Contacts-c.Canary, 0) {
		return nil // a part of it is still open
	}
	var canary campaign.Tally
	for n := 0; n < c.Chunks && n*c.Settings.ChunkSize < c.Canary; n++ {
		chunk, err := q.store.ReadLedger(ctx, store.Ref{Campaign: c.Name, Chunk: n})
		if err != nil {
			return err
		}
		for i := range chunk.Len() - c.HeldBack(n, chunk.Len()) {
			if r := chunk.Record(i); r.Run >= c.CanaryRun { // not those that a rerun left alone
				canary.Count(r)
			}
		}
		if canary.Open() > stuck(canary, reasons) {
			return nil
		}
	}
	if c.CanaryRun > 0 && canary.Contacts() == 0 {
		return nil // the contacts of a rerun are still to come
	}
	went := campaign.Say(campaign.MsgCanary, "contacts", canary.Contacts(), "states", tellTally(canary, reasons))
	phase, action, reason := campaign.Ready, store.ActionPause, went
	if goesOn(c.Settings.CanaryGoOn, canary) || all.Open() == canary.Open() {
		phase, action, reason = campaign.Running, store.ActionResume, campaign.Message{}
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
	return q.releaseIfRunning(ctx, c.Name)
}

// stuck counts the contacts that are pending until a person changes something.
func stuck(t campaign.Tally, reasons map[campaign.Reason]campaign.Message) (contacts int) {
	for at, n := range t.Reasons {
		if at.State == campaign.Pending && reasons[at.Reason].NeedsPerson() {
			contacts += n
		}
	}
	return contacts
}

// goesOn decides whether the rest goes on by itself after a canary with this tally.
func goesOn(most *campaign.Share, t campaign.Tally) bool {
	bad := t.States[campaign.Rejected] + t.States[campaign.Failed] + t.States[campaign.Unconfirmed]
	sent := t.Contacts() - t.States[campaign.Canceled] - t.Open()
	return most != nil && sent > 0 && !most.Exceeded(bad, sent)
}

// reasonsTold is how many reasons are named for each state.
const reasonsTold = 3

// tellTally is a tally in words: "47 accepted", "3 rejected (2 bad number; 1 busy)".
func tellTally(t campaign.Tally, reasons map[campaign.Reason]campaign.Message) (parts []campaign.Message) {
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
			return cmp.Or(t.Reasons[b]-t.Reasons[a], int(a.Reason)-int(b.Reason))
		})
		var told []campaign.Message
		for _, at := range why[:min(len(why), reasonsTold)] {
			reason := reasons[at.Reason]
			if len(why) > 1 || t.Reasons[at] < t.States[state] {
				reason = campaign.Say(campaign.MsgReason, "contacts", t.Reasons[at], "reason", reason)
			}
			told = append(told, reason)
		}
		if more := len(why) - len(told); more > 0 {
			told = append(told, campaign.Say(campaign.MsgMoreReasons, "reasons", more))
		}
		if len(told) == 0 {
			parts = append(parts, campaign.Say(campaign.MsgState, "contacts", t.States[state], "state", state))
		} else {
			parts = append(parts, campaign.Say(campaign.MsgStateWhy, "contacts", t.States[state], "state", state, "reasons", told))
		}
	}
	return parts
}

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
