package report_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/campaigntest"
	"campaign-runner/ratelimit"
)

// Of four contacts one waits for its rung, one was told nothing of, one has answered, and one
// is pending for its rung.
func TestRungsAreToldApart(t *testing.T) {
	f := newFixture(t)
	f.worker("w1", "default")
	s := settings
	s.WebhookURL = "https://example.org"
	ladder, err := campaign.ParseLadder("ended.no_answer:2h")
	if err != nil {
		t.Fatal(err)
	}
	s.Then = []campaign.Ladder{ladder}
	f.load("sale", s, people(4), nil)
	ctx := t.Context()
	now := time.Now().Truncate(time.Second)
	for n := range 2 {
		ref := store.Ref{Campaign: "sale", Chunk: n}
		chunk, err := f.ReadLedger(ctx, ref)
		if err != nil {
			t.Fatal(err)
		}
		do := func(index int, rung uint8, causes ...campaign.Cause) {
			for _, cause := range causes {
				move := store.Move{Index: index, Move: campaign.Move{Cause: cause, Rung: rung, At: now}}
				if _, err := f.Apply(ctx, chunk, store.Change{Act: store.Steer, Moves: []store.Move{move}}); err != nil {
					t.Fatal(err)
				}
			}
		}
		err = f.UpdateOutcomes(ctx, ref, []int{0}, func(_ int, o campaign.Outcome) (campaign.Outcome, []campaign.Turn) {
			o.Started, o.Said = now, n == 1
			return o, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		do(0, 0, campaign.Send, campaign.Accept, campaign.End)
		do(1, 0, campaign.Send, campaign.Accept)
		if n == 1 {
			do(1, 0, campaign.End)
			do(1, 1, campaign.Climb)
		}
	}
	look := store.Change{Act: store.Climb, Terms: &store.Terms{}, Looked: &store.Look{Next: now.Add(2 * time.Hour), Waiting: 1, Open: 1}}
	chunk, err := f.ReadLedger(ctx, store.Ref{Campaign: "sale"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Apply(ctx, chunk, look); err != nil {
		t.Fatal(err)
	}

	o, err := report.Find(ctx, f, "sale")
	if err != nil {
		t.Fatal(err)
	}
	if r := o.Rungs; r == nil || r.Pending != 1 || r.Waiting != 1 || r.Open != 1 || r.NextAt.IsZero() || o.States.In(campaign.Pending) != 1 {
		t.Errorf("%+v, %v", o.Rungs, o.States)
	}
	plan, err := report.Foretell(ctx, f, "sale", ratelimit.Rate{})
	if err != nil || plan.Rungs == nil || *plan.Rungs != *o.Rungs {
		t.Errorf("%+v, %v", plan.Rungs, err)
	}

	var out bytes.Buffer
	if _, err := (report.Results{Format: report.CSV}).Write(ctx, f, "sale", &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	head := strings.Split(strings.TrimPrefix(lines[0], "\ufeff"), ",")
	want := [][2]string{{"0", now.Add(2 * time.Hour).UTC().Format(time.RFC3339)}, {"0", ""}, {"0", ""}, {"1", ""}}
	for i, line := range lines[1:] {
		cells, got := strings.Split(strings.TrimSpace(line), ","), [2]string{}
		for c, name := range head {
			switch strings.TrimSpace(name) {
			case "rung":
				got[0] = cells[c]
			case "next_at":
				got[1] = cells[c]
			}
		}
		if got != want[i] {
			t.Errorf("contact %d: %q, want %q", i, got, want[i])
		}
	}
}

// A campaign that only waits for rungs says so, and whether anybody is there to see to it.
func TestACampaignThatWaitsForRungs(t *testing.T) {
	f := newFixture(t)
	s := settings
	ladder, err := campaign.ParseLadder("state=failed:2h")
	if err != nil {
		t.Fatal(err)
	}
	s.Then = []campaign.Ladder{ladder}
	f.load("sale", s, people(1), nil)
	f.Move("sale", []int{0}, campaigntest.Step{At: time.Now()}, campaign.Send, campaign.Fail)
	for _, want := range []string{"no live worker serves agent default", "as its rules say", "1 contact is expected to be contacted again, 0 more may be, not before"} {
		o, err := report.Find(t.Context(), f, "sale")
		if err != nil {
			t.Fatal(err)
		}
		if o.State != campaign.Running || o.Over() || !strings.Contains(o.WaitingFor.String(), want) {
			t.Errorf("%s: %s, want %s", o.State, o.WaitingFor, want)
		}
		if o.Workers == 0 {
			f.worker("w1", "default")
			continue
		}
		chunk, err := f.ReadLedger(t.Context(), store.Ref{Campaign: "sale"})
		if err != nil {
			t.Fatal(err)
		}
		look := store.Change{Act: store.Climb, Terms: &store.Terms{}, Looked: &store.Look{Next: time.Now().Add(2 * time.Hour), Waiting: 1}}
		if _, err := f.Apply(t.Context(), chunk, look); err != nil {
			t.Fatal(err)
		}
	}
}
