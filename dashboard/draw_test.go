package dashboard

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/texts"
)

func TestABarIsAlwaysWholeAndShowsEverybody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := totals{States: make(report.States)}
		some := 0
		for _, state := range campaign.States() {
			n := rapid.OneOf(rapid.Just(0), rapid.IntRange(1, 3), rapid.IntRange(0, 1_000_000)).Draw(t, state.String())
			r.States[state.String()] = n
			r.Contacts += n
			some += min(n, 1)
		}
		bar := r.Bar()
		if len(bar) != some {
			t.Fatalf("%d parts for %d states", len(bar), some)
		}
		x := 0
		for _, part := range bar {
			if part.X != x || part.Width < leastWidth {
				t.Fatalf("%v begins at %d and is %d wide", part.State, part.X, part.Width)
			}
			x += part.Width
		}
		if some > 0 && x != 1000 {
			t.Fatalf("the bar is %d wide", x)
		}
	})
}

func sampleAt(at time.Time, pending, accepted, failed int) store.Sample {
	s := store.Sample{At: at}
	s.Tally.States[campaign.Pending], s.Tally.States[campaign.Accepted], s.Tally.States[campaign.Failed] = pending, accepted, failed
	return s
}

func TestChart(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)
	states := report.States{"accepted": 60, "failed": 20, "pending": 20}
	s := report.Summary{State: campaign.Running, Contacts: 100, States: states, CreatedAt: start}
	c := newChart([]store.Sample{sampleAt(start.Add(500*time.Second), 50, 50, 0)}, s, start.Add(1000*time.Second))
	if got, want := c.Areas[1].Path, "M0 300V300H490L500 150H990L1000 120V300Z"; got != want {
		t.Errorf("accepted: %s, want %s", got, want)
	}
	if got, want := c.Areas[0].Path, "M0 300V300H490L500 150H990L1000 60V300Z"; got != want {
		t.Errorf("problems, above them: %s, want %s", got, want)
	}
	if len(c.Areas) != 2 || c.Areas[0].Name != "problems" {
		t.Errorf("areas %v", c.Areas)
	}
	want := "Contacts over time, of 100: 60 accepted, 20 problems, 20 to go"
	if got := (texts.Printer{}).Value(c.Spoken); string(got) != want {
		t.Errorf("spoken: %s", got)
	}
	if got := c.Rows[len(c.Rows)-1].Counts; len(got) != 3 || got[0] != 20 || got[1] != 60 || got[2] != 20 {
		t.Errorf("last row: %v", got)
	}
	if c.X[0].At != start || c.X[4].At != start.Add(1000*time.Second) || c.X[0].Show != "minute" || c.Y[0] != 100 {
		t.Errorf("axes: %v %v", c.X, c.Y)
	}
}

func TestAChartOfManySamplesHasAShortTable(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)
	var series []store.Sample
	for i := range store.MaxSamples {
		series = append(series, sampleAt(start.Add(time.Duration(i)*time.Hour), 499-i, i, 0))
	}
	c := newChart(series, report.Summary{State: campaign.Finished, Contacts: 499, States: report.States{"accepted": 499}, CreatedAt: start}, start.AddDate(1, 0, 0))
	if len(c.Rows) != chartRows || !c.Rows[0].At.Equal(start) || c.X[4].Show != "day" {
		t.Errorf("%d rows from %v, times by the %s", len(c.Rows), c.Rows[0].At, c.X[4].Show)
	}
	if end := c.X[4].At; end.After(start.Add(store.MaxSamples * time.Hour)) {
		t.Errorf("what is over goes on until %v", end)
	}
	if strings.Contains(c.Areas[0].Path, "-") {
		t.Errorf("the path leaves its box: %.80s", c.Areas[0].Path)
	}
}

func TestNoChartOfNothing(t *testing.T) {
	if c := newChart(nil, report.Summary{Contacts: 3}, time.Now()); c != nil {
		t.Error(c)
	}
	if c := newChart([]store.Sample{sampleAt(time.Now(), 0, 0, 0)}, report.Summary{}, time.Now()); c != nil {
		t.Error(c)
	}
}

// What rests, or waits to contact some again, goes on by itself.
func TestWhatRestsNeedsNobody(t *testing.T) {
	for code, want := range map[campaign.Code]need{
		campaign.MsgOutsideHours: goesOn, campaign.MsgDailyCap: goesOn, campaign.MsgRungsPerhaps: goesOn, campaign.MsgNoWorker: needsPerson, campaign.MsgAllHeld: needsPerson,
	} {
		r := report.Row{Summary: report.Summary{State: campaign.Running, States: report.States{"pending": 1}, WaitingFor: campaign.Say(code)}}
		if got := needOf(&r); got != want {
			t.Errorf("%s: %v, want %v", code, got, want)
		}
	}
}
