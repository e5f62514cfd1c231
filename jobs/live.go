package jobs

import (
	"context"
	"crypto/rand"
	"errors"
	mathrand "math/rand/v2"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/timings"
)

// nextLook is when a campaign that nobody touches has to be looked at: zero if never.
// first is when its first open chunk is due, zero if it has none; ticket the same of its
// tickets.
func nextLook(r store.Reading, first, ticket, now time.Time) time.Time {
	var next time.Time
	by := func(at time.Time) {
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	// Those who make tickets and post notices keep a campaign live while they do. When they
	// begin, they look at all campaigns: what waits for them costs nothing till then.
	for _, at := range []time.Time{ticket, r.NoticeDue} {
		if at.After(now.Add(-waitsForMaker)) {
			by(at)
		}
	}
	switch {
	case !r.PurgeBegan.IsZero():
		if r.PurgedAt.IsZero() {
			by(now) // it was interrupted
		}
	case r.Phase == campaign.Loading:
	case r.Phase == campaign.Scheduled && !first.IsZero() && !r.Approval.Wanted:
		by(r.Settings.StartAt)
	case first.IsZero():
		if days := r.Settings.KeepDays; days > 0 && !r.EndedAt.IsZero() {
			by(r.EndedAt.AddDate(0, 0, days))
		}
	case r.Sends(), r.Phase == campaign.CanceledPhase:
		by(first)
	case r.Tally.States[campaign.Sending] > 0: // its sender may have died
		by(now)
	}
	return next
}

// waitsForMaker is how long a ticket or a notice that is due keeps its campaign live
// without an act of the worker that makes them. It is longer than any of them waits for
// its next try.
const waitsForMaker = time.Hour

// rest finds when those of the live campaigns have to be looked at again that nothing has
// raised for a while.
func (s *sweeper) rest(ctx context.Context, live []store.Live, now time.Time) error {
	var names []string
	for _, l := range live {
		if now.Sub(l.Since) > store.LiveFor && len(names) < restAtOnce {
			names = append(names, l.Campaign)
		}
	}
	next, err := s.nextLookAt(ctx, names, now)
	if err != nil {
		return err
	}
	var errs []error
	for i, name := range names { // the longest without an act are the first, in both lists
		switch at := next[i].at; {
		case next[i].damaged: // a sweep says so; it must not stand before the others
			errs = append(errs, s.store.Raise(ctx, name))
		case !at.IsZero() && at.Before(now.Add(store.LiveFor)):
			errs = append(errs, s.store.Raise(ctx, name))
		default:
			_, err := s.store.TakeLastSample(ctx, name, now)
			errs = append(errs, err, s.store.Rest(ctx, live[i], at))
		}
	}
	return errors.Join(errs...)
}

// A nextAt is when a campaign has to be looked at; damaged: it cannot be read.
type nextAt struct {
	at      time.Time
	damaged bool
}

func (s *sweeper) nextLookAt(ctx context.Context, names []string, now time.Time) ([]nextAt, error) {
	// In this order one whose first chunk is opened meanwhile has been raised, which Rest
	// sees.
	readings, err1 := s.store.ReadAll(ctx, names)
	firsts, err2 := s.store.FirstDues(ctx, names)
	tickets, err3 := s.store.FirstTickets(ctx, names)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	next := make([]nextAt, len(names))
	for i, r := range readings {
		switch {
		case r.Err == nil:
			next[i].at = nextLook(r, firsts[i], tickets[i], now)
		case !errors.Is(r.Err, store.ErrNotFound):
			next[i].damaged = true
		}
	}
	return next, nil
}

const (
	// scanTurns is after how many scans every campaign was read, on average, open chunks
	// or not.
	scanTurns = 30
	// restAtOnce bounds the campaigns that one sweep lets rest: some commands each.
	restAtOnce = 10
)

// scan makes campaigns live that should be and are not: Redis has lost the entry, or a
// process was frozen between a raise and its act. A worker that starts, and one of the
// workers every ScanEvery, looks which have open chunks, and reads only those, and one in
// scanTurns of the others, a worker that starts all.
func (s *sweeper) scan(ctx context.Context) error {
	first := s.idle == nil
	due, err := s.store.Lease(ctx, "scan", rand.Text(), timings.ScanEvery)
	if err != nil || !due && !first {
		return err
	}
	names, err := s.store.Names(ctx)
	if err != nil {
		return err
	}
	awake, _, err := s.store.Live(ctx)
	if err != nil {
		return err
	}
	live := make(map[string]bool, len(awake)) // of the others one may rest for too long
	for _, l := range awake {
		live[l.Campaign] = true
	}
	var resting []string
	for _, name := range names {
		if !live[name] {
			resting = append(resting, name)
		}
	}
	firsts, err := s.store.FirstDues(ctx, resting)
	if err != nil {
		return err
	}
	idle, turn := make(map[string]time.Time), mathrand.IntN(scanTurns)
	var doubtful []string
	for i, name := range resting {
		open := !firsts[i].IsZero() && !s.idle[name].Equal(firsts[i])
		if open || first || i%scanTurns == turn {
			doubtful = append(doubtful, name)
		}
		idle[name] = firsts[i]
	}
	if err := s.wake(ctx, doubtful); err != nil {
		return err
	}
	s.idle = idle
	return nil
}

// wake makes those of the campaigns live that have to be looked at some time.
func (s *sweeper) wake(ctx context.Context, names []string) error {
	now, err := s.store.Now(ctx)
	if err != nil {
		return err
	}
	next, err := s.nextLookAt(ctx, names, now)
	if err != nil {
		return err
	}
	var errs []error
	for i, name := range names {
		if at := next[i].at; !at.IsZero() {
			if at.Before(now) {
				at = now
			}
			errs = append(errs, s.store.LookAt(ctx, name, at))
		}
	}
	return errors.Join(errs...)
}
