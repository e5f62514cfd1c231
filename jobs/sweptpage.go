package jobs

import (
	"context"
	"slices"
	"sync"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/timings"
)

// A sweptPage is a page of overdue chunks.
type sweptPage struct {
	campaign campaign.Campaign
	now      time.Time
	tasks    map[store.Ref]waitingTask // that wait in their queue

	mu     sync.Mutex
	queued map[time.Time][]int // chunks that only wait, by when they are due
}

func (p *sweptPage) task(chunk int) waitingTask {
	return p.tasks[store.Ref{Campaign: p.campaign.Name, Chunk: chunk}]
}

// hasTask reports whether a task of the chunk waits in its lane.
func (p *sweptPage) hasTask(chunk int) bool { return p.task(chunk).queue == queueOf(p.campaign) }

// waits notes that nothing of a chunk is in hand, and that it has a task.
func (p *sweptPage) waits(chunk int) {
	at := p.task(chunk).due(p.now)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.queued == nil {
		p.queued = make(map[time.Time][]int)
	}
	p.queued[at] = append(p.queued[at], chunk)
}

// waitingTasks are the tasks that wait for the campaign's agent. What was read lately is
// good enough, unless the task of a chunk is missing that was found to wait.
func (s *sweeper) waitingTasks(ctx context.Context, c campaign.Campaign, overdue []store.Due) (map[store.Ref]waitingTask, error) {
	agent := c.Settings.Agent
	if known := s.queues[agent]; known != nil && time.Since(known.at) < timings.ListEvery {
		page := &sweptPage{campaign: c, tasks: known.tasks}
		if !slices.ContainsFunc(overdue, func(d store.Due) bool { return d.Queued && !page.hasTask(d.Chunk) }) {
			return known.tasks, nil
		}
	}
	begun := time.Now()
	tasks, err := s.queue.waitingTasks(ctx, agent)
	if err == nil {
		s.queues[agent] = &listed{begun, tasks}
	}
	return tasks, err
}
