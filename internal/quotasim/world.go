// Package quotasim measures rate limiters against models of servers, networks and
// other clients, in the virtual time of testing/synctest: hours in seconds,
// with the real quota, its script in a real Redis, and its waiting.
package quotasim

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/ratelimit"
)

// scenario is what happens in a world.
type scenario struct {
	kind    kind
	limit   int           // 30 when 0
	window  time.Duration // a minute when 0
	workers int
	crowd   int // workers per process; 1 when 0
	client  maker
	other   func(time.Duration) float64 // the other client's part of the limit, by the time since the start
	beside  func(context.Context, *world)
	trips   trips
	mute    bool  // the server sends no limit headers
	idle    bool  // what begins counts, too
	warmUp  int   // windows that are left out of the measurement; 2 when 0
	windows int   // that are measured
	slower  bound // a second limit on the same requests
}

// bound is a number of requests per window.
type bound struct {
	limit  int
	window time.Duration
}

// world is a server, a network, and their users.
type world struct {
	*server
	rdb   *redis.Client
	warp  *warp
	seed  uint64
	end   time.Time
	trips trips
	base  float64 // requests per second at the limit it began with

	mu     sync.Mutex
	ours   tally
	others tally
	events []event
	marks  []time.Time          // moments that a scenario has marked
	left   []time.Time          // when our requests left
	heard  time.Time            // when the first was answered
	kills  []context.CancelFunc // of the workers' processes
	doomed bool                 // the next to send dies before it hears the answer
}

// tally counts what the server saw of one side.
type tally struct {
	served, refused, failed int
	longest                 time.Duration // wait before a request
}

func (t *tally) add(o tally) {
	t.served += o.served
	t.refused += o.refused
	t.failed += o.failed
}

// event is a request when the server saw it.
type event struct {
	at     time.Time
	other  bool
	status int
}

// result is what was measured.
type result struct {
	used         float64 // of the nominal, by all
	ours, others tally
	callsPer     float64 // request
	longest      float64 // wait, in waiters / rate
	world        *world
}

func (r result) refusedPer1000() float64 {
	return 1000 * float64(r.ours.refused) / float64(max(1, r.ours.refused+r.ours.served+r.ours.failed))
}

func (r result) otherRefused() float64 {
	return float64(r.others.refused) / float64(max(1, r.others.refused+r.others.served))
}

// run lives through a scenario. It belongs into a bubble of testing/synctest.
func (s scenario) run(ctx context.Context, db *redis.Options, seed uint64) (result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.limit = cmp.Or(s.limit, 30)
	s.window = cmp.Or(s.window, time.Minute)
	s.warmUp = cmp.Or(s.warmUp, 2)
	s.trips = cmp.Or(s.trips, trips{50 * time.Millisecond, 800 * time.Millisecond})
	w := s.begin(db, seed)
	defer w.rdb.Close()

	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	if err := s.startWorkers(ctx, w, &wg); err != nil {
		return result{}, err
	}
	if s.other != nil {
		wg.Go(func() { w.visit(ctx, s.other) })
	}
	if s.beside != nil {
		wg.Go(func() { s.beside(ctx, w) })
	}
	return s.measure(w), nil
}

// begin makes a world without workers.
func (s scenario) begin(db *redis.Options, seed uint64) *world {
	w := &world{seed: seed, trips: s.trips}
	time.Sleep(time.Duration(w.rng(0).Float64() * float64(time.Minute))) // any phase of the clocks
	w.server = newServer(s.kind, s.limit, s.window)
	w.headers = !s.mute
	if s.slower.limit > 0 {
		w.second = newServer(s.kind, s.slower.limit, s.slower.window)
	}
	w.base = float64(s.limit) / s.window.Seconds()
	w.rdb, w.warp = inVirtualTime(db)
	w.end = time.Now().Add(time.Duration(s.warmUp+s.windows) * s.window)
	return w
}

// startWorkers starts the workers. A worker whose process is killed lives again with a
// new client.
func (s scenario) startWorkers(ctx context.Context, w *world, wg *sync.WaitGroup) error {
	var shared client // nil: each makes its own
	for i := range s.workers {
		if s.crowd > 0 && i%s.crowd == 0 {
			var err error
			if shared, err = s.client(w, float64(s.crowd)/float64(s.workers)); err != nil {
				return err
			}
		}
		w.kills = append(w.kills, nil)
		var lives func(life uint64) error
		lives = func(life uint64) error {
			c := shared
			if c == nil {
				var err error
				if c, err = s.client(w, 1/float64(s.workers)); err != nil {
					return err
				}
			}
			alive, kill := context.WithCancel(ctx)
			w.mu.Lock()
			w.kills[i] = func() {
				kill()
				wg.Go(func() { lives(life + 1) }) // its first life told of any error
			}
			w.mu.Unlock()
			wg.Go(func() {
				defer kill()
				w.work(alive, i, life, c)
			})
			return nil
		}
		if err := lives(0); err != nil {
			return err
		}
	}
	return nil
}

// measure waits until the warm-up is over, and then until the end.
func (s scenario) measure(w *world) result {
	time.Sleep(time.Duration(s.warmUp) * s.window)
	was, calls := w.nominal(), w.warp.calls.Load()
	if !s.idle {
		w.mu.Lock()
		w.ours, w.others = tally{}, tally{}
		w.mu.Unlock()
	}
	time.Sleep(time.Until(w.end))
	w.mu.Lock()
	defer w.mu.Unlock()
	r := result{ours: w.ours, others: w.others, world: w}
	r.used = float64(r.ours.served+r.ours.failed+r.others.served) / (w.nominal() - was)
	sent := float64(r.ours.served + r.ours.failed)
	r.callsPer = float64(w.warp.calls.Load()-calls) / sent
	rate := sent / (time.Duration(s.windows) * s.window).Seconds()
	r.longest = r.ours.longest.Seconds() * rate / float64(s.workers)
	return r
}

func (w *world) rng(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(w.seed, stream)) }

// trips are round trips, evenly spread on a logarithmic scale.
type trips struct{ shortest, longest time.Duration }

func (t trips) draw(rng *rand.Rand) float64 {
	return float64(t.shortest) * math.Pow(float64(t.longest)/float64(t.shortest), rng.Float64())
}

// send takes a request to the server and its answer back.
func (w *world) send(rng *rand.Rand, other bool) ratelimit.Answer {
	trip := w.trips.draw(rng)
	there := trip * rng.Float64()
	handled := (trip - there) * rng.Float64()
	time.Sleep(time.Duration(there))
	status := w.arrive()
	w.count(other, status)
	time.Sleep(time.Duration(handled))
	a := w.answer(status)
	time.Sleep(time.Duration(trip - there - handled))
	return a
}

func (w *world) count(other bool, status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := &w.ours
	if other {
		t = &w.others
	}
	switch {
	case status == 429:
		t.refused++
	case status >= 500:
		t.failed++
	default:
		t.served++
	}
	w.events = append(w.events, event{time.Now(), other, status})
}

// work sends one request after the other. When its context ends the process
// is dead, and the answer is lost.
func (w *world) work(ctx context.Context, worker int, life uint64, c client) {
	rng := w.rng(uint64(worker)<<32 + life + 10)
	for ctx.Err() == nil {
		came := time.Now()
		t, err := c.before(ctx)
		if err != nil {
			return
		}
		w.mu.Lock()
		w.ours.longest = max(w.ours.longest, time.Since(came))
		w.left = append(w.left, time.Now())
		dies := w.doomed
		w.doomed = false
		w.mu.Unlock()
		a := w.send(rng, false)
		if dies {
			w.kill(worker)
		}
		w.mu.Lock()
		if w.heard.IsZero() {
			w.heard = time.Now()
		}
		w.mu.Unlock()
		if ctx.Err() == nil {
			c.after(ctx, t, a)
		}
	}
}

// kill ends a worker's process at once; another takes its place.
func (w *world) kill(worker int) {
	w.mu.Lock()
	kill := w.kills[worker]
	w.mu.Unlock()
	kill()
}

// visit sends requests at random moments, on average a part of the limit, and
// never tries one again.
func (w *world) visit(ctx context.Context, part func(time.Duration) float64) {
	rng := w.rng(1)
	start := time.Now()
	var wg sync.WaitGroup
	defer wg.Wait()
	for n := uint64(2); ; n++ {
		perSecond := part(time.Since(start)) * w.base
		pause := time.Second
		if perSecond > 0 {
			pause = time.Duration(rng.ExpFloat64() / perSecond * float64(time.Second))
		}
		if sleep(ctx, pause) != nil {
			return
		}
		if perSecond > 0 {
			wg.Go(func() { w.send(w.rng(n<<16), true) })
		}
	}
}

// mark notes this moment.
func (w *world) mark() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.marks = append(w.marks, time.Now())
}

// steady are the requests from the second window on. The first of them opens it.
func (w *world) steady() []event {
	opened := w.events[0].at
	for i, e := range w.events {
		if e.at.Sub(opened) >= w.window {
			return w.events[i:]
		}
	}
	return nil
}

// between counts what was served to anybody and refused to us in a span of time.
func (w *world) between(from, to time.Time) (served, refused int) {
	for _, e := range w.events {
		if e.at.Before(from) || !e.at.Before(to) {
			continue
		}
		if e.status == 200 {
			served++
		} else if e.status == 429 && !e.other {
			refused++
		}
	}
	return served, refused
}
