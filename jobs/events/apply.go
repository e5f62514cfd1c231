package events

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
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

// apply heeds the wishes in events, then applies the events and finishes those that
// succeeded. When a wish cannot be written down, the events of its campaign are taken
// again.
func (a *Applier) apply(ctx context.Context, events []store.Event) error {
	_, err := a.finish(ctx, events)
	return err
}

// finish is apply, and returns the ids of the events that are done.
func (a *Applier) finish(ctx context.Context, events []store.Event) (finished []string, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), applyPatience)
	defer cancel()
	byCampaign := make(map[string][]store.Event)
	for _, e := range events {
		byCampaign[e.Campaign] = append(byCampaign[e.Campaign], e)
	}
	var errs []error
	var heeded []page
	for name, events := range byCampaign {
		p, err := a.heedAll(ctx, name, events)
		if errs = append(errs, err); err == nil {
			heeded = append(heeded, p)
		}
	}
	for _, p := range heeded {
		done, err := a.applyReports(ctx, p.campaign, p.reports)
		done.dropped = append(done.dropped, p.dropped...)
		errs = append(errs, err)
		if err := a.keep(ctx, p.name, done.unmatched); err != nil {
			errs = append(errs, err)
			continue
		}
		others := slices.Concat(withoutReasons(done.unmatched), done.dropped)
		if err := a.store.EndEvents(ctx, p.name, done.applied, others); err != nil {
			errs = append(errs, err)
		} else {
			finished = append(finished, idsOf(slices.Concat(done.applied, others))...)
		}
		a.count(Applied, len(done.applied))
		a.count(Unmatched, len(done.unmatched))
		if len(done.dropped) > 0 {
			a.count(Dropped, len(done.dropped))
		}
	}
	return finished, errors.Join(errs...)
}

// A page is events of one campaign whose wishes have been heeded.
type page struct {
	name     string
	campaign campaign.Campaign // without a name if there is none
	reports  []report
	dropped  []store.Event // of people who were erased
}

// heedAll reads events of one campaign and heeds the wishes in them.
func (a *Applier) heedAll(ctx context.Context, name string, events []store.Event) (page, error) {
	c, reports, indexed, err := a.read(ctx, name, events)
	if err != nil {
		return page{}, err
	}
	reports, dropped, err := a.withoutErased(ctx, c, reports)
	if err == nil {
		err = a.heed(ctx, c, reports, indexed)
	}
	if err == nil && c.Settings.Listens() { // a limit of silence may be set later
		err = a.store.Hear(ctx, name)
	}
	return page{name, c, reports, dropped}, err
}

// keep keeps events that belong to no contact, and says when older ones had to go for
// them.
func (a *Applier) keep(ctx context.Context, name string, unmatched []store.Unmatched) error {
	short := slices.Clone(unmatched) // the stream has them as they came
	for i := range short {
		short[i].Body = velents.ShortenEvent(short[i].Body, store.MaxUnmatchedBytes)
	}
	dropped, err := a.store.KeepUnmatched(ctx, name, short)
	if dropped > 0 {
		a.count(Dropped, dropped)
		a.log.WarnContext(ctx, "unmatched events have gone for newer ones: see campaign events", "campaign", name, "events", dropped)
	}
	return err
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
	parts := done.byChunk(c, reports)
	each(parts, func(p *part) error { return a.tellAll(ctx, c, p) })
	a.record(ctx, c, parts)
	each(parts, func(p *part) error { return a.move(ctx, p) })
	var errs []error
	for _, p := range parts {
		errs = append(errs, p.failed, p.damaged)
		for _, r := range p.reports {
			why, is := p.strangers[r.ID]
			switch {
			case p.failed != nil || store.Damaged(p.damaged, r.index):
			case is:
				done.leave(why, r)
			default:
				done.applied = append(done.applied, r.Event)
			}
		}
	}
	return done, errors.Join(errs...)
}

// A part is what events tell of the contacts of one chunk.
type part struct {
	ref       store.Ref
	reports   []report
	chunk     *store.Chunk                // without its contacts; nil: there is none
	strangers map[string]campaign.Message // reports that cannot be the contacts', by id
	moves     []store.Move
	failed    error // its events are taken again
	damaged   error // of some of its contacts: their events are taken again
}

// each does something for each part that has not failed, many at once: their commands
// share round trips. The events of a part that fails fail alone.
func each(parts []*part, do func(*part) error) {
	var g errgroup.Group
	g.SetLimit(chunksAtOnce)
	for _, p := range parts {
		if p.failed == nil {
			g.Go(func() error { p.failed = do(p); return nil })
		}
	}
	_ = g.Wait()
}

// byChunk sorts events by the chunks of their contacts, and takes those that have none.
func (r *results) byChunk(c campaign.Campaign, reports []report) []*part {
	byChunk := make(map[int]*part)
	for _, report := range reports {
		switch {
		case report.late, errors.Is(report.fault, velents.ErrUnknownEvent):
			r.dropped = append(r.dropped, report.Event) // a wish in it has been heeded
		case report.fault != nil && !errors.Is(report.fault, velents.ErrNobody):
			r.leave(campaign.Say(campaign.MsgUnreadable), report)
		case report.ordinal < 0:
			r.leave(campaign.Say(campaign.MsgNoContact), report)
		default:
			number := report.ordinal / c.Settings.ChunkSize
			report.index = report.ordinal % c.Settings.ChunkSize
			p := byChunk[number]
			if p == nil {
				p = &part{ref: store.Ref{Campaign: c.Name, Chunk: number}}
				byChunk[number] = p
			}
			p.reports = append(p.reports, report)
		}
	}
	return slices.Collect(maps.Values(byChunk))
}

// tellAll adds reports to the outcomes of their contacts, finds out which cannot be
// theirs, and decides how the contacts move.
func (a *Applier) tellAll(ctx context.Context, c campaign.Campaign, p *part) (err error) {
	p.strangers = make(map[string]campaign.Message)
	p.chunk, err = a.store.ReadRecords(ctx, p.ref)
	gone := errors.Is(err, store.ErrGone)
	if err != nil && !gone {
		return err
	}
	byIndex := p.byIndex(gone)
	if len(byIndex) == 0 {
		return nil
	}
	now, err := a.store.About(ctx) // as records have it
	if err != nil {
		return err
	}
	causes := make(map[int]campaign.Cause)
	outcomes, before := make(map[int]campaign.Outcome), make(map[int]campaign.Cause)
	err = a.store.UpdateOutcomes(ctx, p.ref, slices.Sorted(maps.Keys(byIndex)), func(index int, o campaign.Outcome) (campaign.Outcome, []campaign.Turn) {
		delete(causes, index) // the store may ask again
		delete(before, index)
		if o.Erased {
			return o, nil
		}
		var history []velents.Turn
		for _, r := range byIndex[index] {
			wished := o.OptedOut || r.wish != ""
			record, of := heardOf(p.chunk.Record(index), o, conversationOf(r.says)), causes
			if record != p.chunk.Record(index) {
				of = before
			}
			next, turns, moves := tell(o, record, r.says, r.At)
			o = forGuards(c.Settings, o, next, record, now)
			o.OptedOut, o.Late = wished && o.Known(), o.Late || moves && late(c.Settings, record, now)
			if turns != nil && !c.Settings.NoHistory {
				history = turns
			}
			if moves {
				of[index] = max(of[index], causeOf(r.says)) // an end says more than a start
			}
		}
		outcomes[index] = o
		return o, turnsOf(history)
	})
	if err == nil || errors.As(err, new(*store.DamagedError)) {
		err = errors.Join(err, a.passOn(ctx, c, p, byIndex, outcomes))
	}
	if errors.As(err, new(*store.DamagedError)) {
		p.damaged, err = err, nil
	}
	if err == nil {
		err = a.takeOff(ctx, c, p, outcomes, causes, before)
	}
	p.addMoves(causes, now)
	return err
}

// byIndex sorts the reports by their contacts, and finds out which cannot be theirs.
func (p *part) byIndex(gone bool) map[int][]report {
	byIndex := make(map[int][]report)
	for _, r := range p.reports {
		switch {
		case gone, r.index >= p.chunk.Len():
			p.strangers[r.ID] = campaign.Say(campaign.MsgNoContact)
		case p.chunk.Record(r.index).Erased: // nothing more is kept of it
		case p.chunk.Record(r.index).Attempts == 0:
			p.strangers[r.ID] = campaign.Say(campaign.MsgNeverSent)
		default:
			byIndex[r.index] = append(byIndex[r.index], r)
		}
	}
	return byIndex
}

// addMoves moves contacts by what was told of them, where that says more than is known.
func (p *part) addMoves(causes map[int]campaign.Cause, now time.Time) {
	for _, index := range slices.Sorted(maps.Keys(causes)) {
		move := campaign.Move{Cause: causes[index], At: now}
		if _, allowed := p.chunk.Record(index).Next(move); allowed {
			p.moves = append(p.moves, store.Move{Index: index, Move: move})
		}
	}
}

// record adds the contacts that are moved to the contact record, where a sender has not
// done so yet: one that died cannot, and no recovery finds them sending any more. Parts
// whose contacts cannot be recorded fail.
func (a *Applier) record(ctx context.Context, c campaign.Campaign, parts []*part) {
	missing := func(p *part) bool {
		return p.failed == nil && slices.ContainsFunc(p.moves, func(m store.Move) bool { return !p.chunk.Record(m.Index).Recorded })
	}
	parts = slices.DeleteFunc(slices.Clone(parts), func(p *part) bool { return c.Settings.Unrecorded || !missing(p) })
	each(parts, func(p *part) error {
		defer p.leaveErased()
		return a.store.Reload(ctx, p.chunk) // with its contacts
	})
	var phones []campaign.Phone
	for _, p := range parts {
		for i := range p.moves {
			if p.failed == nil {
				phones = append(phones, p.chunk.Contacts[p.moves[i].Index].Phone)
				p.moves[i].Recorded = true
			}
		}
	}
	if len(phones) == 0 {
		return
	}
	now, err := a.store.Clock(ctx, c.Name)
	if err == nil {
		err = a.store.RecordContacted(ctx, now, phones)
	}
	for _, p := range parts {
		p.failed = cmp.Or(p.failed, err)
	}
	each(parts, func(p *part) error { return a.forgetErased(ctx, p) })
}

// leaveErased drops the moves of contacts that were erased since they were read.
func (p *part) leaveErased() {
	p.moves = slices.DeleteFunc(p.moves, func(m store.Move) bool { return p.chunk.Record(m.Index).Erased })
}

// forgetErased takes those out of the contact record again who were erased while they were
// put there. A later erasure takes its own number out.
func (a *Applier) forgetErased(ctx context.Context, p *part) error {
	now, err := a.store.ReadRecords(ctx, p.ref)
	if err != nil {
		return err
	}
	for _, m := range p.moves {
		if !now.Record(m.Index).Erased {
			continue
		}
		if _, err := a.store.ContactedDays(ctx, p.chunk.Contacts[m.Index].Phone, true); err != nil {
			return err
		}
	}
	p.chunk = now
	p.leaveErased()
	return nil
}

// move moves the contacts of a chunk by evidence.
func (a *Applier) move(ctx context.Context, p *part) error {
	if len(p.moves) == 0 {
		return nil
	}
	_, err := a.store.Apply(ctx, p.chunk, store.Change{Act: store.Commit, Moves: p.moves})
	return err
}

func turnsOf(told []velents.Turn) []campaign.Turn {
	var turns []campaign.Turn
	for _, t := range told {
		turns = append(turns, campaign.Turn(t))
	}
	return turns
}
