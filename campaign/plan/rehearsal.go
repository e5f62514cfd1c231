package plan

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// A rehearsal simulates the work on one token.
type rehearsal struct {
	now, t      time.Time
	rate, burst float64
	credit      float64 // what is left of the burst
	runs        []*run
	agents      []*agent
	waits       []wait // in order of time
}

// An agent takes requests from its lanes.
type agent struct {
	name  string
	spent float64 // requests
	lanes []*lane
}

// A lane is a queue: its chunks are sent in order.
type lane struct {
	*agent
	weight float64
	turns  float64 // tasks taken from it, by weight: the lane with the fewest is next
	ready  []entry
	left   float64 // requests in it, about
}

// An entry stands for several chunks of a run that are alike.
type entry struct {
	*run
	parts  []Part
	weight float64
	whole  float64 // weight before others had their turn
	again  bool    // they have been counted, and are contacted again
	repeat bool    // they have been counted: what failed is repeated
	turns  int     // that they have had
}

// A wait is an entry that is ready at a time.
type wait struct {
	at time.Time
	entry
}

// sliver is less than any contact or request: what is left of one by rounding.
const sliver = 1e-6

// horizon is how far ahead a forecast reaches.
const horizon = 366 * 24 * time.Hour

func newRehearsal(works []Work, now time.Time) *rehearsal {
	r := &rehearsal{now: now, t: now}
	for i, w := range works {
		if i == 0 {
			r.rate, r.burst, r.credit = w.Rate, w.Burst, w.Burst
		}
		r.runs = append(r.runs, newRun(r, w))
	}
	for _, run := range r.runs {
		start := later(run.Start, now)
		for chunk, parts := range run.Chunks {
			if parts = run.foreseen(parts, start); len(parts) > 0 {
				e := entry{run: run, parts: parts, weight: run.Weight, whole: run.Weight, turns: run.begun(chunk)}
				r.waits = append(r.waits, wait{start, e})
			}
		}
	}
	for _, run := range r.runs {
		for _, l := range run.Later {
			at := later(l.At, now)
			if parts := run.known(l.Parts, at); len(parts) > 0 && l.Weight > 0 {
				r.waits = append(r.waits, wait{at, entry{run: run, parts: parts, weight: l.Weight, whole: l.Weight, again: true}})
			}
		}
	}
	// Chunks that have had a turn wait behind those that have not.
	slices.SortStableFunc(r.waits, func(a, b wait) int { return cmp.Or(a.at.Compare(b.at), a.turns-b.turns) })
	if len(r.waits) > 0 {
		r.t = r.waits[0].at
	}
	return r
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// laneOf is the queue of a run.
func (r *rehearsal) laneOf(w Work) *lane {
	a := find(&r.agents, func(a *agent) bool { return a.name == w.Agent }, func() *agent { return &agent{name: w.Agent} })
	weight := cmp.Or(w.Lane, 1)
	return find(&a.lanes, func(l *lane) bool { return l.weight == weight }, func() *lane { return &lane{agent: a, weight: weight} })
}

// find is the element of which is holds, or a new one.
func find[E any](list *[]E, is func(E) bool, make func() E) E {
	if i := slices.IndexFunc(*list, is); i >= 0 {
		return (*list)[i]
	}
	*list = append(*list, make())
	return (*list)[len(*list)-1]
}

func (r *rehearsal) play() {
	for r.t.Sub(r.now) < horizon {
		r.wake()
		l := r.next()
		if l == nil {
			if len(r.waits) == 0 {
				return
			}
			r.credit = r.burst
			r.t = r.waits[0].at
			continue
		}
		r.visit(l, r.take(l))
	}
}

// take takes the next entry out of a lane: as much of it as may be sent before others
// are asked. What is left of it stays the first, or is the last when its turn is over.
func (r *rehearsal) take(l *lane) entry {
	e := l.ready[0]
	most, all := r.slice(), e.requests()
	turn := math.Inf(1)
	if e.Turn > 0 && e.shared() && l.agent.competing() > 1 { // lanes of another agent end no turn
		turn = max(e.Turn*e.whole, 1)
	}
	if all-min(most, turn) < 1 {
		l.ready = l.ready[1:]
		l.left -= all
		e.run.ready--
		return e
	}
	rest := e
	e.weight *= min(most, turn) / all
	rest.weight -= e.weight
	l.left -= e.requests()
	if most < turn {
		l.ready[0] = rest
	} else {
		l.ready = append(l.ready[1:], rest)
	}
	return e
}

// shared reports whether chunks of others wait in the lane of a run.
func (r *run) shared() bool { return r.ready < len(r.lane.ready) }

// competing counts the lanes that have chunks.
func (r *rehearsal) competing() (n int) {
	for _, a := range r.agents {
		n += a.competing()
	}
	return n
}

func (a *agent) competing() (n int) {
	for _, l := range a.lanes {
		n += min(len(l.ready), 1)
	}
	return n
}

// next is the lane that is asked for a chunk; nil: none has one.
func (r *rehearsal) next() (next *lane) {
	var of *agent
	for _, a := range r.agents {
		l := a.next()
		if l != nil && (of == nil || a.spent < of.spent) {
			of, next = a, l
		}
	}
	return next
}

func (a *agent) next() (next *lane) {
	for _, l := range a.lanes {
		if len(l.ready) > 0 && (next == nil || l.turns < next.turns) {
			next = l
		}
	}
	return next
}

// pieces is how many pieces a lane is sent in at least while others compete with it.
const pieces = 20

// slice is how many requests a lane makes before the next one is asked. While several
// compete, none may get far ahead; and nothing may go on past the time at which others
// begin to.
func (r *rehearsal) slice() float64 {
	most := math.Inf(1)
	if len(r.runs) == 1 {
		return most
	}
	if r.competing() > 1 {
		for _, a := range r.agents {
			for _, l := range a.lanes {
				if len(l.ready) > 0 {
					most = min(most, l.left/pieces)
				}
			}
		}
	}
	if len(r.waits) > 0 && r.rate > 0 {
		most = min(most, r.waits[0].at.Sub(r.t).Seconds()*r.rate+r.credit)
	}
	return max(most, 1)
}

// push puts an entry at the end of its lane. One that was empty makes up for nothing.
func (r *rehearsal) push(e entry) {
	l := e.run.lane
	if len(l.ready) == 0 {
		if first := r.next(); first != nil && l.agent.next() == nil {
			l.spent = max(l.spent, first.spent)
		}
		if first := l.agent.next(); first != nil {
			l.turns = max(l.turns, first.turns)
		}
		l.left = 0
	}
	l.ready = append(l.ready, e)
	l.left += e.requests()
	e.run.ready++
}

// wait lets an entry wait until a time.
func (r *rehearsal) wait(at time.Time, e entry) {
	i, _ := slices.BinarySearchFunc(r.waits, at, func(w wait, at time.Time) int {
		return cmp.Or(w.at.Compare(at), -1) // after those of the same time
	})
	r.waits = slices.Insert(r.waits, i, wait{at, e})
}

// wake makes ready what has waited for now.
func (r *rehearsal) wake() {
	n := 0
	for ; n < len(r.waits) && !r.waits[n].at.After(r.t); n++ {
		r.push(r.waits[n].entry)
	}
	r.waits = r.waits[n:]
}

// visit sends the contacts of an entry that may be sent now, and lets the rest wait.
func (r *rehearsal) visit(l *lane, e entry) {
	if !e.FinishBy.IsZero() && !r.t.Before(e.FinishBy) {
		return // too late for them
	}
	open, rest, ends := e.open()
	if len(open) == 0 {
		r.deferEntry(e)
		return
	}
	budget := min(e.allowed()/e.weight, e.until(ends, open, e.weight))
	if budget < 1 {
		r.wait(e.midnight(1), e)
		return
	}
	var sent []Part
	for _, part := range open {
		n := min(part.Contacts, int(min(budget, math.MaxInt32)))
		budget -= float64(n)
		if n > 0 {
			sent = append(sent, Part{part.Group, part.Tries, n, part.Rung})
		}
		if part.Contacts -= n; part.Contacts > 0 {
			rest = append(rest, part)
		}
	}
	cost, repeats := e.cost(sent)
	turns := e.weight
	if e.Turn > 0 {
		turns *= max(cost/e.Turn, 1)
	}
	l.turns += turns / l.weight
	l.spent += cost * e.weight
	begun := r.t
	r.spend(cost * e.weight)
	e.count(sent, cost*e.weight, begun)
	if repeats.weight > 0 {
		r.push(repeats)
	}
	for after, next := range e.next(sent) {
		r.wait(r.t.Add(after), next)
	}
	if e.parts = rest; len(rest) > 0 {
		r.deferEntry(e)
	}
}

func (r *rehearsal) spend(requests float64) {
	free := min(requests, r.credit)
	r.credit -= free
	if r.rate > 0 {
		r.t = r.t.Add(time.Duration((requests - free) / r.rate * float64(time.Second)))
	}
}

// deferEntry lets an entry wait until one of its contacts may be sent.
func (r *rehearsal) deferEntry(e entry) {
	var wake time.Time
	for _, part := range e.parts {
		at := r.t
		if s := e.state(part.Group); !s.open {
			at = s.until
		}
		if wake.IsZero() || at.Before(wake) {
			wake = at
		}
	}
	r.wait(wake, e)
}
