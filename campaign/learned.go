package campaign

import (
	"encoding/json"
	"fmt"
	"strings"
)

// ExtractionPrefix begins the name by which people call a key that the agent has
// learned in conversations: extraction.intent.
const ExtractionPrefix = "extraction."

// Learned is a key of what the agent extracted from a conversation, and the
// value it must have.
type Learned struct{ Key, Value string }

// ParseLearned reads extraction.KEY=VALUE.
func ParseLearned(text string) (Learned, error) {
	key, value, ok := strings.Cut(text, "=")
	key, named := strings.CutPrefix(key, ExtractionPrefix)
	if !ok || !named || key == "" {
		return Learned{}, fmt.Errorf("%q: want %sKEY=VALUE", text, ExtractionPrefix)
	}
	return Learned{key, value}, nil
}

func (l Learned) String() string { return ExtractionPrefix + l.Key + "=" + l.Value }

// In reports whether the extraction holds the key with this value, as a cell
// shows it.
func (l Learned) In(e Extraction) bool {
	value, ok := e[l.Key]
	return ok && CellOf(value) == l.Value
}

// An Extraction is what the agent has learned in a conversation, by key.
type Extraction map[string]json.RawMessage

// Learned is what the agent has learned; nil when that is nothing.
func (o Outcome) Learned() Extraction {
	if o.Extraction == nil {
		return nil
	}
	var learned Extraction
	_ = json.Unmarshal(o.Extraction, &learned) // an object: it came as one
	return learned
}

// CellOf is a JSON value as a cell: a string as it reads, null as nothing, all
// else in its compact form.
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
