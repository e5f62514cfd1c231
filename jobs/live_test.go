package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/redistest"
	"campaign-runner/jobs/timings"
)

// counting counts the commands of a client; what scripts call is not among them.
type counting struct{ commands atomic.Int64 }

func (c *counting) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *counting) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.commands.Add(1)
		return next(ctx, cmd)
	}
}

func (c *counting) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.commands.Add(int64(len(cmds)))
		return next(ctx, cmds)
	}
}

// of counts the commands of do.
func (c *counting) of(t *testing.T, do func(context.Context) error) int64 {
	t.Helper()
	before := c.commands.Load()
	if err := do(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c.commands.Load() - before
}

func countedStage(t *testing.T, contacts int, edit ...func(*campaign.Settings)) (*stage, *counting) {
	rdb, c := redistest.Shared(t), &counting{}
	rdb.AddHook(c)
	return newStageOn(t, rdb, contacts, edit...), c
}

func (s *stage) sweeper() *sweeper {
	return &sweeper{store: s.store, queue: s.queue, steady: always, agents: []string{"default"}, log: slog.New(slog.DiscardHandler)}
}

// finish makes campaigns that have finished.
func (s *stage) finish(prefix string, campaigns int) {
	s.t.Helper()
	for n := range campaigns {
		name := fmt.Sprint(prefix, n)
		s.load(name, 1)
		s.rdb.Del(s.t.Context(), "c:{"+name+"}:open") // as if its last contact had gone
	}
}

// untouched makes the live campaigns look as if nothing had raised them for a time.
func (s *stage) untouched(names ...string) {
	s.t.Helper()
	for _, name := range names {
		s.rdb.ZAddXX(s.t.Context(), "live", redis.Z{Score: 1, Member: name})
	}
}

// What has finished costs the loops nothing: they ask as much of Redis beside fifty
// campaigns as beside none.
func TestFinishedCampaignsCostTheLoopsNothing(t *testing.T) {
	s, c := countedStage(t, 1)
	s.rdb.Del(t.Context(), "c:{c}:open")
	sweeper := s.sweeper()
	w := &Worker{cfg: Config{Store: s.store}}
	all := func(ctx context.Context) error {
		for _, loop := range []func(context.Context) error{sweeper.sweep, w.sample, s.queue.retain} {
			if err := loop(ctx); err != nil {
				return err
			}
		}
		return nil
	}
	c.of(t, all) // Redis gets the scripts
	s.rdb.Del(t.Context(), "live")
	alone := c.of(t, all)
	s.finish("done-", 50)
	if just := c.of(t, all); just < 50 {
		t.Errorf("%d commands beside campaigns that have just finished: their last sample is not taken", just)
	}
	s.rdb.Del(t.Context(), "live")
	if beside := c.of(t, all); beside != alone {
		t.Errorf("%d commands beside finished campaigns, %d beside none", beside, alone)
	}
}

// A scan asks two things of each campaign that rests, and finds what is missing.
func TestScan(t *testing.T) {
	s, c := countedStage(t, 1)
	s.finish("done-", 60)
	s.load("waits", 1)
	s.rdb.HSet(t.Context(), "c:{waits}", "phase", "paused")
	s.rdb.Del(t.Context(), "live")
	sweeper := s.sweeper()
	scan := func() int64 {
		s.rdb.Del(t.Context(), "lease:scan")
		return c.of(t, sweeper.scan)
	}
	scan()
	live, _, err := s.store.Live(t.Context())
	if err != nil || len(live) != 1 || live[0].Campaign != "c" {
		t.Errorf("live %v, %v: want the one with an open chunk that runs", live, err)
	}
	const few = 20
	if took := scan(); took > 2*62+few {
		t.Errorf("a scan took %d commands for 62 campaigns", took)
	}
	if took := c.of(t, sweeper.scan); took > 3 {
		t.Errorf("a scan that another worker has made took %d commands", took)
	}
	if err := s.queue.Pause(t.Context(), "c", campaign.Text("lunch")); err != nil {
		t.Fatal(err)
	}
	s.rdb.Del(t.Context(), "live")
	s.rdb.HSet(t.Context(), "c:{waits}", "phase", "running")
	s.rdb.ZAdd(t.Context(), "c:{waits}:open", redis.Z{Score: 5, Member: 0})
	scan()
	if live, _, err := s.store.Live(t.Context()); err != nil || len(live) != 1 || live[0].Campaign != "waits" {
		t.Errorf("live %v, %v: want the one that was opened", live, err)
	}
}

// A campaign rests once nothing has raised it for a while and nothing of it is to come.
func TestSweepsLetRest(t *testing.T) {
	s := newStage(t, 1)
	s.finish("done-", 1)
	s.load("busy", 1)
	sweeper := s.sweeper()
	sweep := func() {
		t.Helper()
		if err := sweeper.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	live := func() []string { return slices.Sorted(slices.Values(s.rdb.ZRange(t.Context(), "live", 0, -1).Val())) }
	s.untouched("c", "done-0")
	if sweep(); len(live()) != 3 {
		t.Errorf("live %v: a worker that has just started lets rest", live())
	}
	sweeper.began = time.Now().Add(-timings.RestAfter)
	s.untouched("c", "done-0")
	if sweep(); !slices.Equal(live(), []string{"busy", "c"}) {
		t.Errorf("live %v: want those with open chunks", live())
	}
	if series, err := s.store.Series(t.Context(), "done-0"); err != nil || len(series) == 0 {
		t.Errorf("its last sample was not taken: %v", err)
	}
}

func TestNextLook(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	in := func(d time.Duration) time.Time { return now.Add(d) }
	day := 24 * time.Hour
	of := func(phase campaign.Phase, edit ...func(*store.Reading)) store.Reading {
		r := store.Reading{Campaign: campaign.Campaign{Phase: phase}}
		for _, e := range edit {
			e(&r)
		}
		return r
	}
	kept := func(days int, ended time.Duration) func(*store.Reading) {
		return func(r *store.Reading) { r.Settings.KeepDays, r.EndedAt = days, in(ended) }
	}
	for _, tt := range []struct {
		name          string
		r             store.Reading
		first, ticket time.Time
		want          time.Time
	}{
		{"running, a chunk is overdue", of(campaign.Running), in(-day), time.Time{}, in(-day)},
		{"running, all chunks rest until the morning", of(campaign.Running), in(9 * time.Hour), time.Time{}, in(9 * time.Hour)},
		{"running and finished", of(campaign.Running), time.Time{}, time.Time{}, time.Time{}},
		{"finished, kept for a week", of(campaign.Running, kept(7, -day)), time.Time{}, time.Time{}, in(6 * day)},
		{"set going again, kept for a week since its end", of(campaign.Running, kept(7, -9*day)), in(time.Minute), time.Time{}, in(time.Minute)},
		{"canceled, contacts are left to cancel", of(campaign.CanceledPhase), in(time.Hour), time.Time{}, in(time.Hour)},
		{"canceled", of(campaign.CanceledPhase), time.Time{}, time.Time{}, time.Time{}},
		{"paused", of(campaign.Paused), in(-day), time.Time{}, time.Time{}},
		{"paused, a request was on its way", of(campaign.Paused, func(r *store.Reading) { r.Tally.States[campaign.Sending] = 1 }), in(-day), time.Time{}, now},
		{"waits for a person", of(campaign.Ready), in(-day), time.Time{}, time.Time{}},
		{"starts in three weeks", of(campaign.Scheduled, func(r *store.Reading) { r.Settings.StartAt = in(21 * day) }), in(-day), time.Time{}, in(21 * day)},
		{"loading", of(campaign.Loading), in(-day), time.Time{}, time.Time{}},
		{"a purge was interrupted", of(campaign.Running, func(r *store.Reading) { r.PurgeBegan = in(-day) }), time.Time{}, time.Time{}, now},
		{"purged", of(campaign.Running, kept(7, -day), func(r *store.Reading) { r.PurgeBegan, r.PurgedAt = in(-day), in(-day) }), time.Time{}, time.Time{}, time.Time{}},
		{"a ticket is tried again", of(campaign.Running), time.Time{}, in(time.Minute), in(time.Minute)},
		{"a ticket waits that no worker makes", of(campaign.Running), time.Time{}, in(-day), time.Time{}},
		{"a notice is tried again", of(campaign.Paused, func(r *store.Reading) { r.NoticeDue = in(time.Minute) }), in(-day), time.Time{}, in(time.Minute)},
		{"a ticket before the end of its keeping", of(campaign.Running, kept(7, -day)), time.Time{}, in(time.Minute), in(time.Minute)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := nextLook(tt.r, tt.first, tt.ticket, now); !got.Equal(tt.want) {
				t.Errorf("next look %v, want %v", got, tt.want)
			}
		})
	}
}

// queued are how many open chunks wait in their queue, by what the sweeper knows.
func (s *stage) queued() (chunks int) {
	s.t.Helper()
	open, err := s.store.Open(s.t.Context(), "c", time.Time{}, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, due := range open {
		if due.Queued {
			chunks++
		}
	}
	return chunks
}

// agesQueued makes all chunks due, as time does.
func (s *stage) agesQueued(chunks int) {
	s.t.Helper()
	for n := range chunks {
		s.rdb.ZIncrBy(s.t.Context(), "c:{c}:open", -timings.QueuedDue.Seconds()*1000-60_000, fmt.Sprint(n))
	}
}

func small(settings *campaign.Settings) { settings.ChunkSize = 1 }

// Chunks are released some at a time, and asynq's commands for their tasks share round
// trips. How many share one depends on when they come, so the bound leaves room.
func TestReleasesShareRoundTrips(t *testing.T) {
	const chunks = 1000
	s := newStage(t, chunks, small)
	c := new(counted)
	s.rdb.AddHook(c)
	if n, err := s.queue.Release(t.Context(), "c"); n != chunks || err != nil {
		t.Fatalf("released %d, %v", n, err)
	}
	if tasks := s.waitingTasks("default-bulk"); len(tasks) != chunks {
		t.Errorf("%d tasks wait, want %d", len(tasks), chunks)
	}
	t.Logf("%d commands in %d round trips for %d chunks", c.commands, c.trips, chunks)
	if c.trips > chunks/2 || c.commands > 2*chunks+100 {
		t.Errorf("%d commands in %d round trips for %d chunks", c.commands, c.trips, chunks)
	}
}

// A sweep of chunks that wait in their queue compares the queue with the open chunks page
// by page: how many they are costs next to nothing.
func TestChunksThatWaitAreSweptInPages(t *testing.T) {
	const chunks = 1500
	s, c := countedStage(t, chunks, small)
	if n, err := s.queue.Release(t.Context(), "c"); n != chunks || err != nil {
		t.Fatalf("released %d, %v", n, err)
	}
	if got := s.queued(); got != chunks {
		t.Fatalf("%d chunks are queued after their release", got)
	}
	sweeper := s.sweeper()
	const few = 50
	for round := range 3 {
		s.agesQueued(chunks)
		if took := c.of(t, sweeper.sweep); took > few {
			t.Errorf("sweep %d took %d commands", round, took)
		}
		now, err := s.store.Now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if open, err := s.store.Open(t.Context(), "c", now, 0); err != nil || len(open) > 0 || s.queued() != chunks {
			t.Fatalf("%d are still due, %d queued, %v", len(open), s.queued(), err)
		}
	}
	if took := c.of(t, func(ctx context.Context) error { return s.queue.follow(ctx, s.now()) }); took > few {
		t.Errorf("to release what waits already took %d commands", took)
	}
	for n := range chunks {
		if s.chunk(n).Seq != 1 {
			t.Fatalf("chunk %d was released again", n)
		}
	}
}

// A task that is lost is missed when its chunk is due again and the queue is listed.
func TestALostTaskIsMissed(t *testing.T) {
	for _, tt := range []struct {
		name string
		lose func(s *stage)
		want []int // releases of the chunks
	}{
		{"one", func(s *stage) {
			if err := s.queue.inspector.DeleteTask("default", "c:1:1"); err != nil {
				t.Fatal(err)
			}
		}, []int{1, 2, 1}},
		{"one that was archived", func(s *stage) {
			if err := s.queue.inspector.ArchiveTask("default", "c:1:1"); err != nil {
				t.Fatal(err)
			}
		}, []int{1, 2, 1}},
		{"the queue", func(s *stage) {
			if err := s.queue.inspector.DeleteQueue("default", true); err != nil {
				t.Fatal(err)
			}
		}, []int{2, 2, 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, 3, small, func(settings *campaign.Settings) { settings.Lane = campaign.Normal })
			if _, err := s.queue.Release(t.Context(), "c"); err != nil {
				t.Fatal(err)
			}
			sweeper := s.sweeper()
			for range 2 {
				s.agesQueued(3)
				if err := sweeper.sweep(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := s.queued(); got != 3 {
					t.Errorf("%d chunks are queued", got)
				}
				if s.chunk(1).Seq == 1 && s.chunk(0).Seq == 1 && tt.lose != nil {
					tt.lose(s)
					tt.lose = nil
					sweeper.queues["default"].at = time.Now().Add(-timings.ListEvery)
				}
			}
			for n, want := range tt.want {
				if got := s.chunk(n).Seq; got != want {
					t.Errorf("chunk %d was released %d times, want %d", n, got, want)
				}
			}
		})
	}
}

// A chunk whose sender died is recovered although a task of it waits.
func TestADeadSenderIsNoticedThoughATaskWaits(t *testing.T) {
	s := newStage(t, 2, small)
	if _, err := s.queue.Release(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	s.begin("gone/1", 1)
	s.agesQueued(2)
	if err := s.sweeper().sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.record(0).State; got != campaign.Unconfirmed {
		t.Errorf("its contact is %v", got)
	}
}

// What is read of asynq's keys is what its inspector says.
func TestWaitingTasksAreThoseOfTheInspector(t *testing.T) {
	s := newStage(t, 8, small, func(settings *campaign.Settings) { settings.Lane = campaign.Normal })
	later := time.Now().Add(time.Hour).Truncate(time.Second)
	enqueue := func(chunk int, opts ...asynq.Option) {
		t.Helper()
		if _, err := s.queue.client.Enqueue(newTask(s.campaign, chunk, 1), opts...); err != nil {
			t.Fatal(err)
		}
	}
	enqueue(0) // it is taken, and fails
	ran := make(chan struct{}, 1)
	server := asynq.NewServerFromRedisClient(s.rdb, asynq.Config{
		Queues: map[string]int{"default": 1}, Concurrency: 1, LogLevel: asynq.FatalLevel,
		RetryDelayFunc: func(int, error, *asynq.Task) time.Duration { return time.Hour },
	})
	if err := server.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
		ran <- struct{}{}
		return fmt.Errorf("boom")
	})); err != nil {
		t.Fatal(err)
	}
	<-ran
	server.Shutdown()
	enqueue(1)
	enqueue(2, asynq.ProcessAt(later))
	enqueue(3)
	if err := s.queue.inspector.ArchiveTask("default", "c:3:1"); err != nil {
		t.Fatal(err)
	}
	enqueue(4, asynq.Queue("default-bulk"))
	if _, err := s.queue.client.Enqueue(asynq.NewTask("other", nil), asynq.Queue("default"), asynq.TaskID("foreign")); err != nil {
		t.Fatal(err)
	}

	got, err := s.queue.waitingTasks(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[store.Ref]waitingTask)
	for lane := range lanes {
		queue := queueName("default", lane)
		for _, list := range []func(string, ...asynq.ListOption) ([]*asynq.TaskInfo, error){
			s.queue.inspector.ListPendingTasks, s.queue.inspector.ListScheduledTasks, s.queue.inspector.ListRetryTasks,
		} {
			tasks, err := list(queue)
			if err != nil && !isQueueMissing(err) {
				t.Fatal(err)
			}
			for _, task := range tasks {
				ref, err := decodeTask(asynq.NewTask(task.Type, task.Payload))
				if err != nil {
					continue
				}
				w := waitingTask{queue: queue}
				if task.State != asynq.TaskStatePending {
					w.at = task.NextProcessAt
				}
				want[ref] = w
			}
		}
	}
	if len(want) != 4 || len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for ref, task := range want {
		if g := got[ref]; g.queue != task.queue || g.at.Unix() != task.at.Unix() {
			t.Errorf("%v: got %v, want %v", ref, g, task)
		}
	}
}

// A campaign that rests until its hours is paused with its agent, too.
func TestHaltingAnAgentReachesWhatRests(t *testing.T) {
	s := newStage(t, 1)
	s.load("rests", 1)
	s.load("other", 1, func(settings *campaign.Settings) { settings.Agent = "other" })
	s.rdb.ZAdd(t.Context(), "live", redis.Z{Score: 9e15, Member: "rests"})
	if err := s.queue.HaltAgent(t.Context(), s.campaign, campaign.Text("401")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]campaign.Phase{"c": campaign.Paused, "rests": campaign.Paused, "other": campaign.Running} {
		if got, _ := s.phase(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

// The chunks behind a canary, and those of a campaign that does not run, are not read one
// by one.
func TestChunksThatMayNotBeSentCostNothing(t *testing.T) {
	const chunks, few = 300, 40
	for name, edit := range map[string]func(s *stage){
		"behind the canary": func(s *stage) { s.rdb.HSet(t.Context(), "c:{c}", "canary", 1) },
		"paused":            func(s *stage) { s.rdb.HSet(t.Context(), "c:{c}", "phase", "paused") },
		"ready":             func(s *stage) { s.rdb.HSet(t.Context(), "c:{c}", "phase", "ready") },
	} {
		t.Run(name, func(t *testing.T) {
			s, c := countedStage(t, chunks, small)
			edit(s)
			if took := c.of(t, s.sweeper().sweep); took > few {
				t.Errorf("a sweep took %d commands", took)
			}
		})
	}
}
