package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

// The contact record says on which days a person was contacted, and not by whom. Campaigns
// know whom they contacted: their ledgers are asked where that matters.

// recentFor is how long a list of the campaigns that contacted somebody lately is good
// enough. Those that may contact somebody now are live, and are asked for each time.
const recentFor = time.Minute

// recent are the campaigns that may have contacted somebody since a time.
type recent struct {
	turn  chan struct{} // holds one: who asks; others wait as long as their context
	since time.Time
	asked time.Time
	names []string
}

// contactedSince reports whether a campaign may have contacted somebody since a time in a
// way that others are to see.
func contactedSince(r Reading, since time.Time) bool {
	over := !r.EndedAt.IsZero() && r.EndedAt.Before(since) && r.Tally.Over()
	return r.Phase != campaign.Loading && !r.Settings.Unrecorded && !over
}

// recentNames lists the campaigns that may have contacted somebody since a time, anew
// every recentFor.
func (s *Store) recentNames(ctx context.Context, since time.Time) ([]string, error) {
	select {
	case s.recent.turn <- struct{}{}:
		defer func() { <-s.recent.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if time.Since(s.recent.asked) > recentFor || !s.recent.since.Equal(since) {
		asked := time.Now()
		names, err := s.Names(ctx)
		if err != nil {
			return nil, err
		}
		readings, err := s.ReadAll(ctx, names)
		if err != nil {
			return nil, err
		}
		s.recent.names = nil
		for _, r := range readings {
			if r.Err != nil || contactedSince(r, since) {
				s.recent.names = append(s.recent.names, r.Name)
			}
		}
		s.recent.since, s.recent.asked = since, asked
	}
	return slices.Clone(s.recent.names), nil
}

// A Spared is a campaign whose contacts do not count.
type Spared struct {
	Campaign string
	Until    time.Time // those that it contacted since count; zero: none of them
}

// sparing is since when contacts of a campaign count, and whether that is later than since
// because some of them are spared. any is false when none of them counts.
func sparing(name string, since time.Time, spared []Spared) (from time.Time, later, any bool) {
	from, any = since, true
	for _, one := range spared {
		switch until := one.Until.Truncate(time.Second); { // as records count
		case one.Campaign != name:
		case one.Until.IsZero():
			any = false
		case until.After(from):
			from, later = until, true
		}
	}
	return from, later, any
}

// recentCampaigns reads the campaigns that may have contacted somebody since a time.
func (s *Store) recentCampaigns(ctx context.Context, since time.Time, spared []Spared) (all []Reading, err error) {
	live, err := s.EverLive(ctx)
	if err != nil {
		return nil, err
	}
	names, err := s.recentNames(ctx, since)
	if err != nil {
		return nil, err
	}
	for _, l := range live {
		names = append(names, l.Campaign)
	}
	slices.Sort(names)
	names = slices.DeleteFunc(slices.Compact(names), func(name string) bool { _, _, any := sparing(name, since, spared); return !any })
	readings, err := s.ReadAll(ctx, names)
	for _, r := range readings {
		from, _, _ := sparing(r.Name, since, spared)
		switch {
		case errors.Is(r.Err, ErrNotFound):
		case r.Err != nil:
			err = cmp.Or(err, r.Err)
		case contactedSince(r, from):
			all = append(all, r)
		}
	}
	return all, err
}

// ContactedElsewhere reports for each number whether its owner may have been contacted
// since a time by any campaign that is recorded, except those that are spared. purged names one
// that may have contacted any of them, which nobody can tell any more; then others are asked
// only about the numbers, by their place, that even chooses; nil: about none. Ask it of people
// who are in the contact record. A campaign without an index is read as a whole.
func (s *Store) ContactedElsewhere(ctx context.Context, since time.Time, phones []campaign.Phone, even func(int) bool, spared ...Spared) (by []bool, purged string, err error) {
	by = make([]bool, len(phones))
	if len(phones) == 0 {
		return by, "", nil
	}
	campaigns, err := s.recentCampaigns(ctx, since, spared)
	if err != nil {
		return nil, "", wrap(err, "look up who was contacted by other campaigns")
	}
	campaigns = slices.DeleteFunc(campaigns, func(c Reading) bool {
		if c.Kept() == nil {
			return false
		}
		purged = c.Name
		return true
	})
	for _, c := range campaigns {
		asked := func(i int) bool { return !by[i] && (purged == "" || even != nil && even(i)) }
		for part := range slices.Chunk(placesOf(len(phones), asked), phonesPage) {
			from, later, _ := sparing(c.Name, since, spared)
			whole, err := s.contactedIn(ctx, c.Campaign, from, later, phones, part, by)
			if err != nil {
				return nil, "", wrap(err, "look up who was contacted by %s", c.Name)
			}
			if !whole {
				purged = c.Name
			}
		}
	}
	return by, purged, nil
}

// placesOf are those of n places that are chosen.
func placesOf(n int, chosen func(int) bool) (places []int) {
	for i := range n {
		if chosen(i) {
			places = append(places, i)
		}
	}
	return places
}

// contactedIn marks those of some numbers that a campaign has contacted since a time. told
// says that conversations may have begun before of which events have told since. It is not
// whole when a part of the campaign is just being purged.
func (s *Store) contactedIn(ctx context.Context, c campaign.Campaign, since time.Time, told bool, phones []campaign.Phone, some []int, by []bool) (whole bool, err error) {
	contacts, err := s.placesIn(ctx, c, phones, some)
	if err != nil || len(contacts) == 0 {
		return true, err
	}
	records, outcomes := make([]*redis.StringCmd, len(contacts)), make([]*redis.SliceCmd, len(contacts))
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, at := range contacts {
			from := int64(at.Index * campaign.RecordSize)
			records[i] = p.GetRange(ctx, keyLedger(at.Ref), from, from+campaign.RecordSize-1)
			if told {
				outcomes[i] = p.HMGet(ctx, keyOutcomes(at.Ref), strconv.Itoa(at.Index))
			}
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	whole = true
	for i, at := range contacts {
		ledger := campaign.Ledger(records[i].Val())
		if ledger.Check(1) != nil {
			whole = false
			continue
		}
		r := ledger.At(0)
		if !r.Recorded || r.ChangedAt().Before(since) {
			continue
		}
		if told {
			var outcome campaign.Outcome
			err := json.Unmarshal([]byte(textsOf(outcomes[i].Val())[0]), &outcome)
			if err == nil && outcome.BeganBefore(since, r) {
				continue
			}
		}
		by[at.phone] = true
	}
	return whole, nil
}

// A phonePlace is where a campaign has a number, by the number's place in a list.
type phonePlace struct {
	Place
	phone int
}

// placesIn are the contacts of a campaign with some numbers, in either spelling.
func (s *Store) placesIn(ctx context.Context, c campaign.Campaign, phones []campaign.Phone, some []int) (places []phonePlace, err error) {
	buckets, err := s.rdb.HGet(ctx, keyCampaign(c.Name), "buckets").Int()
	if err := exceptNil(err); err != nil {
		return nil, err
	}
	if buckets == 0 {
		return s.searchPlaces(ctx, c, phones, some)
	}
	fields := make([]string, len(some))
	for i, n := range some {
		fields[i] = strconv.Itoa(bucketOf(phones[n], buckets))
	}
	values, err := s.rdb.HMGet(ctx, keyIndex(c.Name), fields...).Result()
	if err != nil {
		return nil, err
	}
	for i, text := range textsOf(values) {
		for _, at := range personIn([]byte(text), c, phones[some[i]]) {
			places = append(places, phonePlace{at, some[i]})
		}
	}
	return places, nil
}

// searchPlaces reads every chunk.
func (s *Store) searchPlaces(ctx context.Context, c campaign.Campaign, phones []campaign.Phone, some []int) (places []phonePlace, err error) {
	wanted := make(map[campaign.Phone][]int, len(some))
	for _, n := range some {
		wanted[phones[n].Person()] = append(wanted[phones[n].Person()], n)
	}
	for n := range c.Chunks {
		chunk, err := s.ReadChunk(ctx, Ref{Campaign: c.Name, Chunk: n})
		if err != nil {
			return nil, err
		}
		for i, contact := range chunk.Contacts {
			for _, n := range wanted[contact.Phone.Person()] {
				places = append(places, phonePlace{Place{chunk.Ref, i}, n})
			}
		}
	}
	return places, nil
}
