// Package report is what people are shown of campaigns: where they stand, what
// they wait for, what became of each contact, and which lines were refused.
//
// It reads and never changes anything. A campaign may go on meanwhile: what is
// told of one contact is always true of one moment, what is told of a million
// need not be of the same one.
package report

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// A Summary is a campaign in one row of a list.
type Summary struct {
	Campaign    string           `json:"campaign"`
	State       campaign.Phase   `json:"state"`
	StateReason campaign.Message `json:"state_reason"`
	Contacts    int              `json:"contacts"`
	States      States           `json:"states"`
	WaitingFor  campaign.Message `json:"waiting_for"` // empty when nothing holds it up
	Paced       bool             `json:"-"`           // it waits for nothing but the quota
	Agent       string           `json:"agent"`
	Mode        campaign.Mode    `json:"mode"`
	Channel     int              `json:"channel"`
	Workers     int              `json:"workers"` // alive and serving the agent
	CreatedAt   time.Time        `json:"created_at"`
	EndedAt     time.Time        `json:"ended_at,omitzero"`  // when nobody was left to be sent
	PurgedAt    time.Time        `json:"purged_at,omitzero"` // since when it tells of no contact any more
}

// Over reports whether nothing more will happen by itself.
func (s Summary) Over() bool {
	return s.State == campaign.Finished || s.State == campaign.CanceledPhase && s.States.Open() == 0
}

// List reads all campaigns, the newest first.
func List(ctx context.Context, s Store) ([]Summary, error) {
	present, err := look(ctx, s)
	if err != nil {
		return nil, err
	}
	names, err := s.Names(ctx)
	if err != nil {
		return nil, err
	}
	list := []Summary{}
	var unread []error
	for _, name := range names {
		c, tally, err := read(ctx, s, name)
		if errors.Is(err, store.ErrNotFound) {
			continue // purged meanwhile
		}
		if err != nil {
			if _, gone := s.Now(ctx); gone != nil {
				return nil, err
			}
			unread = append(unread, err)
			continue
		}
		list = append(list, present.summary(c, tally))
	}
	slices.SortStableFunc(list, func(a, b Summary) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return list, errors.Join(unread...)
}

// Rejects writes the refused lines of a campaign's file as they were stored,
// and returns how many there are.
func Rejects(ctx context.Context, s Store, name string, w io.Writer) (lines int, err error) {
	c, err := loaded(ctx, s, name)
	if err != nil {
		return 0, err
	}
	err = s.Rejects(ctx, name, func(part []byte) error {
		_, err := w.Write(part)
		return err
	})
	return c.Counts.Rows - c.Counts.Contacts, err
}

// read reads a campaign and then its tally: in this order, because a campaign
// that is seen loaded has its tally, while one seen before its tally was written
// would look finished.
func read(ctx context.Context, s catalog, name string) (campaign.Campaign, campaign.Tally, error) {
	c, err := s.Campaign(ctx, name)
	if err != nil || c.Phase == campaign.Loading {
		return c, campaign.Tally{}, err
	}
	tally, err := s.Tally(ctx, name)
	return c, tally, err
}

// loaded reads a campaign whose file has been stored as a whole.
func loaded(ctx context.Context, s catalog, name string) (campaign.Campaign, error) {
	c, err := s.Campaign(ctx, name)
	if err == nil && c.Phase == campaign.Loading {
		err = fmt.Errorf("campaign %s: its contact file is still being loaded", name)
	}
	if err == nil {
		err = c.Kept()
	}
	return c, err
}
