package campaign

import (
	"fmt"
)

// A State is what is known of one contact. Its values are stored in ledgers:
// they never change their meaning, new ones go to the end.
type State uint8

const (
	Pending     State = iota // to be sent
	Sending                  // written down before the request leaves
	Accepted                 // the platform answered 2xx
	Rejected                 // the platform refused this contact for good
	Failed                   // retryable errors used up the attempts
	Unconfirmed              // the request may have arrived, its answer did not
	Started                  // an event says the conversation began
	Ended                    // an event says the conversation is over
	Canceled                 // stopped before it was sent
	stateCount
)

var stateNames = [stateCount]string{
	"pending", "sending", "accepted", "rejected", "failed", "unconfirmed", "started", "ended", "canceled",
}

// States lists every state, in the order in which people read them.
func States() []State {
	all := make([]State, stateCount)
	for i := range all {
		all[i] = State(i)
	}
	return all
}

// ParseState reads a state's name.
func ParseState(name string) (State, error) {
	for i, n := range stateNames {
		if n == name {
			return State(i), nil
		}
	}
	return 0, fmt.Errorf("state %q: want %s", name, OneOf(stateNames[:]))
}

func (s State) String() string {
	if s < stateCount {
		return stateNames[s]
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// Valid reports whether s is one of the states: a ledger read from outside may
// hold anything.
func (s State) Valid() bool { return s < stateCount }

// Open reports whether a campaign with such a contact is unfinished.
func (s State) Open() bool { return s == Pending || s == Sending }

// Evidence reports whether the platform itself has said that it took the
// contact. Evidence never moves back, to a lower state, except by an explicit rerun.
func (s State) Evidence() bool { return s == Accepted || s == Started || s == Ended }

// A Phase is the state of a whole campaign.
type Phase string

const (
	Loading       Phase = "loading" // its file is being read; nobody is contacted
	Ready         Phase = "ready"   // loaded, waits for a person to start it
	Scheduled     Phase = "scheduled"
	Running       Phase = "running"
	Paused        Phase = "paused" // by a person or by a rule; the reason says
	Finished      Phase = "finished"
	CanceledPhase Phase = "canceled"
)

// A Tally counts a campaign's contacts by state, and by state and reason.
type Tally struct {
	States  [stateCount]int
	InDoubt [stateCount]int     // of those in a state, the ones in doubt
	Reasons map[StateReason]int // only those with a reason
	ForRung int                 // of those pending, the ones that wait for a rung, and not for their first request
	Rungs   int                 // chunks with contacts that may have a rung to come
}

// A StateReason is what failures are grouped by.
type StateReason struct {
	State  State
	Reason Reason
}

// Contacts is the number of contacts counted.
func (t Tally) Contacts() int {
	n := 0
	for _, count := range t.States {
		n += count
	}
	return n
}

// Open is the number of contacts that are still to be sent.
func (t Tally) Open() int { return t.States[Pending] + t.States[Sending] }

// MayHaveBeenReached counts the contacts with a Record.MayHaveBeenReached.
func (t Tally) MayHaveBeenReached() int {
	n := t.States[Unconfirmed] - t.InDoubt[Unconfirmed]
	for _, doubtful := range t.InDoubt {
		n += doubtful
	}
	return n
}

// Over reports whether nobody is to be contacted any more: no contact is open, and no rung
// is to come.
func (t Tally) Over() bool { return t.Open() == 0 && t.Rungs == 0 }

// Phase is the campaign's phase as people see it. A loaded campaign without pending
// and sending contacts and without rungs to come is finished, in whatever phase it was stored, unless it was
// canceled. Finished is never stored, so it cannot be wrong.
func (t Tally) Phase(stored Phase) Phase {
	switch stored {
	case Loading, CanceledPhase:
		return stored
	}
	if t.Over() {
		return Finished
	}
	return stored
}

// Count adds a record to the tally.
func (t *Tally) Count(r Record) {
	t.States[r.State]++
	if r.InDoubt {
		t.InDoubt[r.State]++
	}
	if r.State == Pending && r.Rung > 0 {
		t.ForRung++
	}
	if r.Reason != NoReason {
		if t.Reasons == nil {
			t.Reasons = make(map[StateReason]int)
		}
		t.Reasons[StateReason{r.State, r.Reason}]++
	}
}
