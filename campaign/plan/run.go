package plan

import (
	"cmp"
	"iter"
	"math"
	"time"

	"campaign-runner/campaign/hours"
)

// A run is the work of one campaign in a rehearsal.
type run struct {
	Work
	token    *rehearsal
	lane     *lane
	ready    int     // its entries in the lane
	failed   float64 // requests that are to be repeated
	clocks   []state
	requests float64
	further  float64 // requests to contacts that are contacted again
	first    time.Time
	last     time.Time
	canary   time.Time
	all      []float64 // contacts, by group
	left     []float64 // of them
	done     []time.Time
	sent     float64 // contacts
	today    float64
	day      time.Time       // the day that today counts for
	days     map[Day]float64 // contacts, by a Day without them; nil: they were not asked for
}

// A state is whether a clock is open, and until when.
type state struct {
	open  bool
	until time.Time // zero: no end
}

func newRun(token *rehearsal, w Work) *run {
	w.PerCall, w.Weight = max(w.PerCall, 1), cmp.Or(w.Weight, 1)
	n := len(w.Groups)
	var days map[Day]float64
	if w.ByDay {
		days = make(map[Day]float64)
	}
	return &run{
		days: days,
		Work: w, token: token, lane: token.laneOf(w), today: float64(w.Today),
		clocks: make([]state, n), all: make([]float64, n), left: make([]float64, n), done: make([]time.Time, n),
	}
}

// foreseen counts the parts of a chunk, and returns those whose time to be sent can be
// foreseen.
func (r *run) foreseen(parts []Part, start time.Time) (known []Part) {
	for _, part := range parts {
		r.all[part.Group] += float64(part.Contacts) * r.Weight
	}
	known = r.known(parts, start)
	for _, part := range known {
		r.left[part.Group] += float64(part.Contacts) * r.Weight
	}
	return known
}

// known are the parts whose time to be sent can be foreseen.
func (r *run) known(parts []Part, start time.Time) (known []Part) {
	for _, part := range parts {
		if part.Contacts > 0 && foreseeable(r.Groups[part.Group].Clock, start) {
			known = append(known, part)
		}
	}
	return known
}

// begun is how many turns a chunk has had.
func (r *run) begun(chunk int) int {
	if r.Begun == nil || len(r.token.runs) == 1 {
		return 0
	}
	return int(float64(r.Begun[chunk]) / max(r.Turn, 1))
}

func foreseeable(clock *hours.Clock, at time.Time) bool {
	if clock == nil {
		return false
	}
	_, err := clock.Opens(at)
	return err == nil
}

// open parts the contacts that may be sent now, and until when, from the rest.
func (e entry) open() (open, rest []Part, ends time.Time) {
	ends = e.FinishBy
	for _, part := range e.parts {
		s := e.state(part.Group)
		if !s.open {
			rest = append(rest, part)
			continue
		}
		open = append(open, part)
		if ends.IsZero() || !s.until.IsZero() && s.until.Before(ends) {
			ends = s.until
		}
	}
	return open, rest, ends
}

// requests is about how many requests an entry needs.
func (e entry) requests() float64 {
	n := 0
	for _, part := range e.parts {
		n += part.Contacts
	}
	return max(float64(n)/float64(e.PerCall), 1) * e.weight
}

// count notes what was sent from begun on.
func (e entry) count(sent []Part, requests float64, begun time.Time) {
	r, weight := e.run, e.weight
	if e.again || e.repeat {
		weight = 0
	}
	if r.first.IsZero() {
		r.first = begun
	}
	now := r.token.t
	r.last = now
	if e.again {
		r.further += requests
	} else {
		r.requests += requests
	}
	before := r.sent
	for _, part := range sent {
		n := float64(part.Contacts) * weight
		r.sent += n
		r.countDays(part.Group, n, begun, now)
		if !e.repeat {
			r.today += float64(part.Contacts) * e.weight
		}
		if r.left[part.Group] -= n; !e.again && r.left[part.Group] <= sliver*r.all[part.Group] {
			r.left[part.Group], r.done[part.Group] = 0, now
		}
	}
	if most := float64(r.Canary); most > 0 && r.canary.IsZero() && r.sent+sliver >= most {
		share := min((most-before)/(r.sent-before), 1)
		r.canary = begun.Add(time.Duration(share * float64(now.Sub(begun))))
	}
}

// next is what is expected of contacts that were sent: after a while some of them are
// contacted again.
func (e entry) next(sent []Part) iter.Seq2[time.Duration, entry] {
	return func(yield func(time.Duration, entry) bool) {
		for rung, again := range e.Again {
			next := entry{run: e.run, weight: e.weight * again.Share, whole: e.weight * again.Share, again: true}
			for _, part := range sent {
				if part.Rung == rung {
					next.parts = With(next.parts, Part{Group: part.Group, Contacts: part.Contacts, Rung: rung + 1})
				}
			}
			if e.repeat || len(next.parts) == 0 || next.weight == 0 {
				continue
			}
			if !yield(again.After, next) {
				return
			}
		}
	}
}

// cost is how many requests contacts need. Contacts of a chunk with the same number of
// tries share requests. The expected repeats are part of it, or failed: those that fail
// wait behind the others in the lane, where there are any.
func (e entry) cost(parts []Part) (requests float64, failed entry) {
	byTries := make(map[int]int)
	for _, part := range parts {
		byTries[part.Tries] += part.Contacts
	}
	once := 0.0
	for tries, n := range byTries {
		pieces := math.Ceil(float64(n) / float64(e.carried(tries)))
		once += pieces
		requests += pieces * e.repeated(tries)
	}
	if !e.shared() || e.Fails == 0 {
		return requests, entry{}
	}
	e.failed += once * e.weight * e.Fails
	if e.failed < 1 {
		return once, entry{}
	}
	failed = entry{run: e.run, weight: e.failed / once, whole: e.failed / once, again: e.again, repeat: true}
	e.failed = 0
	for _, part := range parts {
		if part.Tries++; e.Tries == 0 || part.Tries < e.Tries {
			failed.parts = append(failed.parts, part)
		}
	}
	if len(failed.parts) == 0 {
		return once, entry{}
	}
	return once, failed
}

// carried is how many contacts a request carries after this many tries.
func (r *run) carried(tries int) int { return max(r.PerCall>>min(tries, 30), 1) }

// repeated is how many requests come of one, for contacts with this many tries.
func (r *run) repeated(tries int) float64 {
	const most = 10 // a campaign that fails more often is paused
	requests, factor := 0.0, 1.0
	for k := tries; k < tries+most && (r.Tries == 0 || k < max(r.Tries, tries+1)); k++ {
		requests += factor
		factor *= r.Fails * float64(r.carried(k)) / float64(r.carried(k+1))
	}
	return requests
}

// until is how many contacts of each chunk can be sent before a time: at least one
// request, because a request is not broken off.
func (r *run) until(ends time.Time, open []Part, weight float64) float64 {
	if ends.IsZero() || r.token.rate == 0 {
		return math.MaxInt32
	}
	perCall := r.carried(open[0].Tries)
	requests := math.Floor((ends.Sub(r.token.t).Seconds()*r.token.rate + r.token.credit) / r.repeated(open[0].Tries) / weight)
	return max(requests, 1) * float64(perCall)
}

func (r *run) state(g int) state {
	s, t := &r.clocks[g], r.token.t
	if s.until.IsZero() && s.open || t.Before(s.until) {
		return *s
	}
	clock := r.Groups[g].Clock
	opens, err := clock.Opens(t)
	switch {
	case err != nil:
		*s = state{false, r.token.now.Add(horizon)}
	case opens.After(t):
		*s = state{false, opens}
	default:
		*s = state{true, clock.Closes(t)}
	}
	return *s
}

// allowed is how many contacts may still be sent today.
func (r *run) allowed() float64 {
	if r.PerDay == 0 {
		return math.MaxInt32
	}
	if day := r.midnight(0); !day.Equal(r.day) {
		if !r.day.IsZero() {
			r.today = 0
		}
		r.day = day
	}
	return float64(r.PerDay) - r.today
}

// midnight is the midnight before now, or that many days later.
func (r *run) midnight(days int) time.Time {
	return hours.Midnight(r.token.t, cmp.Or(r.Midnight, time.UTC), days)
}
