package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"campaign-runner/campaign"
)

// The index finds a contact by number, because the platform's events name only that.
// It is a hash of buckets; each holds entries of a phone (8 bytes) and its ordinal
// (4), little-endian.
const (
	entryBytes     = 12
	bucketContacts = 64 // mean entries per bucket: a look-up reads under a kilobyte
)

// bucketOf spreads phones over n buckets, both spellings of a number into the same
// one. Neighbouring numbers are common, so it mixes their bits first (the finaliser
// of splitmix64).
func bucketOf(p campaign.Phone, n int) int {
	x := uint64(p.Person())
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return int((x ^ x>>31) % uint64(n))
}

func putEntry(b []byte, phone campaign.Phone, ordinal int) {
	binary.LittleEndian.PutUint64(b, uint64(phone))
	binary.LittleEndian.PutUint32(b[8:], uint32(ordinal))
}

func entryAt(b []byte) (phone campaign.Phone, ordinal int) {
	return campaign.Phone(binary.LittleEndian.Uint64(b)), int(binary.LittleEndian.Uint32(b[8:]))
}

// Find is the place of a number in a campaign. ErrNotFound when it is not in the
// list or the campaign has no index.
func (s *Store) Find(ctx context.Context, c campaign.Campaign, phone campaign.Phone) (ref Ref, index int, err error) {
	places, err := s.FindAll(ctx, c, []campaign.Phone{phone})
	if err != nil {
		return Ref{}, 0, err
	}
	ordinal, ok := places[phone]
	if !ok {
		return Ref{}, 0, fmt.Errorf("find contact in %s: %w", c.Name, ErrNotFound)
	}
	return Ref{Campaign: c.Name, Chunk: ordinal / c.Settings.ChunkSize}, ordinal % c.Settings.ChunkSize, nil
}

// FindAll are the ordinals of those numbers that are in a campaign, in either
// spelling where their country has two; nil when the campaign has no index.
func (s *Store) FindAll(ctx context.Context, c campaign.Campaign, phones []campaign.Phone) (map[campaign.Phone]int, error) {
	if len(phones) == 0 {
		return nil, nil
	}
	buckets, err := s.rdb.HGet(ctx, keyCampaign(c.Name), "buckets").Int()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find contact in %s: %w", c.Name, err)
	}
	fields := make([]string, len(phones))
	for i, phone := range phones {
		fields[i] = strconv.Itoa(bucketOf(phone, max(buckets, 1)))
	}
	values, err := s.rdb.HMGet(ctx, keyIndex(c.Name), fields...).Result()
	if err != nil {
		return nil, fmt.Errorf("find contact in %s: %w", c.Name, err)
	}
	places := make(map[campaign.Phone]int, len(phones))
	for i, value := range values {
		text, _ := value.(string)
		for packed := []byte(text); len(packed) >= entryBytes; packed = packed[entryBytes:] {
			phone, ordinal := entryAt(packed)
			_, found := places[phones[i]]
			if phone == phones[i] || !found && phone.Person() == phones[i].Person() {
				places[phones[i]] = ordinal
			}
		}
	}
	return places, nil
}

// addIndexScript sets buckets. KEYS campaign, index; ARGV load id, number of
// buckets, then bucket and entries in turn.
var addIndexScript = redis.NewScript(`
if redis.call('HGET', KEYS[1], 'load') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'buckets', ARGV[2])
for i = 3, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
return 1`)

// indexCalls bounds the parts of the index that are written at once.
const indexCalls = 4

// AddIndex stores the index of all contacts of the load: numbers with their
// ordinals, chunk*ChunkSize + index. It reads contacts three times and takes
// entryBytes of memory for each.
func (l *Load) AddIndex(ctx context.Context, contacts iter.Seq2[campaign.Phone, int]) error {
	total := 0
	for range contacts {
		total++
	}
	buckets := total/bucketContacts + 1
	begin := make([]int, buckets+1) // of each bucket's entries; the last is their end
	for phone := range contacts {
		begin[bucketOf(phone, buckets)+1]++
	}
	for n := range buckets {
		begin[n+1] += begin[n]
	}
	packed, next := make([]byte, total*entryBytes), slices.Clone(begin)
	for phone, ordinal := range contacts {
		n := bucketOf(phone, buckets)
		putEntry(packed[next[n]*entryBytes:], phone, ordinal)
		next[n]++
	}
	keys := []string{keyCampaign(l.campaign.Name), keyIndex(l.campaign.Name)}
	const page = 200 // buckets
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(indexCalls)
	for from := 0; from < buckets && ctx.Err() == nil; from += page {
		group.Go(func() error {
			args := []any{l.id, buckets}
			for n := from; n < min(from+page, buckets); n++ {
				if begin[n] < begin[n+1] {
					args = append(args, n, packed[begin[n]*entryBytes:begin[n+1]*entryBytes])
				}
			}
			kept, err := addIndexScript.Run(ctx, l.store.rdb, keys, args...).Bool()
			return wrote(kept, err, "store index")
		})
	}
	return group.Wait()
}

// AddIndex adds the append's contacts to the index, if the campaign has one: numbers
// with their ordinals in the append, from 0.
func (a *Append) AddIndex(ctx context.Context, contacts iter.Seq2[campaign.Phone, int]) error {
	name := a.campaign.Name
	buckets, err := a.store.rdb.HGet(ctx, keyCampaign(name), "buckets").Int()
	if errors.Is(err, redis.Nil) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("add to index of %s: %w", name, err)
	}
	byBucket := make(map[int][]byte)
	for phone, ordinal := range contacts {
		n := bucketOf(phone, max(buckets, 1))
		var entry [entryBytes]byte
		putEntry(entry[:], phone, a.firstOrdinal()+ordinal)
		byBucket[n] = append(byBucket[n], entry[:]...)
	}
	for n, packed := range byBucket {
		have, err := a.store.rdb.HGet(ctx, keyIndex(name), strconv.Itoa(n)).Bytes()
		if err != nil && !errors.Is(err, redis.Nil) {
			return fmt.Errorf("add to index of %s: %w", name, err)
		}
		if err := a.setBucket(ctx, strconv.Itoa(n), append(a.before(have), packed...)); err != nil {
			return err
		}
	}
	return nil
}

// firstOrdinal is the ordinal of the first appended contact.
func (a *Append) firstOrdinal() int { return a.campaign.Chunks * a.campaign.Settings.ChunkSize }

// before are a bucket's entries that are older than the append.
func (a *Append) before(packed []byte) (kept []byte) {
	for ; len(packed) >= entryBytes; packed = packed[entryBytes:] {
		if _, ordinal := entryAt(packed); ordinal < a.firstOrdinal() {
			kept = append(kept, packed[:entryBytes]...)
		}
	}
	return kept
}

// setBucketScript replaces a bucket of the index. KEYS campaign, index; ARGV id,
// bucket, entries. Without entries it deletes the bucket.
var setBucketScript = redis.NewScript(`
if redis.call('HGET', KEYS[1], 'append') ~= ARGV[1] then return 0 end
if ARGV[3] == '' then redis.call('HDEL', KEYS[2], ARGV[2]) else redis.call('HSET', KEYS[2], ARGV[2], ARGV[3]) end
return 1`)

func (a *Append) setBucket(ctx context.Context, field string, packed []byte) error {
	keys := []string{keyCampaign(a.campaign.Name), keyIndex(a.campaign.Name)}
	kept, err := setBucketScript.Run(ctx, a.store.rdb, keys, a.id, field, packed).Bool()
	return wrote(kept, err, "store index")
}

// dropIndex takes an unfinished append out of the index.
func (a *Append) dropIndex(ctx context.Context) error {
	scan := a.store.rdb.HScan(ctx, keyIndex(a.campaign.Name), 0, "", 500).Iterator()
	for scan.Next(ctx) {
		field := scan.Val()
		if !scan.Next(ctx) {
			break
		}
		packed := []byte(scan.Val())
		if kept := a.before(packed); len(kept) < len(packed) {
			if err := a.setBucket(ctx, field, kept); err != nil {
				return err
			}
		}
	}
	if err := scan.Err(); err != nil {
		return fmt.Errorf("clear what an append left: %w", err)
	}
	return nil
}
