package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/sending"
)

// A finished task stays for retainFor, so that the asynq UI tells what became of it, and
// at most retainMost of a queue do: some 700 bytes each. More than that are there until
// the next trim.
const (
	retainFor  = time.Hour
	retainMost = 1000
)

// resultOf says what became of a chunk, for the asynq UI: the states of its contacts, and
// what those wait for that are still to be sent. It names nobody.
func resultOf(c campaign.Campaign, chunk *store.Chunk, rest sending.Rest) string {
	counts := make(map[campaign.State]int)
	for i := range chunk.Len() {
		counts[chunk.Record(i).State]++
	}
	var parts []string
	for _, state := range campaign.States() {
		if n := counts[state]; n > 0 && state != campaign.Pending {
			parts = append(parts, fmt.Sprint(n, " ", state))
		}
	}
	if n := counts[campaign.Pending]; n > 0 {
		waits := ""
		switch {
		case !rest.Until.IsZero():
			waits = fmt.Sprintf(" until %s: %s", campaign.Moment(rest.Until), rest.Why)
		case c.Approval.Wanted:
			waits = ": the campaign waits for approval"
		case c.Phase != campaign.Running:
			waits = fmt.Sprintf(": the campaign is %s", c.Phase)
		}
		parts = append(parts, fmt.Sprint(n, " ", campaign.Pending, waits))
	}
	return strings.Join(parts, ", ")
}

// tell writes a task's result down. One whose lease is over may be finished and forgotten
// already: a result would be all that is left of it.
func (w *Worker) tell(ctx context.Context, t *asynq.Task, result string) {
	if ctx.Err() != nil || t.ResultWriter() == nil {
		return
	}
	if _, err := t.ResultWriter().Write([]byte(result)); err != nil {
		w.log.WarnContext(ctx, "result of a task not written", "error", err)
	}
}

// enqueue puts a chunk's task into its queue. A task of the same id is our own call, repeated after
// its answer was lost, and stays. One that is over is of an earlier campaign of that name,
// or of a Redis that has lost the release: it makes room.
func (q *Queue) enqueue(ctx context.Context, c campaign.Campaign, ref store.Ref, seq int) error {
	task, queue, id := newTask(c, ref.Chunk, seq), queueOf(c), taskID(ref, seq)
	_, err := q.client.EnqueueContext(ctx, task)
	if !errors.Is(err, asynq.ErrTaskIDConflict) {
		return err
	}
	old, err := q.look(ctx, queue, id)
	if err == nil && old.State != asynq.TaskStateCompleted && old.State != asynq.TaskStateArchived {
		return nil
	}
	if err == nil {
		err = q.inspector.DeleteTask(queue, id)
	}
	if err != nil && !isTaskMissing(err) {
		return err
	}
	if _, err = q.client.EnqueueContext(ctx, task); errors.Is(err, asynq.ErrTaskIDConflict) {
		return nil // another process was faster
	}
	return err
}

// remainderScript deletes what is left of a task. KEYS task. Answers whether it was one.
var remainderScript = redis.NewScript(`
if redis.call('HEXISTS', KEYS[1], 'state') == 1 then return 0 end
return redis.call('DEL', KEYS[1])`)

// look finds a task. One that Redis has lost while it ran, by a failover, comes back as its
// result alone when its worker writes that down. It has no state, which asynq takes for an
// error for ever: what is left of it goes.
func (q *Queue) look(ctx context.Context, queue, id string) (*asynq.TaskInfo, error) {
	info, err := q.inspector.GetTaskInfo(queue, id)
	if err == nil || isTaskMissing(err) {
		return info, err
	}
	gone, wrong := remainderScript.Run(ctx, q.store.Redis(), []string{"asynq:{" + queue + "}:t:" + id}).Bool()
	if wrong == nil && gone {
		return nil, asynq.ErrTaskNotFound
	}
	return nil, err
}

// trimRetained deletes the oldest finished tasks of this worker's queues beyond
// retainMost. asynq's janitor deletes those that have stayed for retainFor.
func (w *Worker) trimRetained(ctx context.Context) error {
	var errs []error
	for _, r := range w.runners {
		for lane := range lanes {
			errs = append(errs, w.queue.trim(ctx, r.agent.Name, lane, retainMost))
		}
	}
	return errors.Join(errs...)
}

func (q *Queue) trim(ctx context.Context, agent string, lane campaign.Lane, most int) error {
	keys := []string{asynqKey(agent, lane, "completed")}
	for {
		n, err := trimScript.Run(ctx, q.store.Redis(), keys, most, trimAtOnce, asynqKey(agent, lane, "t:")).Int()
		if err != nil {
			return fmt.Errorf("trim finished tasks of agent %s: %w", agent, err)
		}
		if n < trimAtOnce {
			return nil
		}
	}
}

// trimAtOnce bounds how long one trim keeps Redis.
const trimAtOnce = 500

// trimScript deletes finished tasks, those first that asynq's janitor would delete next.
// Like asynq's own scripts it makes the keys of tasks, which are in the queue's hash slot.
//
// KEYS completed tasks; ARGV how many stay, most to delete, the prefix of a task's key.
// Answers how many it deleted.
var trimScript = redis.NewScript(`
local over = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[1])
if over <= 0 then return 0 end
local ids = redis.call('ZRANGE', KEYS[1], 0, math.min(over, tonumber(ARGV[2])) - 1)
for _, id in ipairs(ids) do
  redis.call('DEL', ARGV[3] .. id)
  redis.call('ZREM', KEYS[1], id)
end
return #ids`)
