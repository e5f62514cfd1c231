package report

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/plan"
	"campaign-runner/campaign/store"
)

// A Row is a campaign in a list that is looked at often.
type Row struct {
	Summary
	Pace
	ETA time.Time // as in Overview
}

// A Snapshot is how all campaigns stand at a moment. It never changes.
type Snapshot struct {
	At      time.Time // by Redis's clock
	Rows    []Row     // the newest first
	Workers []store.Worker
}

// A Board reads all campaigns again and again for those who look at a list of them. Those
// that are not live cost nothing at each look: they are read again after a while, sooner
// where somebody sees them. One goroutine at a time may look.
type Board struct {
	Forecaster *Forecaster

	store Store
	kept  map[string]*kept
	at    time.Time // of the last look
	named time.Time // when all names were read
}

// kept is what a Board knows of a campaign.
type kept struct {
	store.Reading
	row      Row
	read     time.Time
	paced    time.Time // when its pace was reckoned
	forecast time.Time
	work     plan.Work // as it was foretold
	opens    time.Time // when the next contact may be sent; zero: nobody is pending
}

const (
	// idleFor is the time without a look after which a Board reads all anew.
	idleFor = time.Minute
	// A campaign that is not live is read again after seenFor where somebody sees it, else
	// after unseenFor. Names are read again after namedFor.
	seenFor   = 30 * time.Second
	unseenFor = 20 * time.Minute
	namedFor  = time.Minute
	// settled is the time after the act that made a campaign live after which another one
	// would show.
	settled = 2 * time.Minute
	// reckonEvery is the time after which pace and forecast of a campaign are reckoned
	// again.
	reckonEvery = 10 * time.Second
	// readAtOnce bounds the campaigns that are read before any of them is kept.
	readAtOnce = 500
	// paceSamples are more than a pace looks back at.
	paceSamples = int(paceWindow/store.SampleEvery) + 2
)

// NewBoard returns a Board on a store.
func NewBoard(s Store) *Board { return &Board{Forecaster: NewForecaster(s), store: s} }

// Look reads what may have changed. seen are the campaigns that somebody sees. unread
// says which could not be read; they stand as before.
func (b *Board) Look(ctx context.Context, seen map[string]bool) (snap *Snapshot, unread, err error) {
	p, err := look(ctx, b.store)
	if err != nil {
		return nil, nil, err
	}
	due, err := b.due(ctx, seen, p.now)
	if err != nil {
		return nil, nil, err
	}
	b.at = p.now
	if unread, err = b.read(ctx, due, p); err != nil {
		b.named = time.Time{} // some of those names may not have been read
		return nil, nil, err
	}
	for _, k := range b.kept {
		if !k.row.Over() { // workers and quota may have changed
			k.row.Summary = p.summary(k.Campaign, k.Tally)
		}
	}
	if err := b.reckon(ctx, p); err != nil {
		return nil, nil, err
	}
	snap = &Snapshot{At: p.now, Workers: p.alive, Rows: make([]Row, 0, len(b.kept))}
	for _, k := range b.kept {
		snap.Rows = append(snap.Rows, k.row)
	}
	slices.SortFunc(snap.Rows, func(a, b Row) int { return newestFirst(a.Summary, b.Summary) })
	return snap, unread, nil
}

// read reads campaigns, some at a time: what was read before Redis failed, or the time was
// over, is there at the next look.
func (b *Board) read(ctx context.Context, names []string, p present) (unread, err error) {
	for some := range slices.Chunk(names, readAtOnce) {
		list, bad, err := readAll(ctx, b.store, some)
		if err != nil {
			return nil, err
		}
		for _, r := range list {
			k := b.kept[r.Name]
			if k == nil {
				k = new(kept)
				b.kept[r.Name] = k
			}
			k.Reading, k.read = r, p.now
			k.row.Summary = p.summary(k.Campaign, k.Tally)
		}
		unread = errors.Join(unread, bad)
	}
	return unread, nil
}

// due lists the campaigns to be read now, and forgets those that are no longer there.
func (b *Board) due(ctx context.Context, seen map[string]bool, now time.Time) (due []string, err error) {
	if b.kept == nil || now.Sub(b.at) > idleFor {
		b.kept, b.named = make(map[string]*kept), time.Time{}
	}
	live, err := b.store.EverLive(ctx)
	if err != nil {
		return nil, err
	}
	if now.Sub(b.named) > namedFor {
		names, err := b.store.Latest(ctx, 0)
		if err != nil {
			return nil, err
		}
		due = b.name(names)
		b.named = now
	}
	listed := make(map[string]bool, len(due))
	for _, name := range due {
		listed[name] = true
	}
	for _, l := range live {
		k := b.kept[l.Campaign]
		moved := k == nil || !k.row.Over() || now.Sub(l.Since) < settled || l.Since.After(k.read)
		if moved && !l.Since.After(now) && !listed[l.Campaign] {
			due = append(due, l.Campaign)
			listed[l.Campaign] = true
		}
	}
	return append(due, b.old(listed, seen, now)...), nil
}

// name forgets campaigns that have no name any more, and returns names that are new.
func (b *Board) name(names []string) (fresh []string) {
	there := make(map[string]bool, len(names))
	for _, name := range names {
		there[name] = true
		if b.kept[name] == nil {
			fresh = append(fresh, name)
		}
	}
	maps.DeleteFunc(b.kept, func(name string, _ *kept) bool { return !there[name] })
	return fresh
}

// old lists campaigns that were not read for long: those that are seen, and a share of
// the others.
func (b *Board) old(but, seen map[string]bool, now time.Time) (due []string) {
	var old []*kept
	for name, k := range b.kept {
		switch {
		case but[name] || now.Sub(k.read) < seenFor:
		case seen[name]:
			due = append(due, name)
		default:
			old = append(old, k)
		}
	}
	share := int(float64(len(b.kept)) * min(float64(now.Sub(b.at))/float64(unseenFor), 1))
	slices.SortFunc(old, func(a, b *kept) int { return a.read.Compare(b.read) })
	for _, k := range old[:min(share+1, len(old))] {
		due = append(due, k.Name)
	}
	return due
}

// reckon brings paces and forecasts up to date.
func (b *Board) reckon(ctx context.Context, p present) error {
	var moving []string
	var going []store.Reading
	stale := false
	for name, k := range b.kept {
		if k.row.State == campaign.Running && p.now.Sub(k.paced) >= reckonEvery {
			moving = append(moving, name)
		} else if k.row.State != campaign.Running {
			k.row.Pace = Pace{}
		}
		if foreseeable(k.Reading) {
			going = append(going, k.Reading)
			stale = stale || p.now.Sub(k.forecast) >= reckonEvery
		} else {
			k.row.ETA, k.forecast = time.Time{}, time.Time{}
		}
	}
	recent, err := b.store.Recent(ctx, moving, paceSamples)
	if err != nil {
		return err
	}
	for name, series := range recent {
		k := b.kept[name]
		k.row.Pace, k.paced = PaceOf(series, k.row.States, p.now), p.now
	}
	if stale {
		b.Forecaster.know(going, p.now)
		forecasts, err := b.Forecaster.all(ctx, p, going)
		if err != nil {
			return err
		}
		for _, st := range going {
			k := b.kept[st.Name]
			k.row.ETA, k.forecast = time.Time{}, p.now
			f := forecasts[st.Name]
			k.work, k.opens = f.work, f.opens()
			if f.work.Rate > 0 {
				k.row.ETA = f.Ends
			}
		}
	}
	for _, k := range b.kept {
		k.row.Pace = k.row.Pace.Until(k.row.ETA, p.now)
		if foreseeable(k.Reading) && k.opens.After(p.now) {
			quota, _ := p.quotaOf(k.row.Agent)
			k.row.rests(restWait(k.row.Summary, k.work, k.opens), k.opens, quota)
		}
	}
	return nil
}
