package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

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
for i = 2, #ARGV, 3 do
  local field = string.format('%.0f', tonumber(ARGV[i + 1]) % buckets)
  local bucket = redis.call('HGET', KEYS[2], field) or ''
  local at
  for k = 1, #bucket, 12 do
    if string.sub(bucket, k, k + 7) == ARGV[i] then at = k break end
  end
  if not at then
    redis.call('HSET', KEYS[2], field, bucket .. ARGV[i] .. ARGV[i + 2])
  elseif string.sub(bucket, at + 8, at + 11) ~= ARGV[i + 2] then
    redis.call('HSET', KEYS[2], field, string.sub(bucket, 1, at + 7) .. '\255\255\255\255' .. string.sub(bucket, at + 12))
  end
end
return 1`)

// AddConversations stores contacts' ordinals by conversation. A conversation of two
// contacts belongs to neither from then on.
func (s *Store) AddConversations(ctx context.Context, c campaign.Campaign, ordinals map[string]int) error {
	if len(ordinals) == 0 {
		return nil
	}
	args := []any{c.Counts.Contacts/bucketContacts + 1}
	for _, conversation := range slices.Sorted(maps.Keys(ordinals)) {
		hash, bucket := conversationHash(conversation)
		args = append(args, hash, bucket, binary.LittleEndian.AppendUint32(nil, uint32(ordinals[conversation])))
	}
	if err := addConversationsScript.Run(ctx, s.rdb, []string{keyCampaign(c.Name), keyConversations(c.Name)}, args...).Err(); err != nil {
		return fmt.Errorf("add conversations of %s: %w", c.Name, err)
	}
	return nil
}

// FindConversations are the ordinals of contacts by conversation, where known.
func (s *Store) FindConversations(ctx context.Context, name string, conversations []string) (map[string]int, error) {
	if len(conversations) == 0 {
		return nil, nil
	}
	what := "find conversation in " + name
	buckets, err := s.rdb.HGet(ctx, keyConversations(name), "buckets").Uint64()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	fields, hashes := make([]string, len(conversations)), make([]string, len(conversations))
	for i, conversation := range conversations {
		hash, bucket := conversationHash(conversation)
		hashes[i], fields[i] = hash, strconv.FormatUint(uint64(bucket)%max(buckets, 1), 10)
	}
	values, err := s.rdb.HMGet(ctx, keyConversations(name), fields...).Result()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	ordinals := make(map[string]int)
	for i, value := range values {
		packed, _ := value.(string)
		for ; len(packed) >= entryBytes; packed = packed[entryBytes:] {
			ordinal := binary.LittleEndian.Uint32([]byte(packed[8:]))
			if packed[:8] == hashes[i] && ordinal != nobodysConversation {
				ordinals[conversations[i]] = int(ordinal)
			}
		}
	}
	return ordinals, nil
}
