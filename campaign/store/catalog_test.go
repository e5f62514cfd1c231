package store

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/internal/redistest"
)

func TestSetPhase(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		launch(t, s, "sale", 1, 1, campaign.Ready)
		phase := func() (campaign.Phase, string) {
			t.Helper()
			c, err := s.Campaign(t.Context(), "sale")
			if err != nil {
				t.Fatal(err)
			}
			return c.Phase, c.PhaseReason.String()
		}
		was, changed, err := s.SetPhase(t.Context(), "sale", campaign.Paused, campaign.Text("lunch"), campaign.Running, campaign.Scheduled)
		if was != campaign.Ready || changed || err != nil {
			t.Errorf("from a phase that was not named: %v, %v, %v", was, changed, err)
		}
		if got, why := phase(); got != campaign.Ready || why != "" {
			t.Errorf("is %s because of %q", got, why)
		}
		if _, _, err := s.SetPhase(t.Context(), "sale", campaign.Paused, campaign.Text("token refused"), campaign.Running, campaign.Ready, campaign.Paused); err != nil {
			t.Fatal(err)
		}
		if got, why := phase(); got != campaign.Paused || why != "token refused" {
			t.Errorf("is %s because of %q", got, why)
		}
		if _, _, err := s.SetPhase(t.Context(), "sale", campaign.Running, campaign.Message{}, campaign.Paused, campaign.Running); err != nil {
			t.Fatal(err)
		}
		if got, why := phase(); got != campaign.Running || why != "" {
			t.Errorf("is %s because of %q", got, why)
		}
		if _, changed, err := s.SetPhase(t.Context(), "nobody", campaign.Running, campaign.Message{}, campaign.Ready); changed || !errors.Is(err, ErrNotFound) {
			t.Errorf("no campaign: %v, %v", changed, err)
		}
	})
}

func TestSetPhaseTellsWhereItWas(t *testing.T) {
	s := New(redistest.Shared(t))
	launch(t, s, "sale", 1, 1, campaign.Ready)
	if was, changed, err := s.SetPhase(t.Context(), "sale", campaign.Running, campaign.Message{}, campaign.Ready); was != campaign.Ready || !changed || err != nil {
		t.Errorf("got %s, %v, %v", was, changed, err)
	}
}

func TestRuns(t *testing.T) {
	s := New(redistest.Shared(t))
	launch(t, s, "sale", 1, 1, campaign.Running)
	for want := range 257 {
		c, err := s.Campaign(t.Context(), "sale")
		if err != nil || int(c.Run) != min(want, 255) {
			t.Fatalf("run %d, %v, want %d", c.Run, err, want)
		}
		if run, err := s.NextRun(t.Context(), campaign.Campaign{Name: "sale"}, Run{}); err != nil || int(run) != min(want+1, 255) {
			t.Fatalf("next run %d, %v, want %d", run, err, want+1)
		}
	}
}

func TestRowsPerCallOnlyFalls(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		launch(t, s, "sale", 1, 1, campaign.Running)
		for _, step := range []struct{ learned, want int }{{250, 250}, {400, 250}, {125, 125}, {0, 1}, {-3, 1}, {7, 1}} {
			if err := s.LowerRequestRows(t.Context(), "sale", step.learned); err != nil {
				t.Fatal(err)
			}
			if c, err := s.Campaign(t.Context(), "sale"); err != nil || c.RowsPerCall != step.want {
				t.Errorf("after %d: %d, %v, want %d", step.learned, c.RowsPerCall, err, step.want)
			}
		}
	})
}

func TestOpenListsTheMostDueFirst(t *testing.T) {
	s := New(redistest.Shared(t))
	launch(t, s, "sale", 4, 1, campaign.Running)
	for chunk, due := range []time.Duration{3 * time.Hour, time.Hour, 4 * time.Hour, 2 * time.Hour} {
		if err := s.SetDue(t.Context(), Ref{"sale", chunk}, due); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name   string
		before time.Time
		limit  int
		want   []int
	}{
		{"all", time.Time{}, 10, []int{1, 3, 0, 2}},
		{"the first two", time.Time{}, 2, []int{1, 3}},
		{"those due within two and a half hours", time.Now().Add(150 * time.Minute), 10, []int{1, 3}},
		{"those due by now", time.Now(), 10, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			open, err := s.Open(t.Context(), "sale", tt.before, tt.limit)
			if err != nil {
				t.Fatal(err)
			}
			var got []int
			for _, o := range open {
				got = append(got, o.Chunk)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("chunks (-want +got):\n%s", diff)
			}
		})
	}
	s.rdb.ZAdd(t.Context(), keyOpen("sale"), redis.Z{Member: "x"})
	if _, err := s.Open(t.Context(), "sale", time.Time{}, 10); err == nil || !strings.HasPrefix(err.Error(), "list open chunks of sale: ") {
		t.Errorf("a member that is no chunk: %v", err)
	}
}

func TestCampaignRefuses(t *testing.T) {
	s := New(redistest.Shared(t))
	if _, err := s.Campaign(t.Context(), "a b"); err == nil || !strings.HasPrefix(err.Error(), "campaign name: ") {
		t.Errorf("a name that is none: %v", err)
	}
	if _, err := s.Campaign(t.Context(), "sale"); !errors.Is(err, ErrNotFound) || err.Error() != "read campaign sale: no such campaign" {
		t.Errorf("no campaign: %v", err)
	}
	launch(t, s, "sale", 1, 1, campaign.Running)
	for _, field := range []string{"counts", "settings"} {
		s.rdb.HSet(t.Context(), keyCampaign("sale"), field, "no JSON")
		if _, err := s.Campaign(t.Context(), "sale"); err == nil || !strings.HasPrefix(err.Error(), "read campaign sale: "+field+": ") {
			t.Errorf("damaged %s: %v", field, err)
		}
	}
}

func TestTallyRefusesDamage(t *testing.T) {
	s := New(redistest.Shared(t))
	s.rdb.HSet(t.Context(), keyTally("sale"), "0", "many")
	if _, err := s.Tally(t.Context(), "sale"); err == nil || !strings.HasPrefix(err.Error(), `read tally of sale: field "0": `) {
		t.Errorf("got %v", err)
	}
}

// Redis threw the tally out, or lost it. Nobody is told that the campaign is finished.
func TestACampaignThatLostItsTallyIsNotFinished(t *testing.T) {
	for name, lose := range map[string]func(s *Store){
		"all of it": func(s *Store) { s.rdb.Del(t.Context(), keyTally("sale")) },
		"and went on": func(s *Store) {
			s.rdb.Del(t.Context(), keyTally("sale"))
			s.rdb.HSet(t.Context(), keyTally("sale"), "0", -1, "2", 1)
		},
		"the pendings": func(s *Store) { s.rdb.HDel(t.Context(), keyTally("sale"), "0") },
	} {
		t.Run(name, func(t *testing.T) {
			s := New(redistest.Shared(t))
			launch(t, s, "sale", 2, 3, campaign.Running)
			if tally, err := s.Tally(t.Context(), "sale"); err != nil || tally.Over() {
				t.Errorf("before: %v, %v", tally, err)
			}
			lose(s)
			if _, err := s.Tally(t.Context(), "sale"); err == nil || !strings.HasPrefix(err.Error(), "read tally of sale: it holds 0 of ") {
				t.Errorf("tally: %v", err)
			}
			if read, err := s.ReadAll(t.Context(), []string{"sale"}); err != nil || read[0].Err == nil {
				t.Errorf("read with others: %v, %v", read, err)
			}
			if v, err := s.Verify(t.Context(), "sale"); err != nil || len(v.Problems) == 0 {
				t.Errorf("verified: %v, %v", v, err)
			}
		})
	}
}
