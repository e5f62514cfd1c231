package store

import (
	"errors"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/internal/redistest"
)

// climbing is a running campaign of one chunk of two contacts, with rungs.
func climbing(t *testing.T, s *Store, texts ...string) {
	t.Helper()
	launch(t, s, "sale", 2, 2, campaign.Running)
	changeRungs(t, s, texts...)
}

func changeRungs(t *testing.T, s *Store, texts ...string) {
	t.Helper()
	c, err := s.Campaign(t.Context(), "sale")
	if err != nil {
		t.Fatal(err)
	}
	to := c.Settings
	to.WebhookURL, to.Then = "https://example.org", nil
	for _, text := range texts {
		l, err := campaign.ParseLadder(text)
		if err != nil {
			t.Fatal(err)
		}
		to.Then = append(to.Then, l)
	}
	if err := s.ChangeSettings(t.Context(), c, to, ""); err != nil {
		t.Fatal(err)
	}
}

// wantRungs checks whether the chunk is looked at for rungs, and within which time; 0: not at
// all.
func wantRungs(t *testing.T, s *Store, within time.Duration) {
	t.Helper()
	ctx := t.Context()
	now, err := s.Now(ctx)
	if err != nil {
		t.Fatal(err)
	}
	tally, err := s.Tally(ctx, "sale")
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Rungs(ctx, "sale")
	if err != nil || r.Chunks != tally.Rungs || (r.Chunks > 0) != (within > 0) {
		t.Errorf("%+v, the tally says %d, want one within %v: %v", r, tally.Rungs, within, err)
	}
	if wait := r.Next.Sub(now); within > 0 && (wait > within || wait < within-5*time.Second) {
		t.Errorf("looked at in %v, want %v", wait, within)
	}
	v, err := s.Verify(ctx, "sale")
	if err != nil || len(v.Problems) > 0 {
		t.Errorf("%v, %v", v.Problems, err)
	}
}

// look writes down that no rung of the chunk, as it was read, is to come, unless found says so.
func look(t *testing.T, s *Store, chunk *Chunk, found Look, moves ...Move) Changed {
	t.Helper()
	c, err := s.Campaign(t.Context(), "sale")
	if err != nil {
		t.Fatal(err)
	}
	return apply(t, s, chunk, Change{Act: Climb, Due: time.Hour, Terms: &Terms{Version: c.Version}, Looked: &found, Moves: moves})
}

func TestWhenAChunkIsLookedAtForRungs(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		climbing(t, s, "ended.no_answer:2h")
		wantRungs(t, s, time.Second) // each chunk is, once there are rungs
		look(t, s, read(t, s, sale0), Look{})
		wantRungs(t, s, 0)
		chunk := begin(t, s, sale0, "w/1", 0, 1)
		wantRungs(t, s, 0) // nobody has been sent
		apply(t, s, chunk, Change{Act: Commit, Token: "w/1", Moves: moves(campaign.Accept, 0, 1)})
		wantRungs(t, s, time.Minute)
		look(t, s, read(t, s, sale0), Look{Next: time.Now().Add(time.Hour), Open: 2})
		wantRungs(t, s, time.Hour)
		apply(t, s, read(t, s, sale0), Change{Act: Commit, Moves: moves(campaign.End, 0)})
		wantRungs(t, s, time.Minute) // the other may still be heard of
		apply(t, s, read(t, s, sale0), Change{Act: Commit, Moves: moves(campaign.End, 1)})
		wantRungs(t, s, RungsSettled) // nothing is under way
		if c, err := s.Campaign(t.Context(), "sale"); err != nil || !c.EndedAt.IsZero() {
			t.Errorf("ended at %v, %v", c.EndedAt, err)
		}
		look(t, s, read(t, s, sale0), Look{Next: time.Now().Add(time.Hour), Waiting: 2})
		s.told(t)
		wantRungs(t, s, time.Minute) // an outcome may change what was found
		look(t, s, read(t, s, sale0), Look{})
		wantRungs(t, s, 0)
		if c, err := s.Campaign(t.Context(), "sale"); err != nil || c.EndedAt.IsZero() {
			t.Errorf("ended at %v, %v", c.EndedAt, err)
		}
		s.told(t)
		wantRungs(t, s, 0) // it was decided that there is none
	})
}

// A change never puts a look off.
func TestRungsThatAreDueAlready(t *testing.T) {
	s := New(redistest.Shared(t))
	climbing(t, s, "ended.no_answer:2h")
	ended(t, s)
	wantRungs(t, s, time.Second)
}

// RungsSettled is that of rungs.lua.
const RungsSettled = 5 * time.Second

// told changes an outcome of the chunk.
func (s *Store) told(t *testing.T) {
	t.Helper()
	err := s.UpdateOutcomes(t.Context(), sale0, []int{0}, func(_ int, o campaign.Outcome) (campaign.Outcome, []campaign.Turn) {
		o.Started, o.Turns = noon, o.Turns+1
		return o, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// ended is a chunk both of whose contacts have ended.
func ended(t *testing.T, s *Store) {
	t.Helper()
	chunk := begin(t, s, sale0, "w/1", 0, 1)
	apply(t, s, chunk, Change{Act: Commit, Token: "w/1", Moves: moves(campaign.Accept, 0, 1)})
	apply(t, s, read(t, s, sale0), Change{Act: Commit, Moves: moves(campaign.End, 0, 1)})
}

func TestALookThatIsOld(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, s *Store){
		"an event has told more":  func(t *testing.T, s *Store) { s.told(t) },
		"a contact has been sent": func(t *testing.T, s *Store) { begin(t, s, sale0, "w/2", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			onEveryRedis(t, func(t *testing.T, s *Store) {
				climbing(t, s, "ended.no_answer:2h")
				ended(t, s)
				apply(t, s, read(t, s, sale0), Change{Act: Steer, Due: time.Hour, Moves: []Move{{1, campaign.Move{Cause: campaign.Rerun, Run: 1}}}})
				old := read(t, s, sale0)
				change(t, s)
				look(t, s, old, Look{})
				if r, err := s.Rungs(t.Context(), "sale"); err != nil || r.Chunks != 1 {
					t.Errorf("%+v, %v: the chunk is no longer looked at", r, err)
				}
			})
		})
	}
}

func TestWhatAClimbNeeds(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		climbing(t, s, "ended.no_answer:2h")
		ended(t, s)
		c, err := s.Campaign(ctx, "sale")
		if err != nil {
			t.Fatal(err)
		}
		climb := func(i int, edit func(*Change)) (Changed, error) {
			change := Change{Act: Climb, Due: time.Hour, Terms: &Terms{Version: c.Version}, Looked: &Look{},
				Moves: []Move{{i, campaign.Move{Cause: campaign.Climb, Rung: 1, At: noon}}}}
			edit(&change)
			return s.Apply(ctx, read(t, s, sale0), change)
		}
		now, err := s.Now(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := climb(0, func(c *Change) { c.Terms.Version-- }); !errors.Is(err, ErrOutdated) {
			t.Errorf("with old settings: %v", err)
		}
		if _, err := climb(0, func(c *Change) { c.Latest = now.Add(-time.Second) }); !errors.Is(err, ErrLate) {
			t.Errorf("too late: %v", err)
		}
		if done, err := climb(0, func(c *Change) { c.Latest = now.Add(time.Hour) }); err != nil || len(done.Moved) != 1 {
			t.Errorf("%+v, %v", done, err)
		}
		if _, _, err := s.SetPhase(ctx, "sale", campaign.Paused, campaign.Message{}, campaign.Running); err != nil {
			t.Fatal(err)
		}
		if _, err := climb(1, func(*Change) {}); !errors.Is(err, ErrNotRunning) {
			t.Errorf("while paused: %v", err)
		}
		tally, err := s.Tally(ctx, "sale")
		if err != nil || tally.ForRung != 1 || tally.States[campaign.Pending] != 1 {
			t.Errorf("%+v, %v", tally, err)
		}
	})
}

func TestRungsThatEnd(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, s *Store) error{
		"by a cancel": func(t *testing.T, s *Store) error {
			_, _, err := s.SetPhase(t.Context(), "sale", campaign.CanceledPhase, campaign.Message{}, campaign.Running)
			return err
		},
		"by other settings": func(t *testing.T, s *Store) error { changeRungs(t, s); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			onEveryRedis(t, func(t *testing.T, s *Store) {
				climbing(t, s, "ended.no_answer:2h")
				ended(t, s)
				if err := s.Purge(t.Context(), "sale"); !errors.Is(err, ErrNotOver) {
					t.Errorf("purged with rungs to come: %v", err)
				}
				if err := end(t, s); err != nil {
					t.Fatal(err)
				}
				wantRungs(t, s, 0)
				c, err := s.Campaign(t.Context(), "sale")
				if err != nil || c.EndedAt.IsZero() {
					t.Errorf("%+v, %v", c, err)
				}
				if canceled := c.Phase == campaign.CanceledPhase; canceled == c.RungsSince.IsZero() {
					t.Errorf("%s, no rungs before %v", c.Phase, c.RungsSince)
				}
				// Contacts that are heard of later have none.
				apply(t, s, read(t, s, sale0), Change{Act: Steer, Moves: []Move{{0, campaign.Move{Cause: campaign.Rerun, Run: 1}}}})
				wantRungs(t, s, 0)
				if err := s.Purge(t.Context(), "sale"); !errors.Is(err, ErrNotOver) {
					t.Errorf("purged with a contact pending: %v", err)
				}
			})
		})
	}
}
