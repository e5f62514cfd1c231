package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

// The index finds a contact by number: a hash of buckets, each a run of packed
// entries of a phone (8 bytes) and its ordinal (4), little-endian. Events of the
// platform name people by number only.
const (
	entryBytes     = 12
	bucketContacts = 64 // mean entries per bucket: a look-up reads under a kilobyte
)

// An Entry is a contact's place in the list.
type Entry struct {
	Phone   campaign.Phone
	Ordinal uint32 // chunk * ChunkSize + index
}

// bucketOf spreads phones over n buckets. Neighbouring numbers are common, so
// their bits are mixed first (the finaliser of splitmix64).
func bucketOf(p campaign.Phone, n int) int {
	x := uint64(p)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return int((x ^ x>>31) % uint64(n))
}

// addIndexScript sets buckets. KEYS campaign, index; ARGV load id, number of
// buckets, then bucket and entries in turn.
var addIndexScript = redis.NewScript(`
if redis.call('HGET', KEYS[1], 'load') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'buckets', ARGV[2])
for i = 3, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
return 1`)

// AddIndex stores the index over all contacts of the load. It sorts entries.
func (l *Load) AddIndex(ctx context.Context, entries []Entry) error {
	buckets := len(entries)/bucketContacts + 1
	slices.SortFunc(entries, func(a, b Entry) int { return bucketOf(a.Phone, buckets) - bucketOf(b.Phone, buckets) })
	keys := []string{keyCampaign(l.campaign.Name), keyIndex(l.campaign.Name)}
	args := []any{l.id, buckets}
	const perCall = 200 // buckets
	for len(entries) > 0 {
		bucket, n := bucketOf(entries[0].Phone, buckets), 0
		var packed []byte
		for n < len(entries) && bucketOf(entries[n].Phone, buckets) == bucket {
			packed = binary.LittleEndian.AppendUint64(packed, uint64(entries[n].Phone))
			packed = binary.LittleEndian.AppendUint32(packed, entries[n].Ordinal)
			n++
		}
		entries = entries[n:]
		args = append(args, bucket, packed)
		if len(args) >= 2+2*perCall || len(entries) == 0 {
			kept, err := addIndexScript.Run(ctx, l.store.rdb, keys, args...).Bool()
			if err := l.wrote(kept, err, "store index"); err != nil {
				return err
			}
			args = args[:2]
		}
	}
	return nil
}

// Find is the place of a number in a campaign. ErrNotFound when it is not in the
// list, or the campaign keeps no index.
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

// FindAll are the ordinals of the numbers that are in a campaign; none when it
// keeps no index.
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
			if campaign.Phone(binary.LittleEndian.Uint64(packed)) == phones[i] {
				places[phones[i]] = int(binary.LittleEndian.Uint32(packed[8:]))
			}
		}
	}
	return places, nil
}
