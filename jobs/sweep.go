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

// sweepChunks bounds the chunks of one campaign looked at in one sweep.
const sweepChunks = 1000

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
}

// sweep looks once at every campaign. A queue, a campaign or a chunk that fails does
// not keep it from the others.
func (s *sweeper) sweep(ctx context.Context) error {
	var errs []error
	for _, agent := range s.agents {
		if err := s.queue.hastenTaken(ctx, agent); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, eachCampaign(ctx, s.store, s.sweepCampaign))...)
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
	if c.Phase == campaign.Scheduled { // none of it was ever sent
		return s.queue.startDue(ctx, c, now)
	}
	err = eachChunk(ctx, name, chunksOf(overdue), func(ctx context.Context, n int) error {
		ref := store.Ref{Campaign: name, Chunk: n}
		err := s.sweepChunk(ctx, c, ref, now)
		switch {
		case err == nil || errors.Is(err, store.ErrNotRunning):
			return nil
		case meetsAll(err):
			return err
		case errors.Is(err, store.ErrGone) && s.isPurged(ctx, name):
			return nil
		}
		// Otherwise every sweep would look at it and log it, and many such chunks
		// would come before the others.
		return errors.Join(err, s.store.SetDue(ctx, ref, timings.TroubleDue))
	})
	return errors.Join(err, s.queue.judgeCanary(ctx, c))
}

// isPurged reports whether a campaign's chunks have been deleted on purpose.
func (s *sweeper) isPurged(ctx context.Context, name string) bool {
	c, err := s.store.Campaign(ctx, name)
	return errors.Is(err, store.ErrNotFound) || err == nil && c.Kept() != nil
}

func (s *sweeper) sweepChunk(ctx context.Context, c campaign.Campaign, ref store.Ref, now time.Time) error {
	chunk, err := s.store.ReadLedger(ctx, ref)
	if err != nil || chunk.Due.After(now) {
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
	switch c.Phase {
	case campaign.CanceledPhase:
		_, err := s.queue.cancelPending(ctx, chunk)
		return err
	case campaign.Running:
		if len(chunk.In(campaign.Pending)) == 0 {
			return nil // recovering the claim has closed it
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

// startDue starts a scheduled campaign whose time has come. One that is too late,
// because no worker was there to start it, waits for a person.
func (q *Queue) startDue(ctx context.Context, c campaign.Campaign, now time.Time) error {
	late := now.Sub(c.Settings.StartAt)
	if late < 0 {
		return nil
	}
	if late > c.Settings.MaxLateness {
		reason := campaign.Say(campaign.MsgMissedStart, "start", c.Settings.StartAt, "lateness", c.Settings.MaxLateness)
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
