package events

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"campaign-runner/campaign"
	"campaign-runner/velents"
)

func TestBearing(t *testing.T) {
	first := campaign.Outcome{Conversation: "a", Started: noon}
	second := campaign.Outcome{Conversation: "b", Run: 1, Started: noon, Earlier: []string{"a"}}
	nameless := campaign.Outcome{Started: noon}
	for _, tt := range []struct {
		name   string
		known  campaign.Outcome
		record campaign.Record
		of     string
		want   bearing
	}{
		{"a contact that was never sent", campaign.Outcome{}, campaign.Record{}, "a", stranger},
		{"the first that is told", campaign.Outcome{}, sent(0, 1), "a", current},
		{"more of the same", first, sent(0, 1), "a", current},
		{"more without a name", first, sent(0, 1), "", current},
		{"the name, at last", nameless, sent(0, 1), "a", current},
		{"a second conversation", first, sent(0, 2), "b", another},
		{"the first told after a rerun of somebody unconfirmed", campaign.Outcome{}, sent(1, 0), "a", current},
		{"the old one, rerun but not yet sent", first, sent(1, 0), "a", earlier},
		{"an unknown one, rerun but not yet sent", first, sent(1, 0), "b", earlier},
		{"the old one, sent again", first, sent(1, 1), "a", earlier},
		{"the new one, sent again", first, sent(1, 1), "b", begins},
		{"the old one, when the new one is known", second, sent(1, 1), "a", earlier},
		{"the new one again", second, sent(1, 1), "b", current},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := bearingOf(tt.known, tt.record, tt.of); got != tt.want {
				t.Errorf("bearing %d, want %d", got, tt.want)
			}
		})
	}
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func sent(run, tries uint8) campaign.Record {
	return campaign.Record{State: campaign.Accepted, Attempts: tries + run, Tries: tries, Run: run}
}

// A heard event is one with the time at which it arrived.
type heard struct {
	velents.Event
	at time.Time
}

func tellAll(o campaign.Outcome, r campaign.Record, all []heard) (campaign.Outcome, []velents.Turn) {
	var history []velents.Turn
	for _, e := range all {
		next, turns, _ := tell(o, r, e.Event, e.at)
		if o = next; turns != nil {
			history = turns
		}
	}
	return o, history
}

func TestAConversation(t *testing.T) {
	says := &velents.Exchange{Customer: "hello", Agent: "hi", At: noon.Add(time.Minute)}
	more := &velents.Exchange{Customer: "bye", Agent: "bye", At: noon.Add(2 * time.Minute)}
	turns := []velents.Turn{{Role: "customer", Text: "hello", At: noon.Add(time.Minute)}, {Role: "agent", Text: "hi", At: noon.Add(time.Minute)}}
	all := []heard{
		{velents.Event{Type: velents.EventStarted, ConversationID: "a", CreatedAt: noon}, noon.Add(time.Second)},
		{velents.Event{Type: velents.EventMessage, ConversationID: "a", Message: says}, noon.Add(time.Minute)},
		{velents.Event{Type: velents.EventUpdate, ConversationID: "a", Message: says, Extraction: json.RawMessage(`{"intent":"look"}`), History: turns}, noon.Add(time.Minute)},
		{velents.Event{Type: velents.EventUpdate, ConversationID: "a", Message: more, Extraction: json.RawMessage(`{"intent":"buy"}`)}, noon.Add(2 * time.Minute)},
		{velents.Event{Type: velents.EventEnded, ConversationID: "a", Extraction: json.RawMessage(`{"intent":"bought"}`), History: append(turns, turns...)}, noon.Add(3 * time.Minute)},
	}
	want, history := tellAll(campaign.Outcome{}, sent(0, 1), all)
	if want.Conversation != "a" || !want.Started.Equal(noon) || !want.Ended.Equal(noon.Add(3*time.Minute)) ||
		want.Messages() != 2 || string(want.Extraction) != `{"intent":"bought"}` || len(history) != 4 {
		t.Errorf("%+v, %d turns", want, len(history))
	}
	rapid.Check(t, func(r *rapid.T) {
		shuffled := rapid.Permutation(all).Draw(r, "order")
		twice := rapid.SliceOfN(rapid.SampledFrom(all), 0, 5).Draw(r, "repeated")
		got, gotHistory := tellAll(campaign.Outcome{}, sent(0, 1), append(shuffled, twice...))
		if diff := cmp.Diff(want, got); diff != "" {
			r.Errorf("in another order (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(history, gotHistory); diff != "" {
			r.Errorf("history in another order (-want +got):\n%s", diff)
		}
	})
}

// The platform repeats events, and what it says at the end may change.
func TestTwoLastWordsComeToTheSame(t *testing.T) {
	last := func(word string, after time.Duration) heard {
		return heard{velents.Event{Type: velents.EventEnded, ConversationID: "a", Extraction: json.RawMessage(word)}, noon.Add(after)}
	}
	want, _ := tellAll(campaign.Outcome{}, sent(0, 1), []heard{last(`{"a":1}`, 0), last(`{"a":2}`, time.Minute)})
	got, _ := tellAll(campaign.Outcome{}, sent(0, 1), []heard{last(`{"a":2}`, 0), last(`{"a":1}`, time.Minute), last(`{"a":2}`, time.Hour), last(`{"a":1}`, 2*time.Hour)})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("in another order, and repeated (-want +got):\n%s", diff)
	}
}

func TestTheLongestHistoryIsKept(t *testing.T) {
	turns := []velents.Turn{{Role: "customer", Text: "hello"}, {Role: "agent", Text: "hi"}}
	update := func(turns []velents.Turn) heard {
		return heard{velents.Event{Type: velents.EventUpdate, ConversationID: "a", History: turns}, noon}
	}
	o, history := tellAll(campaign.Outcome{}, sent(0, 1), []heard{update(turns[:1]), update(turns), update(turns[:1])})
	if o.Turns != 2 || len(history) != 2 {
		t.Errorf("%d turns, history %v", o.Turns, history)
	}
}

func TestRerunsKeepTheNewerConversation(t *testing.T) {
	ended := func(id string) velents.Event {
		return velents.Event{Type: velents.EventEnded, ConversationID: id, Extraction: json.RawMessage(`{"from":"` + id + `"}`)}
	}
	o, _, moves := tell(campaign.Outcome{}, sent(0, 1), ended("a"), noon)
	if !moves || o.Conversation != "a" {
		t.Fatalf("%+v, moves %v", o, moves)
	}
	o, _, moves = tell(o, sent(1, 0), ended("a"), noon)
	if moves {
		t.Error("an event of the first conversation moves a contact that is to be sent again")
	}
	o, _, moves = tell(o, sent(1, 1), velents.Event{Type: velents.EventStarted, ConversationID: "b"}, noon.Add(time.Hour))
	if !moves || o.Conversation != "b" || o.Extraction != nil || !o.Ended.IsZero() || len(o.Earlier) != 1 {
		t.Errorf("%+v, moves %v", o, moves)
	}
	next, _, moves := tell(o, sent(1, 1), ended("a"), noon)
	if moves || !cmp.Equal(next, o) {
		t.Errorf("a late event of the first conversation: %+v, moves %v", next, moves)
	}
	next, _, moves = tell(o, sent(1, 1), ended("c"), noon)
	if !moves || !cmp.Equal(next, o) {
		t.Errorf("a second conversation of the run: %+v, moves %v", next, moves)
	}
	for run := range uint8(100) {
		o, _, _ = tell(o, sent(run+2, 1), ended(string(rune('A'+run))), noon)
	}
	if len(o.Earlier) != maxEarlier {
		t.Errorf("%d earlier conversations are remembered, want %d", len(o.Earlier), maxEarlier)
	}
}

func TestMask(t *testing.T) {
	for told, want := range map[string]string{
		"+966500000001": "+…0001", "whatsapp:+966500000001": "+…0001", "SA.1349502617838": "…7838", "abc": "…bc", "a": "…a", "": "", "\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668": "…\u0665\u0666\u0667\u0668",
	} {
		if got := Mask(told); got != want {
			t.Errorf("%q is shown as %q, want %q", told, got, want)
		}
	}
}

func TestTimesBeforeTheirTimeAreNone(t *testing.T) {
	o, _, _ := tell(campaign.Outcome{}, sent(0, 1), velents.Event{Type: velents.EventStarted, CreatedAt: time.Unix(0, 0)}, noon)
	if !o.Started.Equal(noon) {
		t.Errorf("started %v", o.Started)
	}
}

func TestWhetherTheContactHasSaidAnything(t *testing.T) {
	sent := campaign.Record{State: campaign.Accepted, Attempts: 1, Tries: 1}
	for _, tt := range []struct {
		name  string
		event velents.Event
		want  bool
	}{
		{"nothing was said", velents.Event{Type: velents.EventEnded}, false},
		{"the agent alone spoke", velents.Event{History: []velents.Turn{{Role: "Assistant", Text: "Hello?"}, {Role: "agent", Text: "Hello?"}}}, false},
		{"the contact was silent", velents.Event{History: []velents.Turn{{Role: "user", Text: " "}}}, false},
		{"the contact spoke", velents.Event{History: []velents.Turn{{Role: "agent", Text: "Hello"}, {Role: "customer", Text: "Yes"}}}, true},
		{"somebody spoke", velents.Event{History: []velents.Turn{{Role: "caller", Text: "Yes"}}}, true},
		{"an exchange", velents.Event{Message: &velents.Exchange{Customer: "Yes", Agent: "Good"}}, true},
		{"an exchange without a word of the contact", velents.Event{Message: &velents.Exchange{Agent: "Hello?"}}, false},
	} {
		o, _, _ := tell(campaign.Outcome{}, sent, tt.event, time.Unix(2e9, 0))
		if o.Said != tt.want {
			t.Errorf("%s: said %v", tt.name, o.Said)
		}
		if o, _, _ = tell(o, sent, velents.Event{Type: velents.EventEnded}, time.Unix(2e9, 0)); o.Said != tt.want {
			t.Errorf("%s, and then it ended: said %v", tt.name, o.Said)
		}
	}
}
