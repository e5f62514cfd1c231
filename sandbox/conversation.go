package sandbox

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A conversation is what there is to report about a contact.
type conversation struct {
	id      string
	agent   string // who talks, in JSON
	channel int
	contact contact
	hook    hook
	began   time.Time
}

const (
	createdLayout  = "2006-01-02 15:04:05"
	silentCustomer = 0.2 // share of conversations without an extraction
)

// events are the events of the whole conversation, in which the contact says something, or
// nothing.
func (c conversation) events(rng *rand.Rand, oldVoice bool, says string) [][]byte {
	extraction := object("interested", strconv.FormatBool(rng.IntN(2) == 0), "summary", `"Asked about the offer."`)
	if rng.Float64() < silentCustomer || says == "" || says == "STOP" {
		extraction = none
	}
	at := quoted(c.began.Add(time.Second).Format(time.RFC3339))
	if oldVoice {
		return [][]byte{c.call(extraction, at, says)}
	}
	exchange, turns := exchangeOf(says, at), []string{
		object("role", `"customer"`, "message", quoted(says), "timestamp", at),
		object("role", `"agent"`, "message", quoted(answered), "timestamp", at),
	}
	if says == "" {
		turns = turns[1:]
	}
	history, conv := list(turns), c.party()
	started := append(slices.Clone(conv), "created_at", quoted(c.began.Format(createdLayout)))
	events := [][]byte{c.event("onStarted", "conversation", object(started...), object("extraction", none))}
	add := func(kind string, result ...string) {
		events = append(events, c.event(kind, "conversation", object(conv...), object(result...)))
	}
	if says != "" {
		add("onMessage", "extraction", none, "message", exchange)
	}
	if extraction != none {
		add("onUpdate", "extraction", extraction, "message", exchange, "history", history)
	}
	add("onEnded", "extraction", extraction, "history", history)
	return events
}

// answer is the event of a message that comes after the end.
func (c conversation) answer() []byte {
	c.contact.values = nil
	exchange := exchangeOf(said, quoted(time.Now().UTC().Format(time.RFC3339)))
	return c.event("onMessage", "conversation", object(c.party()...), object("extraction", none, "message", exchange))
}

const said, answered = "نعم، أريد أن أعرف المزيد", "Of course, here is what we offer."

func exchangeOf(says, at string) string {
	return object("customer", quoted(says), "agent", quoted(answered), "timestamp", at)
}

// call is the one event of the older shape.
func (c conversation) call(extraction, at, says string) []byte {
	turns := []string{
		object("role", `"user"`, "content", quoted(says), "timeAdded", at),
		object("role", `"assistant"`, "content", quoted(answered), "timeAdded", at),
	}
	if says == "" {
		turns = turns[1:]
	}
	call := append(c.party(), "channel_id", strconv.Itoa(c.channel))
	return c.event("ondone", "call", object(call...), object(
		"recording", quoted("https://recordings.example/"+c.id+".mp3"), "goals", extraction, "history", list(turns)))
}

// party says who talks, as fields of an object.
func (c conversation) party() []string {
	values := none
	if c.contact.values != nil {
		values = encoded(c.contact.values)
	}
	return []string{"id", quoted(c.id), "phone", quoted("+" + strconv.FormatUint(c.contact.number, 10)), "values", values}
}

// event is an event about a conversation or a call. What webhook.body of the request holds
// stands beside the event's own fields.
func (c conversation) event(kind, about, subject, result string) []byte {
	own := []string{
		"event", object("type", quoted(kind), "about", quoted(about)),
		"agent", c.agent,
		about, subject, "result", result,
	}
	var rest []string
	for key, value := range c.hook.body {
		if !slices.Contains([]string{"event", "agent", about, "result"}, key) {
			rest = append(rest, key, encoded(value))
		}
	}
	return []byte(object(append(own, rest...)...))
}

// none is an empty object as PHP writes it.
const none = "[]"

// object is a JSON object with some fields: names and values in JSON, in turn.
func object(fields ...string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := 0; i+1 < len(fields); i += 2 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(quoted(fields[i]))
		b.WriteByte(':')
		b.WriteString(fields[i+1])
	}
	b.WriteByte('}')
	return b.String()
}

func list(items []string) string { return "[" + strings.Join(items, ",") + "]" }

// quoted is a text in JSON.
func quoted(text string) string {
	if strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r == '"' || r == '\\' || r == utf8.RuneError }) < 0 {
		return `"` + text + `"`
	}
	return encoded(text)
}

func encoded(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // only what this package makes, or what came as JSON
	}
	return string(text)
}
