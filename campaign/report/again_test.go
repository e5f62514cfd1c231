package report_test

import (
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/ratelimit"
)

// The end counts those whom the campaign contacts again by itself, at the list, on the page and
// in a plan: all of them while nothing is known, then as many as it was found.
func TestTheEndCountsThoseContactedAgain(t *testing.T) {
	f := newFixture(t)
	quota := store.Quota{Limit: 60, Window: 60}
	if err := f.Heartbeat(t.Context(), store.Worker{ID: "w", Agents: []string{"default"}, Quotas: map[string]store.Quota{"default": quota}}); err != nil {
		t.Fatal(err)
	}
	s := settings
	s.WebhookURL = "https://example.org"
	ladder, err := campaign.ParseLadder("ended.no_answer:2h,1d")
	if err != nil {
		t.Fatal(err)
	}
	s.Then = []campaign.Ladder{ladder}
	f.load("sale", s, people(4), nil)
	ends := func(what string, want time.Time, calls, again int) {
		t.Helper()
		rows := f.look(report.NewBoard(f.Store))
		o, err := report.Find(t.Context(), f.Store, "sale")
		if err != nil {
			t.Fatal(err)
		}
		p, err := report.Foretell(t.Context(), f.Store, "sale", ratelimit.Rate{})
		if err != nil || p.Calls != calls || p.Again != again {
			t.Errorf("%s: %d calls and %d again, want %d and %d, %v", what, p.Calls, p.Again, calls, again, err)
		}
		for where, eta := range map[string]time.Time{"list": rows["sale"].ETA, "page": o.ETA, "plan": p.Ends} {
			if off := eta.Sub(want); off.Abs() > 5*time.Minute || eta.IsZero() != want.IsZero() {
				t.Errorf("%s: by the %s it ends at %v, want %v", what, where, eta, want)
			}
		}
	}
	now, err := f.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ends("at first", now.Add(26*time.Hour), 2, 4)

	began := now.Add(-time.Hour).Truncate(time.Second)
	do := func(chunk, index int, at time.Time, causes ...campaign.Cause) {
		t.Helper()
		ledger, err := f.ReadLedger(t.Context(), store.Ref{Campaign: "sale", Chunk: chunk})
		if err != nil {
			t.Fatal(err)
		}
		for _, cause := range causes {
			rung := uint8(0)
			if cause == campaign.Climb {
				rung = ledger.Record(index).Rung + 1
			}
			move := store.Move{Index: index, Move: campaign.Move{Cause: cause, Rung: rung, At: at}}
			if _, err := f.Apply(t.Context(), ledger, store.Change{Act: store.Steer, Moves: []store.Move{move}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for n := range 2 {
		for i := range 2 {
			do(n, i, began, campaign.Send, campaign.Accept, campaign.End)
		}
	}
	ends("when all have ended", began.Add(26*time.Hour), 0, 4)

	// Of each chunk one is found to have a rung to come. The other has answered.
	for n := range 2 {
		ledger, err := f.ReadLedger(t.Context(), store.Ref{Campaign: "sale", Chunk: n})
		if err != nil {
			t.Fatal(err)
		}
		look := store.Change{Act: store.Climb, Terms: &store.Terms{}, Looked: &store.Look{Next: began.Add(2 * time.Hour), Waiting: 1}}
		if _, err := f.Apply(t.Context(), ledger, look); err != nil {
			t.Fatal(err)
		}
	}
	ends("when half of them wait", began.Add(26*time.Hour), 0, 2)

	// One of them is pending for its rung: one more is to come for it, a day after.
	do(0, 0, now, campaign.Climb)
	ends("when one is pending again", began.Add(26*time.Hour), 1, 4)

	if _, _, err := f.SetPhase(t.Context(), "sale", campaign.Paused, campaign.Text("lunch"), campaign.Running); err != nil {
		t.Fatal(err)
	}
	if rows := f.look(report.NewBoard(f.Store)); !rows["sale"].ETA.IsZero() {
		t.Errorf("paused, it ends at %v", rows["sale"].ETA)
	}
}
