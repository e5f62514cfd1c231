package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/internal/redistest"
)

func TestLoad(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		want := testCampaign("sale", 2)
		want.Settings.Lane, want.Settings.Retry5xx, want.Settings.Region = campaign.Urgent, campaign.RetryNone, "SA"
		load, err := s.BeginLoad(t.Context(), want)
		if err != nil {
			t.Fatal(err)
		}
		loading, err := s.Campaign(t.Context(), "sale")
		if err != nil {
			t.Fatal(err)
		}
		if loading.Phase != campaign.Loading || !loading.LoadUntil.Equal(loading.CreatedAt.Add(loadLease)) {
			t.Errorf("while loading: %+v", loading)
		}
		for n, contacts := range [][]campaign.Contact{people(0, 2), people(2, 4), people(4, 5)} {
			if err := load.Add(t.Context(), n, contacts); err != nil {
				t.Fatal(err)
			}
		}
		for _, part := range []string{"line,reason\n", "7,duplicate\n", "9,نص\n"} {
			if err := load.AddRejects(t.Context(), []byte(part)); err != nil {
				t.Fatal(err)
			}
		}
		counts := campaign.Counts{Rows: 7, Contacts: 5, Invalid: 1, Duplicates: 1, Refused: map[string]int{"duplicate": 1, "invalid": 1}}
		if err := load.Finish(t.Context(), counts, 3, campaign.Running); err != nil {
			t.Fatal(err)
		}

		got, err := s.Campaign(t.Context(), "sale")
		if err != nil {
			t.Fatal(err)
		}
		want.Phase, want.Counts, want.Chunks, want.CreatedAt = campaign.Running, counts, 3, loading.CreatedAt
		want.Approval = campaign.Approval{Makers: []string{Who("")}, Revision: 1}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("campaign (-want +got):\n%s", diff)
		}
		var contacts []campaign.Contact
		for n := range 3 {
			chunk, err := s.ReadChunk(t.Context(), Ref{"sale", n})
			if err != nil {
				t.Fatal(err)
			}
			if chunk.Claim != "" || chunk.Seq != 0 || chunk.Version != 0 || chunk.Len() != len(chunk.Contacts) || len(chunk.In(campaign.Pending)) != chunk.Len() {
				t.Errorf("chunk %d is not as new", n)
			}
			contacts = append(contacts, chunk.Contacts...)
		}
		if diff := cmp.Diff(people(0, 5), contacts); diff != "" {
			t.Errorf("contacts (-want +got):\n%s", diff)
		}
		open, err := s.Open(t.Context(), "sale", time.Time{}, 10)
		if err != nil || len(open) != 3 {
			t.Errorf("open: %v, %v", open, err)
		}
		var rejects strings.Builder
		if err := s.Rejects(t.Context(), "sale", func(part []byte) error { rejects.Write(part); return nil }); err != nil {
			t.Fatal(err)
		}
		if got, want := rejects.String(), "line,reason\n7,duplicate\n9,نص\n"; got != want {
			t.Errorf("rejects are %q, want %q", got, want)
		}
		mustAddUp(t, s, "sale")
	})
}

func TestLoadOfNobody(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		launch(t, s, "nobody", 0, 2, campaign.Running)
		tally, err := s.Tally(t.Context(), "nobody")
		if err != nil || tally.Contacts() != 0 || tally.Phase(campaign.Running) != campaign.Finished {
			t.Errorf("tally %+v, %v", tally, err)
		}
		mustAddUp(t, s, "nobody")
	})
}

func TestLoadIsTakenOver(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		c := testCampaign("sale", 2)
		first, err := s.BeginLoad(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if err := first.Add(t.Context(), 0, people(0, 2)); err != nil {
			t.Fatal(err)
		}
		second, err := s.BeginLoad(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		before := dump(t, s, "sale")
		for what, write := range map[string]func() error{
			"Add":        func() error { return first.Add(t.Context(), 1, people(2, 4)) },
			"AddRejects": func() error { return first.AddRejects(t.Context(), []byte("x")) },
			"AddIndex":   func() error { return first.AddIndex(t.Context(), maps.All(map[campaign.Phone]int{1: 0})) },
			"clear":      func() error { return first.clear(t.Context()) },
			"Abandon":    func() error { return first.Abandon(t.Context()) },
			"Finish": func() error {
				return first.Finish(t.Context(), campaign.Counts{Rows: 2, Contacts: 2}, 1, campaign.Running)
			},
		} {
			if err := write(); !errors.Is(err, ErrLoadLost) {
				t.Errorf("%s of the first load: %v, want ErrLoadLost", what, err)
			}
		}
		if diff := cmp.Diff(before, dump(t, s, "sale")); diff != "" {
			t.Errorf("the first load wrote (-before +after):\n%s", diff)
		}
		if err := second.Add(t.Context(), 0, people(7, 8)); err != nil {
			t.Fatal(err)
		}
		if err := second.Finish(t.Context(), campaign.Counts{Rows: 1, Contacts: 1}, 1, campaign.Running); err != nil {
			t.Fatal(err)
		}
		if err := first.Finish(t.Context(), campaign.Counts{}, 0, campaign.Running); !errors.Is(err, ErrLoadLost) {
			t.Errorf("the first load finished behind the second: %v", err)
		}
		mustAddUp(t, s, "sale")
	})
}

func TestAbandonedLoadLeavesNothing(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		load, err := s.BeginLoad(t.Context(), testCampaign("sale", 2))
		if err != nil {
			t.Fatal(err)
		}
		for n := range 3 {
			if err := load.Add(t.Context(), n, people(2*n, 2*n+2)); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if err := load.Abandon(t.Context()); err != nil && !errors.Is(err, ErrLoadLost) {
				t.Fatal(err)
			}
		}
		if n := s.rdb.DBSize(t.Context()).Val(); n != 0 {
			t.Errorf("%d keys are left", n)
		}
		launch(t, s, "sale", 3, 2, campaign.Running)
		mustAddUp(t, s, "sale")
	})
}

// A slow enqueue is overtaken between its two steps of beginning: it must not
// clear what the other has loaded.
func TestOvertakenLoadClearsNothing(t *testing.T) {
	rdb := redistest.Shared(t)
	s := New(rdb)
	overtaken := false
	slow := redis.NewClient(rdb.Options())
	defer slow.Close()
	slow.AddHook(&scripts{before: func(ctx context.Context, cmd redis.Cmder, run redis.ProcessHook) {
		if !overtaken && strings.Contains(fmt.Sprint(cmd.Args()), clearScript.Hash()) {
			overtaken = true
			launch(t, s, "sale", 5, 2, campaign.Running)
		}
	}})
	if _, err := New(slow).BeginLoad(t.Context(), testCampaign("sale", 2)); !errors.Is(err, ErrLoadLost) {
		t.Errorf("got %v, want ErrLoadLost", err)
	}
	if !overtaken {
		t.Fatal("was not overtaken")
	}
	mustAddUp(t, s, "sale")
	if got := states(t, s, Ref{"sale", 2}); got != "pending" {
		t.Errorf("the last chunk is %q", got)
	}
}

// Nor must one that gives up just then take away what the other has loaded.
func TestOvertakenLoadAbandonsNothing(t *testing.T) {
	rdb := redistest.Shared(t)
	s := New(rdb)
	overtaken := false
	slow := redis.NewClient(rdb.Options())
	defer slow.Close()
	slow.AddHook(&scripts{before: func(ctx context.Context, cmd redis.Cmder, run redis.ProcessHook) {
		if !overtaken && strings.Contains(fmt.Sprint(cmd.Args()), abandonScript.Hash()) {
			overtaken = true
			launch(t, s, "sale", 5, 2, campaign.Running)
			s.rdb.SRem(ctx, keyCampaigns, "sale") // as if it had been before the first step
		}
	}})
	load, err := New(slow).BeginLoad(t.Context(), testCampaign("sale", 2))
	if err != nil {
		t.Fatal(err)
	}
	if err := load.Abandon(t.Context()); !errors.Is(err, ErrLoadLost) {
		t.Errorf("got %v, want ErrLoadLost", err)
	}
	if !overtaken {
		t.Fatal("was not overtaken")
	}
	mustAddUp(t, s, "sale")
	if names, err := s.Names(t.Context()); err != nil || len(names) != 1 {
		t.Errorf("campaigns %q, %v", names, err)
	}
}

// A load that was killed at any step leaves nothing behind once another has run.
func TestKilledLoadLeavesNothing(t *testing.T) {
	steps := []func(context.Context, *Load) error{
		func(ctx context.Context, l *Load) error { return l.Add(ctx, 0, people(50, 52)) },
		func(ctx context.Context, l *Load) error { return l.Add(ctx, 4, people(52, 54)) },
		func(ctx context.Context, l *Load) error { return l.AddRejects(ctx, []byte("old")) },
		func(ctx context.Context, l *Load) error {
			return l.AddIndex(ctx, maps.All(map[campaign.Phone]int{966500000050: 0}))
		},
		func(ctx context.Context, l *Load) error {
			_, err := l.store.ReasonCode(ctx, l.campaign.Name, campaign.Text("old"))
			return err
		},
	}
	onEveryRedis(t, func(t *testing.T, s *Store) {
		launch(t, s, "clean", 3, 2, campaign.Running)
		want := dump(t, s, "clean")
		for killed := range len(steps) + 1 {
			name := fmt.Sprintf("killed%d", killed)
			load, err := s.BeginLoad(t.Context(), testCampaign(name, 2))
			if err != nil {
				t.Fatal(err)
			}
			for _, step := range steps[:killed] {
				if err := step(t.Context(), load); err != nil {
					t.Fatal(err)
				}
			}
			c := launch(t, s, name, 3, 2, campaign.Running)
			got := make(map[string]string)
			for key, value := range dump(t, s, name) {
				got[strings.ReplaceAll(key, name, "clean")] = value
			}
			same := cmp.FilterPath(func(p cmp.Path) bool {
				field := p.Last().String()
				return strings.Contains(field, "created_at") || strings.Contains(field, " loaded") || strings.Contains(field, " buckets")
			}, cmp.Ignore())
			if diff := cmp.Diff(want, got, same); diff != "" {
				t.Errorf("after %d steps (-clean +killed):\n%s", killed, diff)
			}
			if _, _, err := s.Find(t.Context(), c, 966500000050); !errors.Is(err, ErrNotFound) {
				t.Errorf("after %d steps: found a contact of the killed load: %v", killed, err)
			}
		}
	})
}

func TestClearTakesLargeLoads(t *testing.T) {
	s := New(redistest.Shared(t))
	load, err := s.BeginLoad(t.Context(), testCampaign("sale", 1))
	if err != nil {
		t.Fatal(err)
	}
	for n := range 1001 {
		if err := load.Add(t.Context(), n, people(n, n+1)); err != nil {
			t.Fatal(err)
		}
	}
	launch(t, s, "sale", 1, 1, campaign.Ready)
	if keys := dump(t, s, "sale"); len(keys) > 20 {
		t.Errorf("%d keys and fields left", len(keys))
	}
}

func TestLoadedIsNotLoadedAgain(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		launch(t, s, "sale", 3, 2, campaign.Ready)
		before := dump(t, s, "sale")
		for _, phase := range []campaign.Phase{campaign.Ready, campaign.Running, campaign.Paused, campaign.CanceledPhase} {
			if _, _, err := s.SetPhase(t.Context(), "sale", phase, campaign.Message{}, campaign.Ready, campaign.Running, campaign.Paused); err != nil {
				t.Fatal(err)
			}
			if _, err := s.BeginLoad(t.Context(), testCampaign("sale", 2)); !errors.Is(err, ErrExists) {
				t.Errorf("while %s: %v, want ErrExists", phase, err)
			}
		}
		before[keyCampaign("sale")+" phase"] = string(campaign.CanceledPhase)
		after := dump(t, s, "sale")
		for _, field := range []string{"rungs_since", "settings_version", "canceled", "phase_call"} { // of the phases, and of the cancel
			delete(after, keyCampaign("sale")+" "+field)
		}
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("changed (-before +after):\n%s", diff)
		}
	})
}

func TestFinishTwice(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		load, err := s.BeginLoad(t.Context(), testCampaign("sale", 2))
		if err != nil {
			t.Fatal(err)
		}
		if err := load.Add(t.Context(), 0, people(0, 2)); err != nil {
			t.Fatal(err)
		}
		finish := func() error {
			return load.Finish(t.Context(), campaign.Counts{Rows: 2, Contacts: 2}, 1, campaign.Running)
		}
		if err := finish(); err != nil {
			t.Fatal(err)
		}
		// The campaign was changed meanwhile: the second call undoes nothing.
		if _, _, err := s.SetPhase(t.Context(), "sale", campaign.Paused, campaign.Text("lunch"), campaign.Running); err != nil {
			t.Fatal(err)
		}
		before := dump(t, s, "sale")
		if err := finish(); err != nil {
			t.Errorf("second call: %v", err)
		}
		if diff := cmp.Diff(before, dump(t, s, "sale")); diff != "" {
			t.Errorf("changed (-before +after):\n%s", diff)
		}
		if err := load.Add(t.Context(), 1, people(2, 3)); !errors.Is(err, ErrLoadLost) {
			t.Errorf("Add after Finish: %v, want ErrLoadLost", err)
		}
	})
}

func TestLoadRefusesNonsense(t *testing.T) {
	s := New(redistest.Shared(t))
	noName, noAgent := testCampaign("a b", 2), testCampaign("sale", 2)
	noAgent.Settings.Agent = ""
	for _, c := range []campaign.Campaign{noName, noAgent} {
		if _, err := s.BeginLoad(t.Context(), c); err == nil {
			t.Errorf("loads %+v", c)
		}
	}
	load, err := s.BeginLoad(t.Context(), testCampaign("sale", 2))
	if err != nil {
		t.Fatal(err)
	}
	short := person(0)
	short.Fields = nil
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"an empty chunk", load.Add(t.Context(), 0, nil), "store chunk sale/0: want 1 to 2 contacts, have 0"},
		{"a chunk that is too large", load.Add(t.Context(), 0, people(0, 3)), "store chunk sale/0: want 1 to 2 contacts, have 3"},
		{"a row with cells missing", load.Add(t.Context(), 0, []campaign.Contact{short}), "store chunk sale/0: encode rows: line 2: want 2 cells, have 0"},
		{"counts that do not add up", load.Finish(t.Context(), campaign.Counts{Rows: 1}, 0, campaign.Ready),
			"finish load of sale: counts: 1 rows, but 0 contacts and refused lines"},
	} {
		if tt.err == nil || tt.err.Error() != tt.want {
			t.Errorf("%s: got %v, want %s", tt.name, tt.err, tt.want)
		}
	}
	if keys := s.rdb.Keys(t.Context(), "*").Val(); len(keys) != 2 {
		t.Errorf("wrote %q, want the campaign and its name alone", keys)
	}
}

func TestLoadLeaseIsRenewed(t *testing.T) {
	server := miniredis.RunT(t)
	s := New(embedded(t, server))
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	server.SetTime(now)
	load, err := s.BeginLoad(t.Context(), testCampaign("sale", 2))
	if err != nil {
		t.Fatal(err)
	}
	server.SetTime(now.Add(20 * time.Second))
	if err := load.Add(t.Context(), 0, people(0, 1)); err != nil {
		t.Fatal(err)
	}
	c, err := s.Campaign(t.Context(), "sale")
	if err != nil {
		t.Fatal(err)
	}
	if want := now.Add(20*time.Second + loadLease); !c.LoadUntil.Equal(want) || !c.CreatedAt.Equal(now) {
		t.Errorf("created %v, lease until %v, want %v and %v", c.CreatedAt, c.LoadUntil, now, want)
	}
}

func TestRejectsInManyParts(t *testing.T) {
	s := New(redistest.Shared(t))
	load, err := s.BeginLoad(t.Context(), testCampaign("sale", 2))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for n := range 40 { // more than one page
		want = append(want, fmt.Sprintf("part %d", n))
		if err := load.AddRejects(t.Context(), []byte(want[n])); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	if err := s.Rejects(t.Context(), "sale", func(part []byte) error { got = append(got, string(part)); return nil }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	full := errors.New("disk full")
	if err := s.Rejects(t.Context(), "sale", func([]byte) error { return full }); err != full {
		t.Errorf("got %v, want the writer's error", err)
	}
	s.rdb.LSet(t.Context(), keyRejects("sale"), 3, "damaged")
	if err := s.Rejects(t.Context(), "sale", func([]byte) error { return nil }); err == nil {
		t.Error("a damaged part passes")
	}
}
