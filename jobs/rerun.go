package jobs

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/timings"
)

// Rerunning is what a rerun comes to.
type Rerunning struct {
	Contacts int // sent again
	UsedUp   int // left out: they have had as many attempts as a contact may have
	// MayHaveBeenReached are the contacts that the platform may have reached already.
	MayHaveBeenReached int
}

// Rerun makes the selected contacts pending again, as a new run with new
// attempts, and sets the campaign running unless it is paused or not started.
// Contacts that are unconfirmed may have been reached before, and those that are ended
// were: only a person may select them. A rerun of no contact changes nothing.
func (q *Queue) Rerun(ctx context.Context, name string, sel Selection) (Rerunning, error) {
	c, err := q.store.Campaign(ctx, name)
	if err != nil {
		return Rerunning{}, err
	}
	seen := store.CanceledAs(c)
	var left error // of chunks that could not be worked on; all others are
	if c.Phase == campaign.CanceledPhase {
		// Contacts that a cut-off cancel has left pending must not be sent, too.
		if _, left = q.cancelOpen(ctx, name); !onlyUndone(left) {
			return Rerunning{}, left
		}
	}
	found, wanted, canary, err := q.survey(ctx, c, sel)
	if left = undone(left, err); !onlyUndone(left) || found.Contacts == 0 {
		return found, left // a rerun of no contact must not revive a canceled campaign
	}
	if err := sel.Seen.check(found.Contacts, c.Run); err != nil {
		return found, err
	}
	phase := campaign.Running
	if !sel.StartAt.IsZero() {
		later := c.Settings
		later.StartAt, later.MaxLateness, later.FinishBy = sel.StartAt, cmp.Or(later.MaxLateness, time.Hour), time.Time{}
		if err := q.store.ChangeSettings(ctx, c, later, q.by); err != nil {
			return Rerunning{}, err
		}
		if c, err = q.store.Campaign(ctx, name); err != nil {
			return Rerunning{}, err
		}
		phase = campaign.Scheduled
	}
	q.note(ctx, name, store.ActionRerun, sel.message())
	run, err := q.store.NextRun(ctx, c, store.Run{Canary: canary, Anew: slices.Contains(sel.States, campaign.Ended), By: q.by})
	if err != nil {
		return Rerunning{}, err
	}
	// The phase first: contacts that are pending in a canceled campaign are soon canceled.
	was, moved, err := q.store.SetPhase(ctx, name, phase, campaign.Message{}, seen, campaign.Running, phase)
	if err != nil {
		return Rerunning{}, err
	}
	if !moved && (phase == campaign.Scheduled || was == campaign.CanceledPhase) {
		return Rerunning{}, fmt.Errorf("rerun %s: it is %s meanwhile", name, was)
	}
	found.Contacts, err = q.moveSelected(ctx, c, allOf(c.Chunks), wanted, campaign.Move{Cause: campaign.Rerun, Run: run}, store.ActionRerun)
	left = undone(left, err)
	if !onlyUndone(left) || !moved || phase == campaign.Scheduled {
		return found, left
	}
	_, err = q.Release(ctx, name)
	return found, undone(left, err)
}

// Survey says what a rerun would come to now.
func (q *Queue) Survey(ctx context.Context, name string, sel Selection) (Rerunning, error) {
	c, err := q.store.Campaign(ctx, name)
	if err != nil {
		return Rerunning{}, err
	}
	found, _, _, err := q.survey(ctx, c, sel)
	return found, err
}

// mayRerun refuses selections that make no sense for a campaign as it is.
func (q *Queue) mayRerun(ctx context.Context, c campaign.Campaign, sel Selection) error {
	if err := sel.check(); err != nil {
		return err
	}
	switch {
	case c.Phase == campaign.Loading:
		return campaign.Faulty(campaign.MsgRerunLoading)
	case c.Settings.Limits.RefusalIsFinal && slices.Contains(sel.States, campaign.Rejected):
		return campaign.Faulty(campaign.MsgRerunRefused, "rules", c.Settings.Rules)
	case sel.Canary == 0 && sel.StartAt.IsZero():
		return nil
	case !sel.StartAt.IsZero() && c.Phase != campaign.Running && c.Phase != campaign.CanceledPhase:
		return fmt.Errorf("it is %s: a start is for a campaign that is over%s", c.Phase, wayOn(c.Phase, c.Name))
	}
	// The others would be held back, too. What is pending in a canceled one is canceled.
	tally, err := q.store.Tally(ctx, c.Name)
	n := tally.Open()
	if c.Phase == campaign.CanceledPhase {
		n = tally.States[campaign.Sending]
	}
	switch {
	case err != nil:
	case n > 0:
		err = campaign.Faulty(campaign.MsgRerunOpen, "contacts", n)
	case tally.Rungs > 0:
		err = campaign.Faulty(campaign.MsgRerunRungs)
	}
	return err
}

// survey counts the contacts that a selection names, and returns what selects those of
// them that may be sent again, and how many first contacts of the list hold its canary.
func (q *Queue) survey(ctx context.Context, c campaign.Campaign, sel Selection) (found Rerunning, wanted selector, canary int, err error) {
	if err := q.mayRerun(ctx, c, sel); err != nil {
		return found, nil, 0, fmt.Errorf("rerun %s: %w", c.Name, err)
	}
	if err := c.Kept(); err != nil {
		return found, nil, 0, err
	}
	named, err := q.selectorOf(ctx, c, sel)
	if err != nil {
		return found, nil, 0, err
	}
	chunks := make([][]place, c.Chunks) // of those that may be sent again
	var usedUp atomic.Int64
	left := q.eachLedger(ctx, c.Name, allOf(c.Chunks), func(ctx context.Context, chunk *store.Chunk) error {
		is, err := named(ctx, chunk)
		if err != nil {
			return err
		}
		for i := range chunk.Len() {
			switch r := chunk.Record(i); {
			case !is(i):
			case c.Settings.UsedUpForGood(r):
				usedUp.Add(1)
			default:
				chunks[chunk.Ref.Chunk] = append(chunks[chunk.Ref.Chunk], place{uint16(i), r.MayHaveBeenReached()})
			}
		}
		return nil
	})
	if left != nil && (sel.Limit > 0 || sel.Canary > 0) {
		return found, nil, 0, left // whose contacts come first is not known
	}
	found.UsedUp = int(usedUp.Load())
	last, canary := found.count(chunks, c.Settings.ChunkSize, sel)
	var taken atomic.Int64 // more may be named by now
	wanted = func(ctx context.Context, chunk *store.Chunk) (func(int) bool, error) {
		is, err := named(ctx, chunk)
		return func(i int) bool {
			return is(i) && !c.Settings.UsedUpForGood(chunk.Record(i)) && chunk.Ref.Chunk*c.Settings.ChunkSize+i <= last &&
				(sel.most() == 0 || taken.Add(1) <= int64(sel.most()))
		}, err
	}
	return found, wanted, canary, left
}

// count counts the contacts that may be sent again, in the order of the list. It returns
// the place in the list of the last that is, and how many first contacts of the list hold
// the canary.
func (r *Rerunning) count(chunks [][]place, size int, sel Selection) (last, canary int) {
	last = -1
	for n, places := range chunks {
		for _, at := range places {
			if sel.Limit > 0 && r.Contacts == sel.Limit {
				break
			}
			r.Contacts++
			last = n*size + int(at.index)
			if at.reached {
				r.MayHaveBeenReached++
			}
			if r.Contacts == sel.Canary {
				canary = last + 1
			}
		}
	}
	if r.Contacts <= sel.Canary {
		canary = 0 // it would hold nobody back
	}
	return last, canary
}

// A place is a contact of a chunk that a rerun may send.
type place struct {
	index   uint16
	reached bool // maybe, by an earlier request
}

// moveSelected moves the contacts of the chunks that are selected.
func (q *Queue) moveSelected(ctx context.Context, c campaign.Campaign, chunks []int, wanted selector, move campaign.Move, action store.Action) (int, error) {
	var moved atomic.Int64
	err := q.eachLedger(ctx, c.Name, chunks, func(ctx context.Context, chunk *store.Chunk) error {
		selected, err := wanted(ctx, chunk)
		if err != nil {
			return err
		}
		change := store.Change{Act: store.Steer, Due: timings.ReleaseDue, Log: store.Decision{By: q.by, Action: action}}
		for i := range chunk.Len() {
			if selected(i) {
				change.Moves = append(change.Moves, store.Move{Index: i, Move: move})
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
