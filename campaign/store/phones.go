package store

import (
	"context"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"campaign-runner/campaign"
)

// Phones is a set of numbers in memory, eight bytes each.
type Phones struct {
	buckets map[uint64][]uint64
	len     int
}

// Has reports whether the number is in the set, in either spelling.
func (p *Phones) Has(phone campaign.Phone) bool {
	if p.has(phone) {
		return true
	}
	other, ok := phone.OtherSpelling()
	return ok && p.has(other)
}

func (p *Phones) has(phone campaign.Phone) bool {
	_, found := slices.BinarySearch(p.buckets[uint64(phone)%phoneBuckets], uint64(phone)/phoneBuckets)
	return found
}

// read adds the numbers of a set in Redis.
func (p *Phones) read(ctx context.Context, s phoneSet) error {
	if p.buckets == nil {
		p.buckets = make(map[uint64][]uint64)
	}
	for b, err := range s.buckets(ctx) {
		if err != nil {
			return err
		}
		before := len(p.buckets[b.n])
		all := b.quotients
		if before > 0 {
			all = append(p.buckets[b.n], all...)
			slices.Sort(all)
			all = slices.Compact(all)
		}
		p.buckets[b.n] = all
		p.len += len(all) - before
	}
	return nil
}

// newPhones is the set of some numbers.
func newPhones(phones []campaign.Phone) *Phones {
	p := &Phones{buckets: make(map[uint64][]uint64)}
	for _, phone := range phones {
		n := uint64(phone) % phoneBuckets
		p.buckets[n] = append(p.buckets[n], uint64(phone)/phoneBuckets)
	}
	for n, quotients := range p.buckets {
		slices.Sort(quotients)
		p.buckets[n] = slices.Compact(quotients)
		p.len += len(p.buckets[n])
	}
	return p
}

// ReadPhones reads the numbers of all contacts of a campaign.
func (s *Store) ReadPhones(ctx context.Context, c campaign.Campaign) (*Phones, error) {
	var mu sync.Mutex
	var all []campaign.Phone
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4) // half of them wait for Redis
	for n := range c.Chunks {
		group.Go(func() error {
			chunk, err := s.ReadChunk(ctx, Ref{Campaign: c.Name, Chunk: n})
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			for _, contact := range chunk.Contacts {
				all = append(all, contact.Phone)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return newPhones(all), nil
}
