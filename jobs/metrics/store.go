package metrics

import (
	"context"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// reader is what the metrics read of the store; *store.Store is the real one.
type reader interface {
	campaigns
	backlog
	fleet
}

type campaigns interface {
	Names(ctx context.Context) ([]string, error)
	Campaign(ctx context.Context, name string) (campaign.Campaign, error)
	Tally(ctx context.Context, name string) (campaign.Tally, error)
	Overdue(ctx context.Context, name string, before time.Time) (int, error)
}

type backlog interface {
	WaitingEvents(ctx context.Context) (int, error)
	CountWishes(ctx context.Context) (int, error)
}

type fleet interface {
	Now(ctx context.Context) (time.Time, error)
	Workers(ctx context.Context) ([]store.Worker, error)
	Fullest(ctx context.Context) (store.Memory, error)
}
