package sending

import (
	"errors"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/hours"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/verdict"
	"campaign-runner/internal/campaigntest"
	"campaign-runner/internal/redistest"
	"campaign-runner/jobs/timings"
)

// A begin stops counting at the end of its campaign and of the hours of its contacts, if that
// comes first: a slow Redis may carry it out later.
func TestABeginDoesNotOutlastItsHours(t *testing.T) {
	week, err := hours.ParseWeek("sun-sat 09:00-21:00")
	if err != nil {
		t.Fatal(err)
	}
	daily := hours.Schedule{Week: week, Zone: "Asia/Riyadh"}
	closes := time.Date(2026, 11, 30, 18, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name   string
		when   campaign.When
		rerun  bool
		before time.Duration // its closing
		want   time.Duration // until when it counts, after now
	}{
		{"at any time", campaign.When{}, false, time.Second, timings.BeginPatience},
		{"long before the end", campaign.When{FinishBy: closes}, false, time.Minute, timings.BeginPatience},
		{"just before the end", campaign.When{FinishBy: closes}, false, time.Second, 999 * time.Millisecond},
		{"after the end, a rerun", campaign.When{FinishBy: closes}, true, -time.Hour, timings.BeginPatience},
		{"long before they close", campaign.When{Hours: daily}, false, time.Minute, timings.BeginPatience},
		{"just before they close", campaign.When{Hours: daily}, false, 2 * time.Second, 1999 * time.Millisecond},
		{"just before they close, a rerun", campaign.When{Hours: daily}, true, 2 * time.Second, 1999 * time.Millisecond},
		{"the end comes before they close", campaign.When{Hours: daily, FinishBy: closes.Add(-time.Second)}, false, 3 * time.Second, 1999 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := campaigntest.New(t, redistest.Shared(t))
			settings := campaigntest.Settings(2, campaign.Column{Name: "phone"})
			settings.When = tt.when
			c := f.Load(campaigntest.List{Name: "c", Settings: settings, Contacts: campaigntest.People(966500000001, 2, nil)})
			if tt.rerun {
				f.Move("c", []int{0, 1}, campaigntest.Step{}, campaign.Cancel)
				chunk, err := f.ReadLedger(t.Context(), store.Ref{Campaign: "c"})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := f.Apply(t.Context(), chunk, store.Change{Act: store.Steer, Moves: rerun(0, 1)}); err != nil {
					t.Fatal(err)
				}
			}
			chunk, err1 := f.ReadChunk(t.Context(), store.Ref{Campaign: "c"})
			calendar, err2 := settings.Hours.Calendar()
			if err := errors.Join(err1, err2); err != nil {
				t.Fatal(err)
			}
			p, r := &pass{campaign: c, chunk: chunk, calendar: calendar}, &request{piece: []int{0, 1}}
			now := closes.Add(-tt.before)
			if got := p.fence([]*request{r}, now).Sub(now); got != tt.want || r.fence.Sub(now) != tt.want {
				t.Errorf("it counts for %v, want %v", got, tt.want)
			}
		})
	}
}

func rerun(contacts ...int) (moves []store.Move) {
	for _, i := range contacts {
		moves = append(moves, store.Move{Index: i, Move: campaign.Move{Cause: campaign.Rerun, Run: 1}})
	}
	return moves
}

// The answer to a begin may come late.
func TestARequestDoesNotLeaveAfterItsEnd(t *testing.T) {
	p := &pass{Sender: &Sender{Worker: Worker{Alive: func(time.Time) bool { return true }}}}
	now := time.Now()
	p.clock.set(now)
	for _, tt := range []struct {
		closes time.Time
		want   error
	}{{time.Time{}, nil}, {now.Add(time.Hour), nil}, {now, verdict.ErrNotOurs}, {now.Add(-time.Second), verdict.ErrNotOurs}} {
		if err := p.mayLeave(&request{claimed: now, closes: tt.closes}); !errors.Is(err, tt.want) {
			t.Errorf("closes %v: %v, want %v", tt.closes.Sub(now), err, tt.want)
		}
	}
}
