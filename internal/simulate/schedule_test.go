//go:build simulate

package simulate

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"campaign-runner/ratelimit"
	"campaign-runner/sandbox"
)

// A kind of schedule says what may go wrong in it, and so what must hold.
type kind int

const (
	// harsh: everything but a loss of what Redis has.
	harsh kind = iota
	// gentle: nothing that lasts for long, but deaths. Only what a dead worker had in hand
	// may become unconfirmed for want of a sender.
	gentle
	// outages: Redis is away for all at once, and workers die. The same holds as for gentle.
	outages
	// replicated: the same as harsh, and Redis loses what no replica has confirmed.
	replicated
	// remembered: Redis loses its last second, again and again, and the one worker outlives it.
	remembered
)

var kinds = [...]string{"harsh", "gentle", "outages", "replicated", "remembered"}

// A plan follows from a seed alone.
type plan struct {
	seed     uint64
	kind     kind
	workers  int
	replicas int
	rate     ratelimit.Rate
	sandbox  sandbox.Config
	strokes  []stroke

	rungs        bool // campaigns contact people again by themselves
	approveAbove int  // contacts; campaigns with more wait for a second person; 0: none does
}

// A stroke is something that goes wrong, or that a person does, for a while.
type stroke struct {
	name      string
	at, until time.Duration
	hit, heal func(w *world)
}

func (s stroke) String() string {
	if s.until == s.at {
		return fmt.Sprintf("%7.2fs %s", s.at.Seconds(), s.name)
	}
	return fmt.Sprintf("%7.2fs %s, for %.2fs", s.at.Seconds(), s.name, (s.until - s.at).Seconds())
}

// goesOn is for how long things go wrong.
const goesOn = 3 * time.Minute

func planOf(seed uint64) plan {
	rng := rand.New(rand.NewPCG(seed, 1))
	p := plan{seed: seed, workers: 2 + rng.IntN(2)}
	switch rng.IntN(8) {
	case 0, 1:
		p.kind = gentle
	case 2:
		p.kind, p.replicas = replicated, 1
	case 3:
		p.kind, p.workers = remembered, 1
	case 4:
		p.kind = outages
	}
	limit := []int{20, 40, 60, sandbox.Unlimited}[rng.IntN(4)]
	p.rate = ratelimit.Rate{Limit: 40, Window: time.Minute}
	p.sandbox = sandbox.Config{
		Limit: limit, Seed: seed, BadNumbers: []string{number(3), number(77)}, Faults: sandbox.Faults{Latency: latency},
		Webhooks: sandbox.Webhooks{
			Enabled: true, Delay: time.Duration(rng.IntN(4000)) * time.Millisecond,
			Duplicates: 0.2, Disorder: 0.3, OldVoice: rng.IntN(2) == 0,
		},
	}
	p.addRungs(rand.New(rand.NewPCG(seed, 3)))
	strokes := 16 + rng.IntN(10)
	for range strokes {
		p.add(rng, p.deck())
	}
	if p.kind != remembered { // whose campaigns leave no record for each other
		p.add(rng, people)
		p.add(rng, people)
	}
	slices.SortFunc(p.strokes, func(a, b stroke) int { return cmp.Compare(a.at, b.at) })
	return p
}

// addRungs draws whether campaigns of the schedule contact people again by themselves, and
// whether they need approval.
func (p *plan) addRungs(rng *rand.Rand) {
	if p.kind != remembered && rng.IntN(2) == 0 { // where outcomes are lost, nobody knows who has answered
		p.rungs = true
		p.sandbox.Webhooks.NoAnswer, p.sandbox.Webhooks.OptOut, p.sandbox.Webhooks.LateAnswer = 0.5, 0.2, 0.3
		p.sandbox.Webhooks.LateAfter = time.Duration(2+rng.IntN(40)) * time.Second
	}
	if rng.IntN(3) == 0 {
		p.approveAbove = 40
	}
}

// A card is a stroke without its time and place.
type card struct {
	name     string
	from, to time.Duration
	deal     func(rng *rand.Rand) (what string, hit, heal func(w *world))
}

func (p *plan) deck() []card {
	people := people
	if p.rungs {
		people = slices.Concat(people, []card{{"set rungs", 0, 0, asked(setRungs, nil)}, {"cancel", 0, 0, asked(cancel, nil)}})
	}
	if p.approveAbove > 0 {
		people = slices.Concat(people, []card{{"approve", 0, 0, asked(approve, nil)}, {"approve", 0, 0, asked(approve, nil)}})
	}
	switch p.kind {
	case gentle:
		return slices.Concat(brief, brief, deaths, people)
	case outages:
		return slices.Concat(away, away, away, deaths, people)
	case replicated:
		return slices.Concat(brief, deaths, lasting, failures, people, losses)
	case remembered:
		return slices.Concat(brief, failures, lapses, looks)
	}
	return slices.Concat(brief, deaths, deaths, lasting, aimed, failures, people, clocks)
}

func (p *plan) add(rng *rand.Rand, deck []card) {
	c := deck[rng.IntN(len(deck))]
	s := stroke{at: 3*time.Second + time.Duration(rng.Int64N(int64(goesOn)))}
	if n := len(p.strokes); n > 0 && rng.IntN(2) == 0 { // troubles seldom come alone
		s.at = p.strokes[rng.IntN(n)].at + time.Duration(rng.Int64N(int64(4*time.Second)))
	}
	s.until = s.at + c.from + time.Duration(rng.Int64N(int64(c.to-c.from)+1))
	what, hit, heal := c.deal(rng)
	s.name, s.hit, s.heal = c.name+what, hit, heal
	p.strokes = append(p.strokes, s)
}

// onWorker deals something that happens to one worker.
func onWorker(hit, heal func(p *process)) func(*rand.Rand) (string, func(*world), func(*world)) {
	return func(rng *rand.Rand) (string, func(*world), func(*world)) {
		n := rng.IntN(6)
		var hurt *process
		return fmt.Sprintf(" (worker %d)", n), func(w *world) {
				if hurt = w.at(n); hurt != nil {
					hit(hurt)
				}
			}, func(w *world) {
				if heal != nil && hurt != nil && !w.isDead(hurt.name) {
					heal(hurt)
				}
			}
	}
}

func onWorld(hit, heal func(w *world)) func(*rand.Rand) (string, func(*world), func(*world)) {
	return func(*rand.Rand) (string, func(*world), func(*world)) { return "", hit, heal }
}

func overRedis(p *process) *link    { return p.redis }
func overPlatform(p *process) *link { return p.platform }

// onLink deals a state of a worker's link.
func onLink(which func(p *process) *link, hit, heal func(l *link)) func(*rand.Rand) (string, func(*world), func(*world)) {
	return onWorker(func(p *process) { hit(which(p)) }, func(p *process) { heal(which(p)) })
}

func goDown(l *link) { l.set(func(l *link) { l.down = true }); l.cut() }
func comeUp(l *link) { l.set(func(l *link) { l.down = false }) }

func slower(by time.Duration) func(*link) {
	return func(l *link) { l.set(func(l *link) { l.slow = by }) }
}

func losing(share float64) func(*link) {
	return func(l *link) { l.set(func(l *link) { l.lossy = share }) }
}

func nothing(*link) {}

// brief are troubles of Redis that are over before anything depends on them.
var brief = []card{
	{"a link to Redis is cut", 0, 0, onLink(overRedis, (*link).cut, nothing)},
	{"a link to Redis is down", 300 * time.Millisecond, 2 * time.Second, onLink(overRedis, goDown, comeUp)},
	{"a link to Redis holds", 300 * time.Millisecond, 2500 * time.Millisecond, onLink(overRedis, (*link).hold, (*link).release)},
	{"a link to Redis is slow", 3 * time.Second, 10 * time.Second, onLink(overRedis, slower(250*time.Millisecond), slower(0))},
	{"a link to Redis loses answers", time.Second, 5 * time.Second, onLink(overRedis, losing(0.4), losing(0))},
	{"a link to Redis loses answers", time.Second, 5 * time.Second, onLink(overRedis, losing(0.2), losing(0))},
	{"Redis restarts", 300 * time.Millisecond, 2 * time.Second, onWorld(func(w *world) { w.crash() }, func(w *world) { w.redis.refuse(false) })},
	{"Redis is frozen", 300 * time.Millisecond, 2500 * time.Millisecond, onWorld(func(w *world) { w.redis.freeze() }, func(w *world) { w.redis.thaw() })},
	{"a worker is frozen", 300 * time.Millisecond, 2 * time.Second, onWorker(func(p *process) { p.freeze() }, func(p *process) { p.thaw() })},
}

var deaths = []card{
	{"a worker is killed", 0, 0, onWorker(func(p *process) { p.w.kill(p) }, nil)},
	{"a worker is killed", 0, 0, onWorker(func(p *process) { p.w.kill(p) }, nil)},
	{"a worker is stopped", 0, 0, onWorker(func(p *process) { p.stop() }, nil)},
}

// away are those in which Redis is away for everybody.
var away = []card{
	{"Redis is frozen", 4 * time.Second, 12 * time.Second, onWorld(func(w *world) { w.redis.freeze() }, func(w *world) { w.redis.thaw() })},
	{"Redis is down", 5 * time.Second, 20 * time.Second, onWorld(func(w *world) { w.crash() }, func(w *world) { w.redis.refuse(false) })},
	{"Redis freezes before the next begin", 5 * time.Second, 12 * time.Second, onWorld(func(w *world) { w.redis.freezeBefore("begin") }, func(w *world) { w.redis.thaw(); w.redis.setTrap(nil) })},
	{"a worker is killed at its next begin, and Redis freezes before its recovery", 20 * time.Second, 28 * time.Second, lateRecovery},
	{"all links to Redis are down, and come up one by one", 8 * time.Second, 20 * time.Second, allDown},
}

func lateRecovery(rng *rand.Rand) (string, func(*world), func(*world)) {
	n := rng.IntN(6)
	var p *process
	return fmt.Sprintf(" (worker %d)", n), func(w *world) {
			p = w.at(n)
			w.monitor.atNextBegin(p.name, func() { go w.kill(p) })
			w.redis.freezeBefore("recover")
		}, func(w *world) {
			w.monitor.atNextBegin(p.name, nil)
			w.redis.thaw()
			w.redis.setTrap(nil)
		}
}

// allDown deals links that are down, also those of workers that start meanwhile: else these
// would rightly take the others for dead.
func allDown(*rand.Rand) (string, func(*world), func(*world)) {
	return "", func(w *world) {
			for _, p := range w.cutOff(true) {
				goDown(p.redis)
			}
		}, func(w *world) {
			for n, p := range w.cutOff(false) {
				time.AfterFunc(time.Duration(n%len(w.places))*2500*time.Millisecond, func() {
					if w.mu.Lock(); !w.down { // once more, by another stroke
						defer comeUp(p.redis)
					}
					w.mu.Unlock()
				})
			}
		}
}

// cutOff says whether the links of new workers are down, and returns the workers there are.
func (w *world) cutOff(is bool) []*process {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = is
	return slices.Clone(w.all)
}

func (w *world) processes() []*process {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.all)
}

// lasting are troubles that are long enough for claims and heartbeats to end.
var lasting = slices.Concat(away, []card{
	{"a link to Redis is down", 10 * time.Second, 14 * time.Second, onLink(overRedis, goDown, comeUp)},
	{"a link to Redis holds", 9 * time.Second, 14 * time.Second, onLink(overRedis, (*link).hold, (*link).release)},
	{"a link to Redis is very slow", 5 * time.Second, 15 * time.Second, onLink(overRedis, slower(4*time.Second), slower(0))},
	{"a worker is frozen past its heartbeat", 8 * time.Second, 14 * time.Second, onWorker(func(p *process) { p.freeze() }, func(p *process) { p.thaw() })},
	{"a worker is frozen past its claims", 45 * time.Second, 60 * time.Second, onWorker(func(p *process) { p.freeze() }, func(p *process) { p.thaw() })},
})

// atBegin deals something that happens to a worker at the moment of its next begin.
func atBegin(hit, heal func(p *process)) func(*rand.Rand) (string, func(*world), func(*world)) {
	return onWorker(func(p *process) { p.w.monitor.atNextBegin(p.name, func() { hit(p) }) }, func(p *process) {
		p.w.monitor.atNextBegin(p.name, nil)
		if heal != nil {
			heal(p)
		}
	})
}

// aimed are troubles at the worst moment.
var aimed = []card{
	{"a worker is killed at its next begin", 20 * time.Second, 20 * time.Second, atBegin(func(p *process) { go p.w.kill(p) }, nil)},
	{"a worker is frozen at its next begin, past its heartbeat", 10 * time.Second, 16 * time.Second, atBegin(func(p *process) { p.freeze() }, func(p *process) { p.thaw() })},
	{"a worker is frozen at its next begin, past its claims", 45 * time.Second, 70 * time.Second, atBegin(func(p *process) { p.freeze() }, func(p *process) { p.thaw() })},
	{"a link to Redis is down from the next begin on", 12 * time.Second, 20 * time.Second, atBegin(func(p *process) { go goDown(p.redis) }, func(p *process) { comeUp(p.redis) })},
}

// failures are those of the platform and of the ways to and from it.
var failures = slices.Concat(slices.Repeat([]card{{"the platform: ", 3 * time.Second, 15 * time.Second, platformFails}}, 6), []card{
	{"a link to the platform is cut", 0, 0, onLink(overPlatform, (*link).cut, nothing)},
	{"a link to the platform is down", time.Second, 5 * time.Second, onLink(overPlatform, goDown, comeUp)},
	{"a link to the platform holds", time.Second, 12 * time.Second, onLink(overPlatform, (*link).hold, (*link).release)},
	{"a link to the platform is slow", 2 * time.Second, 10 * time.Second, onLink(overPlatform, slower(4*time.Second), slower(0))},
	{"a link to the platform loses answers", 2 * time.Second, 8 * time.Second, onLink(overPlatform, losing(0.5), losing(0))},
	{"events do not arrive", 5 * time.Second, 30 * time.Second, onWorld(func(w *world) { goDown(w.events) }, func(w *world) { comeUp(w.events) })},
	{"events are late", 5 * time.Second, 60 * time.Second, onWorld(func(w *world) { w.events.hold() }, func(w *world) { w.events.release() })},
})

// toldApart reports whether workers can tell a 500 of a PHP that dies from the platform's
// own, which its vendor calls safe to repeat: by the headers of a limit that they have seen
// before, and that no loss has taken from them. Else it may reach a contact again.
func (w *world) toldApart() bool {
	stats := w.platform.sandbox.Stats()
	return w.plan.sandbox.Limit != sandbox.Unlimited && stats.Numbers > stats.CutAfterContacts &&
		w.plan.kind != replicated && w.plan.kind != remembered
}

func platformFails(rng *rand.Rand) (string, func(*world), func(*world)) {
	tr := troubles[rng.IntN(len(troubles))]
	return tr.name, func(w *world) {
			f := tr.faults
			f.Latency = latency
			w.must(w.platform.sandbox.SetFaults(f))
		}, func(w *world) {
			w.must(w.platform.sandbox.SetFaults(sandbox.Faults{Latency: latency}))
		}
}

// clocks set that of Redis: forward by up to two minutes, back by up to twenty seconds.
var clocks = []card{{"Redis's clock is set by ", 0, 0, func(rng *rand.Rand) (string, func(*world), func(*world)) {
	by := time.Duration(1+rng.IntN(120)) * time.Second
	if rng.IntN(2) == 0 {
		by = -time.Duration(1+rng.IntN(20)) * time.Second
	}
	return by.String(), func(w *world) { w.redis.between(func() { w.redis.offset += by }) }, nil
}}}
