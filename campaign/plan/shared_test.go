package plan

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"campaign-runner/campaign"
)

// A fleet is several campaigns on one token as workers really send them, in virtual
// time: there are places for tasks, each free place takes a task out of a lane by chance
// as asynq does, every request waits for its permit in line, and a task whose turn is
// over goes to the end of its lane when another lane has tasks, and begins another when
// none has. Of the forecast it knows nothing.
type fleet struct {
	rand      *rand.Rand
	now       time.Time
	every     time.Duration // between two permits
	campaigns []*running
	lanes     map[campaign.Lane][]task // tasks that wait, in order
	later     []task                   // tasks that come back at a time
	places    []*place                 // in line for a permit
	free      int
}

type running struct {
	lane     campaign.Lane
	world              // its people, hours and chance of failure; its own queue is not used
	start    time.Time // when its tasks come
	all      int       // contacts
	half     time.Time // when half of them were through
	ended    time.Time // when all were
	foretold Plan      // at half

	again  []time.Duration // delays after which those who say nothing are contacted again
	silent float64         // share of contacts that say nothing
	asked  int             // contacts of which it was decided whether they are contacted again
	climbs int             // of these, those that are
}

type task struct {
	at    time.Time
	of    *running
	chunk int
}

type place struct {
	task
	turnEnds time.Time
}

const placesOfWorker = 4

func newFleet(t testing.TB, seed uint64) *fleet {
	f := &fleet{rand: rand.New(rand.NewPCG(seed, 2)), now: monday, lanes: make(map[campaign.Lane][]task), free: placesOfWorker}
	f.every = 2 * time.Second
	lanes := []campaign.Lane{campaign.Urgent, campaign.Normal, campaign.Bulk}
	for i := range 2 + f.rand.IntN(3) {
		lane := lanes[f.rand.IntN(len(lanes))]
		if i < 2 {
			lane = lanes[(int(seed)+i)%3] // there are always two lanes
		}
		c := &running{lane: lane, start: f.now.Add(time.Duration(i*f.rand.IntN(40)) * time.Minute)}
		c.rand, c.perCall = f.rand, 500
		size, chunks := 500, 200+f.rand.IntN(1500)
		if f.rand.IntN(3) == 0 {
			c.perCall, size, chunks = 1, 50, 10+f.rand.IntN(60)
		}
		week := []string{"", "", "08:00-23:00"}[f.rand.IntN(3)]
		c.groups = []Group{{Name: "Riyadh", Clock: clock(t, week, "Asia/Riyadh")}}
		c.fails = max(f.rand.Float64()*0.1-0.05, 0)
		for chunk := range chunks {
			c.people = append(c.people, make([]person, size))
			f.later = append(f.later, task{c.start, c, chunk})
		}
		c.open = chunks * size
		c.all = c.open
		f.campaigns = append(f.campaigns, c)
	}
	return f
}

// step gives one permit; it returns false at the end.
func (f *fleet) step() bool {
	for i := 0; i < len(f.later); {
		if v := f.later[i]; !v.at.After(f.now) {
			f.lanes[v.of.lane] = append(f.lanes[v.of.lane], v)
			f.later = slices.Delete(f.later, i, i+1)
			continue
		}
		i++
	}
	for f.free > 0 && f.take() {
	}
	if len(f.places) == 0 {
		if len(f.later) == 0 {
			return false
		}
		f.now = slices.MinFunc(f.later, func(a, b task) int { return a.at.Compare(b.at) }).at
		return true
	}
	p := f.places[0]
	f.places = f.places[1:]
	f.request(p)
	return true
}

// take lets a free place take a task, from a lane drawn by weight.
func (f *fleet) take() bool {
	sum := 0
	for lane, weight := range campaign.LaneWeights {
		if len(f.lanes[lane]) > 0 {
			sum += weight
		}
	}
	if sum == 0 {
		return false
	}
	drawn := f.rand.IntN(sum)
	for _, lane := range []campaign.Lane{campaign.Urgent, campaign.Normal, campaign.Bulk} {
		if len(f.lanes[lane]) == 0 {
			continue
		}
		if drawn -= campaign.LaneWeights[lane]; drawn < 0 {
			first := f.lanes[lane][0]
			f.lanes[lane] = f.lanes[lane][1:]
			f.places = append(f.places, &place{first, f.now.Add(campaign.LaneTurn)})
			f.free--
			return true
		}
	}
	return false
}

// request makes one request of the task in a place, which then stands in line again, or
// ends.
func (f *fleet) request(p *place) {
	c := p.of
	if opens, _ := c.groups[0].Clock.Opens(f.now); opens.After(f.now) {
		f.end(p, opens)
		return
	}
	var piece []int
	tries := -1
	for i, who := range c.people[p.chunk] {
		if !who.done && !who.due.After(f.now) && (tries < 0 || who.tries == tries) && (tries < 0 || len(piece) < max(c.perCall>>tries, 1)) {
			piece, tries = append(piece, i), who.tries
		}
	}
	f.now = f.now.Add(f.every)
	failed := f.rand.Float64() < c.fails
	for _, i := range piece {
		who := &c.people[p.chunk][i]
		if who.tries++; !failed || who.tries == 5 {
			c.through(who, f.now)
		}
	}
	if c.half.IsZero() && c.open <= c.all/2 {
		c.half = f.now
		c.foretold = f.forecast(c)
	}
	if c.open == 0 && c.ended.IsZero() {
		c.ended = f.now
	}
	left, next := false, time.Time{} // whether some may be sent now; or when, of those that are to be contacted again
	for _, who := range c.people[p.chunk] {
		left = left || !who.done && !who.due.After(f.now)
		if !who.done && (next.IsZero() || who.due.Before(next)) {
			next = who.due
		}
	}
	others := false
	for lane, tasks := range f.lanes {
		others = others || lane != c.lane && len(tasks) > 0
	}
	switch {
	case !left && next.IsZero():
		f.free++
	case !left:
		f.end(p, next)
	case failed:
		f.end(p, f.now.Add(time.Duration(f.rand.Int64N(int64(6*time.Second<<tries)))))
	case !f.now.Before(p.turnEnds) && others:
		f.end(p, f.now)
	default:
		if !f.now.Before(p.turnEnds) {
			p.turnEnds = f.now.Add(campaign.LaneTurn)
		}
		f.places = append(f.places, p)
	}
}

// through notes that a contact had its request, and whether it will have another.
func (c *running) through(who *person, now time.Time) {
	if c.asked++; who.rung < len(c.again) && c.rand.Float64() < c.silent {
		c.climbs++
		*who = person{group: who.group, rung: who.rung + 1, due: now.Add(c.again[who.rung])}
		return
	}
	who.done = true
	c.open--
}

func (f *fleet) end(p *place, again time.Time) {
	f.free++
	f.later = append(f.later, task{again, p.of, p.chunk})
}

// forecast is when a campaign ends, by what is known from outside.
func (f *fleet) forecast(of *running) Plan {
	var works []Work
	at := 0
	for _, c := range slices.SortedFunc(slices.Values(f.campaigns), func(a, b *running) int { return a.start.Compare(b.start) }) {
		if c == of {
			at = len(works)
		}
		w := c.work()
		c.expect(&w, f.now)
		w.Rate, w.Burst, w.Start = 1/f.every.Seconds(), 0, c.start
		w.Lane, w.Turn = float64(campaign.LaneWeights[c.lane]), InTurn(w.Rate, campaign.LaneTurn, placesOfWorker)
		works = append(works, w)
	}
	return Together(works, f.now)[at]
}

// expect adds what is to come for those that had their request: who waits for another is
// known, and of the others only how many were contacted again so far.
func (c *running) expect(w *Work, now time.Time) {
	if len(c.again) == 0 {
		return
	}
	share := float64(c.climbs+1) / float64(c.asked+1)
	for _, after := range c.again {
		w.Again = append(w.Again, Again{After: after, Share: share})
	}
	w.Chunks, w.Begun, w.Weight = nil, nil, 1
	for _, people := range c.people {
		var left []Part
		waits := make(map[time.Time]*Later)
		for _, who := range people {
			switch {
			case who.done:
			case !who.due.After(now):
				left = With(left, Part{who.group, who.tries, 1, who.rung})
			case waits[who.due] == nil:
				waits[who.due] = &Later{At: who.due, Parts: []Part{{who.group, 0, 1, who.rung}}, Weight: 1}
			default:
				waits[who.due].Parts[0].Contacts++
			}
		}
		w.Chunks = append(w.Chunks, left)
		for _, l := range waits {
			w.Later = append(w.Later, *l)
		}
	}
}

// shared reports whether another campaign is in the lane of one.
func (f *fleet) shared(c *running) bool {
	return slices.ContainsFunc(f.campaigns, func(other *running) bool { return other != c && other.lane == c.lane })
}

// Half-way through each campaign of several on a token, its forecast is within 15 % of
// how long its rest takes, but for some of a hundred: chance draws the lanes, and of two
// campaigns in one lane nothing tells which chunks wait in front.
func TestCampaignsThatShareATokenEndAsForetold(t *testing.T) {
	const seeds = 20
	off, n := 0, 0
	for seed := range uint64(seeds) {
		f := newFleet(t, seed)
		for f.step() {
		}
		for _, c := range f.campaigns {
			took, foretold := c.ended.Sub(c.half), c.foretold.Ends.Sub(c.half)
			wrong := float64(foretold-took) / float64(took)
			t.Logf("seed %2d: %-6s %7d contacts, %3d per request, from %5v, %.0f %% fail: %v foretold, took %v: %+.1f %%",
				seed, c.lane, c.all, c.perCall, c.start.Sub(monday), 100*c.fails, foretold, took, 100*wrong)
			n++
			if max(wrong, -wrong) > 0.15 {
				off++
			}
			if max(wrong, -wrong) > 0.5 && !f.shared(c) {
				t.Errorf("seed %d: off by %.0f %%", seed, 100*wrong)
			}
		}
	}
	if t.Logf("%d of %d forecasts are off by more than 15 %%", off, n); off*20 > n {
		t.Errorf("%d of %d forecasts are off by more than 15 %%, want at most one in twenty", off, n)
	}
}

// A campaign alone on a token is told the same as by Make; beside others it ends later,
// by the weights of their lanes.
func TestWeightsShareTheQuota(t *testing.T) {
	work := func(lane campaign.Lane, requests int) Work {
		return Work{
			Groups: []Group{{"", clock(t, "")}}, Chunks: even(100, 100*500), Weight: float64(requests) / 100,
			PerCall: 500, Rate: 1, Lane: float64(campaign.LaneWeights[lane]),
		}
	}
	short, long := work(campaign.Normal, 300), work(campaign.Bulk, 3000)
	if alone := Make(short, monday).Ends.Sub(monday); alone.Round(time.Second) != 300*time.Second {
		t.Errorf("alone it takes %v", alone)
	}
	plans := Together([]Work{long, short}, monday)
	// Three of four requests are the short one's, so it takes 400 s.
	if took := plans[1].Ends.Sub(monday); took < 380*time.Second || took > 420*time.Second {
		t.Errorf("beside a long one it takes %v, want 400 s", took)
	}
	if took := plans[0].Ends.Sub(monday); took.Round(10*time.Second) != 3300*time.Second {
		t.Errorf("the long one takes %v, want 3300 s", took)
	}
}

// A turn ends when chunks wait in another lane of the agent. Those of another agent on the
// token take their share all the same, and nothing more.
func TestLanesOfAnotherAgentEndNoTurn(t *testing.T) {
	work := func(agent string, lane campaign.Lane) Work {
		return Work{
			Groups: []Group{{"", clock(t, "")}}, Chunks: even(10, 10*50), Weight: 1, PerCall: 1, Rate: 1,
			Agent: agent, Lane: float64(campaign.LaneWeights[lane]), Turn: 5,
		}
	}
	// Two campaigns share a lane. The chunks of the first go before those of the second,
	// unless both give way in turn.
	for _, tt := range []struct {
		name  string
		other Work
		turns bool
	}{
		{"another lane", work("a", campaign.Normal), true},
		{"another agent", work("b", campaign.Bulk), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plans := Together([]Work{work("a", campaign.Bulk), work("a", campaign.Bulk), tt.other}, monday)
			share := float64(plans[0].Ends.Sub(monday)) / float64(plans[1].Ends.Sub(monday))
			if turns := share > 0.7; turns != tt.turns {
				t.Errorf("the first ends after %.2f of the time of the second, %v and %v", share, plans[0].Ends.Sub(monday), plans[1].Ends.Sub(monday))
			}
		})
	}
}

func TestACanaryIsForetold(t *testing.T) {
	w := Work{Groups: []Group{{"", clock(t, "")}}, Chunks: even(10, 5000), PerCall: 500, Rate: 0.5, Canary: 500}
	if p := Make(w, monday); !p.Canary.Equal(monday.Add(2*time.Second)) || !p.Ends.Equal(monday.Add(20*time.Second)) {
		t.Errorf("canary until %v, all until %v", p.Canary, p.Ends)
	}
}

func BenchmarkTogether(b *testing.B) {
	var works []Work
	for i, lane := range []campaign.Lane{campaign.Urgent, campaign.Normal, campaign.Bulk, campaign.Bulk} {
		w := Work{Groups: []Group{{"", clock(b, "sun-thu 09:00-21:00", places[i])}}, Chunks: even(100, 50_000), Weight: 20, PerCall: 500, Rate: 0.5}
		w.Lane, w.Turn, w.Fails = float64(campaign.LaneWeights[lane]), 2, 0.02
		works = append(works, w)
	}
	for b.Loop() {
		Together(works, monday)
	}
}
