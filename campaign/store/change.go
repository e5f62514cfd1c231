package store

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"time"

	"campaign-runner/campaign"
)

// An Act says by which right a change is made.
type Act string

const (
	// Begin is a sender's before its request: it takes or renews the claim and moves all
	// of the contacts or none. It needs a running campaign, and a claim that is free,
	// its own, expired or dead.
	Begin Act = "begin"
	// Commit is a sender's after its request, or comes with evidence. Under the stored
	// claim every move counts, else only evidence.
	Commit Act = "commit"
	// Recover ends a claim that has expired or whose worker is gone.
	Recover Act = "recover"
	// Steer is an operator's rerun, cancel or resolve. It needs no claim.
	Steer Act = "steer"
)

// A Change asks to move contacts of a chunk.
type Change struct {
	Act      Act
	Token    string        // the sender's claim
	Dead     string        // a claim whose worker is known to be gone
	ClaimTTL time.Duration // Begin, Commit: how long the claim lasts from now; 0 gives it up
	// Due is by when, from now, the chunk must have moved, or the sweeper looks at it; 0
	// leaves the time as it was. A chunk with nothing left to send is never due; one
	// that has something again is due at once.
	Due   time.Duration
	Moves []Move
	// Log is the entry for the campaign's log: By, Action, Text and Request. Without an
	// Action, or when no contact moves, none is written.
	Log Decision
	// Terms are what a Begin was decided by, and the commits after it; nil: nothing.
	Terms *Terms
	// Latest is when a Begin or Recover stops counting, by the clock of the campaign's
	// server; zero: never. A frozen server may carry it out after its caller is gone.
	Latest time.Time
	// Contacted go into the contact record just before the change and in the same round
	// trip, as contacted at ContactedAt by Redis's clock.
	Contacted   []campaign.Phone
	ContactedAt time.Time
	// Judge lets the guard judge, because all is known about the Commit's request. After
	// a Recover it always judges.
	Judge bool
}

// A Move moves one contact.
type Move struct {
	Index int // of the contact in its chunk
	campaign.Move
}

// Changed is what came of a Change.
type Changed struct {
	Moved   []Move    // in effect now
	Refused []Move    // not allowed from the contact's present state, or not by this caller
	Request int       // Begin: the number of this request among all ever begun on the chunk
	Now     time.Time // Redis's clock
	// Tripped are the latest verdicts when the guard has paused the campaign and the
	// pause is not explained yet; see Explain.
	Tripped []Verdict
	// Unrecorded is why Contacted are not in the contact record, although the change was
	// made; nil: they are.
	Unrecorded error
}

// maxRounds bounds how often a change is repeated because contacts had moved
// meanwhile. Each round but the first means that another process made progress.
const maxRounds = 20

// Apply makes a change and brings the chunk's ledger up to date. Contacts that may
// not move stay as they are and are named in the answer; the others move. Several
// goroutines may call it on one chunk.
//
// Begin moves all of its contacts or changes nothing. It fails with ErrNotRunning,
// ErrOutdated, ErrCapped (a *CappedError), ErrBusy (a *BusyError), ErrUnrecovered,
// ErrLate (a *LateError) or ErrMoved.
func (s *Store) Apply(ctx context.Context, chunk *Chunk, c Change) (Changed, error) {
	chunk.mu.Lock()
	defer chunk.mu.Unlock()

	var done Changed
	todo := c.Moves
	for range maxRounds {
		read := chunk.ledger
		planned, asked, refused, err := planMoves(read, todo)
		if err != nil {
			return done, fmt.Errorf("change chunk %s: %w", chunk.Ref, err)
		}
		done.Refused = append(done.Refused, refused...)
		if c.Act == Begin && len(done.Refused) > 0 {
			return Changed{}, fmt.Errorf("begin chunk %s: %w", chunk.Ref, ErrMoved)
		}
		answer, err := s.runChange(ctx, chunk.Ref, c, changesOf(read, planned))
		if err != nil {
			return done, err
		}
		if c.Contacted != nil {
			done.Unrecorded, c.Contacted = answer.unrecorded, nil // once is enough
		}
		err = answer.err(chunk.Ref)
		if err != nil {
			planned = slices.Clone(read)
		}
		for index, record := range answer.moved {
			planned.Set(index, record)
		}
		chunk.ledger = planned
		if err != nil {
			return done, err
		}
		done.Now, done.Request, done.Tripped = answer.now, answer.request, answer.tripped
		if len(asked) > len(answer.moved) {
			chunk.Version++ // at least: others may have changed it as well
		}
		if todo = done.add(asked, read, answer.moved); len(todo) == 0 {
			return done, nil
		}
	}
	return done, fmt.Errorf("change chunk %s: contacts moved %d times meanwhile: %w", chunk.Ref, maxRounds, ErrMoved)
}

// planMoves is the ledger after the moves, and which of them its records allow.
func planMoves(read campaign.Ledger, moves []Move) (planned campaign.Ledger, allowed, refused []Move, err error) {
	planned = slices.Clone(read)
	for _, m := range moves {
		if m.Index < 0 || m.Index >= planned.Len() {
			return nil, nil, nil, fmt.Errorf("no contact %d", m.Index)
		}
		next, ok := planned.At(m.Index).Next(m.Move)
		if !ok {
			refused = append(refused, m)
			continue
		}
		planned.Set(m.Index, next)
		allowed = append(allowed, m)
	}
	return planned, allowed, refused, nil
}

// add sorts moves that were asked for by what the script has made of them, and
// returns those to decide again. left are the contacts it has left alone, as they
// are now.
func (done *Changed) add(asked []Move, read campaign.Ledger, left map[int]campaign.Record) (again []Move) {
	for _, m := range asked {
		present, wasLeft := left[m.Index]
		switch {
		case !wasLeft:
			done.Moved = append(done.Moved, m)
		case decidedAnew(m, read.At(m.Index), present):
			again = append(again, m)
		default:
			done.Refused = append(done.Refused, m)
		}
	}
	return again
}

// decidedAnew reports whether m, decided on the record that was read, may be decided
// again on the present one. An unchanged record was left alone because the caller
// has no right to it. Evidence holds in any state. Everything else was about one
// state and one request: a rerun of the failed must not send a contact that has
// answered meanwhile, and a late refusal says nothing about a later request.
func decidedAnew(m Move, read, present campaign.Record) bool {
	if present == read {
		return false
	}
	return m.Cause.Evidence() || (present.State == read.State && present.Attempts == read.Attempts)
}

// A BusyError is ErrBusy with the time the claim has left.
type BusyError struct{ Left time.Duration }

func (e *BusyError) Error() string {
	return fmt.Sprintf("%v for another %v", ErrBusy, e.Left.Round(time.Millisecond))
}

func (e *BusyError) Is(target error) bool { return target == ErrBusy }

// A LateError is ErrLate with the clock of the server that refused.
type LateError struct{ Now time.Time }

func (e *LateError) Error() string { return ErrLate.Error() }

func (e *LateError) Is(target error) bool { return target == ErrLate }
