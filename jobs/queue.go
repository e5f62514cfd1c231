package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/velents"
)

// A Queue releases chunks and does what people ask of a campaign. It needs no
// worker to be running, and everything it does may be done again: what an
// interrupted call has left undone, the next one or the sweeper does.
type Queue struct {
	store     *store.Store
	client    *asynq.Client
	inspector *asynq.Inspector
	by        string // who acts, for the campaigns' logs; empty: the user of this process
	log       *slog.Logger
}

// NewQueue returns a Queue on the store's Redis. log may be nil.
func NewQueue(st *store.Store, log *slog.Logger) *Queue {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Queue{
		store:     st,
		client:    asynq.NewClientFromRedisClient(st.Redis()),
		inspector: asynq.NewInspectorFromRedisClient(st.Redis()),
		log:       log,
	}
}

// By names who acts from now on in the campaigns' logs; without it, it is the user
// of this process.
func (q *Queue) By(who string) *Queue {
	q.by = who
	return q
}

// note records a decision on a campaign. One that cannot be recorded stands all
// the same.
func (q *Queue) note(ctx context.Context, name string, action store.Action, text string) {
	if err := q.store.Log(ctx, name, store.Decision{By: q.by, Action: action, Text: velents.MaskNumbers(text)}); err != nil {
		q.log.WarnContext(ctx, "decision not logged", "campaign", name, "action", action, "error", err)
	}
}

// Release puts every chunk of a running campaign into its queue that is not
// through and does not wait there already. It returns how many.
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

// releasedAtOnce is how many chunks one call to Redis releases. When the release
// is cut off, it is the sweeper that puts their tasks into the queue.
const releasedAtOnce = 50

// release puts the next tasks of chunks into their queue, but for those of which
// one is waiting there. It returns how many.
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
	next, err := q.store.Release(ctx, c.Name, releaseDue, free...)
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

// isFree reports whether no task of a chunk waits where it should. One that waits
// in a lane that its campaign has left is taken out of it.
func (q *Queue) isFree(ctx context.Context, c campaign.Campaign, turn store.ChunkSeq) (bool, error) {
	if rest := canaryRest(c, turn.Ref.Chunk); rest > 0 {
		return false, q.store.SetDue(ctx, turn.Ref, rest)
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
		return false, q.store.SetDue(ctx, turn.Ref, restOf(task))
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
		if restOf(info) == 0 {
			return nil, nil
		}
		return info, nil
	}
	return nil, nil
}

// withdraw takes a waiting task out of its queue, so that the chunk can be
// released into another. What is left of that by a crash, the sweeper finds soon.
// out is false when a worker was faster to take it.
func (q *Queue) withdraw(ctx context.Context, ref store.Ref, task *asynq.TaskInfo) (out bool, err error) {
	if err := q.store.Hasten(ctx, ref, keepDue); err != nil {
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

// restOf is how long a chunk may be left alone whose task this is; 0 when it is
// no task that waits.
func restOf(task *asynq.TaskInfo) time.Duration {
	switch task.State {
	case asynq.TaskStatePending:
		return queuedDue
	case asynq.TaskStateRetry, asynq.TaskStateScheduled:
		return max(time.Until(task.NextProcessAt), 0) + keepDue
	}
	return 0
}

// isTaskMissing reports whether asynq's word is that there is no such task.
func isTaskMissing(err error) bool {
	return errors.Is(err, asynq.ErrTaskNotFound) || errors.Is(err, asynq.ErrQueueNotFound)
}

// othersWait reports whether a task waits in another lane of the campaign's agent.
func (q *Queue) othersWait(c campaign.Campaign) (bool, error) {
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

// paused tells which lanes of the agents somebody has paused in the asynq UI.
// What cannot be told is left out, as with quotas. The inspector tells it as well,
// but measures the memory of tasks for that, which not every Redis allows.
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

// hastenTaken sees to it that the chunks of an agent's active tasks are looked
// at soon. A worker may have died right after it had taken a task, or never have
// learned that it had: Redis gave it away and only the answer was lost. Whoever
// has the chunk in hand keeps it from being looked at.
func (q *Queue) hastenTaken(ctx context.Context, agent string) error {
	const most = 1000 // tasks; more workers than that serve no agent
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
			if err := q.store.Hasten(ctx, ref, keepDue); err != nil {
				if meetsAll(err) {
					return err
				}
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// Pause lets nothing more of a campaign be sent. What is on its way still gets
// its answer. Pausing again only changes the reason.
func (q *Queue) Pause(ctx context.Context, name, reason string) error {
	if err := q.mustBeOpen(ctx, name, "pause"); err != nil {
		return err
	}
	reason = velents.MaskNumbers(reason) // it is shown, logged, and outlives a purge
	was, ok, err := q.store.SetPhase(ctx, name, campaign.Paused, reason, campaign.Running, campaign.Paused)
	if err != nil {
		return err
	}
	if !ok && (was == campaign.Scheduled || was == campaign.Ready) {
		return fmt.Errorf("pause %s: it is %s: nobody is contacted before it starts; campaign cancel ends it", name, was)
	}
	if !ok {
		return fmt.Errorf("pause %s: it is %s", name, was)
	}
	q.note(ctx, name, store.ActionPause, reason)
	return nil
}

// halt pauses a campaign because sending it cannot go well. A pause that is
// there already keeps its reason.
func (q *Queue) halt(ctx context.Context, name, reason string) error {
	_, halted, err := q.store.SetPhase(ctx, name, campaign.Paused, reason, campaign.Running)
	if halted {
		q.note(ctx, name, store.ActionPause, reason)
		q.log.WarnContext(ctx, "campaign paused", "campaign", name, "reason", reason)
	}
	return err
}

// haltAgent pauses the running campaigns of an agent, the one at hand first: one of
// which nobody is left to be sent runs no more, and gets no word of it in its log.
func (q *Queue) haltAgent(ctx context.Context, c campaign.Campaign, reason string) error {
	errs := []error{q.halt(ctx, c.Name, reason)}
	names, err := q.store.Names(ctx)
	errs = append(errs, err)
	for _, name := range names {
		if name != c.Name {
			errs = append(errs, q.haltIfOf(ctx, name, c.Settings.Agent, reason))
		}
	}
	return errors.Join(errs...)
}

// haltIfOf pauses a campaign that runs, if it is of the agent.
func (q *Queue) haltIfOf(ctx context.Context, name, agent, reason string) error {
	c, err := q.store.Campaign(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil || c.Settings.Agent != agent || c.Phase != campaign.Running {
		return err
	}
	tally, err := q.store.Tally(ctx, name)
	if err != nil || tally.Phase(c.Phase) != campaign.Running {
		return err
	}
	return q.halt(ctx, name, reason)
}

// Resume sets a paused campaign running and releases what is not through. It
// returns how many chunks it released.
func (q *Queue) Resume(ctx context.Context, name string) (chunks int, err error) {
	return q.run(ctx, name, "resume", campaign.Paused)
}

// Start sets a campaign running that waits for a person or its time, and releases
// what is not through. It returns how many chunks it released.
func (q *Queue) Start(ctx context.Context, name string) (chunks int, err error) {
	return q.run(ctx, name, "start", campaign.Ready, campaign.Scheduled)
}

// run sets a campaign running that is in one of the phases, or runs already.
func (q *Queue) run(ctx context.Context, name, what string, from ...campaign.Phase) (chunks int, err error) {
	if err := q.mustBeOpen(ctx, name, what); err != nil {
		return 0, err
	}
	was, ok, err := q.store.SetPhase(ctx, name, campaign.Running, "", append(from, campaign.Running)...)
	if err != nil {
		return 0, err
	}
	if !ok {
		return 0, fmt.Errorf("%s %s: it is %s%s", what, name, was, wayOn(was, name))
	}
	if was != campaign.Running {
		q.note(ctx, name, store.Action(what), "")
	}
	return q.Release(ctx, name)
}

// wayOn says by which command a campaign in the phase goes on.
func wayOn(phase campaign.Phase, name string) string {
	switch phase {
	case campaign.Paused:
		return "; go on with: campaign resume " + name
	case campaign.Ready, campaign.Scheduled:
		return "; go on with: campaign start " + name
	}
	return ""
}

// Cancel stops a campaign for good: whoever is still pending becomes canceled.
// What is on its way still gets its answer. It returns how many it canceled. A
// load whose enqueue has died is taken back altogether.
func (q *Queue) Cancel(ctx context.Context, name string) (contacts int, err error) {
	c, err := q.store.Campaign(ctx, name)
	if err != nil {
		return 0, err
	}
	if c.Phase == campaign.Loading {
		now, err := q.store.Now(ctx)
		if err != nil {
			return 0, err
		}
		if now.After(c.LoadUntil) {
			return 0, q.abandon(ctx, c)
		}
	}
	if err := q.mustBeOpen(ctx, name, "cancel"); err != nil {
		return 0, err
	}
	was, ok, err := q.store.SetPhase(ctx, name, campaign.CanceledPhase, "",
		campaign.Ready, campaign.Scheduled, campaign.Running, campaign.Paused, campaign.CanceledPhase)
	if err != nil {
		return 0, err
	}
	if !ok {
		return 0, fmt.Errorf("cancel %s: it is %s", name, was)
	}
	q.note(ctx, name, store.ActionCancel, "")
	return q.cancelOpen(ctx, name)
}

// abandon takes over the load of a campaign and takes it back.
func (q *Queue) abandon(ctx context.Context, c campaign.Campaign) error {
	load, err := q.store.BeginLoad(ctx, c)
	if err != nil {
		return err
	}
	return load.Abandon(ctx)
}

// cancelOpen cancels what is pending in a canceled campaign.
func (q *Queue) cancelOpen(ctx context.Context, name string) (int, error) {
	open, err := q.store.Open(ctx, name, time.Time{}, 0)
	if err != nil {
		return 0, err
	}
	var canceled atomic.Int64
	err = eachChunk(ctx, name, chunksOf(open), func(ctx context.Context, n int) error {
		chunk, err := q.store.ReadLedger(ctx, store.Ref{Campaign: name, Chunk: n})
		if err != nil {
			return err
		}
		contacts, err := q.cancelPending(ctx, chunk)
		canceled.Add(int64(contacts))
		return err
	})
	return int(canceled.Load()), err
}

// mustBeOpen refuses to steer a campaign that is not there or already through.
func (q *Queue) mustBeOpen(ctx context.Context, name, what string) error {
	c, err := q.store.Campaign(ctx, name)
	if err != nil {
		return err
	}
	tally, err := q.store.Tally(ctx, name)
	if err != nil {
		return err
	}
	switch tally.Phase(c.Phase) {
	case campaign.Finished:
		return fmt.Errorf("%s %s: it is finished", what, name)
	case campaign.Loading:
		return fmt.Errorf("%s %s: it is still loading; nobody is contacted before its enqueue has ended", what, name)
	}
	return nil
}
