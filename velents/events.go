package velents

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"campaign-runner/velents/mask"
)

// EventType is what an Event reports.
type EventType string

// The events of a conversation. They may come in any order, more than once, or not at all.
const (
	EventStarted EventType = "started"
	EventMessage EventType = "message" // one exchange
	EventUpdate  EventType = "update"  // the agent extracted something new
	EventEnded   EventType = "ended"
)

// Event is what the platform posts to a webhook, in one form for both of the shapes that it
// uses. Fields that an event does not have are zero.
type Event struct {
	Type           EventType
	ConversationID string
	Phone          string // as the platform writes it
	ChannelID      string
	AgentID        string
	CreatedAt      time.Time // of the conversation

	// Extraction is the JSON object with what the agent learned; nil when it is empty.
	Extraction json.RawMessage

	Message   *Exchange
	History   []Turn
	Recording string // URL of a call's recording
}

// Exchange is what the customer said and what the agent answered.
type Exchange struct {
	Customer string
	Agent    string
	At       time.Time
}

// Turn is one entry of a conversation's history.
type Turn struct {
	Role string
	Text string
	At   time.Time
}

var (
	// ErrUnknownEvent is a well-formed event of an unknown type.
	ErrUnknownEvent = errors.New("unknown event type")
	// ErrNobody is an event that names neither its conversation nor a phone number.
	ErrNobody = errors.New("names no conversation and no phone")
)

const (
	maxEventBytes = 1 << 20
	maxEventDepth = 64
)

// ParseEvent reads the body of a webhook request. It is strict about the type and the
// conversation, and lenient about everything else. Its errors quote only the type, masked.
func ParseEvent(raw []byte) (Event, error) {
	e, err := ReadEvent(raw)
	if err != nil {
		return Event{}, err
	}
	return e, nil
}

// ReadEvent is ParseEvent, but returns the event with ErrUnknownEvent and ErrNobody, too:
// the contact may have said something in it.
func ReadEvent(raw []byte) (Event, error) {
	if len(raw) > maxEventBytes {
		return Event{}, fmt.Errorf("event: %d bytes, at most %d", len(raw), maxEventBytes)
	}
	if depth(raw) > maxEventDepth {
		return Event{}, fmt.Errorf("event: nested deeper than %d", maxEventDepth)
	}
	// A field of another type than its own stays empty, which is no reason to refuse the
	// others. One pass reads all: an event is read twice, and costs little else.
	var wire wireEvent
	var wrong *json.UnmarshalTypeError
	if err := json.Unmarshal(raw, &wire); err != nil {
		if !errors.As(err, &wrong) || wrong.Field == "" {
			return Event{}, errors.New("event: not a JSON object")
		}
		wire.Result.History = append(wire.Result.History, numbered(raw)...)
	}
	eventType, err := typeOf(wire.Event.Type, wire.Event.About)
	if err != nil && !errors.Is(err, ErrUnknownEvent) {
		return Event{}, err
	}
	conversation := wire.Conversation
	if conversation.ID == "" && conversation.PublicID == "" && conversation.CreatedAt == "" {
		conversation = wire.Call
	}
	e := Event{
		Type:           eventType,
		ConversationID: first(conversation.ID, conversation.PublicID, wire.ConversationID),
		Phone:          phoneOf(conversation.party, wire.party, wire.Conversation.party, wire.Call.party),
		ChannelID:      string(conversation.ChannelID),
		AgentID:        string(wire.Agent.ID),
		CreatedAt:      parseTime(conversation.CreatedAt),
		Message:        exchange(wire.Result.Message),
		History:        turns(wire.Result.History),
		Recording:      first(wire.Result.Recording, wire.Result.CallRecordingURL),
	}
	if e.Extraction = object(wire.Result.Extraction); e.Extraction == nil {
		e.Extraction = object(wire.Result.Goals)
	}
	if err == nil && e.ConversationID == "" && e.Phone == "" {
		err = fmt.Errorf("event: %w", ErrNobody)
	}
	return e, err
}

// phoneOf is the first text that looks like a number, of all places where an event may have
// one; else the first text there, such as the id of a user without a number.
func phoneOf(places ...party) string {
	var all []text
	for _, p := range places {
		all = append(all, p.phones()...)
	}
	if i := slices.IndexFunc(all, isNumberLike); i >= 0 {
		return string(all[i])
	}
	return first(all...)
}

// isNumberLike reports whether a text has enough digits for a number, with no letters before
// them except a scheme such as "whatsapp:". Ids have letters.
func isNumberLike(t text) bool {
	s := string(t)
	s = s[strings.IndexByte(s, ':')+1:]
	digits := 0
	for _, r := range s {
		switch {
		case unicode.IsDigit(r):
			digits++
		case unicode.IsLetter(r) && digits == 0:
			return false
		}
	}
	return digits >= 7
}

// wireEvent has the fields of both shapes. The older one, of voice, has call and goals.
type wireEvent struct {
	party
	ConversationID text `json:"conversation_id"`

	Event        struct{ Type, About text }
	Agent        struct{ ID text }
	Conversation wireConversation
	Call         wireConversation
	Result       struct {
		Extraction       json.RawMessage
		Goals            json.RawMessage
		Message          wireExchange
		History          []turn
		Recording        text
		CallRecordingURL text `json:"call_recording_url"`
	}
}

// A party has the places where the platform, or a gateway before it, writes the contact's
// number.
type party struct {
	Phone         text
	PhoneNumber   text `json:"phone_number"`
	CustomerPhone text `json:"customer_phone"`
	Customer      contact
	Contact       contact
}

type contact struct {
	Phone       text
	PhoneNumber text `json:"phone_number"`
}

func (p party) phones() []text {
	return []text{
		p.Phone, p.PhoneNumber, p.CustomerPhone,
		p.Customer.Phone, p.Customer.PhoneNumber, p.Contact.Phone, p.Contact.PhoneNumber,
	}
}

type wireConversation struct {
	party
	ID        text
	PublicID  text `json:"public_id"`
	ChannelID text `json:"channel_id"`
	CreatedAt text `json:"created_at"`
}

type wireExchange struct{ Customer, Agent, Timestamp text }

// turn is a Turn in either shape.
type turn struct {
	Role, Message, Content text
	Timestamp, TimeAdded   text
	CreatedAt              text `json:"created_at"`
}

func typeOf(eventType, about text) (EventType, error) {
	switch strings.ToLower(string(about)) {
	case "", "conversation", "call":
	default:
		return "", fmt.Errorf("event: %w: about %.40q", ErrUnknownEvent, mask.Numbers(string(about)))
	}
	switch strings.ToLower(string(eventType)) {
	case "onstarted":
		return EventStarted, nil
	case "onmessage":
		return EventMessage, nil
	case "onupdate":
		return EventUpdate, nil
	case "onended", "ondone":
		return EventEnded, nil
	case "":
		return "", errors.New("event: no type")
	default:
		return "", fmt.Errorf("event: %w: %.40q", ErrUnknownEvent, mask.Numbers(string(eventType)))
	}
}

func exchange(wire wireExchange) *Exchange {
	if wire == (wireExchange{}) {
		return nil
	}
	return &Exchange{Customer: string(wire.Customer), Agent: string(wire.Agent), At: parseTime(wire.Timestamp)}
}

// turns are those in which somebody spoke: what is no turn is empty.
func turns(wire []turn) []Turn {
	var all []Turn
	for _, t := range wire {
		if t != (turn{}) {
			all = append(all, Turn{
				Role: string(t.Role),
				Text: first(t.Message, t.Content),
				At:   parseTime(text(first(t.Timestamp, t.TimeAdded, t.CreatedAt))),
			})
		}
	}
	return all
}

// numbered reads a history that is an object: PHP writes a list so of which an entry was
// taken out.
func numbered(raw []byte) (list []turn) {
	var wire struct {
		Result struct{ History map[string]turn }
	}
	_ = json.Unmarshal(raw, &wire) // what does not fit stays empty
	byKey := wire.Result.History
	for _, key := range slices.SortedFunc(maps.Keys(byKey), func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) }) {
		list = append(list, byKey[key])
	}
	return list
}

// object is raw in compact form if it is a JSON object that is not empty; else nil.
func object(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 || raw[0] != '{' {
		return nil
	}
	if raw = compact(raw); string(raw) == "{}" {
		return nil
	}
	return raw
}

// compact is valid JSON without its white space.
func compact(raw json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	_ = json.Compact(&b, raw) // raw was decoded before
	return b.Bytes()
}

// parseTime reads a timestamp of the platform; anything else is the zero time. Without a
// zone it is UTC, which the platform's timestamps with a zone are in.
func parseTime(t text) time.Time {
	for _, layout := range []string{time.RFC3339, time.DateTime, "2006-01-02T15:04:05"} {
		if at, err := time.Parse(layout, string(t)); err == nil {
			return at.UTC()
		}
	}
	return time.Time{}
}

// depth is how deep raw nests. It is checked before decoding.
func depth(raw []byte) int {
	deepest, open := 0, 0
	inString := false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{', c == '[':
			open++
			deepest = max(deepest, open)
		case c == '}', c == ']':
			open--
		}
	}
	return deepest
}
