package launch

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
	"campaign-runner/campaign/hours"
	"campaign-runner/internal/redistest"
)

func TestAScheduledLaunchIsLoadedAndWaits(t *testing.T) {
	l, queue := newLauncher(redistest.Shared(t))
	req := request(t, write(t, "list.csv", people(5)))
	req.Settings.StartAt, req.Settings.MaxLateness = time.Now().Add(time.Hour).UTC(), time.Hour
	for range 2 { // the same command again changes nothing
		got, err := l.Launch(t.Context(), req)
		if err != nil || got.State != campaign.Scheduled {
			t.Fatalf("%s, %v", got.State, err)
		}
	}
	if len(queue.names) != 0 {
		t.Error("it was released")
	}
	c, err := l.Store.Campaign(t.Context(), "spring")
	if err != nil || c.Phase != campaign.Scheduled || !c.Settings.StartAt.Equal(req.Settings.StartAt) {
		t.Errorf("it is %s, to start at %v, %v", c.Phase, c.Settings.StartAt, err)
	}
	req.Settings.StartAt = req.Settings.StartAt.Add(time.Hour)
	if _, err := l.Launch(t.Context(), req); err == nil || !strings.Contains(err.Error(), "it was loaded with --start-at ") {
		t.Errorf("with another time: %v", err)
	}
}

func TestLaunchesThatAreLongOverAreRefused(t *testing.T) {
	for _, dry := range []bool{true, false} {
		l, _ := newLauncher(redistest.Shared(t))
		for _, tt := range []struct {
			name   string
			change func(*campaign.Settings)
			want   string
		}{
			{"its start has passed", func(s *campaign.Settings) { s.StartAt = time.Now().Add(-2 * time.Hour) }, "--start-at "},
			{"its end has passed", func(s *campaign.Settings) { s.FinishBy = time.Now().Add(-time.Second) }, "--finish-by "},
			{"a little late is in time", func(s *campaign.Settings) { s.StartAt, s.MaxLateness = time.Now().Add(-time.Minute), time.Hour }, ""},
		} {
			req := request(t, write(t, "list.csv", people(5)))
			req.DryRun = dry
			tt.change(&req.Settings)
			_, err := l.Launch(t.Context(), req)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want) || !strings.HasSuffix(err.Error(), ": that has passed")) {
				t.Errorf("%s, dry run %v: %v", tt.name, dry, err)
			}
		}
	}
}

func TestSummaryTellsWhenContactsAreSent(t *testing.T) {
	week, err := hours.ParseWeek("09:00-21:00")
	if err != nil {
		t.Fatal(err)
	}
	list := "name,phone\nA,+966500000001\nB,+971500000001\nC,+966500000002\nD,+80012345678\n"
	for _, dry := range []bool{true, false} {
		l, _ := newLauncher(redistest.Shared(t))
		req := request(t, write(t, "list.csv", list))
		req.DryRun = dry
		req.Settings.Hours = hours.Schedule{Week: week, Zone: hours.ByContact}
		req.Settings.FinishBy = time.Now().Add(1000 * time.Hour)
		first, err := l.Launch(t.Context(), req)
		if err != nil || first.Plan == nil {
			t.Fatalf("%+v, %v", first, err)
		}
		got := make(map[string]int)
		for _, step := range first.Plan.Steps {
			got[step.Name] = step.Contacts
		}
		want := map[string]int{"Asia/Riyadh": 2, "Asia/Dubai": 1, hours.NoZoneReason: 1}
		if diff := cmp.Diff(want, got); diff != "" || first.Plan.Held != 1 || first.Plan.Ends.IsZero() {
			t.Errorf("plan %+v (-want +got):\n%s", first.Plan, diff)
		}
		if len(first.Warnings) != 1 || !strings.HasPrefix(first.Warnings[0], "contacts that are held: 1; ") {
			t.Errorf("warnings %q", first.Warnings)
		}
		if dry {
			continue
		}
		if again, err := l.Launch(t.Context(), req); err != nil || again.Calls != 1 {
			t.Errorf("again: %+v, %v", again, err)
		}
	}
}

func TestSummaryTellsWhoIsNotReachedInTime(t *testing.T) {
	l, _ := newLauncher(redistest.Shared(t))
	req := request(t, write(t, "list.csv", people(1000)))
	req.DryRun, req.Settings.Mode = true, campaign.Dispatch
	req.Settings.FinishBy = time.Now().Add(4 * time.Minute)
	got, err := l.Launch(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	// Twelve at once and one every two seconds.
	if missed := got.Plan.Missed; missed < 860 || missed > 880 || len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "contacts will not be sent by ") {
		t.Errorf("%d missed, warnings %q", missed, got.Warnings)
	}
}

func TestHoursOfAZoneThatIsGone(t *testing.T) {
	c := campaign.Campaign{Settings: campaign.Settings{When: campaign.When{Hours: hours.Schedule{Zone: "Atlantis/City"}}}}
	if _, err := unmixed(c); err == nil {
		t.Error("no error")
	}
	if _, err := newMixer(c.Settings); err == nil {
		t.Error("no error")
	}
}
