package campaign

import (
	"encoding/json"
	"slices"
	"time"
)

// An Outcome is what the platform's events have said so far about a contact's
// conversation. It is zero before the first event.
type Outcome struct {
	Conversation string    `json:"id,omitempty"` // the platform's name for it
	Run          uint8     `json:"run,omitempty"`
	Started      time.Time `json:"started,omitzero"`
	Ended        time.Time `json:"ended,omitzero"`

	// Exchanges are hashes of the exchanges that events reported, sorted, so that an
	// event that comes twice counts once.
	Exchanges []uint32 `json:"exchanges,omitempty"`

	Extraction  json.RawMessage `json:"extraction,omitempty"` // JSON object; nil when nothing was learned
	ExtractedAt Standing        `json:"extracted,omitzero"`
	History     Standing        `json:"history,omitzero"` // of the history kept beside it
	Turns       int             `json:"turns,omitempty"`  // in that history
	Said        bool            `json:"said,omitempty"`   // the contact has said something

	Earlier []string `json:"earlier,omitempty"` // conversations of earlier runs
}

// A Standing says which of two reports of the same thing is the later one.
type Standing struct {
	Final bool   `json:"final,omitempty"` // reported after the conversation had ended
	At    int64  `json:"at,omitempty"`    // Unix seconds, or a count that grows
	Sum   uint32 `json:"sum,omitempty"`   // of its text; breaks a tie, so that order never matters
}

// Beats reports whether s is later than the other. Nothing beats itself.
func (s Standing) Beats(other Standing) bool {
	switch {
	case s.Final != other.Final:
		return s.Final
	case s.At != other.At:
		return s.At > other.At
	}
	return s.Sum > other.Sum
}

// Known reports whether there was an event for the contact.
func (o Outcome) Known() bool { return !o.Started.IsZero() }

// Messages is the number of exchanges between the contact and the agent: those
// reported one by one, or those in the history if it has more.
func (o Outcome) Messages() int { return max(len(o.Exchanges), (o.Turns+1)/2) }

// maxExchanges bounds the hashes that are kept. A longer conversation is counted by
// its history.
const maxExchanges = 500

// WithExchange is o with one more exchange, unless it has it. Of too many, the same
// ones are kept in whatever order they come.
func (o Outcome) WithExchange(sum uint32) Outcome {
	at, found := slices.BinarySearch(o.Exchanges, sum)
	if found {
		return o
	}
	o.Exchanges = slices.Insert(slices.Clone(o.Exchanges), at, sum)
	o.Exchanges = o.Exchanges[:min(len(o.Exchanges), maxExchanges)]
	return o
}

// A Turn is one entry of a conversation's history.
type Turn struct {
	Role string    `json:"role"`
	Text string    `json:"text"`
	At   time.Time `json:"at,omitzero"`
}
