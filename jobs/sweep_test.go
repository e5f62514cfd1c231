package jobs

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
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
	if due := s.due(); due < queuedDue/2 {
		t.Errorf("a chunk whose task waits is looked at again in %v", due)
	}
}

func TestSweepFindsTasksThatNobodyEverGot(t *testing.T) {
	s := newStage(t, 10)
	s.sweep() // releases it
	s.sweep() // sees its task wait
	if due := s.due(); due < queuedDue/2 {
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
	if due := s.due(); due > keepDue {
		t.Errorf("looked at again in %v, want %v at most", due, keepDue)
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
	s.sender("alive")
	s.begin("alive/1", 4)
	s.sweep()
	s.want(map[campaign.State]int{campaign.Sending: 4, campaign.Pending: 6})
	if due := s.due(); due <= 0 || due > keepDue {
		t.Errorf("looked at again in %v", due)
	}
}

func TestSweepSettlesPausedAndCanceledCampaigns(t *testing.T) {
	for phase, want := range map[campaign.Phase]campaign.State{campaign.Paused: campaign.Pending, campaign.CanceledPhase: campaign.Canceled} {
		s := newStage(t, 10)
		s.begin("dead/1", 4)
		if _, _, err := s.store.SetPhase(t.Context(), "c", phase, "", campaign.Running); err != nil {
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
