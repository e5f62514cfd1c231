package events

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/velents"
)

// results are events by what became of them. Events that failed are in no list.
type results struct {
	applied   []store.Event
	unmatched []store.Unmatched
	dropped   []store.Event
}

func (r *results) leave(why campaign.Message, reports ...report) {
	for _, left := range reports {
		r.unmatched = append(r.unmatched, store.Unmatched{Event: left.Event, Why: why})
	}
}

// apply applies events and finishes those that succeeded.
func (a *Applier) apply(ctx context.Context, events []store.Event) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), applyPatience)
	defer cancel()
	byCampaign := make(map[string][]store.Event)
	for _, e := range events {
		byCampaign[e.Campaign] = append(byCampaign[e.Campaign], e)
	}
	var errs []error
	for name, events := range byCampaign {
		done, err := a.heedAndApply(ctx, name, events)
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

// heedAndApply heeds the wishes in events of one campaign, then applies the events. When a
// wish cannot be written down, they are taken again.
func (a *Applier) heedAndApply(ctx context.Context, name string, events []store.Event) (results, error) {
	c, reports, indexed, err := a.read(ctx, name, events)
	if err != nil {
		return results{}, err
	}
	reports, dropped, err := a.withoutErased(ctx, c, reports)
	if err != nil {
		return results{}, err
	}
	if err := a.heed(ctx, c, reports, indexed); err != nil {
		return results{}, err
	}
	done, err := a.applyReports(ctx, c, reports)
	done.dropped = append(done.dropped, dropped...)
	return done, err
}

// applyReports applies events whose contacts have been looked for.
func (a *Applier) applyReports(ctx context.Context, c campaign.Campaign, reports []report) (done results, err error) {
	switch {
	case c.Name == "":
		done.leave(campaign.Say(campaign.MsgNoCampaign), reports...)
		return done, nil
	case c.Kept() != nil:
		for _, r := range reports {
			done.dropped = append(done.dropped, r.Event)
		}
		return done, nil
	}
	var mu sync.Mutex
	var errs []error
	var g errgroup.Group
	g.SetLimit(chunksAtOnce)
	for number, reports := range done.byChunk(c, reports) {
		g.Go(func() error {
			strangers, err := a.applyToChunk(ctx, c, number, reports)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
				return nil // the events of other chunks are applied
			}
			for _, r := range reports {
				if why, is := strangers[r.ID]; is {
					done.leave(why, r)
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

// byChunk sorts events by the chunks of their contacts, and takes those that have none.
func (r *results) byChunk(c campaign.Campaign, reports []report) map[int][]report {
	byChunk := make(map[int][]report)
	for _, report := range reports {
		switch {
		case errors.Is(report.fault, velents.ErrUnknownEvent):
			r.dropped = append(r.dropped, report.Event) // a wish in it has been heeded
		case report.fault != nil && !errors.Is(report.fault, velents.ErrNobody):
			r.leave(campaign.Say(campaign.MsgUnreadable), report)
		case report.ordinal < 0:
			r.leave(campaign.Say(campaign.MsgNoContact), report)
		default:
			number := report.ordinal / c.Settings.ChunkSize
			report.index = report.ordinal % c.Settings.ChunkSize
			byChunk[number] = append(byChunk[number], report)
		}
	}
	return byChunk
}

// applyToChunk applies reports about contacts of one chunk. It returns those that cannot
// be theirs, by id, with the reason.
func (a *Applier) applyToChunk(ctx context.Context, c campaign.Campaign, number int, reports []report) (map[string]campaign.Message, error) {
	strangers := make(map[string]campaign.Message)
	chunk, err := a.store.ReadLedger(ctx, store.Ref{Campaign: c.Name, Chunk: number})
	gone := errors.Is(err, store.ErrGone)
	if err != nil && !gone {
		return nil, err
	}
	byIndex := make(map[int][]report)
	for _, r := range reports {
		switch {
		case gone, r.index >= chunk.Len():
			strangers[r.ID] = campaign.Say(campaign.MsgNoContact)
		case chunk.Record(r.index).Erased: // nothing more is kept of it
		case chunk.Record(r.index).Attempts == 0:
			strangers[r.ID] = campaign.Say(campaign.MsgNeverSent)
		default:
			byIndex[r.index] = append(byIndex[r.index], r)
		}
	}
	if len(byIndex) == 0 {
		return strangers, nil
	}
	causes, err := a.tellAll(ctx, c, chunk, byIndex)
	if err != nil {
		return nil, err
	}
	return strangers, a.move(ctx, c, chunk, causes)
}

// tellAll adds reports to the outcomes of their contacts. It returns what they are
// evidence of, by contact.
func (a *Applier) tellAll(ctx context.Context, c campaign.Campaign, chunk *store.Chunk, byIndex map[int][]report) (map[int]campaign.Cause, error) {
	causes := make(map[int]campaign.Cause)
	indexes := slices.Sorted(maps.Keys(byIndex))
	err := a.store.UpdateOutcomes(ctx, chunk.Ref, indexes, func(index int, o campaign.Outcome) (campaign.Outcome, []campaign.Turn) {
		delete(causes, index) // the store may ask again
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
	return causes, err
}

// move moves the contacts of a chunk by evidence.
func (a *Applier) move(ctx context.Context, c campaign.Campaign, chunk *store.Chunk, causes map[int]campaign.Cause) error {
	change := store.Change{Act: store.Commit}
	now := time.Now()
	unrecorded := false
	for _, index := range slices.Sorted(maps.Keys(causes)) {
		move, record := campaign.Move{Cause: causes[index], At: now}, chunk.Record(index)
		if _, allowed := record.Next(move); allowed {
			change.Moves = append(change.Moves, store.Move{Index: index, Move: move})
			unrecorded = unrecorded || !record.Recorded
		}
	}
	if len(change.Moves) == 0 {
		return nil
	}
	if unrecorded && !c.Settings.Unrecorded {
		// A sender that died cannot record them, and no recovery finds them sending any more.
		if err := a.record(ctx, chunk, change.Moves); err != nil {
			return err // the event is taken again
		}
	}
	_, err := a.store.Apply(ctx, chunk, change)
	return err
}

// record adds the contacts that are moved to the contact record, and notes that in the
// moves.
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
