package jobs

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/sending"
	"campaign-runner/jobs/timings"
	"campaign-runner/ratelimit"
	"campaign-runner/velents"
)

// An Agent is one API token with what belongs to it.
type Agent struct {
	Name     string
	Platform sending.Platform
	Quota    quota
}

// quota is *ratelimit.Quota: what a pass needs, and how it stands for the heartbeat.
type quota interface {
	sending.Quota
	Status(ctx context.Context) (ratelimit.Status, error)
}

// Config says what a Worker works on. A zero field means its default, except
// Store and Agents, which are required.
type Config struct {
	Store          *store.Store
	Agents         []Agent
	Concurrency    int           // chunks per agent in hand at once; 4. The quota, not this, sets the pace
	RequestTimeout time.Duration // of one request, as the platform's client keeps it; 60 s
	// Webhook says where the platform posts the events of a request: those of one
	// contact, by its place in the list from 1, or with 0 those of several. It may be
	// nil or return nil: then there are no events.
	Webhook func(c campaign.Campaign, contact int) *velents.Webhook
	Watch   Watch
	Tickets bool         // this process makes tickets, too: its heartbeat says so
	Version string       // the build of this process, for its heartbeat
	Redis   string       // where Redis is, without a password, for the log
	Logger  *slog.Logger // discards when nil
}

// A Watch hears what a Worker does, for counting. Its functions may be nil.
type Watch struct {
	Answered func(agent, class string, took time.Duration) // each request, with its verdict.Class
	Swept    func(action string)                           // what the sweeper did to a chunk
	Beat     func(err error)                               // each heartbeat, with why Redis did not get it
}

func (w Watch) beat(err error) error {
	if w.Beat != nil {
		w.Beat(err)
	}
	return err
}

func (w Watch) swept(action string) {
	if w.Swept != nil {
		w.Swept(action)
	}
}

// A Worker sends the chunks of its agents. Each agent has an asynq server of its own,
// so that an agent which waits for its quota never holds up another.
type Worker struct {
	id      string // in heartbeats and claims
	cfg     Config
	queue   *Queue
	runners []*runner
	started time.Time
	inHand  *sending.InHand
	beats   atomic.Pointer[heartbeats]
	looked  atomic.Pointer[look]
	sampled store.Round
	log     *slog.Logger
}

// NewWorker prepares a worker. It touches nothing before Run.
func NewWorker(cfg Config) (*Worker, error) {
	cfg.Concurrency = cmp.Or(cfg.Concurrency, 4)
	cfg.RequestTimeout = cmp.Or(cfg.RequestTimeout, timings.RequestTimeout)
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	switch {
	case cfg.Concurrency < 0:
		return nil, fmt.Errorf("worker: concurrency %d: want 1 or more", cfg.Concurrency)
	case cfg.RequestTimeout < 0:
		return nil, fmt.Errorf("worker: request timeout %v: want more than 0", cfg.RequestTimeout)
	case len(cfg.Agents) == 0:
		return nil, errors.New("worker: no agents")
	}
	w := &Worker{id: rand.Text()[:12], cfg: cfg, started: time.Now().UTC(), inHand: sending.NewInHand(), log: cfg.Logger}
	w.log = w.log.With("worker", w.id)
	w.queue = NewQueue(cfg.Store, w.log).By(campaign.ByWorker(w.id))
	versions := newVersions()
	for _, a := range cfg.Agents {
		if _, err := campaign.AgentName(a.Name); err != nil {
			return nil, fmt.Errorf("worker: %w", err)
		}
		log := w.log.With("agent", a.Name)
		w.runners = append(w.runners, &runner{
			agent: a, server: w.newServer(a.Name), sender: w.newSender(a, log),
			store: cfg.Store, queue: w.queue, versions: versions, steady: w.steady, log: log,
		})
	}
	return w, nil
}

func (w *Worker) newSender(a Agent, log *slog.Logger) *sending.Sender {
	return &sending.Sender{
		Store: w.cfg.Store, Queue: w.queue, Platform: a.Platform, Quota: a.Quota,
		Worker: sending.Worker{
			ID: w.id, By: w.queue.by, Alive: w.alive, InHand: w.inHand, RequestTimeout: w.cfg.RequestTimeout, Turn: campaign.LaneTurn,
		},
		Webhook: w.cfg.Webhook, Answered: w.cfg.Watch.Answered, Log: log,
	}
}

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
		DelayedTaskCheckInterval: timings.ForwardEvery,
		// Handlers end by themselves when the worker stops; asynq must not hand their
		// chunks to others before.
		ShutdownTimeout: w.cfg.RequestTimeout + timings.CommitPatience,
		Logger:          asynqLogger{w.log.With("component", "asynq", "agent", agent)},
		LogLevel:        asynq.WarnLevel,
	})
}

// Run works until ctx is over. Then it begins nothing new, lets requests on
// their way get their answers, writes those down, and leaves the rest in the
// queues for others.
func (w *Worker) Run(ctx context.Context) error {
	if err := w.beatWithin(ctx, timings.AliveFor); err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	for _, r := range w.runners {
		r.sender.Worker.Stopping = ctx
		if err := r.server.Start(w.handler(r)); err != nil {
			return fmt.Errorf("worker: agent %s: %w", r.agent.Name, err)
		}
	}
	w.log.InfoContext(ctx, "worker started", "agents", w.agentNames())

	sweeper := &sweeper{store: w.cfg.Store, queue: w.queue, steady: w.steady, agents: w.agentNames(), watch: w.cfg.Watch, log: w.log}
	// The heartbeat goes on while the last answers come in.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var loops sync.WaitGroup
	every := func(ctx context.Context, interval time.Duration, do func(context.Context) error, trouble string) {
		loops.Go(func() { timings.Every(ctx, interval, w.log, trouble, do) })
	}
	redis := &absence{redis: w.cfg.Redis, log: w.log}
	every(background, timings.HeartbeatEvery, func(ctx context.Context) error {
		redis.heard(ctx, w.beat(ctx), time.Now())
		return nil
	}, "heartbeat missed")
	every(ctx, timings.LookEvery, w.look, "quotas and queues not looked at")
	every(ctx, timings.SweepEvery, sweeper.sweep, "sweep failed")
	every(ctx, timings.ScanTry, sweeper.scan, "campaigns not scanned")
	every(ctx, store.SampleEvery, w.sample, "campaigns not sampled")
	every(ctx, timings.RetainEvery, w.queue.retain, "campaigns not purged")
	every(ctx, timings.ArchiveEvery, w.emptyArchives, "archive not emptied")
	every(ctx, timings.TidyEvery, w.trimRetained, "finished tasks not trimmed")
	every(ctx, timings.TidyEvery, w.cfg.Store.ForgetWorkers, "dead workers not forgotten")
	every(ctx, timings.TidyEvery, w.cfg.Store.ForgetReservations, "reservations left behind not deleted")

	<-ctx.Done()
	w.stop(background, stop, &loops)
	return nil
}

// handler runs the tasks of one agent.
func (w *Worker) handler(r *runner) asynq.Handler {
	return asynq.HandlerFunc(func(ctx context.Context, t *asynq.Task) error {
		ref, err := decodeTask(t)
		if err != nil {
			w.log.ErrorContext(ctx, "task dropped", "error", err)
			return nil // it is not ours; if it meant a chunk, that is swept
		}
		if r.sender.Worker.Stopping.Err() != nil || !w.inHand.TakeTask() {
			return &sending.ComeBack{Why: "the worker is stopping"}
		}
		defer w.inHand.PutTask()
		result, err := r.work(ctx, ref)
		if err == nil {
			w.tell(ctx, t, result)
		}
		if err != nil && isFailure(err) {
			w.log.ErrorContext(ctx, "chunk not worked off", "campaign", ref.Campaign, "chunk", ref.Chunk, "error", err)
		}
		return err
	})
}

func (w *Worker) agentNames() []string {
	names := make([]string, len(w.runners))
	for i, r := range w.runners {
		names[i] = r.agent.Name
	}
	slices.Sort(names)
	return names
}

// sample adds to the series of every campaign that may have moved.
func (w *Worker) sample(ctx context.Context) error {
	return eachLive(ctx, w.cfg.Store, &w.sampled, func(ctx context.Context, name string, now time.Time) error {
		_, err := w.cfg.Store.TakeSample(ctx, name, now)
		return err
	})
}

// emptyArchives deletes archived tasks: asynq v0.26 fails when too many of them
// grow old together. Nothing is lost with them, a task authorises nothing.
func (w *Worker) emptyArchives(context.Context) error {
	var errs []error
	for _, r := range w.runners {
		for lane := range lanes {
			queue := queueName(r.agent.Name, lane)
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

// stop ends a worker whose tasks have been told to stop: its answers are written down
// first, then asynq and the loops end, the heartbeat last.
func (w *Worker) stop(ctx context.Context, endLoops context.CancelFunc, loops *sync.WaitGroup) {
	w.log.InfoContext(ctx, "worker stopping: requests on their way get their answers")
	w.inHand.Close()
	var servers sync.WaitGroup
	for _, r := range w.runners {
		servers.Go(r.server.Shutdown)
	}
	w.awaitAnswers(ctx)

	// All that matters is written down. asynq and our loops repeat for half a minute
	// what Redis does not answer, and cannot be told to stop that.
	if !within(timings.LeaveWithin, servers.Wait) {
		w.log.WarnContext(ctx, "asynq has not handed its tasks back: Redis does not answer it; others find them within two minutes")
	}
	endLoops()
	within(timings.LeaveWithin, loops.Wait)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), timings.GoodbyeWithin)
	defer cancel()
	if err := w.cfg.Store.Goodbye(last, w.id); err != nil {
		w.log.WarnContext(ctx, "others are not told that this worker is gone: they notice by themselves", "after", store.HeartbeatTTL, "error", err)
	}
}

// awaitAnswers waits until every answer is written down, and says what it waits for.
// Tasks without a request are left after StopGrace: most likely Redis does not answer.
func (w *Worker) awaitAnswers(ctx context.Context) {
	grace, tick := time.NewTimer(timings.StopGrace), time.NewTicker(timings.TellEvery)
	defer grace.Stop()
	defer tick.Stop()
	var told sending.Waiting
	for tasksMayBeLeft := false; !w.inHand.Leave(tasksMayBeLeft); {
		_, now := w.inHand.Count()
		if now != told {
			for _, text := range now.Texts(time.Now()) {
				w.log.InfoContext(ctx, text)
			}
			told = now
		}
		select {
		case <-w.inHand.Changed():
		case <-grace.C:
			tasksMayBeLeft = true
		case <-tick.C:
			told = sending.Waiting{}
		}
	}
	if tasks, _ := w.inHand.Count(); tasks > 0 {
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

// ackClient is the Redis client that asynq's servers work on. It carries
// asynq's scripts through even when their context is over.
//
// asynq v0.26 acknowledges a task under a context that it cancels on return. If Redis
// is away at that moment, it repeats the acknowledgement under the dead context: that
// never arrives, and the finished task runs again a minute later.
type ackClient struct{ redis.UniversalClient }

func (c ackClient) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	return c.UniversalClient.EvalSha(context.WithoutCancel(ctx), sha, keys, args...)
}

func (c ackClient) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	return c.UniversalClient.Eval(context.WithoutCancel(ctx), script, keys, args...)
}

// asynqLogger passes asynq's own messages on.
type asynqLogger struct{ log *slog.Logger }

func (l asynqLogger) Debug(args ...any) { l.log.Debug(fmt.Sprint(args...)) }
func (l asynqLogger) Info(args ...any)  { l.log.Info(fmt.Sprint(args...)) }
func (l asynqLogger) Warn(args ...any)  { l.log.Warn(fmt.Sprint(args...)) }
func (l asynqLogger) Error(args ...any) { l.log.Error(fmt.Sprint(args...)) }
func (l asynqLogger) Fatal(args ...any) { l.log.Error(fmt.Sprint(args...)) }
