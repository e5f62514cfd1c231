package velents

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestShortenEvent(t *testing.T) {
	const most = 1000
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	long := strings.Repeat("x", most)
	turn := func(text string) string { return `{"role":"user","message":"` + text + `"}` }
	event := func(conversation, result string) string {
		return `{"event":{"type":"ondone","about":"call"},"pad":"` + long + `","call":{"id":` + conversation + `,"phone":966500000001,"created_at":"2026-03-01 12:00:00"},"result":` + result + `}`
	}
	whose := Event{Type: EventEnded, ConversationID: "7", Phone: "966500000001", CreatedAt: at}
	with := func(change func(*Event)) *Event { e := whose; change(&e); return &e }
	for _, tt := range []struct {
		name string
		raw  string
		want *Event // nil: only its beginning is kept
	}{
		{"what is not read goes", event(`7`, `{}`), &whose},
		{"what the agent learned has room", event(`7`, `{"goals":{"a":1},"history":[`+turn(long)+`]}`),
			with(func(e *Event) { e.Extraction = json.RawMessage(`{"a":1}`) })},
		{"or not", event(`7`, `{"extraction":{"a":"`+long+`"},"message":{"customer":"yes","timestamp":"2026-03-01T12:00:00Z"}}`),
			with(func(e *Event) { e.Message = &Exchange{Customer: "yes", At: at} })},
		{"the latest words have room", event(`7`, `{"history":[`+turn(long)+`,`+turn("I")+`,`+turn("will")+`]}`),
			with(func(e *Event) { e.History = []Turn{{Role: "user", Text: "I"}, {Role: "user", Text: "will"}} })},
		{"its conversation alone is too long", event(`"`+long+`"`, `{}`), nil},
		{"no JSON", long + long, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			short := ShortenEvent([]byte(tt.raw), most)
			if len(short) > most {
				t.Errorf("%d bytes", len(short))
			}
			if tt.want == nil {
				if string(short) != tt.raw[:most] {
					t.Errorf("got %s", short)
				}
				return
			}
			got, err := ParseEvent(short)
			if diff := cmp.Diff(*tt.want, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
	if whole := event(`7`, `{}`); string(ShortenEvent([]byte(whole), len(whole))) != whole {
		t.Error("an event that fits is changed")
	}
}

// Any event that can be read can still be read when it is shortened, and is about the same
// contact.
func FuzzShortenEvent(f *testing.F) {
	f.Add([]byte(`{"event":{"type":"onEnded"},"conversation":{"id":"a","phone":"+966500000001"},"result":{"extraction":{"a":"\u2028<>&"},"message":{"customer":"\ud800"},"history":[{"role":"a","message":"b"},{}]}}`), 150)
	f.Add([]byte(`{"event":{"type":"onStarted"},"call":{"id":1e3,"created_at":"9999-12-31"},"conversation":[],"result":7}`), 90)
	f.Fuzz(func(t *testing.T, raw []byte, most int) {
		if most < 1 || most > 1<<20 {
			return
		}
		short := ShortenEvent(raw, most)
		if len(short) > max(most, 0) {
			t.Errorf("%d bytes, at most %d", len(short), most)
		}
		was, err := ParseEvent(raw)
		got, shortErr := ParseEvent(short)
		if err == nil && shortErr == nil && (was.Type != got.Type || was.ConversationID != got.ConversationID || was.Phone != got.Phone) {
			t.Errorf("%+v became %+v", was, got)
		}
	})
}
