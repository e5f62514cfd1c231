package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// Purge deletes the personal data of a campaign that is over, and keeps its totals;
// see Store.Purge. With force it cancels a campaign first that is not over. It deletes
// nothing while a request is on its way, because the answer could not be written down.
func (q *Queue) Purge(ctx context.Context, name string, force bool) error {
	c, err := q.store.Campaign(ctx, name)
	if err != nil {
		return err
	}
	if c.Kept() == nil {
		if err := q.endForPurge(ctx, c, force); err != nil {
			return err
		}
	}
	return q.purge(ctx, c, campaign.Message{})
}

// purge deletes what is left to delete, and logs that once.
func (q *Queue) purge(ctx context.Context, c campaign.Campaign, why campaign.Message) error {
	err := q.store.Purge(ctx, c.Name)
	if errors.Is(err, store.ErrNotOver) {
		return fmt.Errorf("purge %s: contacts of it are being sent, or wait to be; nothing was deleted, try again in a minute", c.Name)
	}
	if err == nil && c.PurgedAt.IsZero() {
		q.note(ctx, c.Name, store.ActionPurge, why)
	}
	return err
}

// CheckPurge is why Purge would refuse a campaign now; nil: it would not.
func (q *Queue) CheckPurge(ctx context.Context, c campaign.Campaign, force bool) error {
	if c.Kept() != nil {
		return nil
	}
	_, err := q.mayPurge(ctx, c, force)
	return err
}

// mayPurge refuses a campaign that is not over. It returns the phase of one that is, or that
// force may end.
func (q *Queue) mayPurge(ctx context.Context, c campaign.Campaign, force bool) (campaign.Phase, error) {
	tally, err := q.store.Tally(ctx, c.Name)
	if err != nil {
		return "", err
	}
	phase := tally.Phase(c.Phase)
	switch phase {
	case campaign.Finished, campaign.CanceledPhase:
		return phase, nil
	case campaign.Loading:
		return phase, fmt.Errorf("purge %s: it is still loading", c.Name)
	}
	if force {
		return phase, nil
	}
	what := fmt.Sprintf("with %d contacts to be sent", tally.Open())
	if tally.Open() == 0 {
		what = "and may contact people again"
	}
	return phase, fmt.Errorf("purge %s: it is %s, %s; cancel it first, or --force does", c.Name, phase, what)
}

// endForPurge ends a campaign, so that nothing more happens in it by itself.
func (q *Queue) endForPurge(ctx context.Context, c campaign.Campaign, force bool) error {
	phase, err := q.mayPurge(ctx, c, force)
	if err != nil || phase == campaign.Finished {
		return err
	}
	open, err := q.store.Open(ctx, c.Name, time.Time{}, 0)
	if err != nil {
		return err
	}
	if c.Phase != campaign.CanceledPhase {
		if _, err := q.Cancel(ctx, c.Name); err != nil {
			return err
		}
	}
	// There may be no worker to recover the claims of dead senders.
	return eachChunk(ctx, c.Name, chunksOf(open), func(ctx context.Context, n int) error {
		chunk, err := q.store.ReadLedger(ctx, store.Ref{Campaign: c.Name, Chunk: n})
		if errors.Is(err, store.ErrGone) {
			return nil
		}
		if err != nil {
			return err
		}
		if wait, err := q.recoverClaim(ctx, c, chunk, false); err != nil || wait > 0 {
			return err
		}
		_, err = q.cancelPending(ctx, chunk)
		return err
	})
}

// retain purges campaigns that have been kept for as long as their settings say, and
// ends purges that were interrupted. Several workers may do so at once.
func (q *Queue) retain(ctx context.Context) error {
	return eachLive(ctx, q.store, &q.retained, q.retainOne)
}

func (q *Queue) retainOne(ctx context.Context, name string, now time.Time) error {
	c, err := q.store.Campaign(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	due, why := c.Kept() != nil && c.PurgedAt.IsZero(), campaign.Message{}
	if days := c.Settings.KeepDays; days > 0 && c.Kept() == nil && !c.EndedAt.IsZero() && !now.Before(c.EndedAt.AddDate(0, 0, days)) {
		tally, err := q.store.Tally(ctx, c.Name)
		if err != nil {
			return err
		}
		// It may have been set going again since it was over.
		due, why = c.Phase != campaign.Loading && tally.Over(), campaign.Say(campaign.MsgKept, "days", days)
	}
	if !due {
		return nil
	}
	q.log.InfoContext(ctx, "campaign purged", "campaign", c.Name, "reason", why)
	return q.purge(ctx, c, why)
}
