package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"iter"
	"maps"
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
	ordinal, ok := places[phone]
	if err == nil && !ok {
		err = wrap(ErrNotFound, "find contact in %s", c.Name)
	}
	if err != nil {
		return Ref{}, 0, err
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
	if buckets == 0 {
		return nil, wrap(exceptNil(err), "find contact in %s", c.Name)
	}
	fields := make([]string, len(phones))
	for i, phone := range phones {
		fields[i] = strconv.Itoa(bucketOf(phone, buckets))
	}
	values, err := s.rdb.HMGet(ctx, keyIndex(c.Name), fields...).Result()
	if err != nil {
		return nil, wrap(err, "find contact in %s", c.Name)
	}
	places := make(map[campaign.Phone]int, len(phones))
	for i, text := range textsOf(values) {
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
			return l.run(ctx, "store index", addIndexScript, keys, args...)
		})
	}
	return group.Wait()
}

// AddIndex adds the append's contacts to the index, if the campaign has one: numbers
// with their ordinals in the append, from 0.
func (a *Append) AddIndex(ctx context.Context, contacts iter.Seq2[campaign.Phone, int]) error {
	name := a.campaign.Name
	buckets, err := a.store.rdb.HGet(ctx, keyCampaign(name), "buckets").Int()
	if buckets == 0 {
		return wrap(exceptNil(err), "add to index of %s", name)
	}
	byBucket := make(map[int][]byte)
	for phone, ordinal := range contacts {
		n := bucketOf(phone, buckets)
		var entry [entryBytes]byte
		putEntry(entry[:], phone, a.firstOrdinal()+ordinal)
		byBucket[n] = append(byBucket[n], entry[:]...)
	}
	for n, packed := range byBucket {
		if err := a.setBucket(ctx, strconv.Itoa(n), packed); err != nil {
			return err
		}
	}
	return nil
}

// firstOrdinal is the ordinal of the first appended contact.
func (a *Append) firstOrdinal() int { return a.campaign.Chunks * a.campaign.Settings.ChunkSize }

// setBucketScript replaces what an append has in a bucket of the index. What is older
// stays as it stands now: somebody may be erased from it at any time. KEYS campaign,
// index; ARGV id, bucket, first ordinal of the append, its entries.
var setBucketScript = redis.NewScript(`
if redis.call('HGET', KEYS[1], 'append') ~= ARGV[1] then return 0 end
local packed, kept = redis.call('HGET', KEYS[2], ARGV[2]) or '', {}
for k = 1, #packed - 11, 12 do
  local a, b, c, d = string.byte(packed, k + 8, k + 11)
  if a + 256 * (b + 256 * (c + 256 * d)) < tonumber(ARGV[3]) then kept[#kept + 1] = string.sub(packed, k, k + 11) end
end
packed = table.concat(kept) .. ARGV[4]
if packed == '' then redis.call('HDEL', KEYS[2], ARGV[2]) else redis.call('HSET', KEYS[2], ARGV[2], packed) end
return 1`)

func (a *Append) setBucket(ctx context.Context, field string, packed []byte) error {
	keys := []string{keyCampaign(a.campaign.Name), keyIndex(a.campaign.Name)}
	return a.run(ctx, "store index", setBucketScript, keys, a.id, field, a.firstOrdinal(), packed)
}

// newer reports whether a bucket has entries of the append.
func (a *Append) newer(packed []byte) bool {
	for ; len(packed) >= entryBytes; packed = packed[entryBytes:] {
		if _, ordinal := entryAt(packed); ordinal >= a.firstOrdinal() {
			return true
		}
	}
	return false
}

// dropIndex takes an unfinished append out of the index.
func (a *Append) dropIndex(ctx context.Context) error {
	scan := a.store.rdb.HScan(ctx, keyIndex(a.campaign.Name), 0, "", 500).Iterator()
	for scan.Next(ctx) {
		field := scan.Val()
		if !scan.Next(ctx) {
			break
		}
		if a.newer([]byte(scan.Val())) {
			if err := a.setBucket(ctx, field, nil); err != nil {
				return err
			}
		}
	}
	return wrap(scan.Err(), "clear what an append left")
}

// dropEntryScript takes a contact out of the index. KEYS index; ARGV bucket, the packed
// ordinal.
var dropEntryScript = redis.NewScript(`
local packed, kept = redis.call('HGET', KEYS[1], ARGV[1]), {}
if not packed then return 1 end
for k = 1, #packed, 12 do
  local entry = string.sub(packed, k, k + 11)
  if string.sub(entry, 9) ~= ARGV[2] then kept[#kept + 1] = entry end
end
redis.call('HSET', KEYS[1], ARGV[1], table.concat(kept))
return 1`)

// dropEntry takes an erased contact out of the index: one that is there again would lead
// events to it.
func (s *Store) dropEntry(ctx context.Context, c campaign.Campaign, at Place, phone campaign.Phone) error {
	buckets, err := s.rdb.HGet(ctx, keyCampaign(c.Name), "buckets").Int()
	if buckets == 0 {
		return exceptNil(err)
	}
	return dropEntryScript.Run(ctx, s.rdb, []string{keyIndex(c.Name)}, bucketOf(phone, buckets), at.packed(c)).Err()
}

// nobodysConversation marks one that two contacts have: it identifies neither.
const nobodysConversation = 1<<32 - 1

// Conversations have an index of their own, because an event may have no number. It is a
// hash of buckets; each holds entries of 8 bytes of the conversation's hash and 4 of the
// contact's ordinal, about 13 bytes of Redis for a contact with an event. conversationHash
// is those eight bytes, and the bucket from four others.
func conversationHash(conversation string) (hash string, bucket uint32) {
	sum := sha256.Sum256([]byte(conversation))
	return string(sum[:8]), binary.LittleEndian.Uint32(sum[8:])
}

// addConversationsScript adds entries. KEYS campaign, conversations; ARGV buckets if
// there are none yet, then hash, bucket number before it is reduced, and packed
// ordinal of each. An entry with another contact is marked as nobody's.
var addConversationsScript = redis.NewScript(`
if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HEXISTS', KEYS[1], 'purge_began') == 1 then return 0 end
redis.call('HSETNX', KEYS[2], 'buckets', ARGV[1])
local buckets = tonumber(redis.call('HGET', KEYS[2], 'buckets'))
local fields = {}
for i = 2, #ARGV, 3 do fields[#fields + 1] = string.format('%.0f', tonumber(ARGV[i + 1]) % buckets) end
local read, now, changes = redis.call('HMGET', KEYS[2], unpack(fields)), {}, {}
for n, field in ipairs(fields) do now[field] = read[n] or '' end
for n, field in ipairs(fields) do
  local bucket, hash, ordinal, at = now[field], ARGV[3 * n - 1], ARGV[3 * n + 1], 0
  repeat at = string.find(bucket, hash, at + 1, true) until not at or at % 12 == 1
  if not at then
    now[field] = bucket .. hash .. ordinal
  elseif string.sub(bucket, at + 8, at + 11) ~= ordinal then
    now[field] = string.sub(bucket, 1, at + 7) .. '\255\255\255\255' .. string.sub(bucket, at + 12)
  end
end
for n, field in ipairs(fields) do
  if now[field] and now[field] ~= (read[n] or '') then
    changes[#changes + 1], changes[#changes + 2] = field, now[field]
  end
  now[field] = nil -- it is written once
end
if #changes > 0 then redis.call('HSET', KEYS[2], unpack(changes)) end
return 1`)

// conversationsPage bounds the conversations that one run of the script adds.
const conversationsPage = 1000

// AddConversations stores contacts' ordinals by conversation. A conversation of two
// contacts belongs to neither from then on.
func (s *Store) AddConversations(ctx context.Context, c campaign.Campaign, ordinals map[string]int) error {
	if len(ordinals) == 0 {
		return nil
	}
	for page := range slices.Chunk(slices.Sorted(maps.Keys(ordinals)), conversationsPage) {
		args := []any{c.Counts.Contacts/bucketContacts + 1}
		for _, conversation := range page {
			hash, bucket := conversationHash(conversation)
			args = append(args, hash, bucket, binary.LittleEndian.AppendUint32(nil, uint32(ordinals[conversation])))
		}
		err := addConversationsScript.Run(ctx, s.rdb, []string{keyCampaign(c.Name), keyConversations(c.Name)}, args...).Err()
		if err != nil {
			return wrap(err, "add conversations of %s", c.Name)
		}
	}
	return nil
}

// FindConversations are the ordinals of contacts by conversation, where known.
func (s *Store) FindConversations(ctx context.Context, name string, conversations []string) (map[string]int, error) {
	if len(conversations) == 0 {
		return nil, nil
	}
	buckets, err := s.rdb.HGet(ctx, keyConversations(name), "buckets").Uint64()
	if buckets == 0 {
		return nil, wrap(exceptNil(err), "find conversation in %s", name)
	}
	fields, hashes := make([]string, len(conversations)), make([]string, len(conversations))
	for i, conversation := range conversations {
		hash, bucket := conversationHash(conversation)
		hashes[i], fields[i] = hash, strconv.FormatUint(uint64(bucket)%buckets, 10)
	}
	values, err := s.rdb.HMGet(ctx, keyConversations(name), fields...).Result()
	if err != nil {
		return nil, wrap(err, "find conversation in %s", name)
	}
	ordinals := make(map[string]int)
	for i, packed := range textsOf(values) {
		for ; len(packed) >= entryBytes; packed = packed[entryBytes:] {
			ordinal := binary.LittleEndian.Uint32([]byte(packed[8:]))
			if packed[:8] == hashes[i] && ordinal != nobodysConversation {
				ordinals[conversations[i]] = int(ordinal)
			}
		}
	}
	return ordinals, nil
}
