//go:build simulate

package simulate

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/redistest"
	"campaign-runner/jobs"
	"campaign-runner/jobs/events"
	"campaign-runner/jobs/webhook"
	"campaign-runner/ratelimit"
	"campaign-runner/velents"
)

const (
	requestTimeout = 10 * time.Second
	permitSlack    = 5 * time.Second // as cmd/worker has it
	secret         = "links"
	inboxURL       = "http://localhost/in"
)

// A client is a Redis client over a link. It subscribes over another way: go-redis holds a
// lock while it writes to a subscription, for which virtual time does not wait. Only asynq
// subscribes, to cancelations that nobody asks for.
type client struct {
	*redis.Client
	outside *redis.Client
}

func (c client) Subscribe(ctx context.Context, channels ...string) *redis.PubSub {
	return c.outside.Subscribe(ctx, channels...)
}

// client has the retries of store.Connect. Redis knows it by its name.
func (w *world) client(name string, l *link) redis.UniversalClient {
	options := redistest.Bubble(w.redis.connect)
	options.Dialer, options.ClientName = l.dial, name
	options.ContextTimeoutEnabled = true
	options.MaxRetries, options.MinRetryBackoff, options.MaxRetryBackoff = 12, 50*time.Millisecond, 4*time.Second
	rdb := redis.NewClient(options)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clients = append(w.clients, rdb)
	return client{rdb, w.outside}
}

// A process is one life of a worker: what cmd/worker makes, without its pages, tickets and
// notices.
type process struct {
	host
	w        *world
	name     string // w1.2: the second life in the first place
	redis    *link
	platform *link
	worker   *jobs.Worker
	applier  *events.Applier
	inbox    *http.Server
	door     *door
	stop     context.CancelFunc
	ended    chan struct{}
	dead     bool // guarded by the world's mu
}

func (w *world) newProcess(name string, replicas int) *process {
	p := &process{w: w, name: name, door: newDoor(), ended: make(chan struct{})}
	p.redis = newLink(&p.host, &w.redis.host, w.rng("redis of "+name), time.Millisecond, w.redis.connect)
	p.platform = newLink(&p.host, &w.platform.host, w.rng("platform of "+name), 20*time.Millisecond,
		func() (net.Conn, error) { return w.platform.door.enter(name) })
	rdb := w.client(name, p.redis)
	st := store.New(rdb)
	st.WaitForReplicas(replicas)
	log := w.logger(name)
	platform, err := velents.New(velents.Config{BaseURL: "http://localhost", Token: token, Timeout: requestTimeout, Dial: p.platform.dial})
	w.must(err)
	quota, err := ratelimit.NewShared(rdb, token, ratelimit.Config{Rate: w.plan.rate, Timeout: requestTimeout + permitSlack, Logger: log})
	w.must(err)
	p.worker, err = jobs.NewWorker(jobs.Config{
		Store: st, Agents: []jobs.Agent{{Name: campaign.DefaultAgent, Platform: platform, Quota: quota}},
		RequestTimeout: requestTimeout, Logger: log,
		Webhook: func(c campaign.Campaign, contact int) *velents.Webhook {
			if c.Settings.WebhookURL == "" {
				return nil
			}
			return &velents.Webhook{Link: webhook.Link(c.Settings.WebhookURL, secret, webhook.Target{Campaign: c.Name, Contact: contact})}
		},
	})
	w.must(err)
	p.applier = events.New(events.Config{Store: st, Logger: log})
	p.inbox = &http.Server{Handler: http.StripPrefix("/in", &webhook.Inbox{Events: st, Secret: secret, Log: log})}
	return p
}

// run is the life of the process: until it is stopped, or cannot start.
func (p *process) run(ctx context.Context) {
	defer close(p.ended)
	ctx, p.stop = context.WithCancel(ctx)
	defer p.stop()
	var others sync.WaitGroup
	others.Go(func() { _ = p.inbox.Serve(p.door) })
	others.Go(func() { p.applier.Run(ctx) })
	if err := p.worker.Run(ctx); err != nil {
		p.w.trace.add("%s does not start: %v", p.name, err)
	}
	p.stop()
	_ = p.inbox.Close()
	others.Wait()
}

// A place is where one process after the other runs.
type place struct {
	w       *world
	number  int
	lives   int
	process *process // guarded by the world's mu
}

// supervise starts a process, and another whenever it has ended or died.
func (pl *place) supervise() {
	w := pl.w
	rng := w.rng(fmt.Sprintf("place %d", pl.number))
	for w.ctx.Err() == nil {
		pl.lives++
		p := w.newProcess(fmt.Sprintf("w%d.%d", pl.number, pl.lives), w.plan.replicas)
		w.mu.Lock()
		pl.process = p
		p.redis.down = w.down // nothing uses it yet
		w.all = append(w.all, p)
		w.mu.Unlock()
		died := make(chan struct{})
		w.mu.Lock()
		w.died[p.name] = died
		w.mu.Unlock()
		go p.run(w.ctx)
		select {
		case <-p.ended:
		case <-died:
		}
		select {
		case <-time.After(time.Duration(100+rng.IntN(3000)) * time.Millisecond):
		case <-w.ctx.Done():
		}
	}
}

// kill ends a process as kill -9 does: nothing of it moves again. What it had sent arrives,
// or does not.
func (w *world) kill(p *process) {
	w.mu.Lock()
	if p.dead {
		w.mu.Unlock()
		return
	}
	p.dead = true
	died := w.died[p.name]
	w.mu.Unlock()
	p.freeze()
	p.redis.cut()
	p.platform.cut()
	close(died)
}

func (w *world) isDead(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.all {
		if p.name == name {
			return p.dead
		}
	}
	return false
}

// at is the process that runs at a place.
func (w *world) at(n int) *process {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.places[n%len(w.places)].process
}

// rng is a source of chance that follows from the seed and a name alone.
func (w *world) rng(name string) *rand.Rand {
	var of uint64
	for _, b := range []byte(name) {
		of = of*1099511628211 + uint64(b)
	}
	return rand.New(rand.NewPCG(w.plan.seed, of))
}

// A trace is what has happened, by virtual time.
type trace struct {
	mu    sync.Mutex
	began time.Time
	lines []string
}

func (t *trace) add(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.began.IsZero() {
		t.began = time.Now()
	}
	t.lines = append(t.lines, fmt.Sprintf("%9.3f ", time.Since(t.began).Seconds())+fmt.Sprintf(format, args...))
}

// logger writes what a process logs into the trace, while it lives: the timers of one that
// was killed go on.
func (w *world) logger(name string) *slog.Logger {
	return slog.New(slog.NewTextHandler(writer(func(line string) {
		if !w.isDead(name) {
			w.trace.add("%s: %s", name, line)
		}
	}), &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "worker" {
				return slog.Attr{}
			}
			return a
		},
	}))
}

type writer func(line string)

func (w writer) Write(b []byte) (int, error) {
	w(string(b[:max(len(b)-1, 0)]))
	return len(b), nil
}
