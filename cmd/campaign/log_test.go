package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
)

// decide lets things happen to "sale" that its log tells of.
func (f fixture) decide() {
	f.T.Helper()
	ctx := f.T.Context()
	f.load("sale", 4)
	log := func(d store.Decision) {
		if err := f.Log(ctx, "sale", d); err != nil {
			f.T.Fatal(err)
		}
	}
	log(store.Decision{By: "nora@desk", Action: store.ActionPause, Text: campaign.Text("lunch")})
	code, err := f.ReasonCode(ctx, "sale", campaign.Text("on the do-not-contact list"))
	if err != nil {
		f.T.Fatal(err)
	}
	for chunk, moves := range [][]store.Move{
		{{Index: 1, Move: campaign.Move{Cause: campaign.Cancel, Reason: code, At: at}}},
		{{Index: 0, Move: campaign.Move{Cause: campaign.Send, At: at}}, {Index: 1, Move: campaign.Move{Cause: campaign.Send, At: at}}},
	} {
		c, err := f.ReadLedger(ctx, store.Ref{Campaign: "sale", Chunk: chunk})
		if err != nil {
			f.T.Fatal(err)
		}
		d := store.Decision{By: "worker w", Action: store.ActionDefer}
		if chunk == 1 {
			d = store.Decision{By: "worker w", Action: store.ActionRequest, Request: "1-1", Text: campaign.Text("2xx")}
		}
		if _, err := f.Apply(ctx, c, store.Change{Act: store.Steer, Moves: moves, Log: d}); err != nil {
			f.T.Fatal(err)
		}
	}
}

var timeColumn = regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d AST  `)

func TestLogIsShown(t *testing.T) {
	f := newFixture(t)
	f.decide()
	const (
		paused   = "nora@desk             pause: lunch\n"
		withheld = "worker w              withhold in chunk 0; 1 pending → canceled (on the do-not-contact list)\n"
	)
	for _, tt := range []struct {
		name string
		args []string
		want []string
	}{
		{"everything", []string{"log", "sale"}, []string{paused, withheld, "worker w              request sale/1/1-1: 2xx; 2 pending → sending\n"}},
		{"of one who was withheld", []string{"log", "sale", "--contact", "+966501000001"}, []string{paused, withheld}},
		{"of one of two who were sent", []string{"log", "sale", "--contact", "00966 50 100 0003"}, []string{paused, "worker w              request sale/1/1-1: 2xx; 1 pending → sending\n"}},
		{"of one who waits", []string{"log", "sale", "--contact", "+966501000000"}, []string{paused}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := f.run(tt.args...)
			shown := timeColumn.ReplaceAllString(got.stdout, "")
			if diff := cmp.Diff(strings.Join(tt.want, ""), shown); got.code != 0 || diff != "" {
				t.Errorf("exit %d, %s(-want +got):\n%s", got.code, got.stderr, diff)
			}
		})
	}
}

func TestLogAsJSON(t *testing.T) {
	f := newFixture(t)
	f.decide()
	got := f.run("log", "sale", "--json", "--contact", "+966501000003")
	lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
	if len(lines) != 2 {
		t.Fatalf("exit %d, %s\n%s", got.code, got.stderr, got.stdout)
	}
	var d report.Decision
	if err := json.Unmarshal([]byte(lines[1]), &d); err != nil {
		t.Fatal(err)
	}
	chunk := 1
	want := report.Decision{
		At: d.At, By: "worker w", Action: store.ActionRequest, Text: campaign.Text("2xx"), Chunk: &chunk, Batch: "sale/1/1-1",
		Fates: []report.Fate{{From: "pending", To: "sending", Count: 1, Places: "1"}},
	}
	if diff := cmp.Diff(want, d); diff != "" || d.At.IsZero() {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLogOfNobody(t *testing.T) {
	f := newFixture(t)
	f.load("sale", 2)
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no such campaign", []string{"log", "gone"}, 1, "campaign: read campaign gone: no such campaign; 'campaign list' shows all\n"},
		{"no such campaign for a contact", []string{"log", "gone", "--contact", "+966501000000"}, 1, "campaign: read campaign gone: no such campaign; 'campaign list' shows all\n"},
		{"a number that is none", []string{"log", "sale", "--contact", "12"}, 2, "campaign: --contact: "},
		{"a number that is not in the list", []string{"log", "sale", "--contact", "+966501000009"}, 1, "campaign: campaign sale: no contact +…0009 in it\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := f.run(tt.args...)
			if got.code != tt.code || !strings.HasPrefix(got.stderr, tt.want) || got.stdout != "" {
				t.Errorf("exit %d, %q, %q", got.code, got.stderr, got.stdout)
			}
		})
	}
}

func TestLogIsFollowed(t *testing.T) {
	f := newFixture(t)
	f.decide()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, stdout := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"log", "-f", "sale"}, nil, stdout, io.Discard, f.getenv) }()
	lines := bufio.NewScanner(out)
	next := func() string {
		if !lines.Scan() {
			t.Fatal(lines.Err())
		}
		return lines.Text()
	}
	for range 3 {
		next()
	}
	if err := f.Log(t.Context(), "sale", store.Decision{By: "nora@desk", Action: store.ActionResume}); err != nil {
		t.Fatal(err)
	}
	if got := next(); !strings.HasSuffix(got, "nora@desk             resume") {
		t.Errorf("followed by %q", got)
	}
	cancel()
	if err := <-ended; cli.ExitCode(err) != 130 {
		t.Errorf("ended with %v", err)
	}
}
