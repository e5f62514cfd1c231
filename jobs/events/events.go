// Package events applies what the platform tells of conversations to a campaign: to the
// states of its contacts and to their outcomes.
//
// The inbox (package webhook) has stored the events; every worker takes some of them at a
// time and applies them. An event may come twice, late, in any order, or before the answer
// of the request that caused it: the result is the same. Evidence moves any contact that
// was ever sent, unconfirmed ones above all, and only forward. An event that belongs to no
// contact is kept for a week and tried again now and then. People who ask in an event not
// to be contacted are put on the do-not-contact list; where it is not known who asks, the
// wish stays open until it is known, or until an operator closes it.
//
// Nothing here contacts anybody.
package events

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/velents"
)

const (
	// batchEvents bounds how many events are applied at a time, and batchBytes about how
	// much they take. The more there are of a chunk, the less does each cost.
	batchEvents = 1024
	fewEvents   = 16
	batchBytes  = 8 << 20

	// In a storm events gather for gatherFor, so that those of a chunk, and of a
	// conversation, are applied together. It is one when manyEvents came at once.
	gatherFor  = 50 * time.Millisecond
	manyEvents = 8

	// chunksAtOnce bounds the chunks that share round trips.
	chunksAtOnce = 128

	readWait = time.Second // for a new event; stopping takes as long

	// An event that was taken and not finished for staleAfter is taken again. The workers
	// look for such events every staleEvery; a batch takes well under a second.
	staleAfter = 30 * time.Second
	staleEvery = 10 * time.Second

	// giveUpAfter is the age at which an event that always fails is given up. Only damaged
	// data makes an event fail.
	giveUpAfter = 7 * 24 * time.Hour

	// Unmatched events are tried again every retryEvery, retryEvents at a time, by the worker
	// that comes first. The workers look every lookEvery whether it is time.
	retryEvery  = 5 * time.Minute
	retryEvents = 64
	lookEvery   = time.Minute

	applyPatience = 20 * time.Second // for one batch
)

// What became of events, for Config.Count.
const (
	Applied   = "applied"
	Unmatched = "unmatched"
	Dropped   = "dropped" // the campaign has been purged, the type is not known, or newer unmatched ones needed the room

	// Beside what became of their events:
	OptedOut = "opted_out" // numbers put on the do-not-contact list
	Open     = "open"      // wishes not to be contacted whose owner is not known
)

// keeper is what the Applier needs of Redis; *store.Store is the real one.
type keeper interface {
	About(ctx context.Context) (time.Time, error)
	// The events: new ones, and those kept without a contact.
	NextEvents(ctx context.Context, limit int, wait time.Duration) ([]store.Event, error)
	StaleEvents(ctx context.Context, limit int, idle time.Duration) ([]store.Event, error)
	EndEvents(ctx context.Context, name string, applied, others []store.Event) error
	KeepUnmatched(ctx context.Context, name string, events []store.Unmatched) (dropped int, err error)
	HaveUnmatched(ctx context.Context, names []string) ([]string, error)
	Unmatched(ctx context.Context, name string, from, limit int) ([]store.Unmatched, error)
	Matched(ctx context.Context, name string, ids []string) error
	Lease(ctx context.Context, work, holder string, length time.Duration) (bool, error)
	// The campaigns' contacts, with their states and outcomes.
	Names(ctx context.Context) ([]string, error)
	Campaign(ctx context.Context, name string) (campaign.Campaign, error)
	Tally(ctx context.Context, name string) (campaign.Tally, error)
	FindAll(ctx context.Context, c campaign.Campaign, phones []campaign.Phone) (map[campaign.Phone]int, error)
	FindConversations(ctx context.Context, name string, conversations []string) (map[string]int, error)
	AddConversations(ctx context.Context, c campaign.Campaign, ordinals map[string]int) error
	ReadChunk(ctx context.Context, ref store.Ref) (*store.Chunk, error)
	ReadRecords(ctx context.Context, ref store.Ref) (*store.Chunk, error)
	Reload(ctx context.Context, chunk *store.Chunk) error
	UpdateOutcomes(ctx context.Context, ref store.Ref, contacts []int, change func(index int, o campaign.Outcome) (campaign.Outcome, []campaign.Turn)) error
	Apply(ctx context.Context, chunk *store.Chunk, c store.Change) (store.Changed, error)
	TicketStates(ctx context.Context, ref store.Ref, contacts []int) (map[int]campaign.TicketState, error)
	UpdateFollow(ctx context.Context, at store.Place, most int, change func(f *campaign.Follow) (due store.FollowDue, write bool)) error
	Hear(ctx context.Context, name string) error
	Clock(ctx context.Context, name string) (time.Time, error)
	RecordContacted(ctx context.Context, at time.Time, phones []campaign.Phone) error
	ContactedDays(ctx context.Context, phone campaign.Phone, forget bool) (days []time.Time, err error)
	// The do-not-contact list, and the wishes that could not be fulfilled yet.
	Wishes(ctx context.Context) ([]store.Wish, error)
	FindWishes(ctx context.Context, ids []string) (map[string]store.Wish, error)
	OpenWishes(ctx context.Context, wishes []store.Wish) (opened int, err error)
	ResolveWishes(ctx context.Context, ids []string) error
	FindSuppressed(ctx context.Context, phones []campaign.Phone) ([]bool, error)
	Suppress(ctx context.Context, phones []campaign.Phone) (added int, err error)
	LogContact(ctx context.Context, ref store.Ref, index int, d store.Decision) error
}

// Config says what an Applier works on. A zero field but Store means its default.
type Config struct {
	Store  keeper
	Reader *velents.EventReader          // that has read them in the inbox of this process; may be nil
	Count  func(what string, events int) // counts what became of events; may be nil
	Logger *slog.Logger                  // discards when nil
}

// An Applier applies stored events. Several may run on one Redis.
type Applier struct {
	store  keeper
	reader *velents.EventReader
	count  func(string, int)
	log    *slog.Logger
	batch  atomic.Int64 // events that fresh takes next
	storm  atomic.Bool  // the last batch had many events, and there were no more

	mu    sync.Mutex
	queue map[lateLink]map[string]bool // the ids of late wishes that are open, as heedLate last saw them, and later ones
}

// New returns an Applier.
func New(cfg Config) *Applier {
	if cfg.Count == nil {
		cfg.Count = func(string, int) {}
	}
	log := cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	a := &Applier{store: cfg.Store, reader: cfg.Reader, count: cfg.Count, log: log.With("component", "events"), queue: make(map[lateLink]map[string]bool)}
	a.batch.Store(fewEvents)
	return a
}

// Run applies events until ctx is over. It finishes a batch that it has begun.
func (a *Applier) Run(ctx context.Context) {
	var g sync.WaitGroup
	g.Go(func() { a.every(ctx, a.gather, a.fresh) })
	g.Go(func() { a.every(ctx, always(staleEvery), a.stale) })
	g.Go(func() { a.every(ctx, always(lookEvery), a.retryInTurn) })
	g.Go(func() { a.every(ctx, always(lateEvery), a.heedLate) })
	g.Wait()
}

func always(pause time.Duration) func() time.Duration { return func() time.Duration { return pause } }

// every calls do until ctx is over, with a pause after each.
func (a *Applier) every(ctx context.Context, pause func() time.Duration, do func(context.Context) error) {
	for ctx.Err() == nil {
		err := do(ctx)
		wait := pause()
		if err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "events not applied", "error", err)
			wait = max(wait, time.Second)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// fresh waits for new events and applies them.
func (a *Applier) fresh(ctx context.Context) error {
	batch := int(a.batch.Load())
	events, err := a.store.NextEvents(ctx, batch, readWait)
	if err != nil {
		return err
	}
	a.storm.Store(len(events) >= manyEvents && len(events) < batch)
	if len(events) > 0 {
		a.batch.Store(int64(batchAfter(events)))
	}
	return a.apply(ctx, events)
}

// gather is how long to wait before fresh is called again: not at all when a full batch
// was there, or few events.
func (a *Applier) gather() time.Duration {
	if a.storm.Load() {
		return gatherFor
	}
	return 0
}

// batchAfter is how many events to take after these: as many of their size as batchBytes
// hold.
func batchAfter(events []store.Event) int {
	bytes := 1
	for _, e := range events {
		bytes += len(e.Body)
	}
	return min(max(batchBytes*len(events)/bytes, fewEvents), batchEvents)
}

// stale applies events that another worker took and did not finish. What is damaged can
// fail a whole page, so those that fail together are applied one by one.
func (a *Applier) stale(ctx context.Context) error {
	events, err := a.store.StaleEvents(ctx, retryEvents, staleAfter)
	if err != nil {
		return err
	}
	finished, failed := a.finish(ctx, events)
	if failed == nil {
		return nil
	}
	var errs []error
	for _, e := range events {
		if slices.Contains(finished, e.ID) {
			continue
		}
		if err := a.apply(ctx, []store.Event{e}); err != nil {
			errs = append(errs, err, a.giveUp(ctx, e))
		}
	}
	return errors.Join(errs...)
}

// giveUp ends an event that has failed for too long.
func (a *Applier) giveUp(ctx context.Context, e store.Event) error {
	if time.Since(e.At) <= giveUpAfter {
		return nil
	}
	a.log.ErrorContext(ctx, "event given up", "campaign", e.Campaign, "event", e.ID)
	if err := a.openAll(ctx, []store.Event{e}); err != nil {
		return err // it is kept: a wish in it would be lost
	}
	return a.store.EndEvents(ctx, e.Campaign, nil, []store.Event{e})
}

// retryInTurn retries if no worker has done so for retryEvery.
func (a *Applier) retryInTurn(ctx context.Context) error {
	// Each try has a holder of its own, so that none renews the lease.
	held, err := a.store.Lease(ctx, "unmatched", rand.Text(), retryEvery)
	if err != nil || !held {
		return err
	}
	return a.retry(ctx)
}

// retry tries unmatched events and open wishes again: their contact may have been sent
// since, or become known.
func (a *Applier) retry(ctx context.Context) error {
	names, err := a.store.Names(ctx)
	if err != nil {
		return err
	}
	if names, err = a.store.HaveUnmatched(ctx, names); err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		errs = append(errs, a.retryOf(ctx, name))
	}
	return errors.Join(append(errs, a.retryWishes(ctx))...)
}

func (a *Applier) retryOf(ctx context.Context, name string) (failed error) {
	for from := 0; ctx.Err() == nil; {
		kept, err := a.store.Unmatched(ctx, name, from, retryEvents)
		if err != nil || len(kept) == 0 {
			return errors.Join(failed, err)
		}
		c, reports, _, err := a.read(ctx, name, withoutReasons(kept))
		if err != nil {
			return errors.Join(failed, err)
		}
		done, err := a.applyReports(ctx, c, reports) // their wishes have been heeded before
		failed = errors.Join(failed, err)
		matched := idsOf(done.applied)
		if err := a.store.Matched(ctx, name, matched); err != nil {
			return errors.Join(failed, err)
		}
		if len(matched) > 0 {
			a.count(Applied, len(matched))
		}
		from += len(kept) - len(matched)
	}
	return failed
}

func withoutReasons(unmatched []store.Unmatched) []store.Event {
	events := make([]store.Event, len(unmatched))
	for i, u := range unmatched {
		events[i] = u.Event
	}
	return events
}

func idsOf(events []store.Event) []string {
	ids := make([]string, len(events))
	for i, e := range events {
		ids[i] = e.ID
	}
	return ids
}
