package plan

import (
	"slices"
	"testing"
	"time"
)

// Half of ten requests' contacts are contacted again after two hours, and all of those a day
// later.
func TestContactsAreContactedAgain(t *testing.T) {
	w := Work{
		Groups: []Group{{"", clock(t, "")}}, Chunks: even(10, 5000), PerCall: 500, Rate: 1,
		Again: []Again{{2 * time.Hour, 0.5}, {24 * time.Hour, 1}},
	}
	p := Make(w, monday)
	if p.Calls != 10 || p.Again != 10 || p.Steps[0].Contacts != 5000 || !p.Steps[0].Done.Equal(monday.Add(10*time.Second)) {
		t.Errorf("got %+v", p)
	}
	if took := p.Ends.Sub(monday); took < 26*time.Hour+10*time.Second || took > 26*time.Hour+11*time.Second {
		t.Errorf("it takes %v", took)
	}
	// What fails is repeated once, and its contacts are contacted again once.
	w.Fails, w.Tries = 0.5, 2
	if again := Make(w, monday); again.Again < 15 || again.Again > 20 {
		t.Errorf("where half of the requests fail, %d are made again, %d at first", again.Again, again.Calls)
	}
	// The cap of a day counts all of them, and nobody is contacted again after the end.
	w.Fails, w.PerDay, w.FinishBy = 0, 5000, monday.Add(23*time.Hour)
	midnight := monday.Truncate(24*time.Hour).AddDate(0, 0, 1)
	if capped := Make(w, monday); capped.Again != 5 || capped.Missed != 0 || !capped.Ends.Equal(midnight.Add(5*time.Second)) {
		t.Errorf("with a cap: %+v", capped)
	}
}

// Those that wait for another request already are sent at their time, inside the hours, and
// are not counted as to be sent for the first time.
func TestThoseWhoWaitAreContactedAgain(t *testing.T) {
	w := Work{
		Groups: []Group{{"", clock(t, "09:00-21:00")}, {"nowhere", nil}}, PerCall: 500, Rate: 1, Again: []Again{{time.Hour, 1}, {30 * time.Hour, 0}},
		Later: []Later{{At: monday.Add(-time.Hour), Parts: []Part{{0, 0, 500, 1}, {1, 0, 3, 1}}, Weight: 4}, {At: monday.Add(100 * 24 * time.Hour), Parts: []Part{{0, 0, 1, 2}}}},
	}
	p := Make(w, monday)
	opens, _ := w.Groups[0].Clock.Opens(monday)
	if p.Calls != 0 || p.Again != 4 || len(p.Steps) != 0 || p.Held != 0 || !p.Begins.Equal(opens) || !p.Ends.Equal(opens.Add(4*time.Second)) {
		t.Errorf("got %+v, the hours begin at %v", p, opens)
	}
}

// Half-way through each of several campaigns on a token that contact people again, the
// forecast of its end is within 15 % of how long its rest takes, but for one in twenty; of
// those that have a lane for themselves. Of others chance draws the order, as above.
func TestCampaignsThatContactAgainEndAsForetold(t *testing.T) {
	const seeds, most = 14, 120 // chunks
	off, n, sharedOff, shared := 0, 0, 0, 0
	for seed := range uint64(seeds) {
		f := newFleet(t, seed)
		f.later = slices.DeleteFunc(f.later, func(v task) bool { return v.chunk >= most })
		for i, c := range f.campaigns {
			c.people = c.people[:min(len(c.people), most)]
			c.open = len(c.people) * len(c.people[0])
			c.all = c.open
			c.again = [][]time.Duration{{2 * time.Hour, 24 * time.Hour}, nil, {time.Hour}, {30 * time.Minute, 90 * time.Minute, 5 * time.Hour}}[(int(seed)+i)%4]
			c.silent = 0.2 + 0.6*f.rand.Float64()
		}
		for f.step() {
		}
		for _, c := range f.campaigns {
			took, foretold := c.ended.Sub(c.half), c.foretold.Ends.Sub(c.half)
			wrong := float64(foretold-took) / float64(took)
			t.Logf("seed %2d: %-6s %7d contacts, %3d per request, again after %v, %.0f %% silent: %v foretold, took %v: %+.1f %%",
				seed, c.lane, c.all, c.perCall, c.again, 100*c.silent, foretold, took, 100*wrong)
			count, wide := &n, &off
			if f.shared(c) {
				count, wide = &shared, &sharedOff
			}
			if *count++; max(wrong, -wrong) > 0.15 {
				*wide++
			}
		}
	}
	t.Logf("%d of %d forecasts are off by more than 15 %%, and %d of %d that share a lane", off, n, sharedOff, shared)
	if off*20 > n || n < 15 || sharedOff*4 > shared {
		t.Errorf("%d of %d forecasts are off by more than 15 %%, want one in twenty; %d of %d that share a lane, want one in four", off, n, sharedOff, shared)
	}
}
