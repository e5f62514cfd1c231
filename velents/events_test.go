package velents

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseEvent(t *testing.T) {
	for _, tt := range []struct {
		name string
		file string
		want Event
	}{
		{"a start has a time without zone", "started.json", Event{
			Type: EventStarted, ConversationID: "4711", Phone: "+966500000001", AgentID: "12",
			CreatedAt: time.Date(2025, 11, 13, 23, 24, 50, 0, time.UTC),
		}},
		{"a message has an exchange, lists for empty maps and fields unknown", "message.json", Event{
			Type: EventMessage, ConversationID: "c-4711", Phone: "+966500000001", AgentID: "12",
			Message: &Exchange{"Hello", "مرحبا", time.Date(2025, 11, 13, 23, 25, 10, 250e6, time.UTC)},
		}},
		{"an update keeps large numbers and drops what is no turn", "update.json", Event{
			Type: EventUpdate, ConversationID: "c-4711", Phone: "+966500000001", AgentID: "12",
			Extraction: json.RawMessage(`{"size":"L","amount":12345678901234567890}`),
			Message:    &Exchange{"Large", "Noted", time.Date(2025, 11, 13, 23, 26, 0, 0, time.UTC)},
			History: []Turn{
				{"user", "Large", time.Date(2025, 11, 13, 23, 26, 0, 0, time.UTC)},
				{"agent", "Noted", time.Time{}},
			},
		}},
		{"an end may extract nothing and write a phone as a number", "ended.json", Event{
			Type: EventEnded, ConversationID: "c-4711", Phone: "966500000001",
		}},
		{"the older shape of voice is an end too", "ondone_call.json", Event{
			Type: EventEnded, ConversationID: "99", Phone: "+966500000001", ChannelID: "3",
			Extraction: json.RawMessage(`{"agreed":true}`),
			History:    []Turn{{"assistant", "Hello", time.Date(2024, 5, 1, 10, 0, 0, 0, time.UTC)}},
			Recording:  "https://records.example/99.mp3",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			raw, err := os.ReadFile(filepath.Join("testdata", "events", tt.file))
			if err != nil {
				t.Fatal(err)
			}
			got, err := ParseEvent(raw)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("ParseEvent (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseEventRefuses(t *testing.T) {
	const who = `"conversation":{"id":"c-1"}`
	for _, tt := range []struct {
		name    string
		raw     string
		unknown bool
		text    string
	}{
		{"nothing", ``, false, "event: not a JSON object"},
		{"half an object", `{"event":{"type":"onEnded"}`, false, "event: not a JSON object"},
		{"a list", `[]`, false, "event: not a JSON object"},
		{"null", `null`, false, "event: no type"},
		{"an event without a type", `{` + who + `}`, false, "event: no type"},
		{"an event that is no object", `{"event":"onEnded",` + who + `}`, false, "event: no type"},
		{"a type that is not known", `{"event":{"type":"onPaused"},` + who + `}`, true, `event: unknown event type: "onPaused"`},
		{"a type that holds a number", `{"event":{"type":"on966\u200f501234567"},` + who + `}`, true, `event: unknown event type: "on…"`},
		{"a subject that is not known", `{"event":{"type":"onEnded","about":"ticket"},` + who + `}`, true, `event: unknown event type: about "ticket"`},
		{"an event without conversation and phone", `{"event":{"type":"onEnded"},"conversation":[]}`, false, "event: names no conversation and no phone"},
		{"deep nesting", strings.Repeat("[", 65) + strings.Repeat("]", 65), false, "event: nested deeper than 64"},
		{"a long body", strings.Repeat(" ", maxEventBytes+1), false, "event: 1048577 bytes, at most 1048576"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseEvent([]byte(tt.raw))
			if err == nil || err.Error() != tt.text || errors.Is(err, ErrUnknownEvent) != tt.unknown {
				t.Errorf("error = %v, want %s (unknown type: %t)", err, tt.text, tt.unknown)
			}
		})
	}
}

func TestWhereANumberStands(t *testing.T) {
	for _, tt := range []struct{ name, rest, phone, conversation string }{
		{"in the conversation", `"conversation":{"id":"c","phone":"+966500000001"}`, "+966500000001", "c"},
		{"as a number of JSON", `"conversation":{"id":7,"phone":966500000001}`, "966500000001", "7"},
		{"with a customer", `"conversation":{"id":"c"},"customer":{"phone":"+966500000001"}`, "+966500000001", "c"},
		{"with the conversation's customer", `"conversation":{"id":"c","phone":null,"customer":{"phone_number":"+966500000001"}}`, "+966500000001", "c"},
		{"with its contact", `"conversation":{"id":"c","phone":"","contact":{"phone":966500000001}}`, "966500000001", "c"},
		{"beside the conversation", `"conversation":{"id":"c"},"phone":"+966500000001"`, "+966500000001", "c"},
		{"after an id in its place", `"conversation":{"id":"c","phone":"SA.1349502617838"},"customer":{"phone":"whatsapp:+966500000001"}`, "whatsapp:+966500000001", "c"},
		{"nowhere, but an id", `"conversation":{"id":"c","phone":"SA.1349502617838"}`, "SA.1349502617838", "c"},
		{"nowhere", `"conversation":{"id":"c","phone":{"a":1}},"customer":"x"`, "", "c"},
		{"with the agent, which is not the contact", `"conversation":{"id":"c"},"agent":{"phone":"+966500000009"}`, "", "c"},
		{"in Arabic digits", `"conversation":{"id":"c","phone":"٩٦٦٥٠٠٠٠٠٠٠١"}`, "٩٦٦٥٠٠٠٠٠٠٠١", "c"},
		{"in a call without a conversation's id", `"call":{"phone":"+966500000001"},"conversation_id":"c"`, "+966500000001", "c"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := ParseEvent([]byte(`{"event":{"type":"onStarted"},` + tt.rest + `}`))
			if err != nil || e.Phone != tt.phone || e.ConversationID != tt.conversation {
				t.Errorf("%q, %q, %v, want %q, %q", e.Phone, e.ConversationID, err, tt.phone, tt.conversation)
			}
		})
	}
}

// What somebody says is read in events that are of no other use.
func TestReadEvent(t *testing.T) {
	const said = `"result":{"message":{"customer":"STOP"}}`
	for _, tt := range []struct {
		name, raw string
		want      error
	}{
		{"of a type that is not known", `{"event":{"type":"onPaused"},"conversation":{"id":"c"},` + said + `}`, ErrUnknownEvent},
		{"without conversation and phone", `{"event":{"type":"onMessage"},` + said + `}`, ErrNobody},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := ReadEvent([]byte(tt.raw))
			if !errors.Is(err, tt.want) || e.Message == nil || e.Message.Customer != "STOP" {
				t.Errorf("%+v, %v", e, err)
			}
		})
	}
}

func TestDepthIgnoresBracketsInStrings(t *testing.T) {
	if got := depth([]byte(`{"a":"[[\"[[","b":[{}]}`)); got != 3 {
		t.Errorf("depth = %d, want 3", got)
	}
}

func FuzzParseEvent(f *testing.F) {
	files, err := filepath.Glob("testdata/events/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
		f.Add(raw[:len(raw)/2])
		f.Add(append([]byte("\xef\xbb\xbf"), raw...))
		f.Add(bytes.ReplaceAll(raw, []byte(`"`), []byte(`"\ud800`)))
	}
	for _, raw := range []string{
		"", "null", "[]", "{}", `""`, "\x00", "{\"a\":" + strings.Repeat("[", 10_000), strings.Repeat(`{"data":`, 100) + "1" + strings.Repeat("}", 100),
		`{"event":"ended","conversation_id":1e400,"phone":9.66E+11}`, `{"event":null,"event":"ended","phone":["+966500000001"]}`,
		`{"event":"update","phone":"\u202a+966500000001\u202c","extraction":{"a":{"b":[{}]},"":"","\u0000":null}}`,
		`{"event":"ended","phone":"+966500000001","created_at":"0000-00-00 00:00:00","history":[null,1,"x",[],{"role":{}}]}`,
		`{"event":"started","phone":966500000001,"values":{"a":1,"A":2,"a":null}} {"event":"ended"}`,
	} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := ParseEvent(raw)
		if err != nil {
			if diff := cmp.Diff(Event{}, e); diff != "" {
				t.Errorf("an error beside an event: %s", diff)
			}
			return
		}
		if e.ConversationID == "" && e.Phone == "" {
			t.Error("an event without conversation and phone was read")
		}
		if e.Extraction != nil && (e.Extraction[0] != '{' || !json.Valid(e.Extraction)) {
			t.Errorf("extraction is no object: %s", e.Extraction)
		}
		if _, err := json.Marshal(e); err != nil { // as the inbox would store it
			t.Error(err)
		}
	})
}

// PHP writes a list as an object once an entry was taken out of it.
func TestAHistoryThatIsAnObject(t *testing.T) {
	for _, raw := range []string{
		`{"event":{"type":"onEnded"},"conversation":{"id":"c1"},"result":{"extraction":[],"history":{"10":{"role":"user","message":"STOP"},"2":{"role":"agent","message":"Hello"},"3":7}}}`,
		`{"event":{"type":"onEnded"},"conversation":{"id":"c1"},"result":{"extraction":[],"message":[],"history":{"10":{"role":"user","message":"STOP"},"2":{"role":"agent","message":"Hello"}}}}`,
	} {
		e, err := ParseEvent([]byte(raw))
		want := []Turn{{Role: "agent", Text: "Hello"}, {Role: "user", Text: "STOP"}}
		if diff := cmp.Diff(want, e.History); err != nil || diff != "" {
			t.Errorf("error %v, history (-want +got):\n%s", err, diff)
		}
	}
}
