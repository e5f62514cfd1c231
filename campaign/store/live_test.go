package store

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/internal/redistest"
)

// withoutLive is a Redis on which the set of live campaigns cannot be reached.
type withoutLive struct{ err error }

func (h withoutLive) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h withoutLive) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if slices.Contains(cmd.Args(), any(keyLive)) {
			cmd.SetErr(h.err)
			return h.err
		}
		return next(ctx, cmd)
	}
}

func (h withoutLive) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// Every act that gives a campaign something to do makes it live first. If that fails, it
// does nothing; only what has happened already is written down all the same.
func TestActsRaiseTheirCampaignFirst(t *testing.T) {
	for _, act := range []struct {
		name string
		do   func(ctx context.Context, s *Store) error
		done bool // although the campaign could not be raised
	}{
		{"a change of phase", func(ctx context.Context, s *Store) error {
			_, _, err := s.SetPhase(ctx, "sale", campaign.Paused, campaign.Message{}, campaign.Running)
			return err
		}, false},
		{"a change of settings", func(ctx context.Context, s *Store) error {
			c, err := s.Campaign(ctx, "sale")
			to := c.Settings
			to.KeepDays = 3
			return errors.Join(err, s.ChangeSettings(ctx, c, to, ""))
		}, false},
		{"the end of a canary", func(ctx context.Context, s *Store) error {
			c, err := s.Campaign(ctx, "sale")
			_, ended := s.EndCanary(ctx, c, campaign.Running, campaign.Message{})
			return errors.Join(err, ended)
		}, false},
		{"a release", func(ctx context.Context, s *Store) error {
			_, err := s.Release(ctx, "sale", time.Minute, ChunkSeq{Ref: sale0})
			return err
		}, false},
		{"a due time", func(ctx context.Context, s *Store) error { return s.SetDue(ctx, sale0, time.Minute) }, false},
		{"due times", func(ctx context.Context, s *Store) error { return s.SetDues(ctx, "sale", dueAt(0, time.Minute)) }, false},
		{"a due time that is hastened", func(ctx context.Context, s *Store) error { return s.Hasten(ctx, "sale", dueAt(0, time.Minute)) }, false},
		{"due times of queued chunks", func(ctx context.Context, s *Store) error {
			return s.SetQueued(ctx, "sale", time.Now(), []int{0}, time.Now())
		}, false},
		{"a deferral", func(ctx context.Context, s *Store) error { return s.Defer(ctx, sale0, 0, time.Minute) }, false},
		{"a postponement", func(ctx context.Context, s *Store) error { return s.Postpone(ctx, "sale", time.Minute) }, false},
		{"a begin", func(ctx context.Context, s *Store) error {
			return beginFirst(t, s, sale0)
		}, false},
		{"an operator's change", func(ctx context.Context, s *Store) error {
			chunk, err := s.ReadChunk(ctx, sale0)
			if err == nil {
				_, err = s.Apply(ctx, chunk, Change{Act: Steer, Moves: []Move{{0, campaign.Move{Cause: campaign.Cancel}}}})
			}
			return err
		}, false},
		{"evidence", func(ctx context.Context, s *Store) error {
			chunk, err := s.ReadChunk(ctx, sale0)
			if err == nil {
				_, err = s.Apply(ctx, chunk, Change{Act: Commit})
			}
			return err
		}, true},
		{"a ticket", func(ctx context.Context, s *Store) error {
			_, err := s.SetTicket(ctx, Place{Ref: sale0}, nil, &campaign.Ticket{State: campaign.TicketDue}, 0, 9)
			return err
		}, false},
		{"the answer to a ticket", func(ctx context.Context, s *Store) error {
			_, err := s.SetTicket(ctx, Place{Ref: sale0}, &campaign.Ticket{State: campaign.TicketCreating}, nil, 0, 9)
			return err
		}, true},
		{"an outcome", func(ctx context.Context, s *Store) error {
			return s.UpdateOutcomes(ctx, sale0, []int{0}, func(int, campaign.Outcome) (campaign.Outcome, []campaign.Turn) {
				return campaign.Outcome{Conversation: "k", Started: time.Now()}, nil
			})
		}, false},
		{"a purge", func(ctx context.Context, s *Store) error { return s.Purge(ctx, "sale") }, false},
		{"an append", func(ctx context.Context, s *Store) error {
			a, err := s.BeginAppend(ctx, "sale", "f2")
			if err == nil {
				_, err = a.Finish(ctx, Appended{})
			}
			return err
		}, false},
		{"a load", func(ctx context.Context, s *Store) error {
			load, err := s.BeginLoad(ctx, testCampaign("next", 1))
			if err == nil {
				err = load.Finish(ctx, campaign.Counts{}, 0, campaign.Ready)
			}
			return err
		}, false},
	} {
		t.Run(act.name, func(t *testing.T) {
			ctx, rdb := t.Context(), redistest.Shared(t)
			launch(t, New(rdb), "sale", 2, 2, campaign.Running)
			rdb.Del(ctx, keyLive)
			before := dump(t, New(rdb), "sale")
			cut, boom := redis.NewClient(rdb.Options()), errors.New("boom")
			defer cut.Close()
			cut.AddHook(withoutLive{boom})
			if err := act.do(ctx, New(cut)); errors.Is(err, boom) == act.done {
				t.Errorf("without the live campaigns: %v", err)
			}
			if diff := cmp.Diff(before, dump(t, New(rdb), "sale")); !act.done && act.name != "a load" && act.name != "an append" && diff != "" {
				t.Errorf("it has changed something:\n%s", diff)
			}
			if err := act.do(ctx, New(rdb)); err != nil && !errors.Is(err, ErrNotOver) {
				t.Fatal(err)
			}
			live, _, err := New(rdb).Live(ctx)
			if err != nil || len(live) != 1 {
				t.Errorf("live %v, %v", live, err)
			}
		})
	}
}

// A campaign leaves the live ones only if nothing has raised it since it was read.
func TestRest(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		names := func() (names []string) {
			live, _, err := s.Live(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range live {
				names = append(names, l.Campaign)
			}
			return names
		}
		old := Live{"old", timeOf(1000)}
		for _, name := range []string{"old", "new"} {
			if err := s.LookAt(ctx, name, old.Since); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(s.Raise(ctx, "new"), s.LookAt(ctx, "new", timeOf(2000))); err != nil {
			t.Fatal(err)
		}
		if got := names(); !slices.Equal(got, []string{"old", "new"}) {
			t.Fatalf("live %v", got)
		}
		if err := errors.Join(s.Rest(ctx, old, time.Time{}), s.Rest(ctx, Live{"new", old.Since}, time.Time{})); err != nil {
			t.Fatal(err)
		}
		if got := names(); !slices.Equal(got, []string{"new"}) {
			t.Errorf("live %v: want the one that was raised meanwhile", got)
		}

		later := time.Now().Add(time.Hour)
		if err := s.LookAt(ctx, "later", later); err != nil {
			t.Fatal(err)
		}
		ever, err := s.EverLive(ctx)
		if err != nil || len(ever) != 2 || ever[1].Since.Sub(later).Abs() > time.Millisecond || len(names()) != 1 {
			t.Errorf("ever live %v, %v; live %v", ever, err, names())
		}
		if err := s.Rest(ctx, ever[1], old.Since); err != nil || len(names()) != 2 {
			t.Errorf("live %v, %v: want the one whose time was moved, too", names(), err)
		}
	})
}

// A process does not raise a campaign again within a minute, and does after it: much
// sooner than others may let it rest.
func TestRaisesAreRemembered(t *testing.T) {
	rdb := redistest.Shared(t)
	s := New(rdb)
	score := func() float64 { return rdb.ZScore(t.Context(), keyLive, "sale").Val() }
	raise := func() {
		t.Helper()
		if err := s.Raise(t.Context(), "sale"); err != nil {
			t.Fatal(err)
		}
	}
	raise()
	rdb.ZAdd(t.Context(), keyLive, redis.Z{Score: 1, Member: "sale"})
	raise()
	if got := score(); got != 1 {
		t.Errorf("it was raised again to %v", got)
	}
	s.raised.at["sale"] = s.raised.at["sale"].Add(-raiseAgain)
	raise()
	if got := score(); got == 1 {
		t.Error("it was not raised again after a minute")
	}
	if raiseAgain >= actsWithin || 2*actsWithin > LiveFor {
		t.Errorf("a raise counts for %v in its process, is watched for %v, and lasts %v", raiseAgain, actsWithin, LiveFor)
	}
	synctest.Test(t, func(t *testing.T) {
		var r raised
		for range raisedKept + 1 {
			r.add(string(rune(len(r.at))), time.Now())
		}
		if len(r.at) > raisedKept {
			t.Errorf("it keeps %d campaigns", len(r.at))
		}
	})
}

// A loop that has not looked for a while may have missed a campaign that was live.
func TestToLookAt(t *testing.T) {
	s := New(redistest.Shared(t))
	launch(t, s, "quiet", 1, 1, campaign.Running)
	s.rdb.Del(t.Context(), keyLive)
	launch(t, s, "sale", 1, 1, campaign.Running)
	var r Round
	for _, tt := range []struct {
		ago  time.Duration
		want []string
	}{
		{0, []string{"quiet", "sale"}}, // the first look
		{0, []string{"sale"}},
		{LiveFor, []string{"quiet", "sale"}},
	} {
		r.last = r.last.Add(-tt.ago)
		if got, _, err := s.ToLookAt(t.Context(), &r); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("after %v: %v, %v; want %v", tt.ago, got, err, tt.want)
		}
	}
	if r.Anew(); !r.last.IsZero() {
		t.Error("the next look is not the first")
	}
}

// What was raised is looked at while its act may come, and once more before it may rest.
func TestRound(t *testing.T) {
	var r Round
	began := time.Now()
	raisedAt := began
	for _, tt := range []struct {
		at   time.Duration
		want bool
	}{
		{0, true}, {time.Second, true}, {actsWithin, true}, {actsWithin + 5*time.Second, true},
		{actsWithin + 7*time.Second, false}, {5 * time.Minute, false},
		{LiveFor - raiseAgain + time.Second, true}, {LiveFor - time.Second, false},
	} {
		now := began.Add(tt.at)
		if got := r.Due([]Live{{"sale", raisedAt}}, now); len(got) == 1 != tt.want {
			t.Errorf("after %v: %v", tt.at, got)
		}
	}
	later := began.Add(LiveFor)
	if got := r.Due([]Live{{"sale", later}}, later.Add(time.Second)); len(got) != 1 {
		t.Error("it was raised, and is not looked at")
	}
	r.Due([]Live{{"sale", later}}, later.Add(time.Minute))
	if got := r.Due([]Live{{"sale", later}}, later.Add(2*time.Minute)); len(got) != 0 {
		t.Error("it is looked at for ever")
	}
	r.Again("sale")
	if got := r.Due([]Live{{"sale", later}}, later.Add(2*time.Minute)); len(got) != 1 {
		t.Error("it was to be looked at again, and is not")
	}
	if r.Due(nil, later); len(r.looks) != 0 {
		t.Errorf("it keeps %v", r.looks)
	}
}

// A chunk is marked as queued by a release that finds nothing begun, and by SetQueued; all
// else takes the mark away.
func TestQueuedChunks(t *testing.T) {
	onSale(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		queued := func() bool {
			t.Helper()
			open, err := s.Open(ctx, "sale", time.Time{}, 0)
			if err != nil || len(open) != 1 {
				t.Fatalf("open %v, %v", open, err)
			}
			return open[0].Queued
		}
		release := func(seq int) {
			t.Helper()
			if _, err := s.Release(ctx, "sale", -time.Second, ChunkSeq{Ref: sale0, Seq: seq}); err != nil || read(t, s, sale0).Seq != seq+1 {
				t.Fatalf("not released: %v", err)
			}
		}
		if queued() {
			t.Error("a chunk is queued before it was released")
		}
		if release(0); !queued() {
			t.Error("a release of a new chunk does not mark it")
		}
		before := time.Now()
		chunk := begin(t, s, sale0, "w/1", 0)
		if err := s.SetQueued(ctx, "sale", before, []int{0}, before.Add(time.Minute)); err != nil || queued() {
			t.Errorf("a chunk that has begun since it was read is marked: %v", err)
		}
		apply(t, s, chunk, Change{Act: Commit, Token: "w/1", Moves: []Move{{0, campaign.Move{Cause: campaign.Accept}}}})
		if release(1); queued() {
			t.Error("a release marks a chunk that has begun requests: one may be on its way")
		}
		if err := s.SetQueued(ctx, "sale", time.Now(), []int{0, 7}, time.Now().Add(time.Minute)); err != nil || !queued() {
			t.Errorf("a chunk that waits is not marked: %v", err)
		}
		if err := s.Hasten(ctx, "sale", dueAt(0, time.Second)); err != nil || queued() {
			t.Errorf("a chunk whose task was taken is marked: %v", err)
		}
	})
}

func TestReadAll(t *testing.T) {
	s := New(redistest.Shared(t))
	ctx := t.Context()
	launch(t, s, "sale", 3, 2, campaign.Running)
	launch(t, s, "bad", 1, 1, campaign.Running)
	s.rdb.Del(ctx, keyTally("bad"))
	s.rdb.Set(ctx, keyTally("bad"), "x", 0)
	if _, err := s.BeginLoad(ctx, testCampaign("loading", 1)); err != nil {
		t.Fatal(err)
	}
	got, err := s.ReadAll(ctx, []string{"sale", "none", "bad", "loading"})
	if err != nil || len(got) != 4 {
		t.Fatalf("%v, %v", got, err)
	}
	if c, err := s.Campaign(ctx, "sale"); got[0].Err != nil || got[0].Tally.States[campaign.Pending] != 3 || err != nil || cmp.Diff(c, got[0].Campaign) != "" {
		t.Errorf("%+v", got[0])
	}
	if !errors.Is(got[1].Err, ErrNotFound) || got[1].Name != "none" || got[2].Err == nil || errors.Is(got[2].Err, ErrNotFound) {
		t.Errorf("missing %v, damaged %v", got[1].Err, got[2].Err)
	}
	if got[3].Err != nil || got[3].Phase != campaign.Loading {
		t.Errorf("%+v", got[3])
	}
	if latest, err := s.Latest(ctx, 2); err != nil || len(latest) != 2 || latest[0] != "loading" {
		t.Errorf("latest %v, %v", latest, err)
	}
}
