package main

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/golden"
)

var times = regexp.MustCompile(`20\d\d-\d\d-\d\d[T ][0-9:.]+(Z| AST)`)

func TestEvents(t *testing.T) {
	f := newFixture(t)
	f.sale()
	now := time.Now() // they are kept for a week
	event := func(kind, phone, conversation string) []byte {
		return fmt.Appendf(nil, `{"event":{"type":%q},"conversation":{"id":"%s","phone":%q}}`, kind, conversation, phone)
	}
	_, err := f.KeepUnmatched(t.Context(), "sale", []store.Unmatched{
		{Event: store.Event{At: now, Body: event("onStarted", "+966501000009", `a\u001b[2J`)}, Why: campaign.Text("no such number in the list")},
		{Event: store.Event{At: now.Add(time.Second), Body: event("onEnded", "unknown", "b")}, Why: campaign.Text("no such number in the list")},
		{Event: store.Event{At: now.Add(2 * time.Second), Body: []byte("junk")}, Why: campaign.Text("not readable")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Redis().Set(t.Context(), "{events}:applied:sale", 1200, 0).Err(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		golden string
		args   []string
	}{
		{"events.txt", []string{"events", "sale"}},
		{"events.json", []string{"events", "sale", "--json", "--unmatched"}},
		{"events-unmatched.txt", []string{"events", "sale", "--unmatched"}},
	} {
		t.Run(tt.golden, func(t *testing.T) {
			got := f.run(tt.args...)
			if got.code != 0 {
				t.Errorf("exit %d: %s", got.code, got.stderr)
			}
			golden.Check(t, tt.golden, times.ReplaceAllString(got.stdout, "TIME"))
		})
	}
	f.Redis().HSet(t.Context(), "c:{sale}:unmatched_counts", "dropped", 1200, "dropped_bytes", 5000)
	want := outcome{"sale: 1,200 events applied, 3 unmatched, 3 of them kept (1 KB)\n", "campaign: 1,200 unmatched events (5 KB) dropped: newer ones needed their room\n", 0}
	if got := f.run("events", "sale"); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	want = outcome{"", "campaign: read campaign sael: no such campaign (did you mean sale?); 'campaign list' shows all\n", 1}
	if got := f.run("events", "sael"); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestOpenWishes(t *testing.T) {
	f := newFixture(t)
	f.sale()
	if got, want := f.run("events", "--open"), (outcome{"no wish is open\n", "", 0}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	_, err := f.OpenWishes(t.Context(), []store.Wish{
		{ID: "0a1b2c3d4e", At: at, Campaign: "sale", Conversation: "a\x1b[2J", Told: "SA.1349502617838", Rule: "stop word", Why: campaign.Text("no number")},
		{ID: "1a1b2c3d4e", At: at.Add(time.Second), Campaign: "sale", Contact: 7, Conversation: "b", Told: "whatsapp:+966501234567", Rule: "stop word", Why: campaign.Text("another number")},
		{ID: "2a1b2c3d4e", At: at.Add(2 * time.Second), Campaign: "gone", Rule: "stop word", Why: campaign.Text("no number")},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		golden string
		args   []string
	}{
		{"events-open.txt", []string{"events", "--open"}},
		{"events-open.json", []string{"events", "sale", "--open", "--json"}},
	} {
		t.Run(tt.golden, func(t *testing.T) {
			got := f.run(tt.args...)
			if got.code != 0 {
				t.Errorf("exit %d: %s", got.code, got.stderr)
			}
			golden.Check(t, tt.golden, times.ReplaceAllString(got.stdout, "TIME"))
		})
	}
	for _, tt := range []struct {
		name string
		args []string
		want outcome
	}{
		{"the campaign's count tells of them", []string{"events", "sale"}, outcome{"sale: 0 events applied, 0 unmatched\n",
			"campaign: 2 wishes not to be contacted, and it is not known whose: campaign events sale --open\n", 0}},
		{"one is closed", []string{"events", "--close", "2a1b2c3d4e"}, outcome{"closed 2a1b2c3d4e\n", "", 0}},
		{"and again", []string{"events", "--close", "2a1b2c3d4e", "--json"}, outcome{`{"closed":"2a1b2c3d4e","suppressed":0}` + "\n", "", 0}},
		{"one that is not there", []string{"events", "--close", "x"}, outcome{"", "campaign: close wish: no such open wish\n", 1}},
		{"one that tells no number", []string{"events", "--close", "0a1b2c3d4e", "--suppress"}, outcome{"",
			"campaign: --suppress: the event told no number: campaign suppress add NUMBER, then --close alone\n", 2}},
		{"one with its number", []string{"events", "--close", "1a1b2c3d4e", "--suppress"}, outcome{"closed 1a1b2c3d4e, 1 number put on the do-not-contact list\n", "", 0}},
		{"which is on the list", []string{"suppress", "list"}, outcome{"phone\n+966501234567\n", "1 number\n", 0}},
	} {
		if got := f.run(tt.args...); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
	for _, args := range [][]string{
		{"events"}, {"events", "a", "b"}, {"events", "--suppress"}, {"events", "sale", "--close", "x"}, {"events", "--open", "--close", "x"},
		{"events", "sale", "--open", "--unmatched"}, {"events", "--unmatched"}, {"events", "a/b", "--open"},
	} {
		if got := f.run(args...); got.code != 2 {
			t.Errorf("%q: %+v, want a usage error", args, got)
		}
	}
}

func TestResultsByWhatWasLearned(t *testing.T) {
	f := newFixture(t)
	f.sale()
	if got := f.run("results", "sale", "--where", "intent=buy"); got.code != 2 {
		t.Errorf("%+v, want a usage error", got)
	}
	if got := f.run("results", "sale", "--where", "extraction.intent=buy"); got.code != 0 || got.stderr != "0 contacts\n" {
		t.Errorf("%+v, want nobody", got)
	}
}
