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
	// States are any of Rerunnable, and Ended with a rule about what conversations came to.
	States []campaign.State
	Reason string // part of the reason's text, in any case; empty: any reason
	Where  campaign.Rules
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
	for _, c := range s.Where {
		text += " where " + c.String()
	}
	return text
}

// Rerunnable are the states from which a contact can be sent again on request,
// whatever its conversation came to.
var Rerunnable = []campaign.State{campaign.Rejected, campaign.Failed, campaign.Unconfirmed, campaign.Canceled}

func (s Selection) check() error {
	for _, state := range s.States {
		switch {
		case slices.Contains(Rerunnable, state), state == campaign.Ended && s.ByOutcome():
		case state == campaign.Ended:
			return errors.New("contacts whose conversation has ended are sent again only by what it came to")
		default:
			return fmt.Errorf("contacts that are %s are not sent again", state)
		}
	}
	return nil
}

// ByOutcome reports whether a rule says what the conversations came to.
func (s Selection) ByOutcome() bool {
	_, outcome, _ := s.Where.Need()
	return outcome
}

// DefaultStates are those that a selection means when it names none: what a rule
// about the state names, else the ended ones by what they came to, else the failed.
func (s Selection) DefaultStates() []campaign.State {
	if named := s.Where.States(); len(named) > 0 {
		return named
	}
	if s.ByOutcome() {
		return []campaign.State{campaign.Ended}
	}
	return []campaign.State{campaign.Failed}
}

// Rerunning is what a rerun comes to.
type Rerunning struct {
	Contacts int // sent again
	UsedUp   int // left out: they have had as many attempts as a contact may have
	// MayHaveBeenReached are those of the contacts whom the platform may have reached
	// already.
	MayHaveBeenReached int
}

// Rerun makes the selected contacts pending again, as a new run with new
// attempts, and sets the campaign running unless it is paused or not started.
// Contacts that are unconfirmed or ended may have been, or were, reached before:
// only a person may select them. A rerun of nobody changes nothing.
func (q *Queue) Rerun(ctx context.Context, name string, sel Selection) (Rerunning, error) {
	c, err := q.store.Campaign(ctx, name)
	if err != nil {
		return Rerunning{}, err
	}
	var left error // of chunks that could not be worked on; all others are
	if c.Phase == campaign.CanceledPhase {
		// Whoever a cut-off cancel has left pending must not be sent with the rest.
		if _, left = q.cancelOpen(ctx, name); !onlyUndone(left) {
			return Rerunning{}, left
		}
	}
	found, wanted, err := q.survey(ctx, c, sel)
	if left = undone(left, err); !onlyUndone(left) || found.Contacts == 0 {
		return found, left // a rerun of nobody must not revive a canceled campaign
	}
	q.note(ctx, name, store.ActionRerun, sel.String())
	run, err := q.store.NextRun(ctx, name)
	if err != nil {
		return Rerunning{}, err
	}
	// Running first: whatever is pending in a canceled campaign is soon canceled.
	was, _, err := q.store.SetPhase(ctx, name, campaign.Running, "", campaign.CanceledPhase, campaign.Running)
	if err != nil {
		return Rerunning{}, err
	}
	found.Contacts, err = q.moveSelected(ctx, c, allChunks(c), wanted, campaign.Move{Cause: campaign.Rerun, Run: run}, store.ActionRerun)
	left = undone(left, err)
	if !onlyUndone(left) || (was != campaign.Running && was != campaign.CanceledPhase) {
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
	found, _, err := q.survey(ctx, c, sel)
	return found, err
}

// survey counts whom a selection names, and returns what selects those of them who
// may be sent again.
func (q *Queue) survey(ctx context.Context, c campaign.Campaign, sel Selection) (found Rerunning, wanted selector, err error) {
	switch err := sel.check(); {
	case err != nil:
		return found, nil, fmt.Errorf("rerun %s: %w", c.Name, err)
	case c.Phase == campaign.Loading:
		return found, nil, fmt.Errorf("rerun %s: it is still loading", c.Name)
	case c.Settings.Limits.RefusalIsFinal && slices.Contains(sel.States, campaign.Rejected):
		return found, nil, fmt.Errorf("rerun %s: by its rules (%s) whoever was rejected is not sent again", c.Name, c.Settings.Rules)
	}
	if err := c.Kept(); err != nil {
		return found, nil, err
	}
	named, err := q.selectorOf(ctx, c, sel)
	if err != nil {
		return found, nil, err
	}
	wanted = func(ctx context.Context, chunk *store.Chunk) (func(int) bool, error) {
		is, err := named(ctx, chunk)
		return func(i int) bool { return is(i) && !c.Settings.UsedUpForGood(chunk.Record(i)) }, err
	}
	var all, left, reached atomic.Int64
	err = q.eachLedger(ctx, c, allChunks(c), func(ctx context.Context, chunk *store.Chunk) error {
		is, err := named(ctx, chunk)
		if err != nil {
			return err
		}
		for i := range chunk.Len() {
			if is(i) {
				all.Add(1)
				if r := chunk.Record(i); c.Settings.UsedUpForGood(r) {
					left.Add(1)
				} else if r.MayHaveBeenReached() {
					reached.Add(1)
				}
			}
		}
		return nil
	})
	return Rerunning{int(all.Load() - left.Load()), int(left.Load()), int(reached.Load())}, wanted, err
}

// selectorOf selects whom a selection names.
func (q *Queue) selectorOf(ctx context.Context, c campaign.Campaign, sel Selection) (selector, error) {
	codes, err := q.reasonsLike(ctx, c.Name, sel.Reason)
	if err != nil {
		return nil, err
	}
	header := c.Settings.ColumnNames()
	if err := sel.Where.Check(header); err != nil {
		return nil, err
	}
	reason, outcome, cells := sel.Where.Need()
	var texts map[campaign.Reason]string
	if reason {
		if texts, err = q.store.ReasonTexts(ctx, c.Name); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context, chunk *store.Chunk) (func(int) bool, error) {
		var outcomes map[int]campaign.Outcome
		var contacts []campaign.Contact
		if outcome {
			var err error
			if outcomes, err = q.store.Outcomes(ctx, chunk.Ref); err != nil {
				return nil, err
			}
		}
		if cells {
			whole, err := q.store.ReadChunk(ctx, chunk.Ref)
			if err != nil {
				return nil, err
			}
			contacts = whole.Contacts
		}
		return func(i int) bool {
			r := chunk.Record(i)
			if !slices.Contains(sel.States, r.State) || sel.Reason != "" && !codes[r.Reason] {
				return false
			}
			facts := campaign.Facts{Record: r, Reason: texts[r.Reason], Outcome: outcomes[i], Learned: outcomes[i].Learned()}
			if cells {
				facts.Cell = campaign.Cells(header, contacts[i].Fields)
			}
			return sel.Where.Of(facts)
		}, nil
	}, nil
}

// A selector says of a chunk which of its contacts are selected.
type selector func(ctx context.Context, chunk *store.Chunk) (selected func(i int) bool, err error)

// byRecord selects contacts by nothing but their record.
func byRecord(selected func(campaign.Record) bool) selector {
	return func(_ context.Context, chunk *store.Chunk) (func(int) bool, error) {
		return func(i int) bool { return selected(chunk.Record(i)) }, nil
	}
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

func allChunks(c campaign.Campaign) []int { return allOf(c.Chunks) }

// allOf are the numbers from 0 to n.
func allOf(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// eachLedger reads chunks without their contacts, several at once.
func (q *Queue) eachLedger(ctx context.Context, c campaign.Campaign, chunks []int, do func(context.Context, *store.Chunk) error) error {
	return eachChunk(ctx, c.Name, chunks, func(ctx context.Context, n int) error {
		chunk, err := q.store.ReadLedger(ctx, store.Ref{Campaign: c.Name, Chunk: n})
		if err != nil {
			return err
		}
		return do(ctx, chunk)
	})
}

// moveSelected moves the contacts of the chunks that are selected.
func (q *Queue) moveSelected(ctx context.Context, c campaign.Campaign, chunks []int, wanted selector, move campaign.Move, action store.Action) (int, error) {
	var moved atomic.Int64
	err := q.eachLedger(ctx, c, chunks, func(ctx context.Context, chunk *store.Chunk) error {
		selected, err := wanted(ctx, chunk)
		if err != nil {
			return err
		}
		change := store.Change{Act: store.Steer, Due: releaseDue, Log: store.Decision{By: q.by, Action: action}}
		for i := range chunk.Len() {
			if selected(i) {
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
