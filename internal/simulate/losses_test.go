//go:build simulate

package simulate

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"campaign-runner/campaign"
)

// crash ends Redis: all connections with what is on its way, and it takes no more.
func (w *world) crash() {
	w.redis.refuse(true)
	w.person.link.die()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.all {
		p.redis.die()
	}
}

// lose brings Redis back with what it had at a time.
func (w *world) lose(kept []saved) {
	w.redis.between(func() {
		w.redis.restore(kept)
		w.monitor.forget()
		w.losses++
	})
	w.redis.refuse(false)
}

// losses take Redis back to what a replica has confirmed.
var losses = slices.Repeat([]card{{"Redis fails over to its replica", 300 * time.Millisecond, 3 * time.Second, onWorld(
	func(w *world) {
		w.redis.between(func() { w.redis.replica = w.redis.snapshot() })
		time.Sleep(1500 * time.Millisecond) // what WAIT does not confirm from now on is lost
		w.crash()
	},
	func(w *world) { w.lose(w.redis.replica) },
)}, {"the replica lags", time.Second, 5 * time.Second, onWorld(
	func(w *world) { w.redis.between(func() { w.redis.lagging = true }) },
	func(w *world) { w.redis.between(func() { w.redis.lagging = false }) },
)}}, 4)

// lapses take Redis back by up to two seconds.
var lapses = slices.Repeat([]card{
	{"Redis loses its last writes", 1300 * time.Millisecond, 3 * time.Second, lapse},
	{"Redis loses its last writes, and then the pause that tells of it", 20 * time.Second, 30 * time.Second, lapseTwice},
}, 3)

func lapse(*rand.Rand) (string, func(*world), func(*world)) {
	var kept []saved
	return "", func(w *world) { kept = w.crashSoon() }, func(w *world) { w.lose(kept) }
}

// crashSoon ends Redis in a second, and returns what it has now.
func (w *world) crashSoon() (kept []saved) {
	w.redis.between(func() { kept = w.redis.snapshot() })
	time.Sleep(time.Second)
	w.crash()
	return kept
}

// lapseTwice deals two losses: the second takes the pause by which a worker tells of the first, at
// the next time that one tells of any.
func lapseTwice(rng *rand.Rand) (string, func(*world), func(*world)) {
	down, after := time.Duration(300+rng.IntN(1500))*time.Millisecond, time.Duration(rng.IntN(900))*time.Millisecond
	var second sync.WaitGroup
	return "", func(w *world) {
			w.redis.setTrap(&trap{tellsOfLoss, func() {
				kept := w.redis.snapshot()
				second.Go(func() {
					time.Sleep(after)
					w.crash()
					time.Sleep(down)
					w.lose(kept)
				})
			}})
			kept := w.crashSoon()
			second.Go(func() {
				time.Sleep(down)
				w.lose(kept)
			})
		}, func(w *world) {
			w.redis.setTrap(nil)
			second.Wait()
		}
}

func tellsOfLoss(command string, args []string) bool {
	return strings.HasPrefix(command, "EVAL") && slices.ContainsFunc(args, isOfLoss)
}

func isOfLoss(text string) bool { return strings.Contains(text, "lost_writes") }

// looks are those of a person at a campaign, which goes on if Redis has lost writes to it.
var looks = slices.Repeat([]card{{"a person looks", 0, 0, asked(look, nil)}}, 4)

func look(w *world, p *person, l *list, rng *rand.Rand) {
	c, err := w.admin.Campaign(w.ctx, l.name)
	if err == nil && c.Phase == campaign.Paused && isOfLoss(c.PhaseReason.Line()) {
		resume(w, p, l, rng)
	}
}
