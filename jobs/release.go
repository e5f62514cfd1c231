package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/timings"
)

// releasedAtOnce is how many chunks one call to Redis releases. When a release is cut
// off, the sweeper puts their tasks into the queue.
const releasedAtOnce = 50

// Release puts every open chunk of a running campaign into its queue, unless a task of
// it waits there already. It returns how many.
func (q *Queue) Release(ctx context.Context, name string) (chunks int, err error) {
	c, err := q.store.Campaign(ctx, name)
	if err != nil {
		return 0, err
	}
	open, err := q.store.Open(ctx, name, time.Time{}, 0)
	if err != nil {
		return 0, err
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
	return int(released.Load()), err
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
func (q *Queue) release(ctx context.Context, c campaign.Campaign, turns ...store.ChunkSeq) (released int, err error) {
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
	for i, seq := range next {
		if seq == 0 {
			continue
		}
		task, err := newTask(c, free[i].Ref.Chunk, seq)
		if err != nil {
			return released, err
		}
		// A conflict is our own call, repeated after its answer was lost.
		if _, err := q.client.EnqueueContext(ctx, task); err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
			return released, fmt.Errorf("enqueue chunk %s: %w", free[i].Ref, err)
		}
		released++
	}
	return released, nil
}

// isFree reports whether no task of a chunk waits where it should. It takes a task
// out of a lane that the campaign has left, and says when a chunk that is not free is
// due.
func (q *Queue) isFree(ctx context.Context, c campaign.Campaign, turn store.ChunkSeq) (bool, error) {
	if due := canaryDue(c, turn.Ref.Chunk); due > 0 {
		return false, q.store.SetDue(ctx, turn.Ref, due)
	}
	task, err := q.waiting(c, turn)
	switch {
	case err != nil:
		return false, err
	case task == nil:
		return true, nil
	case task.Queue != queueOf(c): // the campaign has changed lanes
		return q.withdraw(ctx, turn.Ref, task)
	default:
		return false, q.store.SetDue(ctx, turn.Ref, dueOf(task))
	}
}

// waiting is the task of the chunk's last release, if it waits in any of the
// agent's queues. One that is active does not count: its worker may be gone.
func (q *Queue) waiting(c campaign.Campaign, turn store.ChunkSeq) (*asynq.TaskInfo, error) {
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
		info, err := q.inspector.GetTaskInfo(queue, taskID(turn.Ref, turn.Seq))
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
	if err := q.store.Hasten(ctx, ref, timings.KeepDue); err != nil {
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
