package jobs

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/timings"
)

// asynq's inspector reads the hash of every task that it lists. Who only wants to know
// which chunks have a task reads the ids alone, a page in one command. These are asynq
// v0.26's keys of a queue; a test compares what is read with what its inspector says.
func asynqKey(agent string, lane campaign.Lane, state string) string {
	return "asynq:{" + queueName(agent, lane) + "}:" + state
}

// A waitingTask is a task that waits in a queue.
type waitingTask struct {
	queue string
	at    time.Time // when it may run; zero: now
}

// due is when its chunk is looked at again.
func (t waitingTask) due(now time.Time) time.Time {
	if t.at.After(now) {
		now = t.at
	}
	return now.Add(timings.QueuedDue)
}

// idsPage is how many task ids one command reads.
const idsPage = 1000

// waitingTasks are the tasks in an agent's lanes that no worker has taken, by chunk. They
// move meanwhile, so a task may be missing that is there, but none is told that was not.
// They are read from the front, where new ones come in, and those that come back after
// a time first: that is the way they take.
func (q *Queue) waitingTasks(ctx context.Context, agent string) (map[store.Ref]waitingTask, error) {
	tasks := make(map[store.Ref]waitingTask)
	for lane := range lanes {
		for _, state := range []string{"retry", "scheduled", "pending"} {
			err := q.eachID(ctx, asynqKey(agent, lane, state), state == "pending", func(id string, at time.Time) {
				if ref, ok := refOf(id); ok {
					tasks[ref] = waitingTask{queueName(agent, lane), at}
				}
			})
			if err != nil {
				return nil, fmt.Errorf("list tasks of agent %s: %w", agent, err)
			}
		}
	}
	return tasks, nil
}

// eachID calls do for the task ids in one of asynq's lists, or sorted sets by time.
func (q *Queue) eachID(ctx context.Context, key string, list bool, do func(id string, at time.Time)) error {
	for from := int64(0); ; from += idsPage {
		read := 0
		if list {
			ids, err := q.store.Redis().LRange(ctx, key, from, from+idsPage-1).Result()
			if err != nil {
				return err
			}
			for _, id := range ids {
				do(id, time.Time{})
			}
			read = len(ids)
		} else {
			ids, err := q.store.Redis().ZRangeWithScores(ctx, key, from, from+idsPage-1).Result()
			if err != nil {
				return err
			}
			for _, id := range ids {
				text, _ := id.Member.(string)
				do(text, time.Unix(int64(id.Score), 0))
			}
			read = len(ids)
		}
		if read < idsPage {
			return nil
		}
	}
}

// refOf is the chunk of a task's id; ok is false when it is not one of ours.
func refOf(id string) (ref store.Ref, ok bool) {
	name, rest, _ := strings.Cut(id, ":")
	number, _, ok := strings.Cut(rest, ":")
	chunk, err := strconv.Atoi(number)
	return store.Ref{Campaign: name, Chunk: chunk}, ok && err == nil && chunk >= 0 && name != ""
}

// hastenTaken makes the chunks of an agent's active tasks due soon. A worker may have
// died right after it took a task, or Redis may have given it the task and lost only
// the answer. A living sender keeps its chunk from being due.
func (q *Queue) hastenTaken(ctx context.Context, agent string) error {
	const most = 1000 // tasks; no agent is served by more workers than that
	var active []*redis.StringSliceCmd
	_, err := q.store.Redis().Pipelined(ctx, func(p redis.Pipeliner) error {
		for lane := range lanes {
			active = append(active, p.LRange(ctx, asynqKey(agent, lane, "active"), 0, most-1))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for active tasks of agent %s: %w", agent, err)
	}
	taken := make(map[string][]int) // chunks, by campaign
	for _, ids := range active {
		for _, id := range ids.Val() {
			if ref, ok := refOf(id); ok {
				taken[ref.Campaign] = append(taken[ref.Campaign], ref.Chunk)
			}
		}
	}
	if len(taken) == 0 {
		return nil
	}
	now, err := q.store.About(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for name, chunks := range taken {
		dues := make([]store.Due, len(chunks))
		for i, chunk := range chunks {
			dues[i] = store.Due{Chunk: chunk, At: now.Add(timings.KeepDue)}
		}
		errs = append(errs, q.store.Hasten(ctx, name, dues))
	}
	return errors.Join(errs...)
}
