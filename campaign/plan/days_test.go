package plan

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What is sent on each day adds up to what is sent, by the clock of each group.
func TestDays(t *testing.T) {
	riyadh := clock(t, "09:00-21:00", "Asia/Riyadh")
	late := clock(t, "22:00-23:00", "Asia/Dubai")
	for _, tt := range []struct {
		name string
		work Work
		want []Day
	}{
		{"not asked for", Work{Groups: []Group{{"", clock(t, "")}}, Chunks: even(1, 10)}, nil},
		{"at once", Work{ByDay: true, Groups: []Group{{"", clock(t, "")}}, Chunks: even(1, 10)}, []Day{{"2026-11-30", "", 10}}},
		{"across midnight in one chunk", Work{ByDay: true, Groups: []Group{{"", clock(t, "")}}, Chunks: even(1, 40), PerCall: 1, Rate: 1. / 3600},
			[]Day{{"2026-11-30", "", 19}, {"2026-12-01", "", 21}}},
		{"days of another zone", Work{ByDay: true, Midnight: riyadh.Zones[0], Groups: []Group{{"", clock(t, "")}}, Chunks: even(1, 40), PerCall: 1, Rate: 1. / 3600},
			[]Day{{"2026-11-30", "", 16}, {"2026-12-01", "", 24}}},
		{"by the clock of each", Work{ByDay: true, Groups: []Group{{"Riyadh", riyadh}, {"Dubai", late}}, Chunks: even(2, 30, 4), PerCall: 1, Rate: 1. / 3600},
			[]Day{{"2026-11-30", "Dubai", 1}, {"2026-11-30", "Riyadh", 12}, {"2026-12-01", "Dubai", 1}, {"2026-12-01", "Riyadh", 12},
				{"2026-12-02", "Dubai", 1}, {"2026-12-02", "Riyadh", 6}, {"2026-12-03", "Dubai", 1}}},
		{"a cap of each day", Work{ByDay: true, Groups: []Group{{"", clock(t, "")}}, Chunks: even(3, 30), PerCall: 10, PerDay: 14},
			[]Day{{"2026-11-30", "", 14}, {"2026-12-01", "", 14}, {"2026-12-02", "", 2}}},
		{"thirds", Work{ByDay: true, Weight: 1. / 3, Groups: []Group{{"", clock(t, "")}}, Chunks: even(10, 10), PerCall: 1, PerDay: 1},
			[]Day{{"2026-11-30", "", 1}, {"2026-12-01", "", 1}, {"2026-12-02", "", 1}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := Make(tt.work, monday)
			if diff := cmp.Diff(tt.want, p.Days); diff != "" {
				t.Errorf("days (-want +got):\n%s", diff)
			}
			sent := 0
			for _, day := range p.Days {
				sent += day.Contacts
			}
			all := 0
			for _, step := range p.Steps {
				all += step.Contacts - step.Missed
			}
			if tt.work.ByDay && sent != all {
				t.Errorf("%d on the days, %d in all", sent, all)
			}
		})
	}
}

// A day whose midnight spring skips begins an hour later, and the plan comes to it.
func TestDaysGoOnWhereAMidnightIsSkipped(t *testing.T) {
	santiago := clock(t, "00:00-24:00", "America/Santiago")
	evening := time.Date(2026, 9, 5, 20, 0, 0, 0, santiago.Zones[0])
	for name, w := range map[string]Work{
		"evenly": {ByDay: true, Groups: []Group{{"", santiago}}, Chunks: even(1, 8), PerCall: 1, Rate: 1. / 3600},
		"capped": {ByDay: true, Midnight: santiago.Zones[0], Groups: []Group{{"", santiago}}, Chunks: even(1, 8), PerCall: 4, PerDay: 4},
	} {
		want := []Day{{"2026-09-05", "", 4}, {"2026-09-06", "", 4}}
		if diff := cmp.Diff(want, Make(w, evening).Days); diff != "" {
			t.Errorf("%s: days (-want +got):\n%s", name, diff)
		}
	}
}

// Days that are asked for change nothing else.
func TestDaysChangeNothing(t *testing.T) {
	w := Work{Groups: []Group{{"Riyadh", clock(t, "09:00-21:00", "Asia/Riyadh")}}, Chunks: even(20, 4000), PerCall: 100, Rate: 1. / 600, PerDay: 1500}
	plain := Make(w, monday)
	w.ByDay = true
	byDay := Make(w, monday)
	if len(byDay.Days) != 3 || byDay.Ends.Sub(monday) < 48*time.Hour {
		t.Errorf("%+v", byDay)
	}
	byDay.Days = nil
	if diff := cmp.Diff(plain, byDay); diff != "" {
		t.Errorf("(-without days +with):\n%s", diff)
	}
}
