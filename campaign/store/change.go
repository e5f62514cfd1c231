package store

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"time"

	"campaign-runner/campaign"
)

// An Act is the right by which a change is made.
type Act string

const (
	// Begin is a sender's before its request leaves: it takes or renews the
	// claim and changes all of its contacts or none. It needs a running campaign
	// and a claim that is free, its own, expired or dead.
	Begin Act = "begin"
	// Commit is a sender's after its request, and anybody's who brings evidence:
	// under the stored claim every move counts, otherwise evidence alone.
	Commit Act = "commit"
	// Recover is anybody's once the claim has expired or its worker is gone. It
	// ends the claim.
	Recover Act = "recover"
	// Steer is a person's: rerun, cancel, resolve. It asks for no claim.
	Steer Act = "steer"
)

// A Change asks to move contacts of a chunk.
type Change struct {
	Act      Act
	Token    string        // the sender's claim
	Dead     string        // a claim whose worker is known to be gone
	ClaimTTL time.Duration // Begin, Commit: how long the claim is to last from now; 0 gives it up
	// Due is when, from now, the chunk must have moved on, or the sweeper looks
	// after it; 0 leaves that as it is. A chunk that is through is never due, one
	// that is no longer through is due at once.
	Due   time.Duration
	Moves []Move
	// Log is what the campaign's log is told, beside who was moved: By, Action, Text
	// and Request. Nothing when it has no Action, or nobody is moved.
	Log Decision
	// Terms are what a Begin was decided by, and the commits after it; nil: none.
	Terms *Terms
	// Latest is when a Begin, or a Recover, no longer counts, by the clock of the
	// server that holds the campaign; zero: never. A server that was frozen carries
	// out what it was told before, whatever has become of the caller.
	Latest time.Time
	// Contacted are people whom the contact record is told of before the change is
	// made, in one round trip with it, as contacted at ContactedAt by Redis's clock.
	Contacted   []campaign.Phone
	ContactedAt time.Time
	// Judge says that all is known of the request which a Commit is about, so that
	// the guard may judge by it; a Recover always is.
	Judge bool
}

// A Move moves one contact.
type Move struct {
	Index int // of the contact in its chunk
	campaign.Move
}

// A Changed says what came of a Change.
type Changed struct {
	Moved   []Move    // in effect now
	Refused []Move    // not allowed from the contact's present state, or not by this caller
	Request int       // Begin: the number of this request among all ever begun on the chunk
	Now     time.Time // Redis's clock
	// Tripped are the latest verdicts when the guard has paused the campaign and has
	// not said yet what for; see Explain.
	Tripped []Verdict
	// Unrecorded is why the contact record does not know of Contacted, though the
	// change was made; nil: it does.
	Unrecorded error
}

// maxRounds bounds how often a change is made again because contacts had moved
// meanwhile. Each round but the first means that somebody else made progress.
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

// decidedAnew reports whether m, decided on the record that was read, may be
// decided again on the present one. A record that has not changed was left alone
// because the caller has no right to it. Evidence holds wherever the contact is
// by now; all else was said of one state and one request: a rerun of the failed
// must not send again whoever has answered meanwhile, nor a late refusal speak of
// a later request.
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
