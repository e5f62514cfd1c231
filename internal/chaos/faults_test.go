//go:build chaos

package chaos

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/internal/commands"
)

// A fault is something that goes wrong for a while.
type fault struct {
	name string
	part string // what it hits: at most one fault at a time hits each part
	each bool   // there is one such part for every worker
	from time.Duration
	to   time.Duration
	hit  func(w *world, n int, rng *rand.Rand) (heal func() error, err error) // n: which worker's
}

// Parts that can be hit.
const (
	aWorker      = "worker"
	allWorkers   = "workers"
	redisServer  = "redis"
	redisLink    = "redis link"
	platformLink = "platform link"
	platform     = "platform"
	people       = "people"
)

// faults is the deck from which the schedule is dealt.
var faults = []fault{
	{"SIGSTOP of a worker past its claims", aWorker, true, 36 * time.Second, 40 * time.Second, frozenWorker},
	{"a worker cut off from Redis past its heartbeat", redisLink, true, 10 * time.Second, 14 * time.Second, cutOff},
	{"SIGSTOP of a worker past its heartbeat", aWorker, true, 9 * time.Second, 12 * time.Second, frozenWorker},
	{"SIGSTOP of Redis past the heartbeats", redisServer, false, 9 * time.Second, 11 * time.Second, frozenRedis},

	{"kill -9 of a worker", aWorker, true, 0, 0, killedWorker},
	{"kill -9 of a worker", aWorker, true, 0, 0, killedWorker},
	{"kill -9 of a worker", aWorker, true, 0, 0, killedWorker},
	{"SIGSTOP of a worker for a moment", aWorker, true, time.Second, 4 * time.Second, frozenWorker},
	{"rolling restart of all workers", allWorkers, false, 0, 0, rollingRestart},

	{"kill -9 of Redis", redisServer, false, 300 * time.Millisecond, 3 * time.Second, killedRedis},
	{"SIGSTOP of Redis", redisServer, false, time.Second, 4 * time.Second, frozenRedis},
	{"Redis link down", redisLink, true, 500 * time.Millisecond, 4 * time.Second, cutOff},
	{"Redis link resets", redisLink, true, time.Second, 3 * time.Second, poisonedRedis("reset_peer", "downstream", `{"timeout":0}`)},
	{"Redis link slow", redisLink, true, 2 * time.Second, 6 * time.Second, poisonedRedis("latency", "upstream", `{"latency":700,"jitter":600}`)},
	{"Redis link loses requests", redisLink, true, time.Second, 4 * time.Second, poisonedRedis("timeout", "upstream", `{"timeout":0}`)},
	{"Redis link loses answers", redisLink, true, time.Second, 4 * time.Second, poisonedRedis("timeout", "downstream", `{"timeout":0}`)},

	{"platform link down", platformLink, true, time.Second, 4 * time.Second, cutPlatform},
	{"platform link resets", platformLink, true, time.Second, 2 * time.Second, poisonedPlatform("reset_peer", "downstream", `{"timeout":0}`)},
	{"platform link slow", platformLink, true, 2 * time.Second, 4 * time.Second, poisonedPlatform("latency", "downstream", `{"latency":1500,"jitter":1400}`)},
	{"platform link loses requests", platformLink, true, time.Second, 2 * time.Second, poisonedPlatform("timeout", "upstream", `{"timeout":0}`)},
	{"platform link loses answers", platformLink, true, time.Second, 2 * time.Second, poisonedPlatform("timeout", "downstream", `{"timeout":0}`)},

	{"platform outage", platform, false, time.Second, 4 * time.Second, faulty(`{"outage":true}`)},
	{"platform answers 500", platform, false, time.Second, 3 * time.Second, faulty(`{"server_error":0.5}`)},
	{"platform answers 502", platform, false, time.Second, 3 * time.Second, faulty(`{"server_error":0.5,"html_errors":true}`)},
	{"platform resets before processing", platform, false, time.Second, 3 * time.Second, faulty(`{"reset_before":0.3}`)},
	{"platform resets after processing", platform, false, time.Second, 3 * time.Second, faulty(`{"reset_after":0.3}`)},
	{"platform hangs before processing", platform, false, time.Second, 2 * time.Second, faulty(`{"hang_before":0.2}`)},
	{"platform hangs after processing", platform, false, time.Second, 2 * time.Second, faulty(`{"hang":0.2}`)},
	{"platform answers 504 after processing", platform, false, time.Second, 3 * time.Second, faulty(`{"gateway_timeout":0.3}`)},
	{"platform answers 502 after processing", platform, false, time.Second, 3 * time.Second, faulty(`{"bad_gateway":0.3}`)},
	{"platform answers 520 after processing", platform, false, time.Second, 3 * time.Second, faulty(`{"unknown_error":0.3}`)},
	{"sign-in pages in the platform's place", platform, false, time.Second, 2 * time.Second, signIn},
	{"sign-in pages after processing", platform, false, time.Second, 2 * time.Second, webPages},
	{"platform in maintenance", platform, false, time.Second, 4 * time.Second, faulty(`{"maintenance":true}`)},
	{"platform in maintenance, told by a page", platform, false, time.Second, 2 * time.Second, faulty(`{"maintenance":true,"maintenance_form":"page"}`)},
	{"429 storm", platform, false, time.Second, 3 * time.Second, faulty(`{"too_many":0.7}`)},

	{"pause and resume", people, false, 500 * time.Millisecond, 3 * time.Second, paused},
	{"pause and resume", people, false, 500 * time.Millisecond, 3 * time.Second, paused},
	{"rerun of failed", people, false, 0, 0, rerun("failed")},
	{"cancel", people, false, 0, 0, canceled},
	{"rerun of canceled", people, false, 0, 0, rerun("canceled,failed,rejected")},
	{"resolve --accepted", people, false, 0, 0, resolved},
	{"enqueue killed", people, false, 0, 0, launched(torn)},
	{"enqueue twice", people, false, 0, 0, launched(twice)},
}

func killedWorker(w *world, n int, _ *rand.Rand) (func() error, error) {
	w.workers[n].kill()
	return nil, nil
}

func frozenWorker(w *world, n int, _ *rand.Rand) (func() error, error) {
	w.workers[n].freeze()
	return func() error { w.workers[n].thaw(); return nil }, nil
}

func rollingRestart(w *world, _ int, _ *rand.Rand) (func() error, error) {
	w.background.Go(func() {
		for _, k := range w.workers {
			k.restart()
		}
	})
	return nil, nil
}

func killedRedis(w *world, _ int, _ *rand.Rand) (func() error, error) {
	began := time.Now()
	w.redis.Kill()
	return func() error {
		w.redis.Restart(w.t)
		w.withoutRedis(began)
		return nil
	}, nil
}

func frozenRedis(w *world, _ int, _ *rand.Rand) (func() error, error) {
	began := time.Now()
	w.redis.Freeze()
	return func() error {
		w.redis.Thaw()
		w.withoutRedis(began)
		return nil
	}, nil
}

func (w *world) withoutRedis(from time.Time) {
	for n := range w.workers {
		w.cutOffFromRedis(n, from)
	}
}

func (w *world) cutOffFromRedis(n int, from time.Time) {
	now := time.Now()
	w.hurt(troubled, n, from, now)
	if now.Sub(from) > lapse {
		w.hurt(isolated, n, from, now)
	}
}

func cutOff(w *world, n int, _ *rand.Rand) (func() error, error) {
	began := time.Now()
	w.workers[n].redis.cut()
	return func() error {
		w.cutOffFromRedis(n, began)
		return w.workers[n].redis.mend()
	}, nil
}

func poisonedRedis(kind, stream, attributes string) func(*world, int, *rand.Rand) (func() error, error) {
	return func(w *world, n int, _ *rand.Rand) (func() error, error) {
		began, l := time.Now(), w.workers[n].redis
		return func() error { w.cutOffFromRedis(n, began); l.cure(); return nil }, l.poison(kind, stream, attributes)
	}
}

func cutPlatform(w *world, n int, _ *rand.Rand) (func() error, error) {
	w.workers[n].platform.cut()
	return w.workers[n].platform.mend, nil
}

func poisonedPlatform(kind, stream, attributes string) func(*world, int, *rand.Rand) (func() error, error) {
	return func(w *world, n int, _ *rand.Rand) (func() error, error) {
		l := w.workers[n].platform.link
		return func() error { l.cure(); return nil }, l.poison(kind, stream, attributes)
	}
}

func faulty(faults string) func(*world, int, *rand.Rand) (func() error, error) {
	return func(w *world, _ int, _ *rand.Rand) (func() error, error) {
		return func() error { return w.fault("") }, w.fault(faults)
	}
}

var (
	signIn   = pausing(`{"sign_in":true}`)
	webPages = pausing(`{"web_page":0.3}`)
)

// pausing is a fault of the platform that pauses campaigns, until a person sees that
// it is over.
func pausing(faults string) func(*world, int, *rand.Rand) (func() error, error) {
	return func(w *world, n int, rng *rand.Rand) (func() error, error) {
		heal, err := faulty(faults)(w, n, rng)
		return func() error {
			err := heal()
			w.background.Go(func() { // Redis may be frozen at that time, or away
				for _, l := range w.loaded() {
					w.resumeAfterPage(l)
				}
			})
			return err
		}, err
	}
}

// resumeAfterPage does what a person does on seeing that a page has paused a campaign
// and that the platform is back.
func (w *world) resumeAfterPage(l *list) {
	resumed := false
	err := commands.Await(time.Minute, func() error {
		o, err := report.Find(w.t.Context(), w.store, l.name)
		if err != nil || o.State != campaign.Paused || !pausedByPage(o.StateReason.String()) {
			return err
		}
		out := w.call("campaign", "resume", l.name)
		if resumed = out.Code == 0; !resumed {
			return errors.New(out.Said())
		}
		return nil
	})
	switch {
	case err != nil:
		w.count("resume after a page, in vain")
	case resumed:
		w.count("resume after a page")
	}
}

// pausedByPage tells the reason of a campaign that a page in the platform's place has
// paused.
func pausedByPage(reason string) bool { return strings.Contains(reason, "the platform answers 200") }

// any picks a campaign that is there, the later the likelier.
func (w *world) any(rng *rand.Rand) *list {
	loaded := w.loaded()
	if len(loaded) == 0 {
		return nil
	}
	return loaded[max(rng.IntN(len(loaded)), rng.IntN(len(loaded)))]
}

func paused(w *world, _ int, rng *rand.Rand) (func() error, error) {
	l := w.any(rng)
	if l == nil {
		return nil, nil
	}
	w.steer("pause", "campaign", "pause", l.name)
	return func() error { w.steer("resume", "campaign", "resume", l.name); return nil }, nil
}

func rerun(states string) func(*world, int, *rand.Rand) (func() error, error) {
	return func(w *world, _ int, rng *rand.Rand) (func() error, error) {
		for _, l := range w.loaded() {
			w.steer("rerun of "+states, "enqueue", "rerun", l.name, "--state", states)
		}
		return nil, nil
	}
}

func canceled(w *world, _ int, rng *rand.Rand) (func() error, error) {
	if l := w.any(rng); l != nil {
		w.steer("cancel", "campaign", "cancel", l.name)
	}
	return nil, nil
}

func resolved(w *world, _ int, rng *rand.Rand) (func() error, error) {
	if l := w.any(rng); l != nil {
		w.steer("resolve --accepted", "campaign", "resolve", l.name, "--accepted")
	}
	return nil, nil
}

func launched(how manner) func(*world, int, *rand.Rand) (func() error, error) {
	return func(w *world, _ int, rng *rand.Rand) (func() error, error) {
		w.launch([]campaign.Mode{batchList, dispatchList}[rng.IntN(2)], how)
		return nil, nil
	}
}

// A stroke is a fault with its time and place.
type stroke struct {
	fault
	at, until time.Duration
	worker    int
}

func (s stroke) String() string {
	text := fmt.Sprintf("%5.1fs  %s", s.at.Seconds(), s.name)
	if s.each {
		text += fmt.Sprintf(", the one of worker %d", s.worker)
	}
	if s.until > s.at {
		text += fmt.Sprintf(", for %.1fs", (s.until - s.at).Seconds())
	}
	return text
}

// schedule deals the deck, again and again, over a time. It follows from rng
// alone.
func schedule(rng *rand.Rand, length time.Duration) []stroke {
	gap := min(1500*time.Millisecond, length/time.Duration(len(faults)+4)) // each comes once at least
	free := make(map[string]time.Duration)                                 // from when a part can be hit again
	var strokes []stroke
	var dealt []fault
	for at := 2 * time.Second; at < length; at += time.Duration(rng.Int64N(2 * int64(gap))) {
		if len(dealt) == 0 {
			dealt = slices.Clone(faults)
			rng.Shuffle(len(dealt), func(i, j int) { dealt[i], dealt[j] = dealt[j], dealt[i] })
			// In a short run the longest has to begin early.
			slices.SortStableFunc(dealt, func(a, b fault) int { return int(max(b.from, 20*time.Second) - max(a.from, 20*time.Second)) })
		}
		// The first card whose part is free.
		for i, f := range dealt {
			n := rng.IntN(workers)
			part := f.part
			if f.each {
				part = fmt.Sprint(f.part, n)
			}
			if free[part] > at {
				continue
			}
			s := stroke{fault: f, at: at, worker: n}
			s.until = min(at+f.from+time.Duration(rng.Int64N(int64(f.to-f.from)+1)), length)
			free[part] = s.until + 500*time.Millisecond
			strokes, dealt = append(strokes, s), slices.Delete(dealt, i, i+1)
			break
		}
	}
	return strokes
}

// suffer lets a schedule go over the world.
func (w *world) suffer(seed uint64, length time.Duration) {
	rng := rand.New(rand.NewPCG(seed, 0))
	type step struct {
		at time.Duration
		do func() error
	}
	var steps []step
	for _, s := range schedule(rng, length) {
		own := rand.New(rand.NewPCG(seed, uint64(s.at)))
		var heal func() error
		steps = append(steps, step{s.at, func() (err error) {
			if s.part != people { // people count what came of it
				w.count(s.name)
			}
			w.t.Log(s)
			heal, err = s.hit(w, s.worker, own)
			return err
		}}, step{s.until, func() error {
			if heal == nil {
				return nil
			}
			return heal()
		}})
	}
	for at := time.Second; at < length; at += time.Second {
		steps = append(steps, step{at, func() error { w.topUp(); return nil }})
	}
	slices.SortStableFunc(steps, func(a, b step) int { return int(a.at - b.at) })
	w.background.Go(w.patrol)
	for begun := time.Now(); len(steps) > 0; steps = steps[1:] {
		time.Sleep(time.Until(begun.Add(steps[0].at)))
		if err := steps[0].do(); err != nil {
			w.t.Error(err)
		}
		if late := time.Since(begun) - steps[0].at; late > time.Second {
			w.t.Logf("       the schedule is %.1fs late", late.Seconds())
		}
	}
}
