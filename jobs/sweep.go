package jobs

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/sending"
	"campaign-runner/jobs/timings"
)

const (
	// sweepChunks bounds the chunks of one campaign looked at at once, and sweepPages how
	// often that is repeated in one sweep while all of them only wait in their queue.
	sweepChunks = 1000
	sweepPages  = 100
	// hastenTurns is how many sweeps share one look for tasks that were taken.
	hastenTurns = 2
)

// A sweeper looks after chunks that should have moved and have not: it recovers the
// claims of dead workers, and releases chunks that have pending contacts and no task.
// Every worker has one. Several at once do no harm, since each step is conditional.
type sweeper struct {
	steady func(now time.Time) bool // whether this worker may take others for dead
	store  *store.Store
	queue  *Queue
	agents []string // whose queues are watched
	watch  Watch
	log    *slog.Logger

	began  time.Time // when it first swept
	sweeps int
	round  store.Round
	dues   map[string]time.Time // of campaigns whose chunks are not due yet: when the first is
	queues map[string]*listed   // by agent

	idle map[string]time.Time // campaigns that the last scan left alone, by the due time of their first chunk
}

// listed are the waiting tasks of an agent at a time.
type listed struct {
	at    time.Time
	tasks map[store.Ref]waitingTask
}

// sweep looks once at every campaign that has to be looked at. A queue, a campaign or a
// chunk that fails does not keep it from the others.
func (s *sweeper) sweep(ctx context.Context) error {
	if s.began.IsZero() {
		s.began, s.dues, s.queues = time.Now(), make(map[string]time.Time), make(map[string]*listed)
	}
	var errs []error
	if s.sweeps++; s.sweeps%hastenTurns == 1 {
		for _, agent := range s.agents {
			errs = append(errs, s.queue.hastenTaken(ctx, agent))
		}
	}
	live, now, err := s.store.Live(ctx)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	overdue, err := s.overdue(ctx, live, now)
	errs = append(errs, err)
	for _, name := range overdue {
		errs = append(errs, s.sweepCampaign(ctx, name, now), s.queue.climb(ctx, name, now))
	}
	if time.Since(s.began) >= timings.RestAfter {
		errs = append(errs, s.rest(ctx, live, now))
	}
	return errors.Join(errs...)
}

// overdue are the live campaigns with chunks that should have moved. One whose first chunk
// is due later is not asked again before that, unless it is raised: whatever makes a chunk
// due sooner raises it.
func (s *sweeper) overdue(ctx context.Context, live []store.Live, now time.Time) (names []string, err error) {
	dues := make(map[string]time.Time, len(live))
	due := s.round.Due(live, now)
	acted := make(map[string]bool, len(due))
	for _, name := range due {
		acted[name] = true
	}
	for _, l := range live {
		first, known := s.dues[l.Campaign]
		if acted[l.Campaign] || known && !first.IsZero() && !first.After(now) {
			names = append(names, l.Campaign)
		} else if known {
			dues[l.Campaign] = first
		}
	}
	firsts, err := s.store.FirstDues(ctx, names)
	if err != nil {
		s.round = store.Round{}
		return nil, err
	}
	open := names[:0:0]
	for i, name := range names {
		dues[name] = firsts[i]
		if !firsts[i].IsZero() && !firsts[i].After(now) {
			open = append(open, name)
		}
	}
	s.dues = dues
	return open, nil
}

func (s *sweeper) sweepCampaign(ctx context.Context, name string, now time.Time) error {
	overdue, err := s.store.Open(ctx, name, now, sweepChunks)
	if err != nil || len(overdue) == 0 {
		return err
	}
	c, err := s.store.Campaign(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil || c.Phase == campaign.Loading {
		return err
	}
	switch {
	case c.Phase == campaign.Scheduled: // none of it was ever sent
		return s.queue.startDue(ctx, c, now)
	case !c.Sends() && c.Phase != campaign.CanceledPhase:
		// Setting it running, or its approval, releases all of it. Until then only a dead
		// sender matters.
		if tally, err := s.store.Tally(ctx, name); err != nil || tally.States[campaign.Sending] == 0 {
			return err
		}
	}
	for range sweepPages {
		all, err := s.sweepPage(ctx, c, overdue, now)
		if err == nil && all && len(overdue) == sweepChunks {
			if overdue, err = s.store.Open(ctx, name, now, sweepChunks); err == nil {
				continue
			}
		}
		return errors.Join(err, s.queue.judgeCanary(ctx, c))
	}
	return nil
}

// sweepPage looks at overdue chunks; all is true when each of them just waits. Those that
// are behind the canary, or were found to wait in their queue and still do, are not read
// one by one.
func (s *sweeper) sweepPage(ctx context.Context, c campaign.Campaign, overdue []store.Due, now time.Time) (all bool, err error) {
	var later, rest []store.Due
	page := &sweptPage{campaign: c, now: now}
	for _, due := range overdue {
		if wait := canaryDue(c, due.Chunk); wait > 0 && c.Sends() {
			later = append(later, store.Due{Chunk: due.Chunk, At: now.Add(wait)})
		} else {
			rest = append(rest, due)
		}
	}
	if err := s.store.SetDues(ctx, c.Name, later); err != nil {
		return false, err
	}
	if c.Sends() && len(rest) > 0 {
		if page.tasks, err = s.waitingTasks(ctx, c, rest); err != nil {
			return false, err
		}
	}
	var unknown []int
	for _, due := range rest {
		if due.Queued && page.hasTask(due.Chunk) {
			page.waits(due.Chunk)
		} else {
			unknown = append(unknown, due.Chunk)
		}
	}
	err = eachChunk(ctx, c.Name, unknown, func(ctx context.Context, n int) error { return s.sweepOne(ctx, page, n) })
	for at, chunks := range page.queued {
		err = errors.Join(err, s.store.SetQueued(ctx, c.Name, now, chunks, at))
	}
	return len(unknown) == 0, err
}

// sweepOne looks at one chunk. One that makes trouble is put off.
func (s *sweeper) sweepOne(ctx context.Context, page *sweptPage, n int) error {
	ref := store.Ref{Campaign: page.campaign.Name, Chunk: n}
	err := s.sweepChunk(ctx, page, ref)
	switch {
	case err == nil || errors.Is(err, store.ErrNotRunning):
		return nil
	case meetsAll(err):
		return err
	case errors.Is(err, store.ErrGone) && s.isPurged(ctx, ref.Campaign):
		return nil
	}
	// Otherwise every sweep would look at it and log it, and many such chunks
	// would come before the others.
	return errors.Join(err, s.store.SetDue(ctx, ref, timings.TroubleDue))
}

// isPurged reports whether a campaign's chunks have been deleted on purpose.
func (s *sweeper) isPurged(ctx context.Context, name string) bool {
	c, err := s.store.Campaign(ctx, name)
	return errors.Is(err, store.ErrNotFound) || err == nil && c.Kept() != nil
}

func (s *sweeper) sweepChunk(ctx context.Context, page *sweptPage, ref store.Ref) error {
	c := page.campaign
	chunk, err := s.store.ReadLedger(ctx, ref)
	if err != nil || chunk.Due.After(page.now) {
		return err // another sweeper was faster
	}
	lost := len(chunk.In(campaign.Sending))
	wait, err := s.queue.recoverClaim(ctx, c, chunk, s.steady(time.Now()))
	if err != nil {
		return err
	}
	if wait > 0 {
		return s.store.SetDue(ctx, ref, min(wait, timings.KeepDue))
	}
	if lost > 0 {
		s.watch.swept("settled")
		s.log.WarnContext(ctx, "sender died", "campaign", ref.Campaign, "chunk", ref.Chunk, "unconfirmed", lost)
	}
	switch {
	case c.Phase == campaign.CanceledPhase:
		_, err := s.queue.cancelPending(ctx, chunk)
		return err
	case c.Sends():
		if len(chunk.In(campaign.Pending)) == 0 {
			return nil // recovering the claim has closed it
		}
		if page.hasTask(ref.Chunk) {
			page.waits(ref.Chunk)
			return nil
		}
		released, err := s.queue.release(ctx, c, store.ChunkSeq{Ref: ref, Seq: chunk.Seq})
		if released > 0 {
			s.watch.swept("released")
			s.log.InfoContext(ctx, "chunk released again", "campaign", ref.Campaign, "chunk", ref.Chunk)
		}
		return err
	default:
		return s.store.SetDue(ctx, ref, timings.IdleDue)
	}
}

// startDue starts a scheduled campaign whose time has come, once it waits for no approval.
// One that is too late, because no worker was there to start it or the approval came late,
// waits for a person.
func (q *Queue) startDue(ctx context.Context, c campaign.Campaign, now time.Time) error {
	late := now.Sub(c.Settings.StartAt)
	if late < 0 || c.Approval.Wanted {
		return nil
	}
	if late > c.Settings.MaxLateness {
		reason := campaign.Say(campaign.MsgMissedStart, "start", c.Settings.StartAt, "lateness", c.Settings.MaxLateness)
		if c.Approval.At.After(c.Settings.StartAt.Add(c.Settings.MaxLateness)) {
			reason = campaign.Say(campaign.MsgLateApproval, "start", c.Settings.StartAt, "lateness", c.Settings.MaxLateness)
		}
		_, moved, err := q.store.SetPhase(ctx, c.Name, campaign.Ready, reason, campaign.Scheduled)
		if moved {
			q.note(ctx, c.Name, store.ActionPause, reason)
			q.log.WarnContext(ctx, "campaign is late and waits for a person", "campaign", c.Name, "late", late)
		}
		return err
	}
	// The sweeper that starts it releases it. Meanwhile no other one may find its
	// chunks overdue and release them, too.
	if err := q.store.Postpone(ctx, c.Name, timings.ReleaseDue); err != nil {
		return err
	}
	_, started, err := q.store.SetPhase(ctx, c.Name, campaign.Running, campaign.Message{}, campaign.Scheduled)
	if err != nil || !started {
		return err
	}
	q.note(ctx, c.Name, store.ActionResume, campaign.Say(campaign.MsgTime))
	q.log.InfoContext(ctx, "campaign started", "campaign", c.Name, "late", late)
	return q.releaseIfRunning(ctx, c.Name)
}

// recoverClaim ends a claim that has expired or whose worker is gone, and makes the
// contacts unconfirmed that are still sending under it: their request may have
// arrived, and other campaigns must know of them. While the claim is alive it changes
// nothing and returns how long that lasts at the most. Only a steady worker may find
// that another is gone.
//
// It ends the claim first, which succeeds only if that is dead: from then on its
// sender can no longer say that nothing was sent. Then it moves the contacts that are
// still sending, the contact record first. If it is interrupted, the next one does it
// again.
func (q *Queue) recoverClaim(ctx context.Context, c campaign.Campaign, chunk *store.Chunk, steady bool) (wait time.Duration, err error) {
	if chunk.Claim == "" && len(chunk.In(campaign.Sending)) == 0 {
		return 0, nil
	}
	end := store.Change{Act: store.Recover, Due: timings.KeepDue}
	if steady {
		if err := q.nameDead(ctx, c, chunk, &end); err != nil {
			return 0, err
		}
	}
	done, err := q.store.Apply(ctx, chunk, end)
	var busy *store.BusyError
	switch {
	case errors.As(err, &busy):
		return max(busy.Left, time.Second), nil
	case errors.Is(err, store.ErrLate):
		return time.Second, nil // what was known of the claim is old
	case err != nil:
		return 0, err
	}
	if err := q.store.Reload(ctx, chunk); err != nil {
		return 0, err
	}
	lost := chunk.In(campaign.Sending)
	if len(lost) == 0 {
		return 0, nil
	}
	reason, err := q.store.ReasonCode(ctx, c.Name, campaign.Say(campaign.MsgSenderDied))
	if err != nil {
		return 0, err
	}
	change := store.Change{
		Act: store.Recover, Due: timings.KeepDue, Log: store.Decision{By: q.by, Action: store.ActionRecover},
		Moves: sending.Moves(lost, campaign.Lose, reason), ContactedAt: done.Now,
	}
	change.Contacted = sending.Recorded(c, chunk.Contacts, change.Moves)
	done, err = q.store.Apply(ctx, chunk, change)
	if errors.As(err, &busy) {
		return max(busy.Left, time.Second), nil // another has recovered it, and goes on with the chunk
	}
	if err != nil {
		return 0, err
	}
	if done.Unrecorded != nil {
		q.log.WarnContext(ctx, "contacts not recorded: other campaigns will not know of them", "campaign", c.Name, "error", done.Unrecorded)
	}
	if len(done.Tripped) > 0 { // contacts that are lost count for the guard
		err = q.ExplainTrip(ctx, c, done.Tripped)
	}
	return 0, err
}

// nameDead names the chunk's claim in a change if its worker is gone.
func (q *Queue) nameDead(ctx context.Context, c campaign.Campaign, chunk *store.Chunk, end *store.Change) error {
	dead, err := q.store.ClaimIsDead(ctx, chunk.Claim)
	if err != nil || !dead {
		return err
	}
	now, err := q.store.Clock(ctx, c.Name)
	end.Dead, end.Latest = chunk.Claim, now.Add(timings.BeginPatience)
	return err
}

// cancelPending cancels the contacts of a chunk that are still to be sent, and returns
// how many.
func (q *Queue) cancelPending(ctx context.Context, chunk *store.Chunk) (int, error) {
	done, err := q.store.Apply(ctx, chunk, store.Change{
		Act: store.Steer, Moves: sending.Moves(chunk.In(campaign.Pending), campaign.Cancel, campaign.NoReason),
		Log: store.Decision{By: q.by, Action: store.ActionCancel},
	})
	return len(done.Moved), err
}
