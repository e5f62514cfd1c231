package velents

import (
	"encoding/json"
	"slices"
	"time"
)

// ShortenEvent is an event in at most that many bytes: unchanged if it fits, else in the
// newer shape and without what has no room. It keeps what kind of event it is and whose
// first, then what the agent learned, then the latest words. Of an event that cannot be
// read it is the beginning.
func ShortenEvent(raw []byte, most int) []byte {
	if len(raw) <= most {
		return raw
	}
	e, _ := ReadEvent(raw) // without a type when it cannot be read
	types := map[EventType]string{EventStarted: "onStarted", EventMessage: "onMessage", EventUpdate: "onUpdate", EventEnded: "onEnded"}
	if types[e.Type] == "" {
		return raw[:most]
	}
	var short shortEvent
	short.Event.Type = types[e.Type]
	short.Conversation.ID, short.Conversation.Phone, short.Conversation.CreatedAt = e.ConversationID, e.Phone, stamp(e.CreatedAt)
	left := most - sizeOf(short)
	if left < 0 {
		return raw[:most]
	}
	fits := func(part any) bool {
		const nameBytes = 20 // of the part, with what stands around it
		size := sizeOf(part) + nameBytes
		if size <= left {
			left -= size
			return true
		}
		return false
	}
	if e.Extraction != nil && fits(e.Extraction) {
		short.Result.Extraction = e.Extraction
	}
	if m := e.Message; m != nil {
		if said := (shortExchange{m.Customer, m.Agent, stamp(m.At)}); fits(said) {
			short.Result.Message = &said
		}
	}
	for _, t := range slices.Backward(e.History) {
		said := shortTurn{t.Role, t.Text, stamp(t.At)}
		if !fits(said) {
			break
		}
		short.Result.History = append(short.Result.History, said)
	}
	slices.Reverse(short.Result.History)
	text, err := json.Marshal(short)
	if err != nil {
		return raw[:most]
	}
	return text
}

// shortEvent is an event as ReadEvent reads it.
type shortEvent struct {
	Event struct {
		Type string `json:"type"`
	} `json:"event"`
	Conversation struct {
		ID        string `json:"id,omitempty"`
		Phone     string `json:"phone,omitempty"`
		CreatedAt string `json:"created_at,omitempty"`
	} `json:"conversation"`
	Result struct {
		Extraction json.RawMessage `json:"extraction,omitempty"`
		Message    *shortExchange  `json:"message,omitempty"`
		History    []shortTurn     `json:"history,omitempty"`
	} `json:"result"`
}

type shortExchange struct {
	Customer  string `json:"customer"`
	Agent     string `json:"agent"`
	Timestamp string `json:"timestamp,omitempty"`
}

type shortTurn struct {
	Role      string `json:"role"`
	Message   string `json:"message"`
	Timestamp string `json:"timestamp,omitempty"`
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}

// sizeOf is how many bytes something takes as JSON.
func sizeOf(v any) int {
	text, _ := json.Marshal(v) // what was read can be written
	return len(text)
}
