package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/timings"
)

// sweep lets every open chunk become overdue and sweeps once.
func (s *stage) sweep() {
	s.t.Helper()
	ctx := s.t.Context()
	s.overdue()
	sweeper := &sweeper{store: s.store, queue: s.queue, steady: always, log: slog.New(slog.DiscardHandler)}
	if err := sweeper.sweep(ctx); err != nil {
		s.t.Fatal(err)
	}
	s.check()
}

func (s *stage) overdue() {
	s.t.Helper()
	open, err := s.store.Open(s.t.Context(), "c", time.Time{}, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, o := range open {
		if err := s.store.SetDue(s.t.Context(), store.Ref{Campaign: "c", Chunk: o.Chunk}, -time.Second); err != nil {
			s.t.Fatal(err)
		}
	}
}

// due is how long chunk 0 may still rest; zero when it is through.
func (s *stage) due() time.Duration {
	s.t.Helper()
	open, err := s.store.Open(s.t.Context(), "c", time.Time{}, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	now, err := s.store.Now(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	for _, o := range open {
		if o.Chunk == 0 {
			return o.At.Sub(now)
		}
	}
	return 0
}

func TestSweepReleasesWhatHasNoTask(t *testing.T) {
	s := newStage(t, 25, batchOf(10))
	s.sweep()
	if ids := s.waitingTasks("default"); len(ids) != 3 {
		t.Errorf("tasks %v, want three", ids)
	}
	s.sweep()
	if ids := s.waitingTasks("default"); len(ids) != 3 {
		t.Errorf("after a second sweep: tasks %v, want three", ids)
	}
	if due := s.due(); due < timings.QueuedDue/2 {
		t.Errorf("a chunk whose task waits is looked at again in %v", due)
	}
}

func TestSweepFindsTasksThatNobodyEverGot(t *testing.T) {
	s := newStage(t, 10)
	s.sweep() // releases it
	s.sweep() // sees its task wait
	if due := s.due(); due < timings.QueuedDue/2 {
		t.Fatalf("a chunk whose task waits is looked at again in %v", due)
	}
	// As asynq takes a task, for a worker that dies at once or is cut off.
	ctx, queue := t.Context(), "asynq:{default}:"
	if err := s.rdb.LMove(ctx, queue+"pending", queue+"active", "right", "left").Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.rdb.HSet(ctx, queue+"t:c:0:1", "state", "active").Err(); err != nil {
		t.Fatal(err)
	}
	sweeper := &sweeper{store: s.store, queue: s.queue, steady: always, agents: []string{"nobody", "default"}, log: slog.New(slog.DiscardHandler)}
	if err := sweeper.sweep(ctx); err != nil {
		t.Fatal(err)
	}
	if due := s.due(); due > timings.KeepDue {
		t.Errorf("looked at again in %v, want %v at most", due, timings.KeepDue)
	}
	s.sweep()
	if diff := cmp.Diff([]string{"c:0:2"}, s.waitingTasks("default")); diff != "" {
		t.Errorf("tasks (-want +got):\n%s", diff)
	}
}

func TestSweepEndsClaimsOfTheDead(t *testing.T) {
	s := newStage(t, 10)
	s.begin("dead/1", 4)
	s.sweep()
	s.want(map[campaign.State]int{campaign.Unconfirmed: 4, campaign.Pending: 6})
	if diff := cmp.Diff([]string{"c:0:1"}, s.waitingTasks("default")); diff != "" {
		t.Errorf("tasks (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"the sender died: the request may have been carried out": 4}, s.reasons(campaign.Unconfirmed)); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
}

func TestSweepLeavesTheLivingAlone(t *testing.T) {
	s := newStage(t, 10)
	s.runner("alive")
	s.begin("alive/1", 4)
	s.sweep()
	s.want(map[campaign.State]int{campaign.Sending: 4, campaign.Pending: 6})
	if due := s.due(); due <= 0 || due > timings.KeepDue+time.Second { // two readings of the clock
		t.Errorf("looked at again in %v", due)
	}
}

func TestSweepRecoversClaimsOfPausedAndCanceledCampaigns(t *testing.T) {
	for phase, want := range map[campaign.Phase]campaign.State{campaign.Paused: campaign.Pending, campaign.CanceledPhase: campaign.Canceled} {
		s := newStage(t, 10)
		s.begin("dead/1", 4)
		if _, _, err := s.store.SetPhase(t.Context(), "c", phase, campaign.Message{}, campaign.Running); err != nil {
			t.Fatal(err)
		}
		s.sweep()
		s.want(map[campaign.State]int{campaign.Unconfirmed: 4, want: 6})
	}
}

func TestSweepClosesAChunkWhoseLastContactsDied(t *testing.T) {
	s := newStage(t, 4)
	s.begin("dead/1", 4)
	s.sweep()
	s.want(map[campaign.State]int{campaign.Unconfirmed: 4})
	if due := s.due(); due != 0 {
		t.Errorf("still due in %v", due)
	}
}

func TestSweepSparesLoadingCampaigns(t *testing.T) {
	s := newStage(t, 10)
	if err := s.rdb.HSet(t.Context(), "c:{c}", "phase", "loading").Err(); err != nil {
		t.Fatal(err)
	}
	s.overdue()
	sweeper := &sweeper{store: s.store, queue: s.queue, steady: always, log: slog.New(slog.DiscardHandler)}
	if err := sweeper.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if due := s.due(); due > 0 {
		t.Error("a loading campaign was touched")
	}
}

func TestSeveralSweepersReleaseAChunkOnce(t *testing.T) {
	s := newStage(t, 100, batchOf(2))
	s.overdue()
	done := make(chan error)
	for range 4 {
		go func() {
			done <- (&sweeper{store: s.store, queue: s.queue, steady: always, log: slog.New(slog.DiscardHandler)}).sweep(context.Background())
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if ids := s.waitingTasks("default"); len(ids) != 50 {
		t.Errorf("%d tasks for 50 chunks", len(ids))
	}
}

// spoil makes a chunk one that cannot be worked on.
var spoil = map[string]func(s *stage, chunk int) error{
	"a ledger with a state of a later version": func(s *stage, chunk int) error {
		return s.rdb.SetRange(s.t.Context(), fmt.Sprintf("c:{c}:l:%d", chunk), 0, "\x3f").Err()
	},
	"a ledger that is cut off": func(s *stage, chunk int) error {
		return s.rdb.Set(s.t.Context(), fmt.Sprintf("c:{c}:l:%d", chunk), "x", 0).Err()
	},
	"no ledger": func(s *stage, chunk int) error {
		return s.rdb.Del(s.t.Context(), fmt.Sprintf("c:{c}:l:%d", chunk)).Err()
	},
	"a ledger of another type": func(s *stage, chunk int) error {
		key := fmt.Sprintf("c:{c}:l:%d", chunk)
		return errors.Join(s.rdb.Del(s.t.Context(), key).Err(), s.rdb.SAdd(s.t.Context(), key, "x").Err())
	},
	"a chunk of another type": func(s *stage, chunk int) error {
		key := fmt.Sprintf("c:{c}:k:%d", chunk)
		return errors.Join(s.rdb.Del(s.t.Context(), key).Err(), s.rdb.Set(s.t.Context(), key, "x", 0).Err())
	},
}

func TestOneUnreadableChunkKeepsNoOtherFromTheSweep(t *testing.T) {
	for what, spoil := range spoil {
		t.Run(what, func(t *testing.T) {
			s := newStage(t, 400, batchOf(10))
			for _, chunk := range []int{0, 17} {
				if err := spoil(s, chunk); err != nil {
					t.Fatal(err)
				}
			}
			s.overdue()
			sweeper := &sweeper{store: s.store, queue: s.queue, steady: always, log: slog.New(slog.DiscardHandler)}
			err := sweeper.sweep(t.Context())
			if n := len(s.waitingTasks("default")); n != 38 {
				t.Errorf("%d of 38 good chunks have a task", n)
			}
			var left *UndoneError
			if !errors.As(err, &left) || !slices.Equal(left.Chunks, []int{0, 17}) {
				t.Fatalf("the sweep says %v", err)
			}
			if lines := strings.Count(err.Error(), "\n"); lines > 0 {
				t.Errorf("in %d lines: %v", lines+1, err)
			}
			// They are told again after a while, and not in each sweep.
			if err := sweeper.sweep(t.Context()); err != nil {
				t.Errorf("the next sweep says %v", err)
			}
			open, err := s.store.Open(t.Context(), "c", time.Now().Add(timings.TroubleDue+time.Second), 0)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(open, func(d store.Due) bool { return d.Chunk == 17 }) {
				t.Error("nobody will look at the bad ones again")
			}
		})
	}
}

func TestManyUnreadableChunksKeepNoOtherFromTheSweep(t *testing.T) {
	s := newStage(t, sweepChunks+20, batchOf(1))
	for chunk := range sweepChunks + 10 {
		if err := spoil["a ledger that is cut off"](s, chunk); err != nil {
			t.Fatal(err)
		}
	}
	s.overdue()
	sweeper := &sweeper{store: s.store, queue: s.queue, steady: always, log: slog.New(slog.DiscardHandler)}
	err := sweeper.sweep(t.Context())
	if err == nil || len(err.Error()) > 400 {
		t.Errorf("a thousand are told as %v", err)
	}
	_ = sweeper.sweep(t.Context())
	if n := len(s.waitingTasks("default-bulk")); n != 10 {
		t.Errorf("%d of 10 good chunks have a task", n)
	}
}

func TestOneBadCampaignOrQueueKeepsNoOtherFromTheSweep(t *testing.T) {
	for what, spoil := range map[string]func(*stage) error{
		"settings that cannot be read": func(s *stage) error { return s.rdb.HSet(s.t.Context(), "c:{bad}", "settings", "{").Err() },
		"open chunks of another type": func(s *stage) error {
			return errors.Join(s.rdb.Del(s.t.Context(), "c:{bad}:open").Err(), s.rdb.Set(s.t.Context(), "c:{bad}:open", "x", 0).Err())
		},
		"a queue of another type": func(s *stage) error {
			return errors.Join(s.rdb.SAdd(s.t.Context(), "asynq:queues", "worse").Err(), s.rdb.Set(s.t.Context(), "asynq:{worse}:active", "x", 0).Err())
		},
	} {
		t.Run(what, func(t *testing.T) {
			s := newStage(t, 20, batchOf(10))
			s.load("bad", 10)
			if err := spoil(s); err != nil {
				t.Fatal(err)
			}
			s.overdue()
			sweeper := &sweeper{store: s.store, queue: s.queue, steady: always, agents: []string{"worse", "default"}, log: slog.New(slog.DiscardHandler)}
			if err := sweeper.sweep(t.Context()); err == nil {
				t.Error("the trouble is not told")
			}
			tasks := 0
			for _, id := range s.waitingTasks("default") {
				if strings.HasPrefix(id, "c:") {
					tasks++
				}
			}
			if tasks != 2 {
				t.Errorf("%d of 2 good chunks have a task", tasks)
			}
		})
	}
}

func TestASweepEndsWithARedisThatIsGone(t *testing.T) {
	s := newStage(t, 400, batchOf(1))
	s.overdue()
	var asked atomic.Int32
	s.rdb.AddHook(cutAfter{&asked, 40})
	sweeper := &sweeper{store: s.store, queue: s.queue, steady: always, log: slog.New(slog.DiscardHandler)}
	if err := sweeper.sweep(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the sweep says %v", err)
	}
	if n := asked.Load(); n > 40+2*chunksAtOnce+2 {
		t.Errorf("%d calls to a Redis that is gone", n-40)
	}
}

// cutAfter fails every call after the first few, as a connection that is cut.
type cutAfter struct {
	asked *atomic.Int32
	spare int32
}

var errCut = &net.OpError{Op: "read", Net: "tcp", Err: net.ErrClosed}

func (c cutAfter) DialHook(next redis.DialHook) redis.DialHook { return next }
func (c cutAfter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if c.asked.Add(1) > c.spare {
			cmd.SetErr(errCut)
			return errCut
		}
		return next(ctx, cmd)
	}
}
func (c cutAfter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if c.asked.Add(1) > c.spare {
			for _, cmd := range cmds {
				cmd.SetErr(errCut)
			}
			return errCut
		}
		return next(ctx, cmds)
	}
}

func TestPeopleReachAllButTheUnreadableChunk(t *testing.T) {
	failed := Selection{States: []campaign.State{campaign.Failed}}
	for what, spoil := range spoil {
		for name, act := range map[string]func(s *stage) (int, error){
			"cancel": func(s *stage) (int, error) { return s.queue.Cancel(s.t.Context(), "c") },
			"rerun": func(s *stage) (int, error) {
				done, err := s.queue.Rerun(s.t.Context(), "c", failed)
				return done.Contacts, err
			},
			"rerun of a canceled campaign": func(s *stage) (int, error) {
				_, _ = s.queue.Cancel(s.t.Context(), "c")
				done, err := s.queue.Rerun(s.t.Context(), "c", Selection{States: []campaign.State{campaign.Canceled}})
				return done.Contacts, err
			},
		} {
			t.Run(name+" with "+what, func(t *testing.T) {
				s := newStage(t, 60, batchOf(10), func(c *campaign.Settings) { c.MaxAttempts = 1 })
				if name == "rerun" {
					s.platform.answer = refuseAll(500, "broken")
					for chunk := range 6 {
						s.send("w", chunk)
					}
					s.want(map[campaign.State]int{campaign.Failed: 60})
				}
				if err := spoil(s, 3); err != nil {
					t.Fatal(err)
				}
				n, err := act(s)
				var left *UndoneError
				if !errors.As(err, &left) || !slices.Equal(left.Chunks, []int{3}) {
					t.Errorf("%v", err)
				}
				if n != 50 {
					t.Errorf("done for %d contacts, want 50", n)
				}
			})
		}
	}
}

func TestResumeReleasesAllButTheBadChunk(t *testing.T) {
	s := newStage(t, 120, batchOf(1))
	if err := s.queue.Pause(t.Context(), "c", campaign.Text("so")); err != nil {
		t.Fatal(err)
	}
	if err := spoil["a chunk of another type"](s, 60); err != nil {
		t.Fatal(err)
	}
	n, err := s.resume(s.queue, "c")
	var left *UndoneError
	if !errors.As(err, &left) || !slices.Equal(left.Chunks, []int{60}) || n != 119 {
		t.Errorf("released %d: %v", n, err)
	}
	if tasks := s.waitingTasks("default-bulk"); len(tasks) != 119 {
		t.Errorf("%d tasks", len(tasks))
	}
}

func TestUndoneTellsOnceOfAll(t *testing.T) {
	some := func(err string, chunks ...int) *UndoneError { return &UndoneError{"c", chunks, errors.New(err)} }
	gone := errors.New("gone")
	for _, tt := range []struct {
		name string
		errs []error
		want string
	}{
		{"nothing", []error{nil, nil}, "<nil>"},
		{"one", []error{nil, some("bad", 4)}, "not done for 1 chunk of c: 4: bad"},
		{"the same chunks in several steps", []error{some("bad", 4, 7), some("worse", 7, 1)}, "not done for 3 chunks of c: 1, 4, 7: bad"},
		{"many", []error{some("bad", allOf(1000)...)}, "not done for 1000 chunks of c: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 990 more: bad"},
		{"with something else", []error{errors.Join(gone, some("bad", 2)), some("bad", 1)}, "gone\nnot done for 2 chunks of c: 1, 2: bad"},
		{"only something else", []error{gone}, "gone"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := fmt.Sprint(undone(tt.errs...)); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
