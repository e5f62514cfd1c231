package campaign

import "time"

// ticketStates are those after which nothing more happens to a contact by itself.
var ticketStates = []State{Rejected, Failed, Unconfirmed, Ended, Canceled}

// TicketRuleFor is the first rule that asks for a ticket of the contact; the zero Rule
// when none does, or the contact is erased.
func (s Settings) TicketRuleFor(rec Record, o Outcome) Rule {
	if rec.Erased {
		return Rule{}
	}
	facts := Facts{Record: rec, Outcome: o}
	for _, rule := range s.TicketRules {
		if rule.Of(facts) {
			return rule
		}
	}
	return Rule{}
}

// A TicketState says how far the making of a ticket has come.
type TicketState string

const (
	TicketDue         TicketState = "due"         // to be made
	TicketCreating    TicketState = "creating"    // written down before the request leaves
	TicketMade        TicketState = "made"        // the Support Center has it
	TicketRefused     TicketState = "refused"     // the Support Center wants it otherwise
	TicketFailed      TicketState = "failed"      // errors that were worth retrying used up its tries
	TicketUnconfirmed TicketState = "unconfirmed" // the request may have arrived, its answer did not
)

// TicketStates lists every state of a ticket, in the order in which they are shown.
func TicketStates() []TicketState {
	return []TicketState{TicketDue, TicketCreating, TicketMade, TicketRefused, TicketFailed, TicketUnconfirmed}
}

// Open reports whether something more will happen to the ticket by itself.
func (s TicketState) Open() bool { return s == TicketDue || s == TicketCreating }

// Erased is what is left of a ticket when its person is erased. One that is still to be
// made goes altogether.
func (t *Ticket) Erased() *Ticket {
	if t == nil || t.State == TicketDue {
		return nil
	}
	return &Ticket{State: t.State, Rule: t.Rule, Tries: t.Tries, At: t.At}
}

// Lost is a ticket that was being made when its maker died. It may have been made.
func (t Ticket) Lost(reason Message, at time.Time) Ticket {
	t.State, t.Claim, t.Reason, t.At = TicketUnconfirmed, "", reason, at
	return t
}

// A Ticket is the ticket of a contact. A contact has at most one, whatever becomes of it
// later.
type Ticket struct {
	State  TicketState `json:"state"`
	Rule   Rule        `json:"rule"`
	Reason Message     `json:"reason,omitzero"` // why it is in this state, where that says more
	ID     string      `json:"id,omitempty"`    // the Support Center's; may be unknown of a ticket that was made
	// Conversation is the Support Center's, for what the contact says later.
	Conversation string    `json:"conversation,omitempty"`
	Ref          string    `json:"ref,omitempty"`   // ours, in the ticket: it is found by that when the answer was lost
	Tries        int       `json:"tries,omitempty"` // requests that counted
	Claim        string    `json:"claim,omitempty"` // of the request under way
	At           time.Time `json:"at"`              // of the last change
}
