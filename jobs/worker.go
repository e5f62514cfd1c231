package jobs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/velents"
)

const defaultConcurrency = 4

// An Agent is one API token with what belongs to it.
type Agent struct {
	Name     string
	Platform platform
	Quota    quota
}

// Config says what a Worker works on. A zero field means its default, except
// Store and Agents, which are required.
type Config struct {
	Store          *store.Store
	Agents         []Agent
	Concurrency    int           // chunks per agent in hand at once; 4. The quota, not this, sets the pace
	RequestTimeout time.Duration // of one request, as the platform's client keeps it; 60 s
	// Webhook tells where the platform is to post the events of a request: those
	// of one contact, by its place in the list from 1, or with 0 those of several.
	// Nowhere when it is nil or returns nil.
	Webhook func(c campaign.Campaign, contact int) *velents.Webhook
	Watch   Watch
	Tickets bool         // this process makes tickets, too, as its heartbeat tells
	Logger  *slog.Logger // discards when nil
}

// A Worker sends the chunks of its agents. Each agent has an asynq server of
// its own, so that one which waits for its quota never holds up another.
type Worker struct {
	id      string
	cfg     Config
	queue   *Queue
	agents  []*agentServer
	started time.Time
	hands   *hands
	beats   atomic.Pointer[heartbeats]
	looked  atomic.Pointer[look]
	log     *slog.Logger
}

type agentServer struct {
	name   string
	server *asynq.Server
	sender *sender
}

// NewWorker prepares a worker. It touches nothing before Run.
func NewWorker(cfg Config) (*Worker, error) {
	if cfg.Concurrency == 0 {
		cfg.Concurrency = defaultConcurrency
	}
	if cfg.RequestTimeout == 0 {
		cfg.RequestTimeout = defaultRequestTimeout
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case cfg.Concurrency < 0:
		return nil, fmt.Errorf("worker: concurrency %d: want 1 or more", cfg.Concurrency)
	case cfg.RequestTimeout < 0:
		return nil, fmt.Errorf("worker: request timeout %v: want more than 0", cfg.RequestTimeout)
	case len(cfg.Agents) == 0:
		return nil, errors.New("worker: no agents")
	}
	w := &Worker{id: rand.Text()[:12], cfg: cfg, started: time.Now().UTC(), hands: newHands(), log: cfg.Logger}
	w.log = w.log.With("worker", w.id)
	w.queue = NewQueue(cfg.Store, w.log).By("worker " + w.id)
	memory := newMemory()
	for _, a := range cfg.Agents {
		if _, err := campaign.AgentName(a.Name); err != nil {
			return nil, fmt.Errorf("worker: %w", err)
		}
		w.agents = append(w.agents, &agentServer{
			name:   a.Name,
			server: w.newServer(a.Name),
			sender: &sender{
				store: cfg.Store, queue: w.queue, platform: a.Platform, quota: a.Quota,
				memory: memory, seen: new(seen), worker: w.id, requestTimeout: cfg.RequestTimeout, webhook: cfg.Webhook,
				hands: w.hands, turn: turnLasts, watch: cfg.Watch,
				alive: w.alive, steady: w.steady, log: w.log.With("agent", a.Name),
			},
		})
	}
	return w, nil
}

// ID names this worker in heartbeats and claims.
func (w *Worker) ID() string { return w.id }

func (w *Worker) newServer(agent string) *asynq.Server {
	queues := make(map[string]int, len(lanes))
	for lane, weight := range lanes {
		queues[queueName(agent, lane)] = weight
	}
	return asynq.NewServerFromRedisClient(ackClient{w.cfg.Store.Redis()}, asynq.Config{
		Queues:                   queues,
		Concurrency:              w.cfg.Concurrency,
		RetryDelayFunc:           retryDelay,
		IsFailure:                isFailure,
		DelayedTaskCheckInterval: time.Second,
		// Handlers end by themselves when they are told to drain; asynq must not
		// hand their chunks to others before.
		ShutdownTimeout: w.cfg.RequestTimeout + commitPatience,
		Logger:          asynqLogger{w.log.With("component", "asynq", "agent", agent)},
		LogLevel:        asynq.WarnLevel,
	})
}

// Run works until ctx is over. Then it begins nothing new, lets requests on
// their way get their answers, writes those down, and leaves the rest in the
// queues for others.
func (w *Worker) Run(ctx context.Context) error {
	if err := w.beatWithin(ctx, aliveFor); err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	for _, a := range w.agents {
		a.sender.drain = ctx
		if err := a.server.Start(w.handler(a)); err != nil {
			return fmt.Errorf("worker: agent %s: %w", a.name, err)
		}
	}
	w.log.InfoContext(ctx, "worker started", "agents", w.agentNames())

	// The heartbeat goes on while the last answers come in.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var loops, servers sync.WaitGroup
	loops.Go(func() { w.every(background, heartbeatEvery, w.beat, "heartbeat missed") })
	loops.Go(func() { w.every(ctx, lookEvery, w.look, "quotas and queues not looked at") })
	loops.Go(func() { w.every(ctx, sweepEvery, w.newSweeper().sweep, "sweep failed") })
	loops.Go(func() { w.every(ctx, store.SampleEvery, w.sample, "campaigns not sampled") })
	loops.Go(func() { w.every(ctx, retainEvery, w.queue.retain, "campaigns not purged") })
	loops.Go(func() { w.every(ctx, archiveEvery, w.emptyArchives, "archive not emptied") })
	loops.Go(func() { w.every(ctx, tidyEvery, w.cfg.Store.ForgetWorkers, "dead workers not forgotten") })

	<-ctx.Done()
	w.log.InfoContext(background, "worker stopping: requests on their way get their answers")
	w.hands.close()
	for _, a := range w.agents {
		servers.Go(a.server.Shutdown)
	}
	w.awaitHands(background)

	// All that matters is written down. asynq and our loops repeat for half a minute
	// what Redis does not answer, and cannot be told to stop that.
	if !within(leaveWithin, servers.Wait) {
		w.log.WarnContext(background, "asynq has not handed its tasks back: Redis does not answer it; others find them within two minutes")
	}
	stop()
	within(leaveWithin, loops.Wait)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbyeWithin)
	defer cancel()
	if err := w.cfg.Store.Goodbye(last, w.id); err != nil {
		w.log.WarnContext(background, "others are not told that this worker is gone: they notice by themselves", "after", store.HeartbeatTTL, "error", err)
	}
	return nil
}

// awaitHands waits until every answer is written down, and says what it waits for.
// Tasks that have none in hand are soon let be: most likely Redis does not answer.
func (w *Worker) awaitHands(ctx context.Context) {
	grace, tick := time.NewTimer(stopGrace), time.NewTicker(tellEvery)
	defer grace.Stop()
	defer tick.Stop()
	var told waiting
	for letTasksBe := false; !w.hands.leave(letTasksBe); {
		_, now := w.hands.inHand()
		if now != told {
			for _, text := range now.texts(time.Now()) {
				w.log.InfoContext(ctx, text)
			}
			told = now
		}
		select {
		case <-w.hands.changed:
		case <-grace.C:
			letTasksBe = true
		case <-tick.C:
			told = waiting{}
		}
	}
	if tasks, _ := w.hands.inHand(); tasks > 0 {
		w.log.WarnContext(ctx, "chunks are left as they are: Redis does not answer, and nothing of them is on its way", "chunks", tasks)
	}
}

// within waits for something, and reports whether it came in time.
func within(limit time.Duration, wait func()) bool {
	done := make(chan struct{})
	go func() { defer close(done); wait() }()
	select {
	case <-done:
		return true
	case <-time.After(limit):
		return false
	}
}

func (w *Worker) newSweeper() *sweeper {
	return &sweeper{store: w.cfg.Store, queue: w.queue, steady: w.steady, agents: w.agentNames(), watch: w.cfg.Watch, log: w.log}
}

// every calls do now and then, until ctx is over.
func (w *Worker) every(ctx context.Context, interval time.Duration, do func(context.Context) error, trouble string) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			w.log.WarnContext(ctx, trouble, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// handler runs the tasks of one agent.
func (w *Worker) handler(a *agentServer) asynq.Handler {
	return asynq.HandlerFunc(func(ctx context.Context, t *asynq.Task) error {
		ref, err := decodeTask(t)
		if err != nil {
			w.log.ErrorContext(ctx, "task dropped", "error", err)
			return nil // nothing of ours; whatever chunk it meant is swept
		}
		if a.sender.drain.Err() != nil || !w.hands.take() {
			return &comeBack{0, "the worker is stopping"}
		}
		defer w.hands.put()
		err = a.sender.send(ctx, ref)
		var later *comeBack
		if err != nil && !errors.As(err, &later) {
			w.log.ErrorContext(ctx, "chunk not worked off", "campaign", ref.Campaign, "chunk", ref.Chunk, "error", err)
		}
		return err
	})
}

// beat tells the others that this worker is alive, and keeps when it did.
func (w *Worker) beat(ctx context.Context) error { return w.beatWithin(ctx, heartbeatTimeout) }

func (w *Worker) beatWithin(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if w.looked.Load() == nil {
		_ = w.look(ctx)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	seen := w.looked.Load()
	begun := time.Now()
	err = w.cfg.Store.Heartbeat(ctx, store.Worker{
		ID: w.id, Host: host, PID: os.Getpid(), Agents: w.agentNames(), Started: w.started, Tickets: w.cfg.Tickets,
		Quotas: seen.quotas, QuotaKeys: w.quotaKeys(), Paused: seen.paused, Looked: seen.at,
	})
	if err == nil {
		w.beats.Store(w.beats.Load().then(begun, time.Now()))
	}
	return err
}

// A look is where a worker's quotas and queues stand.
type look struct {
	at     time.Time
	quotas map[string]store.Quota
	paused map[string][]campaign.Lane
}

// look looks there. It takes several calls to Redis: a heartbeat must wait for none
// of them.
func (w *Worker) look(ctx context.Context) error {
	now := time.Now()
	w.looked.Store(&look{now.UTC(), w.quotas(ctx, now), w.queue.paused(ctx, w.agentNames())})
	return nil
}

// sample adds to the series of every campaign.
func (w *Worker) sample(ctx context.Context) error {
	names, err := w.cfg.Store.Names(ctx)
	if err != nil {
		return err
	}
	now, err := w.cfg.Store.Now(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		if _, err := w.cfg.Store.TakeSample(ctx, name, now); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// quotas tells where each agent stands. What cannot be told is left out: a
// heartbeat must not fail for it.
func (w *Worker) quotas(ctx context.Context, now time.Time) map[string]store.Quota {
	quotas := make(map[string]store.Quota)
	for _, a := range w.agents {
		status, err := a.sender.quota.Status(ctx)
		if err != nil {
			continue
		}
		quota := store.Quota{
			Limit: status.Limit, Remaining: status.Remaining, Window: status.Window.Seconds(),
			Others: status.OthersPerWindow, Reason: status.Reason, Blocked: status.Blocked,
			Failures: status.Failures, Probing: status.Probing,
		}
		if status.Wait > 0 {
			quota.Next = now.Add(status.Wait).UTC()
		}
		quotas[a.name] = quota
	}
	return quotas
}

// quotaKeys tells where each agent's quota is kept, for those who have no token.
func (w *Worker) quotaKeys() map[string]string {
	keys := make(map[string]string)
	for _, a := range w.agents {
		if kept, ok := a.sender.quota.(interface{ Key() string }); ok {
			keys[a.name] = kept.Key()
		}
	}
	return keys
}

// Quotas tells where each agent stands with its quota.
func (w *Worker) Quotas(ctx context.Context) map[string]store.Quota { return w.quotas(ctx, time.Now()) }

// alive reports whether others still take this worker for living.
func (w *Worker) alive(now time.Time) bool { return w.beats.Load().alive(now) }

// steady reports whether this worker may take others for dead. After an outage
// of Redis everybody's heartbeat has to come back first.
func (w *Worker) steady(now time.Time) bool { return w.beats.Load().steady(now) }

// Elapsed is the time since then by the clock that says more: the monotonic one may
// stand still while a machine is paused, and the one on the wall may be set back.
func Elapsed(since, now time.Time) time.Duration {
	return max(now.Sub(since), now.Round(0).Sub(since.Round(0)))
}

// heartbeats are those of a worker that arrived. They never change; nil is none.
type heartbeats struct {
	since time.Time // when the first of an unbroken row had arrived
	last  time.Time // when the latest was begun: it lives from then at least
}

// then is h with another one.
func (h *heartbeats) then(begun, arrived time.Time) *heartbeats {
	if !h.unbroken(arrived) {
		return &heartbeats{since: arrived, last: begun}
	}
	return &heartbeats{since: h.since, last: begun}
}

// alive reports whether the last one is young enough, by both clocks.
func (h *heartbeats) alive(now time.Time) bool {
	return h != nil && Elapsed(h.last, now) < aliveFor
}

// unbroken reports whether Redis cannot have been away for long since the last one
// was begun. That it has arrived since says nothing: it may have waited for Redis.
func (h *heartbeats) unbroken(now time.Time) bool {
	return h != nil && Elapsed(h.last, now) < steadyGap
}

// steady reports whether they have come, without a gap, for as long as it takes to
// be missed: whose heartbeat is not there now has not only lacked Redis.
func (h *heartbeats) steady(now time.Time) bool {
	return h.unbroken(now) && now.Sub(h.since) >= steadyAfter
}

func (w *Worker) agentNames() []string {
	names := make([]string, len(w.agents))
	for i, a := range w.agents {
		names[i] = a.name
	}
	slices.Sort(names)
	return names
}

// emptyArchives deletes archived tasks: asynq v0.26 fails when too many of them
// grow old together. Nothing is lost with them, a task authorises nothing.
func (w *Worker) emptyArchives(context.Context) error {
	var errs []error
	for _, a := range w.agents {
		for lane := range lanes {
			queue := queueName(a.name, lane)
			if _, err := w.queue.inspector.DeleteAllArchivedTasks(queue); err != nil && !isQueueMissing(err) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// isQueueMissing reports whether asynq has never seen the queue. DeleteAll…Tasks
// of v0.26 has no sentinel for that.
func isQueueMissing(err error) bool {
	return errors.Is(err, asynq.ErrQueueNotFound) || strings.Contains(err.Error(), "does not exist")
}

// asynqLogger hands asynq's own messages on.
type asynqLogger struct{ log *slog.Logger }

func (l asynqLogger) Debug(args ...any) { l.log.Debug(fmt.Sprint(args...)) }
func (l asynqLogger) Info(args ...any)  { l.log.Info(fmt.Sprint(args...)) }
func (l asynqLogger) Warn(args ...any)  { l.log.Warn(fmt.Sprint(args...)) }
func (l asynqLogger) Error(args ...any) { l.log.Error(fmt.Sprint(args...)) }
func (l asynqLogger) Fatal(args ...any) { l.log.Error(fmt.Sprint(args...)) }
