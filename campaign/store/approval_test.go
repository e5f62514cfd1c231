package store

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

// above sets the policy.
func above(t testing.TB, s *Store, contacts int) {
	t.Helper()
	if err := s.SetPolicy(t.Context(), contacts, "admin"); err != nil {
		t.Fatal(err)
	}
}

// launchBy loads a running campaign in somebody's name, in chunks of three.
func launchBy(t testing.TB, s *Store, by string, contacts int) {
	t.Helper()
	load, err := s.BeginLoad(t.Context(), testCampaign("sale", 3))
	if err != nil {
		t.Fatal(err)
	}
	load.By = by
	chunks := 0
	for part := range slices.Chunk(people(0, contacts), 3) {
		if err := load.Add(t.Context(), chunks, part); err != nil {
			t.Fatal(err)
		}
		chunks++
	}
	if err := load.Finish(t.Context(), campaign.Counts{Rows: contacts, Contacts: contacts}, chunks, campaign.Running); err != nil {
		t.Fatal(err)
	}
}

// appendBy adds contacts, from one on, in somebody's name.
func appendBy(t testing.TB, s *Store, by, fingerprint string, from, contacts int, with ...string) {
	t.Helper()
	a, err := s.BeginAppend(t.Context(), "sale", fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	a.By, a.With = by, with
	if contacts > 0 {
		if err := a.Add(t.Context(), 0, people(from, from+contacts)); err != nil {
			t.Fatal(err)
		}
	}
	added := Appended{Counts: campaign.Counts{Rows: contacts, Contacts: contacts}, Chunks: min(contacts, 1)}
	if _, err := a.Finish(t.Context(), added); err != nil {
		t.Fatal(err)
	}
}

// begins tries to send contact 0, which must be pending, and gives it back.
func begins(t testing.TB, s *Store) error {
	t.Helper()
	chunk, err := s.ReadChunk(t.Context(), sale0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Apply(t.Context(), chunk, Change{Act: Begin, Token: "w/1", ClaimTTL: time.Hour, Due: time.Hour, Moves: moves(campaign.Send, 0)})
	if err == nil {
		apply(t, s, chunk, Change{Act: Commit, Token: "w/1", Moves: moves(campaign.Unsent, 0)})
	}
	return err
}

// sale is the campaign as it stands.
func sale(t testing.TB, s *Store) campaign.Campaign {
	t.Helper()
	c, err := s.Campaign(t.Context(), "sale")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func approve(t testing.TB, s *Store, by string) {
	t.Helper()
	if err := s.Approve(t.Context(), sale(t, s), by); err != nil {
		t.Fatal(err)
	}
}

func TestPolicy(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		if p, err := s.Policy(t.Context()); err != nil || p != (Policy{}) {
			t.Errorf("before it is set: %+v, %v", p, err)
		}
		above(t, s, 1000)
		if p, err := s.Policy(t.Context()); err != nil || p.ApproveAbove != 1000 || p.By != "admin" || time.Since(p.At).Abs() > time.Hour {
			t.Errorf("%+v, %v", p, err)
		}
		s.rdb.HSet(t.Context(), keyPolicy, "approve_above", "-1")
		if _, err := s.Policy(t.Context()); err == nil {
			t.Error("a damaged policy is read as if there was none")
		}
		load, err := s.BeginLoad(t.Context(), testCampaign("sale", 3))
		if err != nil {
			t.Fatal(err)
		}
		if err := load.Finish(t.Context(), campaign.Counts{}, 0, campaign.Running); err == nil {
			t.Error("loaded without knowing the policy")
		}
	})
}

func TestALargeCampaignWaitsForSomebodyElse(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		above(t, s, 4)
		launchBy(t, s, "Sara", 5)
		if err := begins(t, s); !errors.Is(err, ErrUnapproved) || !errors.Is(err, ErrNotRunning) {
			t.Errorf("begun: %v", err)
		}
		if _, err := s.Release(t.Context(), "sale", time.Hour, ChunkSeq{Ref: sale0}); !errors.Is(err, ErrUnapproved) {
			t.Errorf("released: %v", err)
		}
		if err := s.Approve(t.Context(), sale(t, s), "sara"); !errors.Is(err, ErrOwnWork) {
			t.Errorf("its maker approved it: %v", err)
		}
		approve(t, s, "omar")
		c := sale(t, s)
		if a := c.Approval; a.Wanted || a.By != "omar" || a.At.IsZero() || !slices.Equal(a.Makers, []string{"Sara"}) {
			t.Errorf("%+v", a)
		}
		if err := begins(t, s); err != nil {
			t.Error(err)
		}
		if err := s.Approve(t.Context(), c, "nora"); !errors.Is(err, ErrNotWanted) {
			t.Errorf("approved twice: %v", err)
		}
		s.rdb.HSet(t.Context(), keyCampaign("sale"), "approval", "of a later version")
		if err := begins(t, s); !errors.Is(err, ErrUnapproved) || !sale(t, s).Approval.Wanted {
			t.Errorf("an approval that is not understood counts: %v", err)
		}
	})
}

func TestWhatVoidsAnApproval(t *testing.T) {
	set := func(t *testing.T, s *Store, by string) {
		c := sale(t, s)
		to := c.Settings
		to.DailyCap++
		if err := s.ChangeSettings(t.Context(), c, to, by); err != nil {
			t.Fatal(err)
		}
	}
	rerun := func(t *testing.T, s *Store, r Run) {
		if _, err := s.NextRun(t.Context(), sale(t, s), r); err != nil && !errors.Is(err, ErrOutdated) { // a canary, repeated
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name   string
		does   func(*testing.T, *Store)
		voids  bool
		makers []string
	}{
		{"an append", func(t *testing.T, s *Store) { appendBy(t, s, "omar", "f2", 5, 1) }, true, []string{"sara", "omar"}},
		{"an append of another's list", func(t *testing.T, s *Store) { appendBy(t, s, "omar", "f2", 5, 1, "lina", "omar") }, true, []string{"sara", "lina", "omar"}},
		{"an append of nobody", func(t *testing.T, s *Store) { appendBy(t, s, "omar", "f2", 5, 0) }, false, []string{"sara"}},
		{"a setting", func(t *testing.T, s *Store) { set(t, s, "omar") }, true, []string{"sara", "omar"}},
		{"a run of the rest", func(t *testing.T, s *Store) { rerun(t, s, Run{By: "omar"}) }, false, []string{"sara"}},
		{"a run to those who were reached", func(t *testing.T, s *Store) { rerun(t, s, Run{Anew: true, By: "omar"}) }, true, []string{"sara", "omar"}},
		{"a canary of a rerun", func(t *testing.T, s *Store) { rerun(t, s, Run{Canary: 2, By: "omar"}) }, false, []string{"sara"}},
		{"a pause and a resume", func(t *testing.T, s *Store) {
			for _, to := range []campaign.Phase{campaign.Paused, campaign.Running} {
				if _, _, err := s.SetPhase(t.Context(), "sale", to, campaign.Message{}, campaign.Running, campaign.Paused); err != nil {
					t.Fatal(err)
				}
			}
		}, false, []string{"sara"}},
		{"a change under a policy of more", func(t *testing.T, s *Store) { above(t, s, 100); set(t, s, "omar") }, false, []string{"sara", "omar"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onEveryRedis(t, func(t *testing.T, s *Store) {
				above(t, s, 4)
				launchBy(t, s, "sara", 5)
				approve(t, s, "nora")
				tt.does(t, s)
				a := sale(t, s).Approval
				if a.Wanted != tt.voids || !slices.Equal(a.Makers, tt.makers) {
					t.Errorf("%+v", a)
				}
				if err := begins(t, s); errors.Is(err, ErrUnapproved) != tt.voids {
					t.Errorf("begun: %v", err)
				}
				if tt.voids {
					for _, by := range tt.makers {
						if err := s.Approve(t.Context(), sale(t, s), by); !errors.Is(err, ErrOwnWork) {
							t.Errorf("%s, a maker, approved it: %v", by, err)
						}
					}
					approve(t, s, "nora")
				}
			})
		})
	}
}

func TestAPolicyHoldsFromTheNextChangeOn(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		above(t, s, 5)
		launchBy(t, s, "sara", 5) // not more than that
		above(t, s, 4)
		if err := begins(t, s); err != nil {
			t.Errorf("one that was loaded before has stopped: %v", err)
		}
		if _, err := s.NextRun(t.Context(), sale(t, s), Run{By: "omar"}); err != nil {
			t.Fatal(err)
		}
		if err := begins(t, s); !errors.Is(err, ErrUnapproved) {
			t.Errorf("its rerun begins: %v", err)
		}
		above(t, s, 0)
		if err := begins(t, s); !errors.Is(err, ErrUnapproved) {
			t.Errorf("released by the end of the policy: %v", err)
		}
		appendBy(t, s, "sara", "f2", 5, 1)
		if err := begins(t, s); !errors.Is(err, ErrUnapproved) {
			t.Errorf("released by a change after the end of the policy: %v", err)
		}
		approve(t, s, "nora")
		if err := begins(t, s); err != nil {
			t.Error(err)
		}
		// That approval is void once more contacts are added, although none is needed then.
		appendBy(t, s, "sara", "f3", 6, 1)
		above(t, s, 4)
		if _, err := s.NextRun(t.Context(), sale(t, s), Run{By: "omar"}); err != nil {
			t.Fatal(err)
		}
		if err := begins(t, s); !errors.Is(err, ErrUnapproved) {
			t.Errorf("its rerun begins by an approval of fewer: %v", err)
		}
	})
}

func TestApprovalIsOfWhatWasSeen(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		above(t, s, 4)
		launchBy(t, s, "sara", 5)
		seen := sale(t, s)
		appendBy(t, s, "omar", "f2", 5, 3)
		if err := s.Approve(t.Context(), seen, "nora"); !errors.Is(err, ErrRemade) {
			t.Errorf("contacts that were appended meanwhile are approved: %v", err)
		}
		if err := begins(t, s); !errors.Is(err, ErrUnapproved) {
			t.Errorf("begun: %v", err)
		}
		for _, phase := range []campaign.Phase{campaign.CanceledPhase, campaign.Running} {
			if _, _, err := s.SetPhase(t.Context(), "sale", phase, campaign.Message{}, campaign.Running, campaign.CanceledPhase); err != nil {
				t.Fatal(err)
			}
			want := map[campaign.Phase]error{campaign.CanceledPhase: ErrNotWanted}[phase]
			if err := s.Approve(t.Context(), sale(t, s), "nora"); !errors.Is(err, want) {
				t.Errorf("%s: %v", phase, err)
			}
		}
	})
}

// A campaign that has sent all, and may contact some again, can be approved.
func TestRungsAloneCanBeApproved(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		above(t, s, 4)
		launchBy(t, s, "sara", 5)
		if err := s.rdb.Del(t.Context(), keyOpen("sale")).Err(); err != nil {
			t.Fatal(err)
		}
		if err := s.rdb.ZAdd(t.Context(), keyRungs("sale"), redis.Z{Score: 1, Member: 0}).Err(); err != nil {
			t.Fatal(err)
		}
		if err := s.Approve(t.Context(), sale(t, s), "nora"); err != nil {
			t.Error(err)
		}
	})
}

// The canary's end and a start go by what was read long before.
func TestNothingOldGoesAroundApproval(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		above(t, s, 4)
		launchBy(t, s, "sara", 5)
		approve(t, s, "nora")
		old := sale(t, s)
		s.rdb.HSet(t.Context(), keyCampaign("sale"), "canary", 2)
		appendBy(t, s, "sara", "f2", 5, 1)
		if _, err := s.EndCanary(t.Context(), old, campaign.Running, campaign.Message{}); err != nil {
			t.Fatal(err)
		}
		for _, to := range []campaign.Phase{campaign.Ready, campaign.Running} {
			if _, _, err := s.SetPhase(t.Context(), "sale", to, campaign.Message{}, campaign.Running, campaign.Ready); err != nil {
				t.Fatal(err)
			}
		}
		if err := begins(t, s); !errors.Is(err, ErrUnapproved) {
			t.Errorf("begun: %v", err)
		}
	})
}
