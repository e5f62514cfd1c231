package dashboard

import (
	"context"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
)

// reader is what the pages read of the store; only the queue gets all of it.
type reader interface {
	report.Store
	Series(ctx context.Context, name string) ([]store.Sample, error)
	Ticket(ctx context.Context, at store.Place) (*campaign.Ticket, error)
	Follow(ctx context.Context, at store.Place) (*campaign.Follow, error)
	History(ctx context.Context, ref store.Ref, index int) ([]campaign.Turn, error)
}
