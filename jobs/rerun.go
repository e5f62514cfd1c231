package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// A Selection says which contacts to rerun.
type Selection struct {
	States []campaign.State // any of rejected, failed, unconfirmed, canceled
	Reason string           // part of the reason's text, in any case; empty: any reason
}

func (s Selection) String() string {
	var names []string
	for _, state := range s.States {
		names = append(names, state.String())
	}
	text := strings.Join(names, ", ")
	if s.Reason != "" {
		text += fmt.Sprintf(" with %q in their reason", s.Reason)
	}
	return text
}

// Rerunnable are the states from which a contact can be sent again on request.
var Rerunnable = []campaign.State{campaign.Rejected, campaign.Failed, campaign.Unconfirmed, campaign.Canceled}

// Rerun makes the selected contacts pending again, as a new run with new
// attempts, and sets the campaign running unless it is paused. It returns how
// many there were. Unconfirmed contacts may have been reached before: only a
// person may select them.
func (q *Queue) Rerun(ctx context.Context, name string, sel Selection) (contacts int, err error) {
	for _, s := range sel.States {
		if !slices.Contains(Rerunnable, s) {
			return 0, fmt.Errorf("rerun %s: contacts that are %s are not sent again", name, s)
		}
	}
	c, err := q.store.Campaign(ctx, name)
	if err != nil {
		return 0, err
	}
	if c.Phase == campaign.Loading {
		return 0, fmt.Errorf("rerun %s: it is still loading", name)
	}
	if err := c.Kept(); err != nil {
		return 0, err
	}
	if c.Settings.Limits.RefusalIsFinal && slices.Contains(sel.States, campaign.Rejected) {
		return 0, fmt.Errorf("rerun %s: by its rules (%s) whoever was rejected is not sent again", name, c.Settings.Rules)
	}
	codes, err := q.reasonsLike(ctx, name, sel.Reason)
	if err != nil {
		return 0, err
	}
	selected := func(state campaign.State, reason campaign.Reason) bool {
		return slices.Contains(sel.States, state) && (sel.Reason == "" || codes[reason])
	}
	if c.Phase == campaign.CanceledPhase {
		// Whoever a cut-off cancel has left pending must not be sent with the rest.
		if _, err := q.cancelOpen(ctx, name); err != nil {
			return 0, err
		}
	}
	if any, err := q.anySelected(ctx, name, sel, selected); err != nil || !any {
		return 0, err
	}
	q.note(ctx, name, store.ActionRerun, sel.String())
	run, err := q.store.NextRun(ctx, name)
	if err != nil {
		return 0, err
	}
	// Running first: whatever is pending in a canceled campaign is soon canceled.
	was, _, err := q.store.SetPhase(ctx, name, campaign.Running, "", campaign.CanceledPhase, campaign.Running)
	if err != nil {
		return 0, err
	}
	contacts, err = q.moveSelected(ctx, c, allChunks(c), func(r campaign.Record) bool { return selected(r.State, r.Reason) },
		campaign.Move{Cause: campaign.Rerun, Run: run}, store.ActionRerun)
	if err != nil || (was != campaign.Running && was != campaign.CanceledPhase) {
		return contacts, err
	}
	_, err = q.Release(ctx, name)
	return contacts, err
}

// reasonsLike are the codes of the reasons that contain text.
func (q *Queue) reasonsLike(ctx context.Context, name, text string) (map[campaign.Reason]bool, error) {
	if text == "" {
		return nil, nil
	}
	texts, err := q.store.ReasonTexts(ctx, name)
	codes := make(map[campaign.Reason]bool)
	for code, full := range texts {
		codes[code] = strings.Contains(strings.ToLower(full), strings.ToLower(text))
	}
	return codes, err
}

// anySelected asks the tally whether any contact is selected: a rerun of nobody
// must not revive a canceled campaign.
func (q *Queue) anySelected(ctx context.Context, name string, sel Selection, selected func(campaign.State, campaign.Reason) bool) (bool, error) {
	tally, err := q.store.Tally(ctx, name)
	if err != nil {
		return false, err
	}
	for at, n := range tally.Reasons {
		if n > 0 && selected(at.State, at.Reason) {
			return true, nil
		}
	}
	return sel.Reason == "" && slices.ContainsFunc(sel.States, func(s campaign.State) bool { return tally.States[s] > 0 }), nil
}

// A Resolution is what a person found in the platform's own dashboard about
// contacts that are unconfirmed.
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

// Resolve settles unconfirmed contacts. Those that the platform never saw are
// sent. It returns how many there were.
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
	unconfirmed := func(r campaign.Record) bool { return r.State == campaign.Unconfirmed }
	contacts, err = q.moveSelected(ctx, c, chunks, unconfirmed, move, store.ActionResolve)
	if contacts > 0 {
		q.note(ctx, name, store.ActionResolve, res.String())
	}
	if err != nil || res.Accepted || contacts == 0 || c.Phase != campaign.Running {
		return contacts, err
	}
	_, err = q.Release(ctx, name)
	return contacts, err
}

func allChunks(c campaign.Campaign) []int {
	all := make([]int, c.Chunks)
	for i := range all {
		all[i] = i
	}
	return all
}

// moveSelected moves the contacts of the chunks that are selected.
func (q *Queue) moveSelected(ctx context.Context, c campaign.Campaign, chunks []int, selected func(campaign.Record) bool, move campaign.Move, action store.Action) (int, error) {
	var moved atomic.Int64
	err := each(ctx, chunks, func(ctx context.Context, n int) error {
		chunk, err := q.store.ReadLedger(ctx, store.Ref{Campaign: c.Name, Chunk: n})
		if errors.Is(err, store.ErrGone) {
			return nil
		}
		if err != nil {
			return err
		}
		change := store.Change{Act: store.Steer, Due: releaseDue, Log: store.Decision{By: q.by, Action: action}}
		for i := range chunk.Len() {
			if selected(chunk.Record(i)) {
				m := store.Move{Index: i, Move: move}
				m.At = time.Now()
				change.Moves = append(change.Moves, m)
			}
		}
		if len(change.Moves) == 0 {
			return nil
		}
		done, err := q.store.Apply(ctx, chunk, change)
		moved.Add(int64(len(done.Moved)))
		return err
	})
	return int(moved.Load()), err
}
