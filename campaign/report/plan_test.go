package report_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
	"campaign-runner/campaign/hours"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/ratelimit"
)

func week(t *testing.T, from, to time.Duration) hours.Week {
	t.Helper()
	now := time.Now().UTC()
	w, err := hours.MakeWeek([]string{now.Add(from).Format("15:04") + "-" + now.Add(to).Format("15:04")}, "")
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestForetell(t *testing.T) {
	f := newFixture(t)
	s := settings
	s.Hours = hours.Schedule{Week: week(t, -time.Hour, 3*time.Hour), Zone: "UTC"}
	f.load("spring", s, people(100), nil)
	f.move("spring", 0, "", campaign.Send, campaign.Accept)
	f.move("spring", 1, "", campaign.Send, campaign.Accept)

	rate := ratelimit.Rate{Limit: 10, Window: 10 * time.Second}
	got, err := report.Foretell(t.Context(), f.Store, "spring", rate)
	if err != nil {
		t.Fatal(err)
	}
	if got.Pending != 98 || got.Calls != 49 || got.Measured || got.Rate != "10/10s" || len(got.Steps) != 1 || got.Steps[0].Name != "UTC" {
		t.Errorf("foretold %+v", got)
	}
	if took := got.Ends.Sub(got.Now); took != 45*time.Second { // four at once
		t.Errorf("it takes %v", took)
	}
	f.quota("w", store.Quota{Limit: 60, Window: 60, Others: 30})
	if got, err = report.Foretell(t.Context(), f.Store, "spring", rate); err != nil || !got.Measured || got.Rate != "60/60s" || got.Ends.Sub(got.Now) != 74*time.Second {
		t.Errorf("with a worker: %+v, %v", got, err)
	}
	if _, err := report.Foretell(t.Context(), f.Store, "nobody", rate); err == nil {
		t.Error("a campaign that is none")
	}
	f.begin("loading", settings)
	if _, err := report.Foretell(t.Context(), f.Store, "loading", rate); err == nil || !strings.Contains(err.Error(), "still loading") {
		t.Errorf("while it is loading: %v", err)
	}
}

func TestABlockOfHoursIsPartOfEveryForecast(t *testing.T) {
	f := newFixture(t)
	f.load("spring", settings, people(100), nil)
	until := time.Now().Add(24 * time.Hour).Truncate(time.Second)
	f.quota("w", store.Quota{Limit: 60, Window: 60, Next: until, Reason: campaign.Text("refused with 429"), Blocked: true})
	got, err := report.Foretell(t.Context(), f.Store, "spring", ratelimit.Rate{})
	if err != nil || !got.Begins.Equal(until) || got.Ends.Before(until) {
		t.Errorf("from %v to %v, %v; want from %v on", got.Begins, got.Ends, err, until)
	}
	o, err := report.Find(t.Context(), f.Store, "spring")
	if err != nil || !o.Opens.Equal(until) || o.ETA.Before(until) || !strings.HasPrefix(o.WaitingFor.String(), "waiting for the quota: refused with 429; the next request leaves at "+campaign.Moment(until)) {
		t.Errorf("opens %v, ends %v, waiting for %q, %v", o.Opens, o.ETA, o.WaitingFor, err)
	}
}

func (f fixture) quota(worker string, q store.Quota) {
	f.T.Helper()
	err := f.Heartbeat(f.T.Context(), store.Worker{ID: worker, Agents: []string{"default"}, Quotas: map[string]store.Quota{"default": q}})
	if err != nil {
		f.T.Fatal(err)
	}
}

func TestForetellByEachContactsOwnClock(t *testing.T) {
	f := newFixture(t)
	s := settings
	s.Hours = hours.Schedule{Week: week(t, -time.Hour, 3*time.Hour), Zone: hours.ByContact}
	list := people(4)
	list[1].Phone, list[2].Phone = 8001234567, 8001234568 // international freephone
	f.load("spring", s, list, nil)
	got, err := report.Foretell(t.Context(), f.Store, "spring", ratelimit.Rate{})
	if err != nil {
		t.Fatal(err)
	}
	zones := make(map[string]int)
	for _, step := range got.Steps {
		zones[step.Name] = step.Contacts
	}
	if diff := cmp.Diff(map[string]int{"Asia/Riyadh": 2, hours.NoZoneReason: 2}, zones); diff != "" || got.Held != 2 {
		t.Errorf("%d held, zones (-want +got):\n%s", got.Held, diff)
	}
}

func TestOverviewTellsWhatIsToCome(t *testing.T) {
	f := newFixture(t)
	now := time.Now()
	load := func(name string, change func(*campaign.Settings)) {
		s := settings
		change(&s)
		f.load(name, s, people(10), nil)
	}
	f.quota("w", store.Quota{Limit: 30, Window: 60})
	load("open", func(*campaign.Settings) {})
	load("closed", func(s *campaign.Settings) {
		s.Hours = hours.Schedule{Week: week(t, 2*time.Hour, 3*time.Hour), Zone: "UTC"}
	})
	load("scheduled", func(s *campaign.Settings) { s.StartAt = now.Add(5 * time.Hour) })
	if _, _, err := f.SetPhase(t.Context(), "scheduled", campaign.Scheduled, campaign.Message{}, campaign.Running); err != nil {
		t.Fatal(err)
	}
	load("capped", func(s *campaign.Settings) { s.DailyCap = 4 })
	s := settings
	s.Hours = hours.Schedule{Week: week(t, 0, time.Hour), Zone: hours.ByContact}
	list := people(10)
	for i := range list {
		list[i].Phone = 8001234567 + campaign.Phone(i) // international freephone
	}
	f.load("nobody", s, list, nil)
	for _, tt := range []struct {
		name    string
		eta     time.Duration // from now; -1: none
		opens   time.Duration
		waiting string
	}{
		{"open", 0, 0, ""},
		{"closed", 2 * time.Hour, 2 * time.Hour, "outside its hours; the next contacts may be sent at "},
		{"scheduled", 5 * time.Hour, 5 * time.Hour, "it starts at "},
	} {
		o, err := report.Find(t.Context(), f.Store, tt.name)
		if err != nil {
			t.Fatal(err)
		}
		if off := o.ETA.Sub(now) - tt.eta; off < -2*time.Minute || off > 2*time.Minute {
			t.Errorf("%s ends in %v, want %v", tt.name, o.ETA.Sub(now), tt.eta)
		}
		if opens := o.Opens; opens.IsZero() != (tt.opens == 0) || !opens.IsZero() && opens.Sub(now)-tt.opens > 2*time.Minute {
			t.Errorf("%s opens at %v", tt.name, opens)
		}
		if !strings.HasPrefix(o.WaitingFor.String(), tt.waiting) || tt.waiting == "" && !o.WaitingFor.IsZero() {
			t.Errorf("%s waits for %q", tt.name, o.WaitingFor)
		}
		if row := f.look(report.NewBoard(f.Store))[tt.name]; row.WaitingFor.String() != o.WaitingFor.String() {
			t.Errorf("in the list %s waits for %q, on its page for %q", tt.name, row.WaitingFor, o.WaitingFor)
		}
	}
	o, err := report.Find(t.Context(), f.Store, "capped")
	if err != nil || o.ETA.Sub(now) < 24*time.Hour {
		t.Errorf("four a day: ends at %v, %v", o.ETA, err)
	}
	f.Redis().HSet(t.Context(), "c:{capped}:day", "from", 0, "until", now.Add(48*time.Hour).UnixMilli(), "begun", 4)
	if o, err = report.Find(t.Context(), f.Store, "capped"); err != nil || !strings.HasPrefix(o.WaitingFor.String(), "its daily cap of 4 contacts is reached; it goes on at ") {
		t.Errorf("waits for %q, %v", o.WaitingFor, err)
	}
	if row := f.look(report.NewBoard(f.Store))["capped"]; row.WaitingFor.String() != o.WaitingFor.String() || row.Paced {
		t.Errorf("in the list it waits for %q", row.WaitingFor)
	}
	if o, err = report.Find(t.Context(), f.Store, "nobody"); err != nil || !strings.HasPrefix(o.WaitingFor.String(), "10 contacts are left that cannot be contacted: no time zone is known") || o.Held != 10 {
		t.Errorf("%d held, waits for %q, %v", o.Held, o.WaitingFor, err)
	}
}
