package jobs

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hibiken/asynq"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/timings"
	"campaign-runner/ratelimit"
	"campaign-runner/velents"
)

// A minute's requests of the platform's usual quota.
const minute = 30

func TestAShortListBeginsWithinAMinuteBehindAMillion(t *testing.T) {
	// 2,000 chunks, as a million contacts have; only that there is one in each.
	s := newStage(t, 2000, batchOf(1))
	if _, err := s.queue.Release(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	quota, begun := make(chan struct{}), make(chan struct{})
	var over atomic.Bool
	s.platform.answer = func(rows []velents.Row) error {
		// The lists share numbers: those that are on their way for the long one are left
		// out of the short one's request.
		if len(rows) > 1 {
			if over.CompareAndSwap(false, true) {
				close(begun)
			}
		} else if !over.Load() {
			<-quota
		}
		return nil
	}
	s.startWorker(Agent{"default", s.platform, s.quota})
	for range minute {
		quota <- struct{}{}
	}
	s.load("short", 100)
	if _, err := s.queue.Release(t.Context(), "short"); err != nil {
		t.Fatal(err)
	}
	for requests := 0; ; requests++ {
		select {
		case <-begun:
			close(quota)
			s.await("short")
			if err := s.queue.Pause(t.Context(), "c", campaign.Text("seen enough")); err != nil {
				t.Error(err)
			}
			return
		case quota <- struct{}{}:
			if requests > minute {
				t.Error("the short list has not begun after a minute's requests")
				over.Store(true)
				close(quota)
				return
			}
		}
	}
}

func TestALongTaskGivesWayToOtherLanes(t *testing.T) {
	s := newStage(t, 50, dispatching, inLane(campaign.Bulk))
	runner := s.runner("w1")
	runner.sender.Worker.Turn = 0
	s.load("short", 10)
	if _, err := s.queue.Release(t.Context(), "short"); err != nil {
		t.Fatal(err)
	}
	if later := s.sendAs(runner, 0); later == nil || later.After != 0 || s.platform.count() > 2*dispatchesAtFirst {
		t.Errorf("%d requests before it gives way: %v", s.platform.count(), later)
	}
	if _, err := s.queue.inspector.DeleteAllPendingTasks("default"); err != nil {
		t.Fatal(err)
	}
	if later := s.sendAs(runner, 0); later != nil {
		t.Errorf("gives way to nobody: %v", later)
	}
	s.want(map[campaign.State]int{campaign.Accepted: 50})
}

func inLane(lane campaign.Lane) func(*campaign.Settings) {
	return func(s *campaign.Settings) { s.Lane = lane }
}

// inLane is the campaign after it was put into another lane.
func (s *stage) inLane(lane campaign.Lane) campaign.Campaign {
	c := s.campaign
	c.Settings.Lane = lane
	return c
}

func (s *stage) ledger(chunk int) *store.Chunk {
	s.t.Helper()
	read, err := s.store.ReadLedger(s.t.Context(), store.Ref{Campaign: "c", Chunk: chunk})
	if err != nil {
		s.t.Fatal(err)
	}
	return read
}

func TestReleaseMovesATaskThatWaitsInALaneThatWasLeft(t *testing.T) {
	for _, tt := range []struct {
		name  string
		later time.Duration
	}{
		{"it waits for a worker", 0},
		{"it waits for its time", time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, 10, inLane(campaign.Bulk))
			seqs, err := s.store.Release(t.Context(), "c", time.Hour, store.ChunkSeq{Ref: store.Ref{Campaign: "c"}})
			if err != nil {
				t.Fatal(err)
			}
			task := newTask(s.campaign, 0, seqs[0])
			if _, err := s.queue.client.Enqueue(task, asynq.ProcessIn(tt.later)); err != nil {
				t.Fatal(err)
			}
			c := s.inLane(campaign.Urgent)
			for i, want := range []int{1, 0} {
				chunk := s.ledger(0)
				if n, err := s.queue.release(t.Context(), c, store.ChunkSeq{Ref: chunk.Ref, Seq: chunk.Seq}); n != want || err != nil {
					t.Errorf("release %d: %v, %v", i+1, n, err)
				}
			}
			if diff := cmp.Diff([]string{"c:0:2"}, s.waitingTasks("default-urgent")); diff != "" {
				t.Errorf("urgent tasks (-want +got):\n%s", diff)
			}
			if info, err := s.queue.inspector.GetTaskInfo("default-bulk", "c:0:1"); !errors.Is(err, asynq.ErrTaskNotFound) {
				t.Errorf("still in the lane that was left: %v, %v", info, err)
			}
		})
	}
}

func TestReleaseLeavesATaskToTheWorkerThatHasIt(t *testing.T) {
	s := newStage(t, 10, inLane(campaign.Bulk))
	if _, err := s.queue.Release(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	task, err := s.queue.inspector.GetTaskInfo("default-bulk", "c:0:1")
	if err != nil {
		t.Fatal(err)
	}
	taken, done := make(chan struct{}), make(chan struct{})
	server := asynq.NewServerFromRedisClient(s.rdb, asynq.Config{Queues: map[string]int{"default-bulk": 1}, LogLevel: asynq.FatalLevel})
	if err := server.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error { close(taken); <-done; return nil })); err != nil {
		t.Fatal(err)
	}
	<-taken
	if out, err := s.queue.withdraw(t.Context(), s.ledger(0).Ref, task); out || err != nil {
		t.Errorf("taken from the worker: %v, %v", out, err)
	}
	if due := s.due(); due > timings.KeepDue {
		t.Errorf("looked after in %v only", due)
	}
	close(done)
	server.Shutdown()
	// A crash after a task was taken out leaves a chunk without one.
	if out, err := s.queue.withdraw(t.Context(), s.ledger(0).Ref, task); !out || err != nil {
		t.Errorf("a task that is gone: %v, %v", out, err)
	}
	s.sweep()
	if ids := s.waitingTasks("default-bulk"); !slices.Equal(ids, []string{"c:0:2"}) {
		t.Errorf("tasks %v", ids)
	}
}

// A shortQuota has one permit, and then none for as long as anybody waits.
type shortQuota struct {
	openQuota
	taken atomic.Bool
}

func (q *shortQuota) AcquireUpTo(ctx context.Context, _ int) ([]ratelimit.Permit, error) {
	if q.taken.CompareAndSwap(false, true) {
		return q.openQuota.AcquireUpTo(ctx, 1)
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestATaskThatGivesWayDoesNotWaitForPermits(t *testing.T) {
	s := newStage(t, 50, dispatching, inLane(campaign.Bulk))
	runner := s.runner("w1")
	runner.sender.Worker.Turn, runner.sender.Quota = 0, &shortQuota{}
	s.load("short", 10)
	if _, err := s.queue.Release(t.Context(), "short"); err != nil {
		t.Fatal(err)
	}
	if later := s.sendAs(runner, 0); later == nil || later.After != 0 {
		t.Errorf("it does not give way: %v", later)
	}
	s.want(map[campaign.State]int{campaign.Accepted: 1, campaign.Pending: 49})
}

// A crowdedQuota counts who waits for its permits at once.
type crowdedQuota struct {
	openQuota
	waiting, most atomic.Int32
}

func (q *crowdedQuota) AcquireUpTo(ctx context.Context, most int) ([]ratelimit.Permit, error) {
	q.most.Store(max(q.most.Load(), q.waiting.Add(1)))
	defer q.waiting.Add(-1)
	return q.openQuota.AcquireUpTo(ctx, most)
}

func TestOneRequestOfATaskWaitsForAPermit(t *testing.T) {
	s := newStage(t, 50, dispatching)
	runner, quota := s.runner("w1"), new(crowdedQuota)
	runner.sender.Quota = quota
	s.sendAs(runner, 0)
	s.want(map[campaign.State]int{campaign.Accepted: 50})
	if quota.most.Load() != 1 {
		t.Errorf("%d waited at once", quota.most.Load())
	}
}
