// Package plan forecasts a campaign: how many requests it needs, when each group of
// contacts is sent, and when it ends.
//
// It simulates the campaign chunk by chunk as the workers send it: at the pace of the
// quota, each chunk as far as the hours of its contacts allow, and again when more of them
// open. It assumes that no other campaign uses the quota, and that the share of failing
// requests stays the same. It is pure: time is passed in. A forecast promises nothing, and
// what a person must decide stays out of it.
package plan

import (
	"cmp"
	"math"
	"slices"
	"time"

	"campaign-runner/campaign/hours"
)

// A Group are the contacts with the same clock.
type Group struct {
	Name  string       // for people
	Clock *hours.Clock // nil: a person must decide about them
}

// A Part are contacts of a chunk that are still to be sent and are alike.
type Part struct {
	Group    int // index in Work.Groups
	Tries    int // requests so far
	Contacts int
}

// Work is what is still to do, and how fast that may be.
type Work struct {
	Groups   []Group
	Chunks   [][]Part
	Weight   float64        // chunks that each one stands for; 0: 1
	PerCall  int            // contacts of a request, halved for each failure
	Fails    float64        // share of requests that must be repeated
	Tries    int            // most requests for a contact; 0: no limit
	Rate     float64        // requests per second; 0: no limit is known
	Burst    float64        // requests that may leave at once after an idle time
	PerDay   int            // most contacts a day; 0: no limit
	Today    int            // contacts sent today
	Midnight *time.Location // whose midnight begins a day; nil: UTC
	Start    time.Time      // first time to send; zero: now
	FinishBy time.Time      // end of sending; zero: none
}

// A Plan is a forecast of the work.
type Plan struct {
	Calls  int       `json:"calls"`           // requests, with the expected repeats
	Begins time.Time `json:"begins,omitzero"` // first request; zero: none
	Ends   time.Time `json:"ends,omitzero"`   // last request; zero: none, or beyond the horizon
	Steps  []Step    `json:"steps"`           // by group, in order of their beginning
	Held   int       `json:"held"`            // contacts about which a person must decide
	Missed int       `json:"missed"`          // contacts not sent by FinishBy
}

// A Step is the forecast for a group.
type Step struct {
	Name     string    `json:"zone"` // for people; empty: always open
	Contacts int       `json:"contacts"`
	Opens    time.Time `json:"opens,omitzero"` // when the first contact may be sent; zero: never
	Done     time.Time `json:"done,omitzero"`  // when the last one is sent; zero: not by FinishBy, or beyond the horizon
	Missed   int       `json:"missed"`         // contacts not sent by FinishBy
}

// horizon is how far ahead a forecast reaches.
const horizon = 366 * 24 * time.Hour

// Make forecasts the work from now on.
func Make(w Work, now time.Time) Plan {
	r := newRehearsal(w, now)
	r.play()
	return r.plan()
}

// A rehearsal simulates the work. It counts contacts of its own chunks, of which each
// stands for Weight chunks.
type rehearsal struct {
	Work
	now, t   time.Time
	clocks   []state
	ready    []int // chunks in the queue
	deferred map[time.Time][]int
	requests float64
	credit   float64 // what is left of the burst
	first    time.Time
	last     time.Time
	all      []int // contacts, by group
	left     []int // of them
	done     []time.Time
	today    float64
	day      time.Time // the day that today counts for
}

// A state is whether a clock is open, and until when.
type state struct {
	open  bool
	until time.Time // zero: no end
}

func newRehearsal(w Work, now time.Time) *rehearsal {
	r := &rehearsal{Work: w, now: now, t: now, credit: w.Burst, today: float64(w.Today), deferred: make(map[time.Time][]int)}
	if w.Start.After(now) {
		r.t = w.Start
	}
	r.PerCall = max(r.PerCall, 1)
	if r.Weight == 0 {
		r.Weight = 1
	}
	r.clocks = make([]state, len(w.Groups))
	r.all, r.left = make([]int, len(w.Groups)), make([]int, len(w.Groups))
	r.done = make([]time.Time, len(w.Groups))
	r.Chunks = make([][]Part, len(w.Chunks))
	for c, parts := range w.Chunks {
		for _, part := range parts {
			r.all[part.Group] += part.Contacts
			if part.Contacts > 0 && foreseeable(w.Groups[part.Group].Clock, r.t) {
				r.left[part.Group] += part.Contacts
				r.Chunks[c] = append(r.Chunks[c], part)
			}
		}
		if len(r.Chunks[c]) > 0 {
			r.ready = append(r.ready, c)
		}
	}
	return r
}

func foreseeable(clock *hours.Clock, at time.Time) bool {
	if clock == nil {
		return false
	}
	_, err := clock.Opens(at)
	return err == nil
}

func (r *rehearsal) play() {
	for r.t.Sub(r.now) < horizon && (r.FinishBy.IsZero() || r.t.Before(r.FinishBy)) {
		r.wake()
		if len(r.ready) == 0 {
			next, ok := r.nextWake()
			if !ok {
				return
			}
			r.credit = r.Burst
			r.t = next
			continue
		}
		chunk := r.ready[0]
		r.ready = r.ready[1:]
		r.visit(chunk)
	}
}

func (r *rehearsal) wake() {
	for {
		at, ok := r.nextWake()
		if !ok || at.After(r.t) {
			return
		}
		r.ready = append(r.ready, r.deferred[at]...)
		delete(r.deferred, at)
	}
}

func (r *rehearsal) nextWake() (first time.Time, ok bool) {
	for at := range r.deferred {
		if !ok || at.Before(first) {
			first, ok = at, true
		}
	}
	return first, ok
}

// visit sends the contacts of a chunk that may be sent now, and lets the rest wait.
func (r *rehearsal) visit(chunk int) {
	ends := r.FinishBy
	var open, rest []Part
	for _, part := range r.Chunks[chunk] {
		s := r.state(part.Group)
		if !s.open {
			rest = append(rest, part)
			continue
		}
		open = append(open, part)
		if ends.IsZero() || !s.until.IsZero() && s.until.Before(ends) {
			ends = s.until
		}
	}
	if len(open) == 0 {
		r.deferChunk(chunk)
		return
	}
	budget := min(r.allowed()/r.Weight, r.until(ends, open))
	if budget < 1 {
		tomorrow := r.midnight(1)
		r.deferred[tomorrow] = append(r.deferred[tomorrow], chunk)
		return
	}
	var sent []Part
	for _, part := range open {
		n := min(part.Contacts, int(min(budget, math.MaxInt32)))
		budget -= float64(n)
		if n > 0 {
			sent = append(sent, Part{part.Group, part.Tries, n})
		}
		if part.Contacts -= n; part.Contacts > 0 {
			rest = append(rest, part)
		}
	}
	r.Chunks[chunk] = rest
	r.spend(r.cost(sent) * r.Weight)
	for _, part := range sent {
		r.today += float64(part.Contacts) * r.Weight
		if r.left[part.Group] -= part.Contacts; r.left[part.Group] == 0 {
			r.done[part.Group] = r.t
		}
	}
	if len(rest) > 0 {
		r.deferChunk(chunk)
	}
}

func (r *rehearsal) spend(requests float64) {
	if r.first.IsZero() {
		r.first = r.t
	}
	r.requests += requests
	free := min(requests, r.credit)
	r.credit -= free
	if r.Rate > 0 {
		r.t = r.t.Add(time.Duration((requests - free) / r.Rate * float64(time.Second)))
	}
	r.last = r.t
}

// cost is how many requests contacts need, with the expected repeats. Contacts of a
// chunk with the same number of tries share requests.
func (r *rehearsal) cost(parts []Part) (requests float64) {
	byTries := make(map[int]int)
	for _, part := range parts {
		byTries[part.Tries] += part.Contacts
	}
	for tries, n := range byTries {
		requests += math.Ceil(float64(n)/float64(r.carried(tries))) * r.repeated(tries)
	}
	return requests
}

// carried is how many contacts a request carries after this many tries.
func (r *rehearsal) carried(tries int) int { return max(r.PerCall>>min(tries, 30), 1) }

// repeated is how many requests come of one, for contacts with this many tries.
func (r *rehearsal) repeated(tries int) float64 {
	const most = 10 // a campaign that fails more often is paused
	requests, factor := 0.0, 1.0
	for k := tries; k < tries+most && (r.Tries == 0 || k < max(r.Tries, tries+1)); k++ {
		requests += factor
		factor *= r.Fails * float64(r.carried(k)) / float64(r.carried(k+1))
	}
	return requests
}

// until is how many contacts can be sent before a time: at least one request, because a
// request is not broken off.
func (r *rehearsal) until(ends time.Time, open []Part) float64 {
	if ends.IsZero() || r.Rate == 0 {
		return math.MaxInt32
	}
	perCall := r.carried(open[0].Tries)
	requests := math.Floor((ends.Sub(r.t).Seconds()*r.Rate + r.credit) / r.repeated(open[0].Tries) / r.Weight)
	return max(requests, 1) * float64(perCall)
}

// deferChunk lets a chunk wait until one of its contacts may be sent.
func (r *rehearsal) deferChunk(chunk int) {
	var wake time.Time
	for _, part := range r.Chunks[chunk] {
		at := r.t
		if s := r.state(part.Group); !s.open {
			at = s.until
		}
		if wake.IsZero() || at.Before(wake) {
			wake = at
		}
	}
	r.deferred[wake] = append(r.deferred[wake], chunk)
}

func (r *rehearsal) state(g int) state {
	s := &r.clocks[g]
	if s.until.IsZero() && s.open || r.t.Before(s.until) {
		return *s
	}
	clock := r.Groups[g].Clock
	opens, err := clock.Opens(r.t)
	switch {
	case err != nil:
		*s = state{false, r.now.Add(horizon)}
	case opens.After(r.t):
		*s = state{false, opens}
	default:
		*s = state{true, clock.Closes(r.t)}
	}
	return *s
}

// allowed is how many contacts may still be sent today.
func (r *rehearsal) allowed() float64 {
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
func (r *rehearsal) midnight(days int) time.Time {
	zone := cmp.Or(r.Midnight, time.UTC)
	y, m, d := r.t.In(zone).Date()
	return time.Date(y, m, d+days, 0, 0, 0, 0, zone)
}

func (r *rehearsal) plan() Plan {
	p := Plan{Calls: int(math.Ceil(r.requests)), Begins: r.first, Steps: []Step{}}
	real := func(contacts int) int { return int(math.Round(float64(contacts) * r.Weight)) }
	unforeseen := false
	start := r.now
	if r.Start.After(start) {
		start = r.Start
	}
	for g, group := range r.Groups {
		if r.all[g] == 0 {
			continue
		}
		step := Step{Name: group.Name, Contacts: real(r.all[g]), Done: r.done[g]}
		switch {
		case !foreseeable(group.Clock, start):
			p.Held += step.Contacts
		default:
			step.Opens, _ = group.Clock.Opens(start)
			if !r.FinishBy.IsZero() {
				step.Missed = real(r.left[g])
			}
			unforeseen = unforeseen || r.left[g] > 0 && r.FinishBy.IsZero()
		}
		p.Missed += step.Missed
		p.Steps = append(p.Steps, step)
	}
	slices.SortStableFunc(p.Steps, func(a, b Step) int {
		if a.Opens.IsZero() != b.Opens.IsZero() { // groups without an opening come last
			return cmp.Compare(b.Opens.Unix(), a.Opens.Unix())
		}
		return cmp.Or(a.Opens.Compare(b.Opens), b.Contacts-a.Contacts, cmp.Compare(a.Name, b.Name))
	})
	if !unforeseen {
		p.Ends = r.last
	}
	return p
}
