// Package events makes what the platform tells of conversations part of a
// campaign: the states of its contacts, and their outcomes.
//
// The inbox (package webhook) has stored the events; every worker takes some of
// them at a time and applies them. An event may come twice, late, before the
// answer of the request that caused it, or in any order: what is known in the end
// is the same. Evidence moves any contact that was ever sent, unconfirmed ones
// above all, and only forward. An event that belongs to nobody is kept for a week
// and tried again now and then. Whoever asks in one not to be contacted is put on the
// do-not-contact list; where it is not known who that is, the wish stays open until it
// is, or a person closes it.
//
// Nothing here contacts anybody.
package events

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/velents"
)

const (
	// batchEvents bounds what is applied at a time, and chunksAtOnce how much of
	// it at once: a storm of events must leave Redis to the senders.
	batchEvents  = 256
	chunksAtOnce = 4

	readWait = time.Second // for a new event, and so how long stopping takes

	// staleAfter is when an event that was taken and not done is taken again,
	// looked for every staleEvery: a batch takes well under a second.
	staleAfter = 30 * time.Second
	staleEvery = 10 * time.Second

	// giveUpAfter is when an event that always fails is given up. Only damaged
	// data makes one fail.
	giveUpAfter = 7 * 24 * time.Hour

	retryEvery = 5 * time.Minute // of unmatched events

	applyPatience = 20 * time.Second // for one batch
)

// What becomes of events, as Config.Count is told.
const (
	Applied   = "applied"
	Unmatched = "unmatched"
	Dropped   = "dropped" // their campaign has been purged, or their type is not known

	// Beside what became of their events:
	OptedOut = "opted_out" // numbers put on the do-not-contact list
	Open     = "open"      // wishes not to be contacted of which it is not known whose they are
)

// Config says what an Applier works on. A zero field but Store means its default.
type Config struct {
	Store  *store.Store
	Count  func(what string, events int) // told what became of events; may be nil
	Logger *slog.Logger                  // discards when nil
}

// An Applier applies stored events. Several may run on one Redis.
type Applier struct {
	store *store.Store
	count func(string, int)
	log   *slog.Logger
}

// New returns an Applier.
func New(cfg Config) *Applier {
	if cfg.Count == nil {
		cfg.Count = func(string, int) {}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Applier{store: cfg.Store, count: cfg.Count, log: cfg.Logger.With("component", "events")}
}

// Run applies events until ctx is over. A batch that was begun is ended.
func (a *Applier) Run(ctx context.Context) {
	var g sync.WaitGroup
	g.Go(func() { a.every(ctx, 0, a.fresh) })
	g.Go(func() { a.every(ctx, staleEvery, a.stale) })
	g.Go(func() { a.every(ctx, retryEvery, a.retry) })
	g.Wait()
}

// every calls do until ctx is over, with a pause between calls.
func (a *Applier) every(ctx context.Context, pause time.Duration, do func(context.Context) error) {
	for ctx.Err() == nil {
		wait := pause
		if err := do(ctx); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "events not applied", "error", err)
			wait = max(wait, time.Second)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// fresh applies the next events, once there are any.
func (a *Applier) fresh(ctx context.Context) error {
	events, err := a.store.NextEvents(ctx, batchEvents, readWait)
	if err != nil {
		return err
	}
	return a.apply(ctx, events)
}

// stale applies events that somebody took and did not end.
func (a *Applier) stale(ctx context.Context) error {
	events, err := a.store.StaleEvents(ctx, batchEvents, staleAfter)
	if err != nil {
		return err
	}
	applied := a.apply(ctx, events)
	if applied == nil {
		return nil
	}
	var old []store.Event
	for _, e := range events {
		if time.Since(e.At) > giveUpAfter {
			a.log.ErrorContext(ctx, "event given up", "campaign", e.Campaign, "event", e.ID)
			old = append(old, e)
		}
	}
	if err := a.openAll(ctx, old); err != nil {
		return errors.Join(applied, err) // they are kept: a wish in them would be lost
	}
	return errors.Join(applied, a.store.DoneEvents(ctx, idsOf(old)))
}

// apply applies events and ends those that came through.
func (a *Applier) apply(ctx context.Context, events []store.Event) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), applyPatience)
	defer cancel()
	byCampaign := make(map[string][]store.Event)
	for _, e := range events {
		byCampaign[e.Campaign] = append(byCampaign[e.Campaign], e)
	}
	var errs []error
	for name, events := range byCampaign {
		done, err := a.hearAndApply(ctx, name, events)
		errs = append(errs, err)
		if len(done.unmatched) > 0 {
			if err := a.store.KeepUnmatched(ctx, name, done.unmatched); err != nil {
				return errors.Join(append(errs, err)...)
			}
		}
		errs = append(errs,
			a.store.CountEvents(ctx, name, len(done.applied), len(done.unmatched)),
			a.store.DoneEvents(ctx, slices.Concat(idsOf(done.applied), idsOf(withoutReasons(done.unmatched)), idsOf(done.dropped))))
		a.count(Applied, len(done.applied))
		a.count(Unmatched, len(done.unmatched))
		if len(done.dropped) > 0 {
			a.count(Dropped, len(done.dropped))
		}
	}
	return errors.Join(errs...)
}

// hearAndApply heeds what people ask in events of one campaign, and applies them. Those
// whose wish could not be written down are taken again.
func (a *Applier) hearAndApply(ctx context.Context, name string, events []store.Event) (results, error) {
	c, err := a.campaign(ctx, name)
	if err != nil {
		return results{}, err
	}
	reports := read(c.Settings, events)
	indexed, err := a.find(ctx, c, reports)
	if err != nil {
		return results{}, err
	}
	if err := a.heed(ctx, c, reports, indexed); err != nil {
		return results{}, err
	}
	return a.applyReports(ctx, c, reports)
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

// retry tries unmatched events and open wishes again: their contact may have been sent
// since, or become known.
func (a *Applier) retry(ctx context.Context) error {
	names, err := a.store.Names(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		errs = append(errs, a.retryOf(ctx, name))
	}
	return errors.Join(append(errs, a.retryWishes(ctx))...)
}

func (a *Applier) retryOf(ctx context.Context, name string) error {
	for from := 0; ctx.Err() == nil; {
		kept, err := a.store.Unmatched(ctx, name, from, batchEvents)
		if err != nil || len(kept) == 0 {
			return err
		}
		done, err := a.applyTo(ctx, name, withoutReasons(kept))
		if err != nil {
			return err
		}
		matched := idsOf(done.applied)
		if err := a.store.DropUnmatched(ctx, name, matched); err != nil {
			return err
		}
		if len(matched) > 0 {
			a.count(Applied, len(matched))
			if err := a.store.CountEvents(ctx, name, len(matched), -len(matched)); err != nil {
				return err
			}
		}
		from += len(kept) - len(matched)
	}
	return nil
}

// results are events by what became of them. Those of which an error kept are in
// no list.
type results struct {
	applied   []store.Event
	unmatched []store.Unmatched
	dropped   []store.Event // their campaign was purged
}

// A report is an event with what it says of whom.
type report struct {
	store.Event
	says    velents.Event
	fault   error            // why it is of no use but for what somebody says in it
	numbers []campaign.Phone // that it may tell, the likeliest first; the one in the list alone when there is one
	listed  bool             // the number in the list was found
	ordinal int              // of the contact in the list; -1: it is not known
	index   int              // of the contact in its chunk
}

// campaign reads a campaign. One that is not there, or not yet, has no name.
func (a *Applier) campaign(ctx context.Context, name string) (campaign.Campaign, error) {
	c, err := a.store.Campaign(ctx, name)
	if errors.Is(err, store.ErrNotFound) || err == nil && c.Phase == campaign.Loading {
		return campaign.Campaign{}, nil
	}
	return c, err
}

// read reads events. Whose they are is for find.
func read(s campaign.Settings, events []store.Event) []report {
	parser := numbersIn(s)
	reports := make([]report, len(events))
	for i, e := range events {
		says, err := velents.ReadEvent(e.Body)
		if errors.Is(err, velents.ErrNobody) && e.Contact > 0 {
			err = nil // the link says whose it is
		}
		reports[i] = report{Event: e, says: says, fault: err, numbers: parser.Told(says.Phone), ordinal: e.Contact - 1}
	}
	return reports
}

// find finds the contacts of events: by the link, else by number, else by what earlier
// events have told of the conversation. indexed says whether the campaign knows its
// contacts by number.
func (a *Applier) find(ctx context.Context, c campaign.Campaign, reports []report) (indexed bool, err error) {
	if c.Name == "" || c.Kept() != nil {
		return false, nil
	}
	var phones []campaign.Phone
	for _, r := range reports {
		if r.Contact == 0 {
			phones = append(phones, r.numbers...)
		}
	}
	places, err := a.store.FindAll(ctx, c, phones)
	if err != nil {
		return false, err
	}
	told := make(map[string]int) // conversations of this very batch
	var asked []string
	for i := range reports {
		r := &reports[i]
		if r.Contact > 0 {
			continue
		}
		conversation := conversationOf(r.says)
		for _, phone := range r.numbers {
			if ordinal, found := places[phone]; found {
				r.ordinal, r.numbers, r.listed = ordinal, []campaign.Phone{phone}, true
				break
			}
		}
		switch other, known := told[conversation]; {
		case conversation == "":
		case r.ordinal < 0:
			asked = append(asked, conversation)
		case known && other != r.ordinal:
			if err := a.store.AddConversations(ctx, c, map[string]int{conversation: other}); err != nil {
				return false, err
			}
			fallthrough // and the store sees that they are two
		default:
			told[conversation] = r.ordinal
		}
	}
	if err := a.store.AddConversations(ctx, c, told); err != nil {
		return false, err
	}
	known, err := a.store.FindConversations(ctx, c.Name, asked)
	if err != nil {
		return false, err
	}
	for i := range reports {
		r := &reports[i]
		if ordinal, found := known[conversationOf(r.says)]; found && r.ordinal < 0 {
			r.ordinal = ordinal
		}
	}
	return places != nil, nil
}

// applyTo applies events of one campaign.
func (a *Applier) applyTo(ctx context.Context, name string, events []store.Event) (done results, err error) {
	c, err := a.campaign(ctx, name)
	if err != nil {
		return done, err
	}
	reports := read(c.Settings, events)
	if _, err := a.find(ctx, c, reports); err != nil {
		return done, err
	}
	return a.applyReports(ctx, c, reports)
}

// applyReports applies events whose contacts have been looked for.
func (a *Applier) applyReports(ctx context.Context, c campaign.Campaign, reports []report) (done results, err error) {
	switch {
	case c.Name == "":
		for _, r := range reports {
			done.unmatched = append(done.unmatched, store.Unmatched{Event: r.Event, Why: campaign.Say(campaign.MsgNoCampaign)})
		}
		return done, nil
	case c.Kept() != nil:
		for _, r := range reports {
			done.dropped = append(done.dropped, r.Event)
		}
		return done, nil
	}
	byChunk := place(c, reports, &done)
	var mu sync.Mutex
	var errs []error
	var g errgroup.Group
	g.SetLimit(chunksAtOnce)
	for chunk, reports := range byChunk {
		g.Go(func() error {
			strangers, err := a.applyToChunk(ctx, c, chunk, reports)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
				return nil // the other chunks' go through
			}
			for _, r := range reports {
				if why, is := strangers[r.ID]; is {
					done.unmatched = append(done.unmatched, store.Unmatched{Event: r.Event, Why: why})
				} else {
					done.applied = append(done.applied, r.Event)
				}
			}
			return nil
		})
	}
	_ = g.Wait()
	return done, errors.Join(errs...)
}

// place parts events by the chunks of their contacts. Those that have none go into
// done.
func place(c campaign.Campaign, reports []report, done *results) map[int][]report {
	byChunk := make(map[int][]report)
	for _, r := range reports {
		switch {
		case errors.Is(r.fault, velents.ErrUnknownEvent):
			done.dropped = append(done.dropped, r.Event) // what was said in it has been heard
		case r.fault != nil && !errors.Is(r.fault, velents.ErrNobody):
			done.unmatched = append(done.unmatched, store.Unmatched{Event: r.Event, Why: campaign.Say(campaign.MsgUnreadable)})
		case r.ordinal < 0:
			done.unmatched = append(done.unmatched, store.Unmatched{Event: r.Event, Why: campaign.Say(campaign.MsgNoContact)})
		default:
			chunk := r.ordinal / c.Settings.ChunkSize
			r.index = r.ordinal % c.Settings.ChunkSize
			byChunk[chunk] = append(byChunk[chunk], r)
		}
	}
	return byChunk
}

// applyToChunk applies reports about contacts of one chunk. It returns those that
// cannot be theirs, by id, with the reason.
func (a *Applier) applyToChunk(ctx context.Context, c campaign.Campaign, number int, reports []report) (map[string]campaign.Message, error) {
	ref := store.Ref{Campaign: c.Name, Chunk: number}
	strangers := make(map[string]campaign.Message)
	chunk, err := a.store.ReadLedger(ctx, ref)
	if errors.Is(err, store.ErrGone) {
		for _, r := range reports {
			strangers[r.ID] = campaign.Say(campaign.MsgNoContact)
		}
		return strangers, nil
	}
	if err != nil {
		return nil, err
	}
	byIndex := make(map[int][]report)
	var indexes []int
	for _, r := range reports {
		if r.index >= chunk.Len() {
			strangers[r.ID] = campaign.Say(campaign.MsgNoContact)
			continue
		}
		if chunk.Record(r.index).Attempts == 0 {
			strangers[r.ID] = campaign.Say(campaign.MsgNeverSent)
			continue
		}
		if byIndex[r.index] == nil {
			indexes = append(indexes, r.index)
		}
		byIndex[r.index] = append(byIndex[r.index], r)
	}
	if len(indexes) == 0 {
		return strangers, nil
	}
	causes := make(map[int]campaign.Cause)
	err = a.store.UpdateOutcomes(ctx, ref, indexes, func(index int, o campaign.Outcome) (campaign.Outcome, []campaign.Turn) {
		delete(causes, index)
		var history []velents.Turn
		for _, r := range byIndex[index] {
			next, turns, moves := tell(o, chunk.Record(index), r.says, r.At)
			o = next
			if turns != nil && !c.Settings.NoHistory {
				history = turns
			}
			if moves {
				causes[index] = max(causes[index], causeOf(r.says)) // an end says more than a start
			}
		}
		return o, turnsOf(history)
	})
	if err != nil {
		return nil, err
	}
	change := store.Change{Act: store.Commit}
	now := time.Now()
	unrecorded := false
	for _, index := range indexes {
		cause, ok := causes[index]
		if !ok {
			continue
		}
		move, record := campaign.Move{Cause: cause, At: now}, chunk.Record(index)
		if _, allowed := record.Next(move); allowed {
			change.Moves = append(change.Moves, store.Move{Index: index, Move: move})
			unrecorded = unrecorded || !record.Recorded
		}
	}
	if len(change.Moves) == 0 {
		return strangers, nil
	}
	if unrecorded && !c.Settings.Unrecorded {
		// A sender that died will not record them, and nobody finds them sending any more.
		if err := a.record(ctx, chunk, change.Moves); err != nil {
			return nil, err // an event can wait, and is taken again
		}
	}
	_, err = a.store.Apply(ctx, chunk, change)
	return strangers, err
}

// record writes into the contact record who is moved, and marks that in the moves.
func (a *Applier) record(ctx context.Context, chunk *store.Chunk, moves []store.Move) error {
	if err := a.store.Reload(ctx, chunk); err != nil { // with its contacts
		return err
	}
	now, err := a.store.Clock(ctx, chunk.Ref.Campaign)
	if err != nil {
		return err
	}
	phones := make([]campaign.Phone, len(moves))
	for i, m := range moves {
		phones[i] = chunk.Contacts[m.Index].Phone
	}
	if err := a.store.RecordContacted(ctx, now, phones); err != nil {
		return err
	}
	for i := range moves {
		moves[i].Recorded = true
	}
	return nil
}

func turnsOf(told []velents.Turn) []campaign.Turn {
	var turns []campaign.Turn
	for _, t := range told {
		turns = append(turns, campaign.Turn(t))
	}
	return turns
}
