package jobs

import (
	"context"
	"fmt"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/timings"
)

// startDue starts a scheduled campaign whose time has come. One that is too late,
// because no worker was there to start it, waits for a person.
func (q *Queue) startDue(ctx context.Context, c campaign.Campaign, now time.Time) error {
	late := now.Sub(c.Settings.StartAt)
	if late < 0 {
		return nil
	}
	if late > c.Settings.MaxLateness {
		reason := fmt.Sprintf("it was to start at %s, and nothing was there to start it within %v", c.Settings.StartAt.Format(time.RFC3339), c.Settings.MaxLateness)
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
	_, started, err := q.store.SetPhase(ctx, c.Name, campaign.Running, "", campaign.Scheduled)
	if err != nil || !started {
		return err
	}
	q.note(ctx, c.Name, store.ActionResume, "its time has come")
	q.log.InfoContext(ctx, "campaign started", "campaign", c.Name, "late", late)
	return q.releaseIfRunning(ctx, c.Name)
}
