package campaign

import "fmt"

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
	return 0, fmt.Errorf("state %q: want one of %v", name, stateNames)
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
// contact. Evidence never moves back, except by an explicit rerun.
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
