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

// A runner carries out the tasks of one agent.
type runner struct {
	store    *store.Store
	queue    *Queue
	sender   *sending.Sender
	versions *versions
	steady   func(now time.Time) bool // whether this worker may take others for dead
	log      *slog.Logger
}

// run does what a task asks for, which depends on how its chunk and campaign stand:
// it recovers the last claim and, if the campaign is running, makes a pass. Nil means
// that nothing is left to do for now; a *sending.ComeBack asks to be run again.
func (r *runner) run(ctx context.Context, ref store.Ref) error {
	c, err := r.store.Campaign(ctx, ref.Campaign)
	if errors.Is(err, store.ErrNotFound) {
		return nil // purged meanwhile
	}
	if err != nil {
		return err
	}
	if c.Phase == campaign.Loading {
		return nil // a task of an earlier load of that name
	}
	chunk, err := r.store.ReadChunk(ctx, ref)
	if errors.Is(err, store.ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	if r.versions.newer(c, chunk) {
		return r.haltOnLostWrites(ctx, c, chunk)
	}
	defer func() { r.versions.keep(c, chunk) }()
	if wait, err := r.queue.recoverClaim(ctx, c, chunk, r.steady(time.Now())); err != nil {
		return err
	} else if wait > 0 {
		return &sending.ComeBack{After: min(wait, timings.BusyWait), Why: "another worker is sending it"}
	}
	switch {
	case c.Phase == campaign.CanceledPhase:
		_, err := r.queue.cancelPending(ctx, chunk)
		return err
	case c.Phase != campaign.Running:
		return nil // setting it running releases the chunk again
	}
	err = r.sender.Pass(ctx, c, chunk)
	return errors.Join(err, r.queue.judgeCanary(ctx, c))
}

// haltOnLostWrites pauses a campaign because Redis has lost writes to it, until a
// person has looked. To resume it is that person's word that the chunk may be sent as
// it is.
func (r *runner) haltOnLostWrites(ctx context.Context, c campaign.Campaign, chunk *store.Chunk) error {
	r.log.ErrorContext(ctx, "redis has lost writes", "campaign", c.Name, "run", c.Run, "chunk", chunk.Ref.Chunk)
	err := r.queue.Halt(ctx, c.Name, campaign.Say(campaign.MsgLostWrites, "chunk", chunk.Ref.Chunk, "worker", r.sender.Worker.ID, "campaign", c.Name))
	if err == nil {
		r.versions.forget(c, chunk)
	}
	return err
}
