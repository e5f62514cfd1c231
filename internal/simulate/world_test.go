//go:build simulate

package simulate

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/redistest"
	"campaign-runner/jobs"
)

const mainList = "sale"

// A world is everything there is in one run of a schedule.
type world struct {
	t        *testing.T
	ctx      context.Context
	plan     plan
	redis    *redisServer
	platform *platform
	events   *link // of the platform to the workers' inboxes
	person   *person
	second   *jobs.Queue  // of another person
	admin    *store.Store // looks without a delay
	monitor  *monitor
	trace    *trace
	tokens   *tokens
	clients  []*redis.Client
	outside  *redis.Client // without a link

	background sync.WaitGroup // what persons are doing

	mu        sync.Mutex
	places    []*place
	all       []*process
	died      map[string]chan struct{}
	lists     []*list
	launched  int
	losses    int
	firstSize int // of the main list, as it was launched
	wrong     []string
	quiet     time.Time // since when nothing goes wrong
	down      bool      // the links to Redis of workers that start are
	over      bool      // the audit is done: nothing counts any more
}

func newWorld(t *testing.T, p plan) (w *world, stop func()) {
	w = &world{t: t, plan: p, trace: new(trace), died: make(map[string]chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	w.ctx = ctx
	w.tokens = &tokens{w: w, owner: make(map[string]string)}
	w.monitor = newMonitor(w)
	w.redis = newRedisServer(func(caller, command string, args []string) {
		if !w.isOver() {
			w.monitor.after(caller, command, args)
		}
	})
	w.outside = redis.NewClient(redistest.Bubble(w.redis.connect))
	direct := newLink(new(host), new(host), w.rng("direct"), 0, w.redis.connect)
	options := redistest.Bubble(w.redis.connect)
	options.Dialer = direct.dial
	looks := redis.NewClient(options)
	w.clients = append(w.clients, w.outside, looks)
	w.admin = store.New(looks)
	inbox := new(host)
	w.events = newLink(new(host), inbox, w.rng("events"), 500*time.Millisecond, func() (net.Conn, error) { return w.someInbox() })
	cfg := p.sandbox
	cfg.Webhooks.Dial = w.events.dial
	w.platform = newPlatform(w, cfg)
	w.person = w.newPerson()
	w.second = w.secondPerson()
	if p.approveAbove > 0 {
		w.must(w.admin.SetPolicy(ctx, p.approveAbove, "admin"))
	}
	for n := range p.workers {
		w.places = append(w.places, &place{w: w, number: n})
	}
	return w, func() { w.end(cancel) }
}

// someInbox is a connection to the inbox of a process that lives.
func (w *world) someInbox() (net.Conn, error) {
	w.mu.Lock()
	var living []*process
	for _, pl := range w.places {
		if pl.process != nil && !pl.process.dead {
			living = append(living, pl.process)
		}
	}
	w.mu.Unlock()
	if len(living) == 0 {
		return nil, net.ErrClosed
	}
	return living[int(time.Now().UnixMicro())%len(living)].door.enter("platform")
}

func (w *world) must(err error) {
	if err != nil {
		panic(err)
	}
}

// fail notes what must not be.
func (w *world) fail(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	w.trace.add("WRONG: %s", text)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.wrong) < 20 && !slices.Contains(w.wrong, text) {
		w.wrong = append(w.wrong, text)
	}
}

func (w *world) isOver() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.over
}

func (w *world) isWrong() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.wrong) > 0
}

// calm reports whether nothing has gone wrong for a while.
func (w *world) calm(lasted time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Since(w.quiet) > lasted
}

// play runs the plan to its end.
func (w *world) play() {
	began := time.Now()
	for _, pl := range w.places {
		go pl.supervise()
	}
	rng := w.rng("lists")
	w.firstSize = 70 + rng.IntN(90)
	main := w.newList(rng, list{name: mainList, size: w.firstSize, mode: modeOf(rng), chunk: 3 + rng.IntN(8)})
	w.background.Go(func() {
		w.person.launch(main)
		if w.plan.approveAbove > 0 {
			steered(w, w.person, main, rng)
		}
	})
	type step struct {
		at time.Duration
		do func()
	}
	var steps []step
	for _, s := range w.plan.strokes {
		steps = append(steps, step{s.at, func() {
			w.trace.add("%s", s)
			s.hit(w)
		}})
		if s.heal != nil {
			steps = append(steps, step{s.until, func() { w.trace.add("over: %s", s.name); s.heal(w) }})
		}
		w.quiet = began.Add(max(s.until, w.quiet.Sub(began)))
	}
	for at := 5 * time.Second; at < goesOn; at += 5 * time.Second {
		steps = append(steps, step{at, w.monitor.look}, step{at, w.monitor.rungsAreWatched})
	}
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	for _, s := range steps {
		time.Sleep(time.Until(began.Add(s.at)))
		if w.isWrong() {
			return
		}
		s.do()
	}
	w.background.Wait()
}

// settle sees every campaign to its end once nothing goes wrong any more.
func (w *world) settle() {
	w.person.link.set(func(l *link) { l.lossy = 0 })
	w.platform.sandbox.SetLimit(limitAtLast)
	end := time.Now().Add(settleWithin)
	for time.Now().Before(end) && !w.isWrong() {
		if w.settled() {
			time.Sleep(30 * time.Second) // for the last events
			return
		}
		time.Sleep(10 * time.Second)
		w.monitor.look()
		w.monitor.rungsAreWatched()
	}
	for _, l := range w.lists {
		c, err := w.admin.Campaign(w.ctx, l.name)
		tally, _ := w.admin.Tally(w.ctx, l.name)
		if err == nil && !tally.Over() {
			w.fail("%s does not end: it is %s (%s) with %v, rungs in %d chunks", l.name, c.Phase, c.PhaseReason, tally.States, tally.Rungs)
		}
	}
}

// limitAtLast lets those through at once who are left when nothing goes wrong any more.
const limitAtLast = 1000

// settleWithin is longer than a quota may block.
const settleWithin = time.Hour

func (w *world) settled() bool {
	done := true
	for _, l := range w.lists {
		c, err := w.admin.Campaign(w.ctx, l.name)
		if err != nil {
			continue
		}
		tally, err := w.admin.Tally(w.ctx, l.name)
		w.must(err)
		if tally.Over() || c.Phase == campaign.CanceledPhase && tally.Open() == 0 || c.Kept() != nil {
			continue
		}
		done = false
		if c.Settings.DailyCap > 0 {
			w.change(w.person, l, "lift the cap of "+l.name, func(s *campaign.Settings) { s.DailyCap = 0 })
		}
		w.letGo(c, l)
		if c.Phase == campaign.Paused {
			resume(w, w.person, l, nil)
		}
	}
	return done
}

// end stops everything. Those who were killed and frozen wake up in a world in which
// nothing counts any more.
func (w *world) end(cancel func()) {
	w.mu.Lock()
	w.over = true
	all := slices.Clone(w.all)
	w.mu.Unlock()
	w.redis.refuse(false)
	w.redis.thaw()
	_ = w.platform.sandbox.Close()
	cancel()
	for _, p := range all {
		p.platform.set(func(l *link) { l.down = true; l.lossy = 0 })
		p.platform.release()
		p.redis.set(func(l *link) { l.down = false; l.lossy = 0 })
		p.redis.release()
		p.thaw()
	}
	for _, p := range all {
		<-p.ended
	}
	w.background.Wait()
	w.events.release()
	_ = w.platform.server.Close()
	time.Sleep(time.Hour) // asynq's goroutines may repeat a command for minutes, and panic when the client is closed
	for _, c := range w.clients {
		_ = c.Close()
	}
	w.redis.m.Close()
}
