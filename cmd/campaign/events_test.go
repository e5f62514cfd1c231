package main

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"campaign-runner/campaign/store"
)

var times = regexp.MustCompile(`20\d\d-\d\d-\d\d[T ][0-9:.]+(Z| AST)`)

func TestEvents(t *testing.T) {
	f := newFixture(t)
	f.sale()
	now := time.Now() // they are kept for a week
	event := func(kind, phone, conversation string) []byte {
		return fmt.Appendf(nil, `{"event":{"type":%q},"conversation":{"id":"%s","phone":%q}}`, kind, conversation, phone)
	}
	err := f.KeepUnmatched(t.Context(), "sale", []store.Unmatched{
		{Event: store.Event{At: now, Body: event("onStarted", "+966501000009", `a\u001b[2J`)}, Why: "no such number in the list"},
		{Event: store.Event{At: now.Add(time.Second), Body: event("onEnded", "unknown", "b")}, Why: "no such number in the list"},
		{Event: store.Event{At: now.Add(2 * time.Second), Body: []byte("junk")}, Why: "not readable"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.CountEvents(t.Context(), "sale", 1200, 3); err != nil {
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
			golden(t, tt.golden, times.ReplaceAllString(got.stdout, "TIME"))
		})
	}
	want := outcome{"", "campaign: read campaign sael: no such campaign\n", 1}
	if got := f.run("events", "sael"); got != want {
		t.Errorf("%+v, want %+v", got, want)
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
