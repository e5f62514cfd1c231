package campaign

import (
	"slices"
	"time"
)

// A Cause is something that happened to a contact.
type Cause uint8

const (
	// By the sender that has the claim on the chunk.

	Send     Cause = iota // the request that carries it is about to leave
	Unsent                // nothing reached the platform, or it refused the request and not the contact: no attempt
	Retry                 // the platform answered with an error that is safe to retry
	Fail                  // the same, and the attempts are used up
	Reject                // the platform refused this contact
	Withdraw              // a Reject is taken back: the list was not at fault
	Lose                  // the request may have arrived, its answer did not

	// Evidence: from anywhere, at any time.

	Accept // the platform answered 2xx
	Start  // an event says the conversation began
	End    // an event says the conversation is over

	// By a person, or a rule a person set.

	Cancel       // do not send it
	Hold         // it waits, for a reason; without a reason it no longer does
	Rerun        // send it (again)
	Climb        // a rule asks for it to be sent once more: its next rung
	ConfirmSent  // looked up in the platform: it has the contact
	ConfirmNever // looked up in the platform: it never saw the contact
	causeCount
)

// Evidence reports whether the cause is the platform's own word that it has the
// contact. It counts without a claim.
func (c Cause) Evidence() bool { return c == Accept || c == Start || c == End }

// A Move is a cause with what belongs to it.
type Move struct {
	Cause  Cause
	Reason Reason
	Run    uint8 // for Rerun: the run that begins
	Rung   uint8 // for Climb: the rung that begins. For evidence: it counts only while the contact is pending for this rung
	At     time.Time

	InDoubt  bool // for Retry and Fail: the contact may have been reached
	Recorded bool // the contact record has the request
}

// MayReach reports whether the move says that its contact was contacted, or may have
// been.
func (m Move) MayReach() bool { return m.Cause.Evidence() || m.Cause == Lose || m.InDoubt }

// Next is the whole table of transitions: the record that r becomes by m, and whether
// m is allowed on it. A move that would change nothing (a second 2xx, an old event) is
// not allowed.
//
//	Send                          pending                → sending      one attempt more
//	Unsent                        sending                → pending      the attempt taken back
//	Retry                         sending                → pending
//	Fail                          sending                → failed
//	Reject                        sending                → rejected
//	Withdraw                      rejected               → pending      the attempt taken back
//	Lose                          sending                → unconfirmed
//	Accept, Start, End            any that was ever sent → accepted, started, ended; never back
//	Cancel                        pending                → canceled
//	Hold                          pending                → pending      for another reason
//	Rerun                         rejected, failed, unconfirmed, canceled, ended → pending, with new tries
//	Climb                         accepted, rejected, failed, started, ended → pending, with new tries
//	ConfirmSent, ConfirmNever     unconfirmed            → accepted, pending
//
// A contact never comes back to a record that it had while it was sending: its time
// never goes back, and moves on when an attempt is taken back. So an answer that
// arrives late, or a second time, changes no later request.
//
// A contact that waits for its rung was reached before, so evidence is about the
// conversation before: it takes the rung back. A contact in doubt has no rung.
//
// Doubt stays through retries and reruns until evidence comes or a person has looked.
// A contact that was unconfirmed is rerun in doubt: its earlier request may have
// reached it. An erased contact never becomes pending again: there is nobody to send.
func (r Record) Next(m Move) (Record, bool) {
	if !r.State.Valid() {
		return r, false
	}
	next, allowed := r, false
	next.Reason, next.Recorded = m.Reason, r.Recorded || m.Recorded
	next.Changed = max(uint32(m.At.Unix()), r.Changed)
	move := func(to State, from ...State) {
		next.State, allowed = to, slices.Contains(from, r.State)
	}
	switch m.Cause {
	case Send:
		move(Sending, Pending)
		next.Attempts, next.Tries = addOne(r.Attempts), addOne(r.Tries)
	case Unsent:
		move(Pending, Sending)
		next.Attempts, next.Tries = takeOne(r.Attempts), takeOne(r.Tries)
		next.Changed = max(next.Changed, r.Changed+1)
	case Withdraw:
		move(Pending, Rejected)
		next.Attempts, next.Tries = takeOne(r.Attempts), takeOne(r.Tries)
		next.Changed = max(next.Changed, r.Changed+1)
	case Retry:
		move(Pending, Sending)
		next.InDoubt = r.InDoubt || m.InDoubt
	case Fail:
		move(Failed, Sending)
		next.InDoubt = r.InDoubt || m.InDoubt
	case Reject:
		move(Rejected, Sending)
	case Lose:
		move(Unconfirmed, Sending)
	case Accept, Start, End:
		next.State, next.InDoubt, next.Rung = [...]State{Accepted, Started, Ended}[m.Cause-Accept], false, r.reached()
		allowed = r.Attempts > 0 && (!r.State.Evidence() || next.State > r.State) && r.awaits(m.Rung)
	case Cancel:
		move(Canceled, Pending)
		next.Rung, next.InDoubt = r.reached(), r.InDoubt || r.WaitsForRung() // the conversation before may go on
	case Hold:
		move(Pending, Pending)
		allowed = allowed && r.Reason != m.Reason
	case Rerun:
		move(Pending, Rejected, Failed, Unconfirmed, Canceled, Ended)
		next.Tries, next.Run, next.Rung = 0, m.Run, 0
		next.InDoubt = r.MayHaveBeenReached()
	case Climb:
		move(Pending, followed...)
		next.Tries, next.Rung, allowed = 0, m.Rung, allowed && r.mayClimb(m.Rung)
	case ConfirmSent, ConfirmNever:
		move([...]State{Accepted, Pending}[m.Cause-ConfirmSent], Unconfirmed)
		next.InDoubt = false
		if m.Cause == ConfirmNever {
			next.Tries = 0
		}
	}
	if !allowed || r.Erased && next.State.Open() {
		return r, false
	}
	return next, true
}

// addOne and takeOne count attempts in a byte. A count that has reached 255 no
// longer moves: it stands for "255 or more".
func addOne(n uint8) uint8 { return min(n, 254) + 1 }

func takeOne(n uint8) uint8 {
	if n == 0 || n == 255 {
		return n
	}
	return n - 1
}
