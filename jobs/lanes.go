package jobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/jobs/timings"
)

// lanes are an agent's queues with asynq's weights: while all are full, that many of
// ten tasks come from each.
var lanes = map[campaign.Lane]int{campaign.Urgent: 6, campaign.Normal: 3, campaign.Bulk: 1}

func queueName(agent string, lane campaign.Lane) string {
	if lane == campaign.Normal {
		return agent
	}
	return agent + "-" + string(lane)
}

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

// hastenTaken makes the chunks of an agent's active tasks due soon. A worker may have
// died right after it took a task, or Redis may have given it the task and lost only
// the answer. A living sender keeps its chunk from being due.
func (q *Queue) hastenTaken(ctx context.Context, agent string) error {
	const most = 1000 // tasks; no agent is served by more workers than that
	var errs []error
	for lane := range lanes {
		active, err := q.inspector.ListActiveTasks(queueName(agent, lane), asynq.PageSize(most))
		if err != nil && !errors.Is(err, asynq.ErrQueueNotFound) {
			errs = append(errs, fmt.Errorf("look for active tasks of agent %s: %w", agent, err))
		}
		for _, task := range active {
			ref, err := decodeTask(asynq.NewTask(task.Type, task.Payload))
			if err != nil {
				continue // the worker that takes it says so
			}
			if err := q.store.Hasten(ctx, ref, timings.KeepDue); err != nil {
				if meetsAll(err) {
					return err
				}
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}
