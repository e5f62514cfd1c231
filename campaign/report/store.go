package report

import (
	"context"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// Store is all that reports read; *store.Store is the real one.
type Store interface {
	catalog
	chunks
	fleet
}

// catalog is about campaigns as a whole.
type catalog interface {
	Names(ctx context.Context) ([]string, error)
	Campaign(ctx context.Context, name string) (campaign.Campaign, error)
	Tally(ctx context.Context, name string) (campaign.Tally, error)
	Reasons(ctx context.Context, name string) (map[campaign.Reason]campaign.Message, error)
	ExtractionKeys(ctx context.Context, name string) ([]string, error)
	OpenChunks(ctx context.Context, name string) (int, error)
	Begun(ctx context.Context, name string, now time.Time) (int, error)
	Rejects(ctx context.Context, name string, yield func(part []byte) error) error
	ReadLog(name string) *store.LogReader
}

// chunks is about single contacts.
type chunks interface {
	ReadChunk(ctx context.Context, ref store.Ref) (*store.Chunk, error)
	ReadLedger(ctx context.Context, ref store.Ref) (*store.Chunk, error)
	Outcomes(ctx context.Context, ref store.Ref) (map[int]campaign.Outcome, error)
	Tickets(ctx context.Context, ref store.Ref) (map[int]campaign.Ticket, error)
	Find(ctx context.Context, c campaign.Campaign, phone campaign.Phone) (ref store.Ref, index int, err error)
}

// fleet is about Redis and the workers.
type fleet interface {
	Now(ctx context.Context) (time.Time, error)
	Workers(ctx context.Context) ([]store.Worker, error)
	CheckWrites(ctx context.Context) error
}
