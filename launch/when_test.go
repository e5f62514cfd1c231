package launch

import (
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"
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
