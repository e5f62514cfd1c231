// Package plan foretells how a campaign will go: how many requests it needs, when
// who is called, and when it ends.
//
// It plays the campaign through chunk by chunk, as the workers will send it: at
// the pace of the quota, each chunk as far as its contacts' hours allow, and again
// when more of them open. It assumes that the campaign has its quota for itself,
// and that as many requests fail as did so far. It is pure: time is passed in.
package plan

import (
	"cmp"
	"math"
	"slices"
	"time"

	"campaign-runner/campaign/hours"
)

// A Group are the contacts that go by one clock.
type Group struct {
	Name  string       // for people
	Clock *hours.Clock // nil: they are held until a person decides
}

// A Part are contacts of a chunk that are still to be sent and are alike.
type Part struct {
	Group    int // its place in Work.Groups
	Tries    int // requests made for them so far
	Contacts int
}

// Work is what is still to be done, and how fast that may be.
type Work struct {
	Groups   []Group
	Chunks   [][]Part
	Weight   float64        // how many chunks each of them stands for; 0: itself
	PerCall  int            // contacts that a request carries; half as many for each time that they failed
	Fails    float64        // share of the requests that must be repeated
	Tries    int            // most requests for a contact; 0: any number
	Rate     float64        // requests per second; 0: no limit is known
	Burst    float64        // requests that may leave at once after a pause
	PerDay   int            // most contacts on a day that begins at midnight; 0: any number
	Today    int            // of those, sent today
	Midnight *time.Location // where it is midnight; nil: UTC
	Start    time.Time      // nobody is sent before; zero: now
	FinishBy time.Time      // nobody is sent from then on; zero: never
}

// A Plan is how the work will go.
type Plan struct {
	Calls  int       `json:"calls"`           // requests, those to be expected for failed ones included
	Begins time.Time `json:"begins,omitzero"` // of the first request; zero: there is none
	Ends   time.Time `json:"ends,omitzero"`   // of the last one; zero: there is none, or it is not foreseeable
	Steps  []Step    `json:"steps"`           // by group, in the order in which they begin
	Held   int       `json:"held"`            // contacts that wait for a person
	Missed int       `json:"missed"`          // contacts that are not reached by FinishBy
}

// A Step is what becomes of a group.
type Step struct {
	Name     string    `json:"zone"` // for people; empty: no clock matters
	Contacts int       `json:"contacts"`
	Opens    time.Time `json:"opens,omitzero"` // when its first contact may be sent; zero: never
	Done     time.Time `json:"done,omitzero"`  // when its last one is; zero: not before FinishBy, or not foreseeable
	Missed   int       `json:"missed"`         // contacts that are not reached by FinishBy
}

// horizon is how far ahead anything can be foretold.
const horizon = 366 * 24 * time.Hour

// Make foretells how the work goes from now on.
func Make(w Work, now time.Time) Plan {
	r := newRehearsal(w, now)
	r.play()
	return r.plan()
}

// A rehearsal plays the work through. Contacts are counted in those of its own
// chunks, of which each stands for Weight.
type rehearsal struct {
	Work
	now, t  time.Time
	clocks  []state
	ready   []int // chunks in the queue
	resting map[time.Time][]int
	calls   float64
	credit  float64 // of the burst
	first   time.Time
	last    time.Time
	all     []int // contacts, by group
	left    []int // of them
	done    []time.Time
	today   float64
	day     time.Time // the day that today counts for
}

// A state is whether a group's clock is open, and until when that holds.
type state struct {
	open  bool
	until time.Time // zero: for ever
}

func newRehearsal(w Work, now time.Time) *rehearsal {
	r := &rehearsal{Work: w, now: now, t: now, credit: w.Burst, today: float64(w.Today), resting: make(map[time.Time][]int)}
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

// wake puts chunks into the queue whose time has come.
func (r *rehearsal) wake() {
	for {
		at, ok := r.nextWake()
		if !ok || at.After(r.t) {
			return
		}
		r.ready = append(r.ready, r.resting[at]...)
		delete(r.resting, at)
	}
}

func (r *rehearsal) nextWake() (first time.Time, ok bool) {
	for at := range r.resting {
		if !ok || at.Before(first) {
			first, ok = at, true
		}
	}
	return first, ok
}

// visit sends whoever of a chunk may be sent, and lets it rest or go back into
// the queue.
func (r *rehearsal) visit(chunk int) {
	ends := r.FinishBy
	var open []Part
	var rest []Part
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
		r.rest(chunk)
		return
	}
	budget := min(r.allowed()/r.Weight, r.until(ends, open))
	if budget < 1 {
		r.resting[r.tomorrow()] = append(r.resting[r.tomorrow()], chunk)
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
		r.rest(chunk)
	}
}

// spend lets the time pass that so many requests take.
func (r *rehearsal) spend(calls float64) {
	if r.first.IsZero() {
		r.first = r.t
	}
	r.calls += calls
	free := min(calls, r.credit)
	r.credit -= free
	if r.Rate > 0 {
		r.t = r.t.Add(time.Duration((calls - free) / r.Rate * float64(time.Second)))
	}
	r.last = r.t
}

// cost is how many requests contacts need, with those that are to be expected for
// the ones that fail. Contacts of one chunk that have failed equally often share
// requests.
func (r *rehearsal) cost(parts []Part) (calls float64) {
	byTries := make(map[int]int)
	for _, part := range parts {
		byTries[part.Tries] += part.Contacts
	}
	for tries, n := range byTries {
		calls += math.Ceil(float64(n)/float64(r.carried(tries))) * r.repeated(tries)
	}
	return calls
}

// carried is how many contacts a request carries that were tried so often.
func (r *rehearsal) carried(tries int) int { return max(r.PerCall>>min(tries, 30), 1) }

// repeated is how many requests come of one for contacts that were tried so often.
func (r *rehearsal) repeated(tries int) float64 {
	const most = 10 // what fails more often is stopped by other means
	calls, factor := 0.0, 1.0
	for k := tries; k < tries+most && (r.Tries == 0 || k < max(r.Tries, tries+1)); k++ {
		calls += factor
		factor *= r.Fails * float64(r.carried(k)) / float64(r.carried(k+1))
	}
	return calls
}

// until is how many contacts can be sent before a time, a request's at least: what
// has begun is not broken off.
func (r *rehearsal) until(ends time.Time, open []Part) float64 {
	if ends.IsZero() || r.Rate == 0 {
		return math.MaxInt32
	}
	perCall := r.carried(open[0].Tries)
	calls := math.Floor((ends.Sub(r.t).Seconds()*r.Rate + r.credit) / r.repeated(open[0].Tries) / r.Weight)
	return max(calls, 1) * float64(perCall)
}

// rest leaves a chunk alone until somebody of it may be sent.
func (r *rehearsal) rest(chunk int) {
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
	r.resting[wake] = append(r.resting[wake], chunk)
}

// state is that of a group's clock now.
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

// allowed is how many contacts the day's bound leaves.
func (r *rehearsal) allowed() float64 {
	if r.PerDay == 0 {
		return math.MaxInt32
	}
	y, m, d := r.t.In(r.midnight()).Date()
	if day := time.Date(y, m, d, 0, 0, 0, 0, r.midnight()); !day.Equal(r.day) {
		if !r.day.IsZero() {
			r.today = 0
		}
		r.day = day
	}
	return float64(r.PerDay) - r.today
}

func (r *rehearsal) tomorrow() time.Time {
	y, m, d := r.t.In(r.midnight()).Date()
	return time.Date(y, m, d+1, 0, 0, 0, 0, r.midnight())
}

func (r *rehearsal) midnight() *time.Location { return cmp.Or(r.Midnight, time.UTC) }

func (r *rehearsal) plan() Plan {
	p := Plan{Calls: int(math.Ceil(r.calls)), Begins: r.first, Steps: []Step{}}
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
		if a.Opens.IsZero() != b.Opens.IsZero() { // those that are held come last
			return cmp.Compare(b.Opens.Unix(), a.Opens.Unix())
		}
		return cmp.Or(a.Opens.Compare(b.Opens), b.Contacts-a.Contacts, cmp.Compare(a.Name, b.Name))
	})
	if !unforeseen {
		p.Ends = r.last
	}
	return p
}
