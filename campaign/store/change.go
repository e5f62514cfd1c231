package store

import (
	"context"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
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
	// Climb makes contacts pending whose rung is due, and writes down what Looked has
	// found. It needs a running campaign with the settings of its Terms, and no claim:
	// nobody sends such a contact. A chunk of which events have told more since it was
	// read is left alone.
	Climb Act = "climb"
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
	Moves []Move // those without a time get that of Redis's clock
	// Log is the entry for the campaign's log: By, Action, Text and Request. Without an
	// Action, or when no contact moves, none is written.
	Log Decision
	// Terms are what a Begin was decided by, and the commits after it; nil: nothing.
	Terms *Terms
	// Latest is when a Begin, Climb or Recover stops counting, by the clock of the campaign's
	// server; zero: never. A frozen server may carry it out after its caller is gone.
	Latest time.Time
	// Contacted go into the contact record just before the change and in the same round
	// trip, as contacted at ContactedAt by Redis's clock.
	Contacted   []campaign.Phone
	ContactedAt time.Time
	// Looked is what was found of the chunk's rungs, for a Climb.
	Looked *Look
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
// not move stay as they are and are named in the answer; the others move. Contacts that a
// Commit makes pending are canceled if the campaign was, since its Terms. Several goroutines
// may call it on one chunk.
//
// Begin moves all of its contacts or changes nothing. It fails with ErrNotRunning,
// ErrOutdated, ErrCapped (a *CappedError), ErrBusy (a *BusyError), ErrUnrecovered,
// ErrLate (a *LateError), ErrTripped (a *TripError) or ErrMoved.
func (s *Store) Apply(ctx context.Context, chunk *Chunk, c Change) (Changed, error) {
	end, err := chunk.takeTurn(ctx)
	if err != nil {
		return Changed{}, err
	}
	defer end()
	// An answer is written down in any case; its begin has raised the campaign before.
	if err := s.Raise(ctx, chunk.Ref.Campaign); err != nil && (c.Act == Begin || c.Act == Climb || c.Act == Steer) {
		return Changed{}, wrap(err, "change chunk %s", chunk.Ref)
	}
	var done Changed
	if err := s.stamp(ctx, c.Moves); err != nil {
		return Changed{}, wrap(err, "change chunk %s", chunk.Ref)
	}
	todo, canceled := c.Moves, false
	for range maxRounds {
		read := chunk.read()
		planned, asked, refused, err := planMoves(read, todo, canceled)
		if err != nil {
			return done, wrap(err, "change chunk %s", chunk.Ref)
		}
		done.Refused = append(done.Refused, refused...)
		if c.Act == Begin && len(done.Refused) > 0 {
			return Changed{}, wrap(ErrMoved, "begin chunk %s", chunk.Ref)
		}
		answer, err := s.runChange(ctx, chunk.Ref, c, c.Looked.arg(chunk), changesOf(read, planned))
		if err != nil {
			return done, err
		}
		if c.Contacted != nil {
			done.Unrecorded, c.Contacted = answer.unrecorded, nil // once is enough
		}
		err = wrap(answer.refusal(), "chunk %s", chunk.Ref)
		if errors.Is(err, ErrCanceled) && !canceled {
			canceled, done.Refused = true, done.Refused[:len(done.Refused)-len(refused)]
			continue
		}
		if err != nil {
			planned = slices.Clone(read)
		}
		for index, record := range answer.moved {
			planned.Set(index, record)
		}
		chunk.write(planned)
		if err != nil {
			return done, err
		}
		done.Now, done.Request, done.Tripped = answer.now, answer.request, answer.tripped
		if len(asked) > len(answer.moved) {
			chunk.Version++ // at least: others may have changed it as well
			if c.Act == Begin {
				chunk.Requests++
			}
		}
		if todo = done.add(asked, read, answer.moved); len(todo) == 0 {
			return done, nil
		}
	}
	return done, wrap(ErrMoved, "change chunk %s: contacts moved %d times meanwhile", chunk.Ref, maxRounds)
}

// stamp gives moves their time, by the clock that rungs, cohorts and cancels go by: a worker's
// own may be wrong. A change that is applied again keeps it.
func (s *Store) stamp(ctx context.Context, moves []Move) error {
	if !slices.ContainsFunc(moves, func(m Move) bool { return m.At.IsZero() }) {
		return nil
	}
	now, err := s.About(ctx)
	if err != nil {
		return err
	}
	for i := range moves {
		if moves[i].At.IsZero() {
			moves[i].At = now
		}
	}
	return nil
}

// planMoves is the ledger after the moves, and which of them its records allow. In a campaign
// that was canceled meanwhile, contacts that would be pending are canceled.
func planMoves(read campaign.Ledger, moves []Move, canceled bool) (planned campaign.Ledger, allowed, refused []Move, err error) {
	planned, allowed = slices.Clone(read), make([]Move, 0, len(moves))
	for _, m := range moves {
		if m.Index < 0 || m.Index >= planned.Len() {
			return nil, nil, nil, fmt.Errorf("no contact %d", m.Index)
		}
		next, ok := planned.At(m.Index).Next(m.Move)
		if ok && canceled && next.State == campaign.Pending {
			next, ok = next.Next(campaign.Move{Cause: campaign.Cancel, At: m.At})
		}
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
	if len(left) == 0 && len(done.Moved) == 0 {
		done.Moved = asked
		return nil
	}
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

// Terms are what a request was decided by. Its Begin counts only while they hold.
type Terms struct {
	Version int          // of the campaign's settings
	Cap     int          // contacts that may begin on one day; 0: no cap
	Day     campaign.Day // that day; zero: any
}

// TermsOf are the terms of a campaign as it was read, at a time by Redis's clock.
func TermsOf(c campaign.Campaign, now time.Time) *Terms {
	return &Terms{Version: c.Version, Cap: c.Settings.DailyCap, Day: c.Settings.DayOf(now)}
}

// args are the terms as change.lua takes them.
func (t *Terms) args() []any {
	if t == nil {
		return []any{"", 0, "", 0}
	}
	if t.Day == (campaign.Day{}) {
		return []any{t.Version, 0, "", 0}
	}
	return []any{t.Version, t.Cap, t.Day.From.UnixMilli(), t.Day.Until.UnixMilli()}
}

// ErrCapped: the daily cap leaves no room for these contacts.
var ErrCapped = errors.New("the day's contacts have begun")

// A CappedError is ErrCapped with how many contacts may still begin today.
type CappedError struct{ Left int }

func (e *CappedError) Error() string { return fmt.Sprintf("%v; %d may still begin", ErrCapped, e.Left) }

func (e *CappedError) Is(target error) bool { return target == ErrCapped }

// Begun is how many contacts of a campaign have begun today, without those that
// turned out not to have been sent.
func (s *Store) Begun(ctx context.Context, name string, now time.Time) (contacts int, err error) {
	kept, err := s.rdb.HMGet(ctx, keyDay(name), "until", "begun").Result()
	if err != nil {
		return 0, wrap(err, "contacts of %s today", name)
	}
	number := func(i int) int64 { text, _ := kept[i].(string); n, _ := strconv.ParseInt(text, 10, 64); return n }
	if number(0) <= now.UnixMilli() {
		return 0, nil
	}
	return int(number(1)), nil
}

// The guard pauses a campaign when too many of its latest contacts were not
// accepted. change.lua keeps their verdicts in a window and judges by it within the
// change that adds a verdict, so no request begins in between.
//
// It looks at the latest guardVerdicts contacts, or at fewer from guardFewest on. In
// batch mode it takes two full requests at least, because the platform names the bad
// rows of a request before it accepts the others.
const (
	guardVerdicts = 200
	guardFewest   = 50
)

// guardTripped is a campaign's reason to be paused until Explain gives a better one.
var guardTripped = campaign.Say(campaign.MsgGuard)

// guardOf is the guard as change.lua reads it: the share in ten-thousandths, the
// fewest and the most contacts; empty: no guard.
func guardOf(s campaign.Settings) string {
	if s.MaxFailureShare == 0 {
		return ""
	}
	rows := 1
	if s.Mode == campaign.Batch {
		rows = s.ChunkSize
	}
	return fmt.Sprintf("%d %d %d", s.MaxFailureShare, guardFewest, max(guardVerdicts, 2*rows))
}

// A Verdict is the result of one contact of a request.
type Verdict struct {
	Chunk  int
	Index  int // of the contact in its chunk
	State  campaign.State
	Reason campaign.Reason
}

// verdictBytes is the width of a verdict in the window: state, index (2), reason
// (2), chunk (4), little-endian.
const verdictBytes = 9

func decodeVerdicts(window string) (all []Verdict) {
	for b := []byte(window); len(b) >= verdictBytes; b = b[verdictBytes:] {
		all = append(all, Verdict{
			State:  campaign.State(b[0]),
			Index:  int(binary.LittleEndian.Uint16(b[1:])),
			Reason: campaign.Reason(binary.LittleEndian.Uint16(b[3:])),
			Chunk:  int(binary.LittleEndian.Uint32(b[5:])),
		})
	}
	return all
}
