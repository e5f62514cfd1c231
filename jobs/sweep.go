package jobs

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

const (
	sweepEvery = 2 * time.Second
	// sweepChunks bounds the chunks of one campaign looked at in one sweep.
	sweepChunks = 1000
	// restDue is how often an open chunk of a campaign that does not run is
	// looked at.
	restDue = 10 * time.Minute
)

// A sweeper looks after chunks that should have moved and have not: it ends
// claims of dead workers, and releases what has pending contacts and no task.
// Every worker has one; several at once do no harm, since each step is
// conditional.
type sweeper struct {
	steady func(now time.Time) bool // whether this worker may take others for dead
	store  *store.Store
	queue  *Queue
	agents []string // whose queues are watched
	watch  Watch
	log    *slog.Logger
}

// sweep looks once at every campaign. One that makes trouble does not keep it
// from the others.
func (s *sweeper) sweep(ctx context.Context) error {
	for _, agent := range s.agents {
		if err := s.queue.hastenTaken(ctx, agent); err != nil {
			return err
		}
	}
	names, err := s.store.Names(ctx)
	if err != nil {
		return err
	}
	now, err := s.store.Now(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		if err := s.sweepCampaign(ctx, name, now); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
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
	if c.Phase == campaign.Scheduled { // nobody of it was ever sent
		return s.queue.startDue(ctx, c, now)
	}
	err = each(ctx, overdue, func(ctx context.Context, due store.Due) error {
		err := s.sweepChunk(ctx, c, store.Ref{Campaign: name, Chunk: due.Chunk}, now)
		if errors.Is(err, store.ErrGone) || errors.Is(err, store.ErrNotRunning) {
			return nil
		}
		return err
	})
	return errors.Join(err, s.queue.judgeCanary(ctx, c))
}

func (s *sweeper) sweepChunk(ctx context.Context, c campaign.Campaign, ref store.Ref, now time.Time) error {
	chunk, err := s.store.ReadLedger(ctx, ref)
	if err != nil || chunk.Due.After(now) {
		return err // another sweeper was faster
	}
	unsettled := len(chunk.In(campaign.Sending))
	wait, err := s.queue.settle(ctx, c, chunk, s.steady(time.Now()))
	if err != nil {
		return err
	}
	if wait > 0 {
		return s.store.SetDue(ctx, ref, min(wait, keepDue))
	}
	if unsettled > 0 {
		s.watch.swept("settled")
		s.log.WarnContext(ctx, "sender died", "campaign", ref.Campaign, "chunk", ref.Chunk, "unconfirmed", unsettled)
	}
	switch c.Phase {
	case campaign.CanceledPhase:
		_, err := s.queue.cancelPending(ctx, chunk)
		return err
	case campaign.Running:
		if len(chunk.In(campaign.Pending)) == 0 {
			return nil // settling it has closed it
		}
		released, err := s.queue.release(ctx, c, store.Turn{Ref: ref, Seq: chunk.Seq})
		if released > 0 {
			s.watch.swept("released")
			s.log.InfoContext(ctx, "chunk released again", "campaign", ref.Campaign, "chunk", ref.Chunk)
		}
		return err
	default:
		return s.store.SetDue(ctx, ref, restDue)
	}
}
