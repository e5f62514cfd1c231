package plan

import (
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign/hours"
)

func clock(t testing.TB, week string, zones ...string) *hours.Clock {
	t.Helper()
	w, err := hours.ParseWeek(week)
	if err != nil {
		t.Fatal(err)
	}
	c := &hours.Clock{Week: w}
	for _, name := range zones {
		zone, err := hours.LoadZone(name)
		if err != nil {
			t.Fatal(err)
		}
		c.Zones = append(c.Zones, zone)
	}
	return c
}

// monday is eight in the morning in Riyadh, nine in Dubai.
var monday = time.Date(2026, 11, 30, 5, 0, 0, 0, time.UTC)

// even returns chunks that share the contacts of each group evenly.
func even(chunks int, contacts ...int) [][]Part {
	list := make([][]Part, chunks)
	for group, n := range contacts {
		for c := range list {
			list[c] = append(list[c], Part{Group: group, Contacts: n / chunks})
		}
	}
	return list
}

func TestMake(t *testing.T) {
	after := func(d time.Duration) time.Time { return monday.Add(d) }
	nine := "09:00-21:00"
	halfASecond := 0.5
	for _, tt := range []struct {
		name string
		work Work
		want Plan
	}{
		{"no contact is left", Work{}, Plan{Steps: []Step{}}},
		{"at any time, at the quota's pace",
			Work{Groups: []Group{{"", clock(t, "")}}, Chunks: even(10, 5000), PerCall: 500, Rate: halfASecond},
			Plan{Calls: 10, Begins: monday, Ends: after(20 * time.Second),
				Steps: []Step{{"", 5000, monday, after(20 * time.Second), 0}}}},
		{"without a limit, at once",
			Work{Groups: []Group{{"", clock(t, "")}}, Chunks: even(10, 5000), PerCall: 500},
			Plan{Calls: 10, Begins: monday, Ends: monday, Steps: []Step{{"", 5000, monday, monday, 0}}}},
		{"an idle quota gives some at once",
			Work{Groups: []Group{{"", clock(t, "")}}, Chunks: even(10, 5000), PerCall: 500, Rate: halfASecond, Burst: 4},
			Plan{Calls: 10, Begins: monday, Ends: after(12 * time.Second), Steps: []Step{{"", 5000, monday, after(12 * time.Second), 0}}}},
		{"one by one",
			Work{Groups: []Group{{"", clock(t, "")}}, Chunks: even(2, 100), PerCall: 1, Rate: 1},
			Plan{Calls: 100, Begins: monday, Ends: after(100 * time.Second), Steps: []Step{{"", 100, monday, after(100 * time.Second), 0}}}},
		{"what must be repeated takes its time",
			Work{Groups: []Group{{"", clock(t, "")}}, Chunks: even(10, 5000), PerCall: 500, Rate: 1, Fails: 0.25, Tries: 2},
			Plan{Calls: 15, Begins: monday, Ends: after(15 * time.Second), Steps: []Step{{"", 5000, monday, after(15 * time.Second), 0}}}},
		{"no contact before the start",
			Work{Groups: []Group{{"", clock(t, "")}}, Chunks: even(1, 500), PerCall: 500, Rate: 1, Start: after(time.Hour)},
			Plan{Calls: 1, Begins: after(time.Hour), Ends: after(time.Hour + time.Second),
				Steps: []Step{{"", 500, after(time.Hour), after(time.Hour + time.Second), 0}}}},
		{"those who share a chunk and not their hours need two requests",
			Work{Groups: []Group{{"Riyadh", clock(t, nine, "Asia/Riyadh")}, {"Dubai", clock(t, nine, "Asia/Dubai")}}, Chunks: even(2, 600, 400), PerCall: 500, Rate: 1},
			Plan{Calls: 4, Begins: monday, Ends: after(time.Hour + 2*time.Second), Steps: []Step{
				{"Dubai", 400, monday, after(2 * time.Second), 0},
				{"Riyadh", 600, after(time.Hour), after(time.Hour + 2*time.Second), 0}}}},
		{"and one when all may be called",
			Work{Groups: []Group{{"Riyadh", clock(t, nine, "Asia/Riyadh")}, {"Dubai", clock(t, nine, "Asia/Dubai")}}, Chunks: even(2, 600, 400), PerCall: 500, Rate: 1, Start: after(2 * time.Hour)},
			Plan{Calls: 2, Begins: after(2 * time.Hour), Ends: after(2*time.Hour + 2*time.Second), Steps: []Step{
				{"Riyadh", 600, after(2 * time.Hour), after(2*time.Hour + 2*time.Second), 0},
				{"Dubai", 400, after(2 * time.Hour), after(2*time.Hour + 2*time.Second), 0}}}},
		{"a chunk of which nobody may be sent yet goes on with the first who may",
			Work{Groups: []Group{{"Cairo", clock(t, nine, "Africa/Cairo")}, {"Riyadh", clock(t, nine, "Asia/Riyadh")}}, Chunks: even(2, 600, 400), PerCall: 500, Rate: 1},
			Plan{Calls: 4, Begins: after(time.Hour), Ends: after(2*time.Hour + 2*time.Second), Steps: []Step{
				{"Riyadh", 400, after(time.Hour), after(time.Hour + 2*time.Second), 0},
				{"Cairo", 600, after(2 * time.Hour), after(2*time.Hour + 2*time.Second), 0}}}},
		{"what the day does not hold goes on tomorrow",
			Work{Groups: []Group{{"Dubai", clock(t, "09:00-10:00", "Asia/Dubai")}}, Chunks: even(100, 5000), PerCall: 1, Rate: 1},
			Plan{Calls: 5000, Begins: monday, Ends: after(24*time.Hour + 1400*time.Second),
				Steps: []Step{{"Dubai", 5000, monday, after(24*time.Hour + 1400*time.Second), 0}}}},
		{"and is missed when it is to be finished before",
			Work{Groups: []Group{{"Dubai", clock(t, "09:00-10:00", "Asia/Dubai")}}, Chunks: even(100, 5000), PerCall: 1, Rate: 1, FinishBy: after(12 * time.Hour)},
			Plan{Calls: 3600, Begins: monday, Ends: after(time.Hour), Missed: 1400,
				Steps: []Step{{"Dubai", 5000, monday, time.Time{}, 1400}}}},
		{"who has no clock is held, as who has one that never opens",
			Work{Groups: []Group{{"none", nil}, {"never", clock(t, "09:00-10:00", "Asia/Dubai", "America/New_York")}, {"", clock(t, "")}}, Chunks: even(1, 7, 3, 500), PerCall: 500, Rate: 1},
			Plan{Calls: 1, Begins: monday, Ends: after(time.Second), Held: 10, Steps: []Step{
				{"", 500, monday, after(time.Second), 0}, {"none", 7, time.Time{}, time.Time{}, 0}, {"never", 3, time.Time{}, time.Time{}, 0}}}},
		{"a limit for each day",
			Work{Groups: []Group{{"", clock(t, "")}}, Chunks: even(5, 2500), PerCall: 500, Rate: 1, PerDay: 1000, Today: 500},
			Plan{Calls: 5, Begins: monday, Ends: after(43*time.Hour + 2*time.Second),
				Steps: []Step{{"", 2500, monday, after(43*time.Hour + 2*time.Second), 0}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Make(tt.work, monday)); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatCannotBeForecast(t *testing.T) {
	w := Work{Groups: []Group{{"", clock(t, "mon 09:00-09:01", "Asia/Dubai")}}, Chunks: even(2, 1000), PerCall: 1, Rate: 0.1}
	if p := Make(w, monday); !p.Ends.IsZero() || p.Calls == 0 {
		t.Errorf("six on a Monday, 1,000 to be sent: it ends %v after %d calls", p.Ends, p.Calls)
	}
}

func BenchmarkMake(b *testing.B) {
	var w Work
	w.Chunks, w.PerCall, w.Rate = even(2000, 200_000, 200_000, 200_000, 200_000, 200_000), 500, 0.5
	for _, zone := range []string{"Asia/Riyadh", "Asia/Dubai", "America/New_York", "America/Los_Angeles", "Europe/London"} {
		w.Groups = append(w.Groups, Group{zone, clock(b, "sun-thu 09:00-21:00", zone)})
	}
	for b.Loop() {
		Make(w, monday)
	}
}
