package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/terminal"
)

func TestWhoMayHaveBeenReachedIsAskedForOnATerminal(t *testing.T) {
	w := newWorld(t)
	w.write("list.csv", list)
	if code, _, errs := w.run("list.csv --name spring --channel voice"); code != 3 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	ctx := t.Context()
	lose(t, w, 0)
	for _, tt := range []struct {
		typed, args string
		asks, sends bool
	}{
		{"y\n", "rerun spring --state unconfirmed", true, false},
		{"", "rerun spring --state unconfirmed --dry-run", false, false},
		{"spring\n", "rerun spring", false, false}, // nobody in doubt is among those
		{"spring\n", "rerun spring --state unconfirmed", true, true},
	} {
		tty, shown := terminal.Open(t, tt.typed)
		var out bytes.Buffer
		err := run(ctx, strings.Fields(tt.args), tty, &out, tty, func(key string) string { return w.env[key] })
		if asked := strings.Contains(shown(), "Type spring to send to them again: "); asked != tt.asks {
			t.Errorf("%s: asked is %v, %v", tt.args, asked, err)
		}
		if sends := strings.Contains(out.String(), "1 contact of spring to be sent again"); sends != tt.sends {
			t.Errorf("%s, typed %q: %v, %s", tt.args, tt.typed, err, out.String())
		}
	}
}

// lose makes a contact of spring unconfirmed.
func lose(t *testing.T, w *world, index int) {
	t.Helper()
	ctx := t.Context()
	chunk, err := w.store.ReadLedger(ctx, store.Ref{Campaign: "spring"})
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range []store.Change{
		{Act: store.Begin, Token: "w/1", ClaimTTL: time.Minute, Moves: []store.Move{{Index: index, Move: campaign.Move{Cause: campaign.Send}}}},
		{Act: store.Commit, Token: "w/1", Moves: []store.Move{{Index: index, Move: campaign.Move{Cause: campaign.Lose}}}},
	} {
		if _, err := w.store.Apply(ctx, chunk, change); err != nil {
			t.Fatal(err)
		}
	}
}

// Nobody has looked at those who become unconfirmed while a person reads the question.
func TestWhoIsLostWhileAPersonThinksIsNotSentAgain(t *testing.T) {
	w := newWorld(t)
	w.write("list.csv", list)
	if code, _, errs := w.run("list.csv --name spring --channel voice"); code != 3 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	lose(t, w, 0)
	tty, shown := terminal.Open(t, "spring\n")
	asked := false
	screen := writer(func(p []byte) {
		if !asked && strings.Contains(string(p), "Type spring") {
			asked = true
			lose(t, w, 1)
		}
	})
	err := run(t.Context(), strings.Fields("rerun spring --state unconfirmed"), tty, new(bytes.Buffer), screen, func(key string) string { return w.env[key] })
	shown()
	chunk, failed := w.store.ReadLedger(t.Context(), store.Ref{Campaign: "spring"})
	if failed != nil {
		t.Fatal(failed)
	}
	if got := chunk.Record(1).State; !asked || got != campaign.Unconfirmed {
		t.Errorf("asked is %v, the second is %v: %v", asked, got, err)
	}
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) { w(p); return len(p), nil }
