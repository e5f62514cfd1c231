package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/plan"
	"campaign-runner/campaign/store"
	"campaign-runner/ratelimit"
)

// A Forecaster tells when campaigns end, by the share of the quota that each will get
// beside the others on its token. Who looks often keeps one: it knows the others, and
// the chunks by which it judges each, for a while. Goroutines may share it.
type Forecaster struct {
	store  Store
	chunks int             // of a sample
	rate   *ratelimit.Rate // where no worker knows a limit; nil: none
	byDay  bool            // the days of plans are asked for

	mu      sync.Mutex
	samples map[string]sample
	rivals  []store.Reading // all that may share a token with others
	read    time.Time       // when they were
}

// A sample is the work of a campaign as its chunks told it.
type sample struct {
	plan.Work
	at      time.Time
	pending int
	version int // of the settings
	run     uint8
	chunks  int // of the campaign
}

const (
	// liveSample bounds the chunks that are read of a campaign, and sampledRows those of
	// which the rows are read: they take longer than ledgers.
	liveSample  = 100
	sampledRows = 60
	// sampledOfAll bounds the chunks that are read of all campaigns on a token.
	sampledOfAll = 1000
	// A sample and the list of rivals are read again after that long. A sample is kept
	// longer by sampleSlack for each campaign beside it.
	sampleFor   = time.Minute
	sampleSlack = time.Second / 4
	rivalsFor   = 30 * time.Second
	// inHand is how many chunks of an agent a worker has in hand, unless it was told
	// otherwise, which no heartbeat tells.
	inHand = 4
)

// NewForecaster returns a Forecaster on a store.
func NewForecaster(s Store) *Forecaster {
	return &Forecaster{store: s, chunks: liveSample, samples: make(map[string]sample)}
}

// A forecast is how the rest of a campaign will go.
type forecast struct {
	plan.Plan
	work     plan.Work
	measured bool // the platform has told the limit
}

// opens is when the next contact may be sent, whatever else is in the queue.
func (f forecast) opens() (first time.Time) {
	if len(f.Steps) > 0 && f.work.PerDay > 0 && f.work.Today >= f.work.PerDay {
		return f.Begins
	}
	for _, step := range f.Steps { // none: nobody is pending
		if !step.Opens.IsZero() && (first.IsZero() || step.Opens.Before(first)) {
			first = step.Opens
		}
	}
	return first
}

// foreseeable reports whether a campaign goes on by itself, if only because it contacts some
// again. When an approval comes is not known.
func foreseeable(st store.Reading) bool {
	phase := st.Tally.Phase(st.Phase)
	return (st.Tally.States[campaign.Pending] > 0 || st.Tally.Rungs > 0) && !st.Approval.Wanted && (phase == campaign.Running || phase == campaign.Scheduled)
}

// of foretells one campaign beside those on its token.
func (f *Forecaster) of(ctx context.Context, p present, st store.Reading) (forecast, error) {
	rivals, err := f.others(ctx, p.now)
	if err != nil {
		return forecast{}, err
	}
	list := []store.Reading{st}
	for _, r := range rivals {
		if r.Name != st.Name && p.tokenOf(r.Settings.Agent) == p.tokenOf(st.Settings.Agent) {
			list = append(list, r)
		}
	}
	all, err := f.token(ctx, p, list)
	return all[st.Name], err
}

// others are the campaigns that go on by themselves, read again after a while.
func (f *Forecaster) others(ctx context.Context, now time.Time) ([]store.Reading, error) {
	f.mu.Lock()
	rivals, read := slices.Clone(f.rivals), f.read
	f.mu.Unlock()
	if !read.IsZero() && now.Sub(read) < rivalsFor {
		return rivals, nil
	}
	live, err := f.store.EverLive(ctx)
	if err != nil {
		return nil, err
	}
	all, _, err := readAll(ctx, f.store, namesOf(live)) // one that cannot be read is sent by no worker
	if err != nil {
		return nil, err
	}
	f.know(all, now)
	return f.others(ctx, now)
}

func namesOf(live []store.Live) []string {
	names := make([]string, len(live))
	for i, l := range live {
		names[i] = l.Campaign
	}
	return names
}

// know is told all campaigns by somebody who has read them.
func (f *Forecaster) know(all []store.Reading, now time.Time) {
	var rivals []store.Reading
	for _, st := range all {
		if foreseeable(st) {
			rivals = append(rivals, st)
		}
	}
	f.mu.Lock()
	f.rivals, f.read = rivals, now
	f.mu.Unlock()
}

// tokenOf names the token of an agent: two agents may have the same.
func (p present) tokenOf(agent string) string { return cmp.Or(p.tokens[agent], "agent "+agent) }

// all foretells all campaigns, by name.
func (f *Forecaster) all(ctx context.Context, p present, list []store.Reading) (map[string]forecast, error) {
	byToken := make(map[string][]store.Reading)
	for _, st := range list {
		if foreseeable(st) {
			token := p.tokenOf(st.Settings.Agent)
			byToken[token] = append(byToken[token], st)
		}
	}
	found := make(map[string]forecast)
	var errs []error
	for _, list := range byToken {
		some, err := f.token(ctx, p, list)
		errs = append(errs, err)
		for name, forecast := range some {
			found[name] = forecast
		}
	}
	return found, errors.Join(errs...)
}

// token foretells campaigns that share a token. Those that began first are sent first.
func (f *Forecaster) token(ctx context.Context, p present, list []store.Reading) (map[string]forecast, error) {
	began := func(st store.Reading) time.Time {
		if st.Settings.StartAt.After(st.CreatedAt) {
			return st.Settings.StartAt
		}
		return st.CreatedAt
	}
	list = slices.SortedFunc(slices.Values(list), func(a, b store.Reading) int {
		return cmp.Or(began(a).Compare(began(b)), cmp.Compare(a.Name, b.Name))
	})
	works, known, err := f.works(ctx, p, list)
	if err != nil {
		return nil, err
	}
	plans := plan.Together(works, p.now.UTC())
	found := make(map[string]forecast, len(plans))
	for i, plan := range plans {
		q := p.quotas[known[i].Settings.Agent]
		found[known[i].Name] = forecast{plan, works[i], q.Limit > 0}
	}
	return found, nil
}

// works is what is left of campaigns. Those that were purged meanwhile are left out.
func (f *Forecaster) works(ctx context.Context, p present, list []store.Reading) (works []plan.Work, known []store.Reading, err error) {
	chunks := min(f.chunks, max(sampledOfAll/max(len(list), 1), 1))
	for _, st := range list {
		w, err := f.work(ctx, p, st, chunks, sampleFor+time.Duration(len(list))*sampleSlack)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		works, known = append(works, w), append(known, st)
	}
	return works, known, nil
}

// work is what is left of a campaign, at the pace of its agent.
func (f *Forecaster) work(ctx context.Context, p present, st store.Reading, chunks int, keep time.Duration) (plan.Work, error) {
	c, pending := st.Campaign, st.Tally.States[campaign.Pending]
	f.mu.Lock()
	s, ok := f.samples[c.Name]
	f.mu.Unlock()
	if !ok || p.now.Sub(s.at) > keep || s.version != c.Version || s.run != c.Run || s.chunks != c.Chunks || pending > s.pending {
		w, err := learn(ctx, f.store, c, pending, chunks, p.now)
		if err != nil {
			return plan.Work{}, err
		}
		s = sample{w, p.now, pending, c.Version, c.Run, c.Chunks}
		f.mu.Lock()
		f.samples[c.Name] = s
		f.mu.Unlock()
	}
	w := s.Work
	if s.pending > 0 {
		w.Weight *= float64(pending) / float64(s.pending)
	}
	w.PerCall, w.Tries = c.RequestRows(), c.Settings.MaxAttempts
	if c.Settings.FinishBy.After(p.now) { // later, all that is left was asked for by a rerun
		w.FinishBy = c.Settings.FinishBy
	}
	if st.Tally.Phase(c.Phase) == campaign.Scheduled {
		w.Start = c.Settings.StartAt
	}
	if c.Canary > 0 {
		w.Canary = max(c.Canary-(st.Tally.Contacts()-pending), 1)
	}
	w.ByDay, w.Midnight = f.byDay, c.Settings.DayOf(p.now).From.Location()
	if w.PerDay = c.Settings.DailyCap; w.PerDay > 0 {
		var err error
		if w.Today, err = f.store.Begun(ctx, c.Name, p.now); err != nil {
			return plan.Work{}, err
		}
	}
	return f.paced(w, p, c.Settings, c.Chunks), nil
}

// paced is the work at the pace of its agent's quota, without the requests of others on
// the token, in its lane, and not before a block ends.
func (f *Forecaster) paced(w plan.Work, p present, s campaign.Settings, chunks int) plan.Work {
	q := p.quotas[s.Agent]
	if q.Blocked && q.Next.After(w.Start) && q.Next.After(p.now) {
		w.Start = q.Next
	}
	if q.Limit > 0 && q.Window > 0 {
		w.AtLimit(max(float64(q.Limit)-q.Others, 1), time.Duration(q.Window*float64(time.Second)))
	} else if f.rate != nil {
		limit, window := f.rate.Count()
		w.AtLimit(float64(limit), window)
	}
	w.Agent, w.Lane = s.Agent, float64(campaign.LaneWeights[s.LaneFor(chunks)])
	w.Turn = plan.InTurn(w.Rate, campaign.LaneTurn, inHand*p.workers[s.Agent])
	return w
}

// learn reads what is left of a campaign, by a sample of its chunks.
func learn(ctx context.Context, s Store, c campaign.Campaign, pending, chunks int, now time.Time) (plan.Work, error) {
	calendar, err := c.Settings.Hours.Calendar()
	if err != nil {
		return plan.Work{}, fmt.Errorf("hours of %s: %w", c.Name, err)
	}
	read := s.ReadLedger
	if calendar.ByContact() {
		read, chunks = s.ReadChunk, min(chunks, sampledRows)
	}
	groups, repeats := plan.NewGroups(calendar), newAgain(c, now)
	var sample [][]plan.Contact
	err = inOrder(ctx, c.Name, plan.Sample(c.Chunks, chunks), read, func(chunk *store.Chunk) error {
		contacts := make([]plan.Contact, chunk.Len())
		for i := range contacts {
			record, number := chunk.Record(i), ""
			if chunk.Contacts != nil {
				number = chunk.Contacts[i].Phone.E164()
			}
			contacts[i] = plan.Contact{Group: groups.Of(number), Tries: int(record.Tries), Left: record.State == campaign.Pending, Rung: int(record.Rung)}
		}
		repeats.add(chunk, contacts)
		sample = append(sample, contacts)
		return nil
	})
	w := plan.Work{PerCall: c.RequestRows(), Groups: groups.List()}
	w.Learn(sample, pending)
	if err != nil || len(repeats.delays) == 0 {
		return w, err
	}
	rungs, err := s.Rungs(ctx, c.Name)
	repeats.expect(&w, rungs)
	return w, err
}

// Beside returns what tells how a campaign of an agent would be sent that is not stored
// yet, or not all of it: at which pace and from when on, and what comes before it.
func Beside(s Store) func(ctx context.Context, name, agent string) (own plan.Work, others []plan.Work, err error) {
	return func(ctx context.Context, name, agent string) (own plan.Work, others []plan.Work, err error) {
		p, err := look(ctx, s)
		if err != nil {
			return plan.Work{}, nil, err
		}
		f := NewForecaster(s)
		own = f.paced(plan.Work{}, p, campaign.Settings{Agent: agent}, 0)
		list, err := f.others(ctx, p.now)
		if err != nil {
			return plan.Work{}, nil, err
		}
		list = slices.DeleteFunc(list, func(st store.Reading) bool {
			return st.Name == name || p.tokenOf(st.Settings.Agent) != p.tokenOf(agent)
		})
		others, _, err = f.works(ctx, p, list)
		return own, others, err
	}
}
