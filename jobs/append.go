package jobs

import (
	"context"

	"campaign-runner/campaign"
)

// Settle cancels what a cut-off cancel has left pending, so that it is not sent
// when more contacts set the campaign running again.
func (q *Queue) Settle(ctx context.Context, c campaign.Campaign) error {
	if c.Phase != campaign.CanceledPhase {
		return nil
	}
	_, err := q.cancelOpen(ctx, c.Name)
	return err
}
