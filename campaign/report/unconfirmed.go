package report

import (
	"context"
	"fmt"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// Unconfirmed is a chunk with contacts that the platform may or may not have.
type Unconfirmed struct {
	Chunk    int       `json:"chunk"`
	Contacts int       `json:"contacts"`
	First    time.Time `json:"first_at"` // when the first of them became unconfirmed
	Last     time.Time `json:"last_at"`
	Batches  string    `json:"batches"` // how its batches' names begin on the platform; empty in dispatch mode
}

// ListUnconfirmed lists the chunks of a campaign that have unconfirmed contacts.
func ListUnconfirmed(ctx context.Context, s Store, name string) ([]Unconfirmed, error) {
	c, err := loaded(ctx, s, name)
	if err != nil {
		return nil, err
	}
	list := []Unconfirmed{}
	err = eachChunk(ctx, c, s.ReadLedger, func(chunk *store.Chunk) error {
		lost := chunk.In(campaign.Unconfirmed)
		if len(lost) == 0 {
			return nil
		}
		u := Unconfirmed{Chunk: chunk.Ref.Chunk, Contacts: len(lost)}
		if c.Settings.Mode == campaign.Batch {
			u.Batches = fmt.Sprintf("%s/", chunk.Ref)
		}
		for _, i := range lost {
			at := chunk.Record(i).ChangedAt()
			if u.First.IsZero() || at.Before(u.First) {
				u.First = at
			}
			if at.After(u.Last) {
				u.Last = at
			}
		}
		list = append(list, u)
		return nil
	})
	return list, err
}
