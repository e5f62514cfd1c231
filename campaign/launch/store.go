package launch

import (
	"context"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// Store is all that a launch reads and writes; *store.Store is the real one.
type Store interface {
	BeginLoad(ctx context.Context, c campaign.Campaign) (*store.Load, error)
	BeginAppend(ctx context.Context, name, fingerprint string) (*store.Append, error)
	Appended(ctx context.Context, name, fingerprint string) (done store.Appended, ok bool, err error)
	Log(ctx context.Context, name string, d store.Decision) error
	AddSeen(ctx context.Context, agent string, seen campaign.Seen) error

	Campaign(ctx context.Context, name string) (campaign.Campaign, error)
	Tally(ctx context.Context, name string) (campaign.Tally, error)
	Reasons(ctx context.Context, name string) (map[campaign.Reason]campaign.Message, error)
	Rejects(ctx context.Context, name string, yield func(part []byte) error) error
	ReadChunk(ctx context.Context, ref store.Ref) (*store.Chunk, error)
	Outcomes(ctx context.Context, ref store.Ref) (map[int]campaign.Outcome, error)
	ReadPhones(ctx context.Context, c campaign.Campaign) (*store.Phones, error)
	ReadSuppressed(ctx context.Context) (*store.Phones, error)
	ReadContacted(ctx context.Context, now time.Time, days int) (*store.Phones, error)

	Now(ctx context.Context) (time.Time, error)
	Memory(ctx context.Context, name string) (store.Memory, error)
	Workers(ctx context.Context) ([]store.Worker, error)
}
