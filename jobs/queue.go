package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/timings"
)

// A Queue releases chunks and does what people ask of a campaign. It needs no running
// worker. Everything it does may be done again: the next call or the sweeper does
// what an interrupted one has left undone.
type Queue struct {
	store     *store.Store
	client    *asynq.Client
	inspector *asynq.Inspector
	retained  store.Round
	by        string // who acts, for the campaigns' logs; empty: the user of this process
	log       *slog.Logger
}

// NewQueue returns a Queue on the store's Redis. log may be nil.
func NewQueue(st *store.Store, log *slog.Logger) *Queue {
	return &Queue{
		store:     st,
		client:    asynq.NewClientFromRedisClient(st.Sharing()),
		inspector: asynq.NewInspectorFromRedisClient(st.Redis()),
		log:       cmp.Or(log, slog.New(slog.DiscardHandler)),
	}
}

// forMany is the queue for many callers at once, whose commands share round trips.
func (q *Queue) forMany() *Queue { return NewQueue(q.store.Together(), q.log).By(q.by) }

// By sets who acts from now on, for the campaigns' logs. Without it that is the user of
// this process.
func (q *Queue) By(who string) *Queue {
	q.by = who
	return q
}

// Who acts, as By has set it.
func (q *Queue) Who() string { return q.by }

// note records a decision on a campaign. The decision stands even if it cannot be
// recorded. What others wrote into text must be masked.
func (q *Queue) note(ctx context.Context, name string, action store.Action, text campaign.Message) {
	if err := q.store.Log(ctx, name, store.Decision{By: q.by, Action: action, Text: text}); err != nil {
		q.log.WarnContext(ctx, "decision not logged", "campaign", name, "action", action, "error", err)
	}
}

// lanes are an agent's queues with asynq's weights.
var lanes = campaign.LaneWeights

func queueName(agent string, lane campaign.Lane) string { return lane.Queue(agent) }

func queueOf(c campaign.Campaign) string {
	return queueName(c.Settings.Agent, c.Settings.LaneFor(c.Chunks))
}

// OthersWait reports whether a task waits in another lane of the campaign's agent.
func (q *Queue) OthersWait(c campaign.Campaign) (bool, error) {
	for lane := range lanes {
		queue := queueName(c.Settings.Agent, lane)
		if queue == queueOf(c) {
			continue
		}
		tasks, err := q.inspector.ListPendingTasks(queue, asynq.PageSize(1))
		if err != nil && !errors.Is(err, asynq.ErrQueueNotFound) {
			return false, fmt.Errorf("look into queue %s: %w", queue, err)
		}
		if len(tasks) > 0 {
			return true, nil
		}
	}
	return false, nil
}

// paused are the lanes of the agents that somebody has paused in the asynq UI, as far
// as they are known. asynq's inspector knows them, too, but measures the memory of
// tasks for that, which not every Redis allows.
func (q *Queue) paused(ctx context.Context, agents []string) map[string][]campaign.Lane {
	pipe := q.store.Redis().Pipeline()
	found := make(map[string]map[campaign.Lane]*redis.IntCmd)
	for _, agent := range agents {
		found[agent] = make(map[campaign.Lane]*redis.IntCmd)
		for lane := range lanes {
			found[agent][lane] = pipe.Exists(ctx, "asynq:{"+queueName(agent, lane)+"}:paused")
		}
	}
	_, _ = pipe.Exec(ctx) // each answer has its own error
	paused := make(map[string][]campaign.Lane)
	for agent, lanes := range found {
		for lane, exists := range lanes {
			if exists.Val() == 1 {
				paused[agent] = append(paused[agent], lane)
			}
		}
	}
	return paused
}

// releasedAtOnce is how many chunks one call to Redis releases. When a release is cut
// off, the sweeper puts their tasks into the queue.
const releasedAtOnce = 50

// Release puts every open chunk of a running campaign into its queue, unless a task of
// it waits there already. It returns how many: none while the campaign waits for approval.
func (q *Queue) Release(ctx context.Context, name string) (chunks int, err error) {
	c, err := q.store.Campaign(ctx, name)
	if err != nil {
		return 0, err
	}
	open, err := q.store.Open(ctx, name, time.Time{}, 0)
	if err != nil {
		return 0, err
	}
	// The tasks of few chunks are looked for one by one: thousands of others may wait.
	if len(open) > releasedAtOnce {
		if open, err = q.withoutTask(ctx, c, open); err != nil {
			return 0, err
		}
	}
	var released atomic.Int64
	some := slices.Collect(slices.Chunk(open, releasedAtOnce))
	err = eachChunk(ctx, name, allOf(len(some)), func(ctx context.Context, i int) error {
		n, err := q.releaseOpen(ctx, c, some[i])
		released.Add(int64(n))
		if err == nil || meetsAll(err) || len(some[i]) == 1 {
			return err
		}
		// One of them makes trouble: the others go on without it.
		return eachChunk(ctx, name, chunksOf(some[i]), func(ctx context.Context, chunk int) error {
			n, err := q.releaseOpen(ctx, c, []store.Due{{Chunk: chunk}})
			released.Add(int64(n))
			return err
		})
	})
	if errors.Is(err, store.ErrUnapproved) {
		err = nil // Approve releases them
	}
	return int(released.Load()), err
}

// withoutTask are the open chunks that are to be released: those whose task waits in
// another lane, too. It says when the others are due.
func (q *Queue) withoutTask(ctx context.Context, c campaign.Campaign, open []store.Due) (rest []store.Due, err error) {
	now, err := q.store.Now(ctx)
	if err != nil {
		return nil, err
	}
	tasks, err := q.waitingTasks(ctx, c.Settings.Agent)
	if err != nil {
		return nil, err
	}
	var later []store.Due
	for _, due := range open {
		task, waits := tasks[store.Ref{Campaign: c.Name, Chunk: due.Chunk}]
		if wait := canaryDue(c, due.Chunk); wait > 0 {
			later = append(later, store.Due{Chunk: due.Chunk, At: now.Add(wait)})
		} else if !waits || task.queue != queueOf(c) {
			rest = append(rest, due)
		} else if !due.Queued { // else it is due soon enough
			later = append(later, store.Due{Chunk: due.Chunk, At: task.due(now)})
		}
	}
	return rest, q.store.SetDues(ctx, c.Name, later)
}

func (q *Queue) releaseOpen(ctx context.Context, c campaign.Campaign, open []store.Due) (int, error) {
	turns, err := q.store.ChunkSeqs(ctx, c.Name, open)
	if err != nil {
		return 0, err
	}
	return q.release(ctx, c, turns...)
}

// release puts the next tasks of chunks into their queue, except chunks that have one
// waiting there. It returns how many.
func (q *Queue) release(ctx context.Context, c campaign.Campaign, turns ...store.ChunkSeq) (int, error) {
	var free []store.ChunkSeq
	for _, turn := range turns {
		ok, err := q.isFree(ctx, c, turn)
		if err != nil {
			return 0, err
		}
		if ok {
			free = append(free, turn)
		}
	}
	next, err := q.store.Release(ctx, c.Name, timings.ReleaseDue, free...)
	if err != nil {
		return 0, err
	}
	var enqueued atomic.Int64
	var g errgroup.Group // their commands share round trips
	for i, seq := range next {
		if seq == 0 {
			continue
		}
		put := func() error {
			if err := q.enqueue(ctx, c, free[i].Ref, seq); err != nil {
				return fmt.Errorf("enqueue chunk %s: %w", free[i].Ref, err)
			}
			enqueued.Add(1)
			return nil
		}
		if g.Go(put); i == 0 { // with it asynq makes the queue known, once
			if err := g.Wait(); err != nil {
				return 0, err
			}
		}
	}
	err = g.Wait()
	return int(enqueued.Load()), err
}

// isFree reports whether no task of a chunk waits where it should. It takes a task
// out of a lane that the campaign has left, and says when a chunk that is not free is
// due.
func (q *Queue) isFree(ctx context.Context, c campaign.Campaign, turn store.ChunkSeq) (bool, error) {
	if due := canaryDue(c, turn.Ref.Chunk); due > 0 {
		return false, q.store.SetDue(ctx, turn.Ref, due)
	}
	task, err := q.waiting(ctx, c, turn)
	switch {
	case err != nil:
		return false, err
	case task == nil:
		return true, nil
	case task.Queue != queueOf(c): // the campaign has changed lanes
		return q.withdraw(ctx, turn.Ref, task)
	case turn.Queued: // it is due soon enough
		return false, nil
	default:
		return false, q.store.SetDue(ctx, turn.Ref, dueOf(task))
	}
}

// waiting is the task of the chunk's last release, if it waits in any of the
// agent's queues. One that is active does not count: its worker may be gone.
func (q *Queue) waiting(ctx context.Context, c campaign.Campaign, turn store.ChunkSeq) (*asynq.TaskInfo, error) {
	if turn.Seq == 0 {
		return nil, nil
	}
	queues := []string{queueOf(c)} // nearly always there
	for lane := range lanes {
		if other := queueName(c.Settings.Agent, lane); other != queues[0] {
			queues = append(queues, other)
		}
	}
	for _, queue := range queues {
		info, err := q.look(ctx, queue, taskID(turn.Ref, turn.Seq))
		if isTaskMissing(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look for the task of chunk %s: %w", turn.Ref, err)
		}
		if dueOf(info) == 0 {
			return nil, nil
		}
		return info, nil
	}
	return nil, nil
}

// withdraw takes a waiting task out of its queue, so that the chunk can be released
// into another. out is false when a worker has just taken the task. If a crash comes
// in between, the sweeper soon finds the chunk.
func (q *Queue) withdraw(ctx context.Context, ref store.Ref, task *asynq.TaskInfo) (out bool, err error) {
	at, err := q.store.Now(ctx)
	if err != nil {
		return false, err
	}
	soon := []store.Due{{Chunk: ref.Chunk, At: at.Add(timings.KeepDue)}}
	if err := q.store.Hasten(ctx, ref.Campaign, soon); err != nil {
		return false, err
	}
	err = q.inspector.DeleteTask(task.Queue, task.ID)
	if err == nil || isTaskMissing(err) {
		return true, nil
	}
	now, lost := q.inspector.GetTaskInfo(task.Queue, task.ID)
	if lost == nil && now.State == asynq.TaskStateActive {
		return false, nil
	}
	return false, fmt.Errorf("take chunk %s out of queue %s: %w", ref, task.Queue, err)
}

// dueOf is when the chunk of a task that waits is due; 0 when the task does not wait.
func dueOf(task *asynq.TaskInfo) time.Duration {
	switch task.State {
	case asynq.TaskStatePending:
		return timings.QueuedDue
	case asynq.TaskStateRetry, asynq.TaskStateScheduled:
		return max(time.Until(task.NextProcessAt), 0) + timings.KeepDue
	}
	return 0
}

// isTaskMissing reports whether asynq says that there is no such task.
func isTaskMissing(err error) bool {
	return errors.Is(err, asynq.ErrTaskNotFound) || errors.Is(err, asynq.ErrQueueNotFound)
}
