// Package report is what people see of campaigns: where they stand, what they wait
// for, the state of each contact, and the lines that were refused.
//
// It reads and never changes anything. A campaign may run meanwhile, so each contact
// is shown as it was at one moment, but not all of them at the same moment.
package report

import (
	"cmp"
	"context"
	"errors"
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
	WaitingFor  campaign.Message `json:"waiting_for"` // empty when it moves
	Paced       bool             `json:"-"`           // it waits only for the quota
	Agent       string           `json:"agent"`
	Mode        campaign.Mode    `json:"mode"`
	Channel     int              `json:"channel"`
	Workers     int              `json:"workers"` // alive and serving the agent
	CreatedAt   time.Time        `json:"created_at"`
	EndedAt     time.Time        `json:"ended_at,omitzero"`  // when its last contact was sent
	PurgedAt    time.Time        `json:"purged_at,omitzero"` // since when it has no personal data
}

// Over reports whether nothing more happens without an operator.
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

// Rejects writes the refused lines of a campaign's file as they were stored, and
// returns how many there are.
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

// read reads a campaign and then its tally. In this order a campaign seen as loaded
// has its tally; the other way round, one that is just being loaded would look
// finished.
func read(ctx context.Context, s catalog, name string) (campaign.Campaign, campaign.Tally, error) {
	c, err := s.Campaign(ctx, name)
	if err != nil || c.Phase == campaign.Loading {
		return c, campaign.Tally{}, err
	}
	tally, err := s.Tally(ctx, name)
	return c, tally, err
}

// loaded reads a campaign whose whole file has been stored.
func loaded(ctx context.Context, s catalog, name string) (campaign.Campaign, error) {
	c, err := s.Campaign(ctx, name)
	return c, cmp.Or(err, c.Loaded())
}
