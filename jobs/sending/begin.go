package sending

import (
	"context"
	"errors"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/timings"
)

// notBegun decides what to do when a request could not begin.
func (p *pass) notBegun(ctx context.Context, piece []int, fence time.Time, err error) error {
	var busy *store.BusyError
	var late *store.LateError
	switch {
	case errors.Is(err, store.ErrMoved):
		// Evidence or a person got to some of them first: go on with the others.
		var pending []int
		for _, i := range piece {
			if p.chunk.Record(i).State == campaign.Pending {
				pending = append(pending, i)
			}
		}
		p.agenda.push(pending)
	case errors.Is(err, store.ErrGone):
		p.agenda.finish(nil)
	case errors.Is(err, store.ErrNotRunning):
		p.agenda.finish(nil)
		return p.takeBack(ctx, piece, time.Time{})
	case errors.Is(err, store.ErrOutdated):
		p.agenda.finish(&ComeBack{0, "the settings have changed: the chunk is looked at again"})
		return p.takeBack(ctx, piece, time.Time{})
	case errors.As(err, &late):
		p.clock.set(late.Now)
		p.agenda.finish(&ComeBack{0, "Redis took too long to begin the request"})
		return p.takeBack(ctx, piece, time.Time{})
	case errors.Is(err, store.ErrCapped):
		p.agenda.push(piece) // others were faster: sift finds out how many are left
	case errors.As(err, &busy):
		p.agenda.finish(&ComeBack{min(max(busy.Left, time.Second), timings.BusyWait), "another worker is sending it"})
	case errors.Is(err, store.ErrUnrecovered):
		p.agenda.finish(&ComeBack{0, "a dead claim must be recovered first"})
	default:
		// Redis may have done it and lost only the answer, or may do it yet. Nothing
		// was sent.
		return errors.Join(err, p.takeBack(ctx, piece, fence))
	}
	return nil
}

// errMayBegin keeps a sender from taking a begin back while Redis may still carry it
// out.
var errMayBegin = errors.New("a request may still begin")

// takeBack makes contacts pending again that a begin without an answer may have
// marked, so that they do not end up unconfirmed. A refusal, too, can be the answer to
// a begin that was carried out and then repeated after a pause. A begin that may
// still be on its way carries the fence: takeBack waits until that has passed.
func (p *pass) takeBack(ctx context.Context, piece []int, fence time.Time) error {
	err := store.RetryWrite(ctx, timings.CommitPatience, func(ctx context.Context) error {
		if !fence.IsZero() {
			if now, err := p.Store.Clock(ctx, p.campaign.Name); err != nil {
				return err
			} else if now.Sub(fence) < time.Millisecond {
				return errMayBegin
			}
		}
		chunk, err := p.Store.ReadLedger(ctx, p.chunk.Ref)
		if err != nil || chunk.Claim != p.token {
			return err
		}
		_, err = p.Store.Apply(ctx, chunk, store.Change{
			Act: store.Commit, Token: p.token, ClaimTTL: p.claimTTL(), Due: timings.KeepDue, Terms: p.terms,
			Moves: Moves(piece, campaign.Unsent, campaign.NoReason),
			Log:   store.Decision{By: p.Worker.By, Action: store.ActionRequest, Text: campaign.Say(campaign.MsgTakenBack)},
		})
		return err
	})
	if err != nil && !errors.Is(err, store.ErrGone) {
		p.reserved.abandon(piece)
	}
	return err
}
