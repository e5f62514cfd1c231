package store

import (
	"context"
	"iter"
	"slices"
	"strconv"
	"sync"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"campaign-runner/campaign"
)

// A phoneSet is an exact set of numbers in Redis. A number's bucket is its remainder
// by a prime; the bucket is a Redis set of the quotients. These fit in 32 bits, and
// Redis keeps a set of up to 512 integers as a sorted array: ten million numbers
// take about five bytes each. A set of more than 16 million is exact too, and takes
// more.
//
// A bitmap marks the buckets that were ever used, so that a small set is read, and a
// missing number noticed, in one step.
type phoneSet struct {
	rdb  redis.UniversalClient
	name string
}

const (
	phoneBuckets = 32749
	phonesPage   = 2000 // numbers in one pipeline
	bucketsPage  = 512  // buckets read in one pipeline
)

func (s phoneSet) bucket(n uint64) string { return s.name + ":" + strconv.FormatUint(n, 10) }

func (s phoneSet) bitmap() string { return s.name + ":used" }

// used reads the bitmap.
func (s phoneSet) used(ctx context.Context) (bitmap, error) {
	bits, err := s.rdb.Get(ctx, s.bitmap()).Bytes()
	return bits, exceptNil(err)
}

type bitmap []byte

func (b bitmap) has(n uint64) bool { return n/8 < uint64(len(b)) && b[n/8]&(0x80>>(n%8)) != 0 }

func (b bitmap) add(n uint64) { b[n/8] |= 0x80 >> (n % 8) }

// add adds numbers and returns how many were new.
func (s phoneSet) add(ctx context.Context, phones []campaign.Phone) (added int, err error) {
	used, err := s.used(ctx)
	if err != nil {
		return 0, err
	}
	for part := range slices.Chunk(phones, phonesPage) {
		// A bucket is marked before it is filled, so that every number can be found.
		_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, phone := range part {
				if n := uint64(phone) % phoneBuckets; !used.has(n) {
					p.SetBit(ctx, s.bitmap(), int64(n), 1)
				}
			}
			return nil
		})
		if err != nil {
			return added, err
		}
		n, err := s.change(ctx, part, redis.Pipeliner.SAdd)
		if added += n; err != nil {
			return added, err
		}
	}
	return added, nil
}

// firstErr is the first error among the commands of a pipeline.
func firstErr(cmds []redis.Cmder) error {
	for _, cmd := range cmds {
		if err := cmd.Err(); err != nil {
			return err
		}
	}
	return nil
}

// remove removes numbers and returns how many were there.
func (s phoneSet) remove(ctx context.Context, phones []campaign.Phone) (removed int, err error) {
	for part := range slices.Chunk(phones, phonesPage) {
		n, err := s.change(ctx, part, redis.Pipeliner.SRem)
		if removed += n; err != nil {
			return removed, err
		}
	}
	return removed, nil
}

func (s phoneSet) change(ctx context.Context, phones []campaign.Phone, do func(redis.Pipeliner, context.Context, string, ...any) *redis.IntCmd) (changed int, err error) {
	cmds := make([]*redis.IntCmd, len(phones))
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, phone := range phones {
			cmds[i] = do(p, ctx, s.bucket(uint64(phone)%phoneBuckets), uint64(phone)/phoneBuckets)
		}
		return nil
	})
	for _, cmd := range cmds {
		changed += int(cmd.Val())
	}
	return changed, err
}

// find reports for each number whether it is in the set.
func (s phoneSet) find(ctx context.Context, phones []campaign.Phone) ([]bool, error) {
	found := make([]bool, len(phones))
	used, err := s.used(ctx)
	if err != nil || len(used) == 0 {
		return found, err
	}
	cmds := make([]*redis.BoolCmd, len(phones))
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, phone := range phones {
			if n := uint64(phone) % phoneBuckets; used.has(n) {
				cmds[i] = p.SIsMember(ctx, s.bucket(n), uint64(phone)/phoneBuckets)
			}
		}
		return nil
	})
	for i, cmd := range cmds {
		found[i] = cmd != nil && cmd.Val()
	}
	return found, err
}

// buckets yields the quotients of each bucket that has any, sorted.
func (s phoneSet) buckets(ctx context.Context) iter.Seq2[bucket, error] {
	return func(yield func(bucket, error) bool) {
		used, err := s.used(ctx)
		if err != nil {
			yield(bucket{}, err)
			return
		}
		var in []uint64
		for n := range uint64(phoneBuckets) {
			if used.has(n) {
				in = append(in, n)
			}
		}
		for part := range slices.Chunk(in, bucketsPage) {
			cmds := make([]*redis.StringSliceCmd, len(part))
			_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
				for i, n := range part {
					cmds[i] = p.SMembers(ctx, s.bucket(n))
				}
				return nil
			})
			if err != nil {
				yield(bucket{}, err)
				return
			}
			for i, n := range part {
				b := bucket{n: n, quotients: make([]uint64, 0, len(cmds[i].Val()))}
				for _, text := range cmds[i].Val() {
					q, err := strconv.ParseUint(text, 10, 64)
					if err != nil {
						yield(bucket{}, wrap(err, "bucket %d", n))
						return
					}
					b.quotients = append(b.quotients, q)
				}
				slices.Sort(b.quotients)
				if !yield(b, nil) {
					return
				}
			}
		}
	}
}

type bucket struct {
	n         uint64
	quotients []uint64
}

// clear empties the set.
func (s phoneSet) clear(ctx context.Context) error {
	used, err := s.used(ctx)
	if err != nil {
		return err
	}
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for n := range uint64(phoneBuckets) {
			if used.has(n) {
				p.Unlink(ctx, s.bucket(n))
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.rdb.Unlink(ctx, s.bitmap()).Err() // last: a clear that is cut off must still find its buckets
}

// Phones is a set of numbers in memory, eight bytes each.
type Phones struct {
	buckets map[uint64][]uint64
	len     int
}

// Has reports whether the number is in the set, in either spelling.
func (p *Phones) Has(phone campaign.Phone) bool {
	if p.len == 0 { // the do-not-contact list, often
		return false
	}
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

// ReadPhones reads the numbers of all contacts of a campaign.
func (s *Store) ReadPhones(ctx context.Context, c campaign.Campaign) (*Phones, error) {
	var mu sync.Mutex
	phones := &Phones{buckets: make(map[uint64][]uint64)}
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
				if contact.Phone == 0 {
					continue // erased
				}
				n := uint64(contact.Phone) % phoneBuckets
				phones.buckets[n] = append(phones.buckets[n], uint64(contact.Phone)/phoneBuckets)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for n, quotients := range phones.buckets {
		slices.Sort(quotients)
		phones.buckets[n] = slices.Compact(quotients)
		phones.len += len(phones.buckets[n])
	}
	return phones, nil
}
