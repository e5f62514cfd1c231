package campaign

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A TicketRule says of which contacts a ticket is made, so that a person follows
// up: "state=failed", or "extraction.needs_human=true".
type TicketRule string

// ticketStates are those after which nothing more happens to a contact by itself.
var ticketStates = []State{Rejected, Failed, Unconfirmed, Ended, Canceled}

// ParseTicketRule reads a rule.
func ParseTicketRule(text string) (TicketRule, error) {
	if name, ok := strings.CutPrefix(text, "state="); ok {
		if state, err := ParseState(name); err != nil || !slices.Contains(ticketStates, state) {
			return "", fmt.Errorf("ticket rule %q: want state= and one of %v", text, ticketStates)
		}
		return TicketRule(text), nil
	}
	if _, err := ParseLearned(text); err != nil {
		return "", fmt.Errorf("ticket rule %q: want state=STATE or %sKEY=VALUE", text, ExtractionPrefix)
	}
	return TicketRule(text), nil
}

// Matches reports whether a ticket is to be made of a contact that stands so.
func (r TicketRule) Matches(rec Record, o Outcome) bool {
	if name, ok := strings.CutPrefix(string(r), "state="); ok {
		return rec.State.String() == name
	}
	learned, err := ParseLearned(string(r))
	return err == nil && learned.In(o.Learned())
}

// TicketRuleFor is the first rule that asks for a ticket of the contact; empty
// when none does.
func (s Settings) TicketRuleFor(rec Record, o Outcome) TicketRule {
	for _, rule := range s.TicketRules {
		if rule.Matches(rec, o) {
			return rule
		}
	}
	return ""
}

// A TicketState is where the making of a ticket stands.
type TicketState string

const (
	TicketDue         TicketState = "due"         // to be made
	TicketCreating    TicketState = "creating"    // written down before the request leaves
	TicketMade        TicketState = "made"        // the Support Center has it
	TicketRefused     TicketState = "refused"     // the Support Center wants it otherwise
	TicketFailed      TicketState = "failed"      // errors that were worth retrying used up its tries
	TicketUnconfirmed TicketState = "unconfirmed" // the request may have arrived, its answer did not
)

// TicketStates lists every state of a ticket, in the order in which people read
// them.
func TicketStates() []TicketState {
	return []TicketState{TicketDue, TicketCreating, TicketMade, TicketRefused, TicketFailed, TicketUnconfirmed}
}

// Open reports whether something more will happen to the ticket by itself.
func (s TicketState) Open() bool { return s == TicketDue || s == TicketCreating }

// A Ticket is the one ticket of a contact, whatever becomes of the contact later.
type Ticket struct {
	State  TicketState `json:"state"`
	Rule   TicketRule  `json:"rule"`
	Reason Message     `json:"reason,omitzero"` // why it is in this state, where that says more
	ID     string      `json:"id,omitempty"`    // the Support Center's; may be unknown of one that is made
	Tries  int         `json:"tries,omitempty"` // requests that counted
	Claim  string      `json:"claim,omitempty"` // of the request under way
	At     time.Time   `json:"at"`              // of the last change
}
