package store

import (
	"context"
	"errors"
	"slices"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"campaign-runner/campaign"
)

// A Counted is a campaign with its tally; one that is loading has none.
type Counted struct {
	campaign.Campaign
	Tally campaign.Tally
}

// countedAtOnce is how many campaigns one round trip reads, and readsAtOnce how many
// round trips are under way.
const (
	countedAtOnce = 200
	readsAtOnce   = 4
)

// Tallied reads several campaigns, two commands each, in few round trips. Those that
// are gone are left out. unread says which others could not be read; err, that Redis did
// not answer.
func (s *Store) Tallied(ctx context.Context, names []string) (list []Counted, unread, err error) {
	pages := slices.Collect(slices.Chunk(names, countedAtOnce))
	found, errs := make([][]Counted, len(pages)), make([]error, len(pages))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readsAtOnce)
	for i, page := range pages {
		g.Go(func() (err error) {
			found[i], errs[i], err = s.tallied(ctx, page)
			return err
		})
	}
	err = g.Wait()
	return slices.Concat(found...), errors.Join(errs...), wrap(err, "read campaigns")
}

func (s *Store) tallied(ctx context.Context, names []string) (list []Counted, unread, err error) {
	campaigns, tallies := make([]*redis.MapStringStringCmd, len(names)), make([]*redis.MapStringStringCmd, len(names))
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, name := range names {
			// In this order one that is just being loaded does not look finished.
			campaigns[i], tallies[i] = p.HGetAll(ctx, keyCampaign(name)), p.HGetAll(ctx, keyTally(name))
		}
		return nil
	})
	var refused redis.Error // of a single key
	if err != nil && !errors.As(err, &refused) {
		return nil, nil, err
	}
	var errs []error
	for i, name := range names {
		st := Counted{}
		err := errors.Join(campaigns[i].Err(), tallies[i].Err())
		if err == nil {
			st.Campaign, err = decodeCampaign(name, campaigns[i].Val())
		}
		if err == nil && st.Phase != campaign.Loading {
			st.Tally, err = decodeTally(tallies[i].Val())
		}
		switch {
		case errors.Is(err, ErrNotFound):
		case err != nil:
			errs = append(errs, wrap(err, "read campaign %s", name))
		default:
			list = append(list, st)
		}
	}
	return list, errors.Join(errs...), nil
}

// Recent are the latest samples of several campaigns, at most that many of each, the
// oldest first.
func (s *Store) Recent(ctx context.Context, names []string, most int) (map[string][]Sample, error) {
	if len(names) == 0 {
		return nil, nil
	}
	lists := make([]*redis.StringSliceCmd, len(names))
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, name := range names {
			lists[i] = p.LRange(ctx, keySeries(name), int64(-most), -1)
		}
		return nil
	})
	if err != nil {
		return nil, wrap(err, "read series")
	}
	recent := make(map[string][]Sample, len(names))
	for i, name := range names {
		if recent[name], err = decodeSeries(lists[i].Val()); err != nil {
			return nil, wrap(err, "read series of %s", name)
		}
	}
	return recent, nil
}
