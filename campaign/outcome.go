package campaign

import (
	"encoding/json"
	"slices"
	"time"
)

// An Outcome is what the platform's events have told about a contact's conversation. The
// zero Outcome is that of a contact without an event.
type Outcome struct {
	Conversation string    `json:"id,omitempty"` // the platform's name for it
	Run          uint8     `json:"run,omitempty"`
	Rung         uint8     `json:"rung,omitempty"` // of that run
	Started      time.Time `json:"started,omitzero"`
	Ended        time.Time `json:"ended,omitzero"`

	// Exchanges are sorted hashes of the exchanges that were told: an event that comes twice
	// counts once.
	Exchanges []uint32 `json:"exchanges,omitempty"`

	Extraction  json.RawMessage `json:"extraction,omitempty"` // JSON object; nil when nothing was learned
	ExtractedAt Standing        `json:"extracted,omitzero"`
	History     Standing        `json:"history,omitzero"` // of the history that is stored beside it
	Turns       int             `json:"turns,omitempty"`  // in that history
	Said        bool            `json:"said,omitempty"`   // the contact has said something
	OptedOut    bool            `json:"optout,omitempty"` // the contact has asked not to be contacted again, in any run

	// Asked is when the contact was reached, in Unix seconds: for the guards of the
	// answers, and kept only while the campaign has one.
	Asked int64 `json:"asked,omitempty"`

	// Late: what was told came too late after the request for another rung to follow.
	Late bool `json:"late,omitempty"`

	Earlier []string `json:"earlier,omitempty"` // conversations of earlier runs and rungs

	Erased bool `json:"erased,omitempty"` // with its contact: it says nothing, and nothing is added to it
}

// A Standing says which of two reports about the same thing is the later one.
type Standing struct {
	Final bool   `json:"final,omitempty"` // told when the conversation had ended
	At    int64  `json:"at,omitempty"`    // Unix seconds, or a count that grows
	Sum   uint32 `json:"sum,omitempty"`   // of its text; decides the rest, so that order never matters
}

// Beats reports whether s is later than other. A Standing does not beat itself.
func (s Standing) Beats(other Standing) bool {
	switch {
	case s.Final != other.Final:
		return s.Final
	case s.At != other.At:
		return s.At > other.At
	}
	return s.Sum > other.Sum
}

// of reports whether o is about the contact's latest request.
func (o Outcome) of(r Record) bool { return o.Known() && o.Run == r.Run && o.Rung == r.Rung }

// BeganBefore reports whether the conversation of the contact's latest request began before a
// time, and nothing was sent since.
func (o Outcome) BeganBefore(at time.Time, r Record) bool {
	return (r.State == Started || r.State == Ended) && o.of(r) && o.Started.Before(at)
}

// Known reports whether any event told something about the conversation.
func (o Outcome) Known() bool { return !o.Started.IsZero() }

// Messages is the number of exchanges between the contact and the agent: those that were told
// one by one, or those in the history when that has more.
func (o Outcome) Messages() int { return max(len(o.Exchanges), (o.Turns+1)/2) }

// maxExchanges bounds the hashes of exchanges; a longer conversation is counted by its
// history.
const maxExchanges = 500

// WithExchange adds an exchange to o, unless it was told before. Which are kept of too many
// does not depend on their order.
func (o Outcome) WithExchange(sum uint32) Outcome {
	at, found := slices.BinarySearch(o.Exchanges, sum)
	if found {
		return o
	}
	o.Exchanges = slices.Insert(slices.Clone(o.Exchanges), at, sum)
	o.Exchanges = o.Exchanges[:min(len(o.Exchanges), maxExchanges)]
	return o
}

// ExtractionPrefix begins the name of a key that the agent learned in conversations:
// extraction.intent.
const ExtractionPrefix = "extraction."

// An Extraction is what the agent learned in a conversation, by key.
type Extraction map[string]json.RawMessage

// Learned decodes the extraction; nil when the agent learned nothing.
func (o Outcome) Learned() Extraction {
	if o.Extraction == nil {
		return nil
	}
	var learned Extraction
	_ = json.Unmarshal(o.Extraction, &learned) // an object: only objects are stored
	return learned
}

// CellOf is a JSON value as a cell: the text of a string, nothing for null, and any other
// value in its compact form.
func CellOf(value json.RawMessage) string {
	var text string
	switch {
	case len(value) == 0, string(value) == "null":
		return ""
	case json.Unmarshal(value, &text) == nil:
		return text
	}
	return string(value)
}

// A Turn is one entry of a conversation's history.
type Turn struct {
	Role string    `json:"role"`
	Text string    `json:"text"`
	At   time.Time `json:"at,omitzero"`
}
