package campaign

// A Tally counts a campaign's contacts by state, and by state and reason.
type Tally struct {
	States  [stateCount]int
	InDoubt [stateCount]int     // of those in a state, the ones in doubt
	Reasons map[StateReason]int // only those with a reason
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

// Phase is the campaign's phase as people see it. A loaded campaign without pending
// and sending contacts is finished, in whatever phase it was stored, unless it was
// canceled. Finished is never stored, so it cannot be wrong.
func (t Tally) Phase(stored Phase) Phase {
	switch stored {
	case Loading, CanceledPhase:
		return stored
	}
	if t.Open() == 0 {
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
	if r.Reason != NoReason {
		if t.Reasons == nil {
			t.Reasons = make(map[StateReason]int)
		}
		t.Reasons[StateReason{r.State, r.Reason}]++
	}
}
