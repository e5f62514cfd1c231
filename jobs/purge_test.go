package jobs

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/sending"
)

func (s *stage) purged() bool {
	s.t.Helper()
	c, err := s.store.Campaign(s.t.Context(), "c")
	if err != nil {
		s.t.Fatal(err)
	}
	return !c.PurgedAt.IsZero()
}

func TestPurge(t *testing.T) {
	for _, tt := range []struct {
		name  string
		force bool
		do    func(s *stage)
		want  string // the error; empty: it is purged
	}{
		{"a finished campaign", false, func(s *stage) { s.send("w", 0) }, ""},
		{"a running one", false, func(*stage) {}, "purge c: it is running, with 2 contacts to be sent; cancel it first, or --force does"},
		{"a running one by force", true, func(*stage) {}, ""},
		{"a canceled one", false, func(s *stage) { s.cancel() }, ""},
		{"one whose cancel was cut off", false, func(s *stage) {
			if _, _, err := s.store.SetPhase(t.Context(), "c", campaign.CanceledPhase, campaign.Message{}, campaign.Running); err != nil {
				t.Fatal(err)
			}
		}, ""},
		{"one that is being sent", true, func(s *stage) { s.sending(time.Hour) },
			"purge c: contacts of it are being sent, or wait to be; nothing was deleted, try again in a minute"},
		{"one whose sender died long ago", true, func(s *stage) { s.sending(0) }, ""},
		{"one whose purge was interrupted", false, func(s *stage) {
			s.cancel()
			s.rdb.HSet(t.Context(), "c:{c}", "purge_began", 5)
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, 2)
			tt.do(s)
			err := s.queue.Purge(t.Context(), "c", tt.force)
			if tt.want != "" {
				if err == nil || err.Error() != tt.want || s.purged() {
					t.Errorf("got %v, want %s; purged %v", err, tt.want, s.purged())
				}
				return
			}
			if err != nil || !s.purged() {
				t.Fatalf("got %v; purged %v", err, s.purged())
			}
			s.check()
			if err := s.queue.Purge(t.Context(), "c", false); err != nil {
				t.Errorf("again: %v", err)
			}
			if log := strings.Join(s.log(), "\n"); strings.Count(log, ": purge") != 1 {
				t.Errorf("log:\n%s", log)
			}
			for what, err := range map[string]error{
				"rerun":   second(s.queue.Rerun(t.Context(), "c", Selection{States: Rerunnable})),
				"resolve": second(s.queue.Resolve(t.Context(), "c", Resolution{})),
			} {
				if err == nil || !strings.Contains(err.Error(), "its contacts were purged on ") {
					t.Errorf("%s: %v", what, err)
				}
			}
			s.platform.forget()
			s.send("w", 0)
			if n := len(s.platform.contacted()); n != 0 {
				t.Errorf("%d contacts were contacted after the purge", n)
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

func (s *stage) cancel() {
	s.t.Helper()
	if _, err := s.queue.Cancel(s.t.Context(), "c"); err != nil {
		s.t.Fatal(err)
	}
}

// sending leaves contact 0 in the hands of a sender whose claim lasts so long.
func (s *stage) sending(hold time.Duration) {
	s.t.Helper()
	if _, err := s.store.Apply(s.t.Context(), s.chunk(0), store.Change{
		Act: store.Begin, Token: store.NewClaim("gone", "1"), ClaimTTL: hold, Moves: sending.Moves([]int{0}, campaign.Send, campaign.NoReason),
	}); err != nil {
		s.t.Fatal(err)
	}
}

func TestPurgeOfALoad(t *testing.T) {
	s := newStage(t, 1)
	if _, err := s.store.BeginLoad(t.Context(), campaign.Campaign{Name: "half", Settings: s.campaign.Settings}); err != nil {
		t.Fatal(err)
	}
	if err := s.queue.Purge(t.Context(), "half", true); err == nil || err.Error() != "purge half: it is still loading" {
		t.Errorf("got %v", err)
	}
}

func TestRetain(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name  string
		days  int
		since time.Duration // it was over
		do    func(s *stage)
		want  bool
	}{
		{"kept for as long as was asked", 30, 30 * day, nil, true},
		{"not yet", 30, 30*day - time.Minute, nil, false},
		{"for ever", 0, 1000 * day, nil, false},
		{"set going again", 30, 31 * day, func(s *stage) {
			if _, err := s.queue.Rerun(t.Context(), "c", Selection{States: []campaign.State{campaign.Canceled}}); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"an interrupted purge", 0, 0, func(s *stage) { s.rdb.HSet(t.Context(), "c:{c}", "purge_began", 5) }, true},
		{"purged already", 30, 90 * day, func(s *stage) {
			if err := s.queue.Purge(t.Context(), "c", false); err != nil {
				t.Fatal(err)
			}
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, 2, func(settings *campaign.Settings) { settings.KeepDays = tt.days })
			s.cancel()
			now, err := s.store.Now(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			s.rdb.HSet(t.Context(), "c:{c}", "ended_at", now.Add(-tt.since).UnixMilli())
			if tt.do != nil {
				tt.do(s)
			}
			if err := s.queue.retain(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := s.purged(); got != tt.want {
				t.Errorf("purged: %v, want %v", got, tt.want)
			}
			s.check()
		})
	}
}

func TestRetainGoesOnAfterTrouble(t *testing.T) {
	s := newStage(t, 2, func(settings *campaign.Settings) { settings.KeepDays = 1 })
	s.cancel()
	s.rdb.HSet(t.Context(), "c:{c}", "ended_at", 5)
	s.rdb.ZAdd(t.Context(), "live", redis.Z{Member: "bad"}, redis.Z{Member: "gone"})
	s.rdb.HSet(t.Context(), "c:{bad}", "phase", "running", "settings", "{")
	if err := s.queue.retain(t.Context()); err == nil || !strings.Contains(err.Error(), "campaign bad") {
		t.Errorf("got %v", err)
	}
	if !s.purged() {
		t.Error("not purged")
	}
	s.rdb.Close()
	if err := s.queue.retain(t.Context()); err == nil {
		t.Error("no error without Redis")
	}
}
