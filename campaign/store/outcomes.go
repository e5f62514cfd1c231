package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

// maxExtractionKeys bounds the keys of a campaign that become columns, and
// maxKeyBytes their length. What lies beyond stays in the extraction.
const (
	// maxExtractionKeys bounds the keys of a campaign that become columns, and
	// maxKeyBytes their length. Other keys stay in the extraction.
	maxExtractionKeys = 200
	maxKeyBytes       = 100
)

// outcomeScript writes outcomes that nothing else has changed meanwhile.
//
// KEYS campaign, outcomes, histories, extraction keys, chunk; ARGV most extraction
// keys, number of those that follow, the keys, then for each contact its index, the
// old outcome, the new one, and a history (empty leaves it). Answers the indexes left
// alone: all of them when the campaign does not exist or is being purged. "told" in
// the chunk counts writes.
var outcomeScript = redis.NewScript(`
local there = redis.call('EXISTS', KEYS[1]) == 1 and redis.call('HEXISTS', KEYS[1], 'purge_began') == 0
local names = tonumber(ARGV[2])
for i = 3, there and 2 + names or 0 do
  if redis.call('SCARD', KEYS[4]) >= tonumber(ARGV[1]) then break end
  redis.call('SADD', KEYS[4], ARGV[i])
end
local left, wrote = {}, false
for i = 3 + names, #ARGV, 4 do
  local present = redis.call('HGET', KEYS[2], ARGV[i]) or ''
  if there and present == ARGV[i + 1] then
    wrote = true
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 2])
    if ARGV[i + 3] ~= '' then redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 3]) end
  elseif present ~= ARGV[i + 2] then
    left[#left + 1] = tonumber(ARGV[i])
  end
end
if wrote and redis.call('EXISTS', KEYS[5]) == 1 then redis.call('HINCRBY', KEYS[5], 'told', 1) end
return left`)

// UpdateOutcomes changes outcomes of a chunk's contacts. change gets a contact's
// outcome and returns the new one and a history; nil leaves the history. It is
// called again for contacts that another process has changed meanwhile.
func (s *Store) UpdateOutcomes(ctx context.Context, ref Ref, contacts []int, change func(index int, o campaign.Outcome) (campaign.Outcome, []campaign.Turn)) error {
	keys := []string{keyCampaign(ref.Campaign), keyOutcomes(ref), keyHistories(ref), keyExtractionKeys(ref.Campaign), keyChunk(ref)}
	for range maxRounds {
		old, err := s.readOutcomes(ctx, ref, contacts)
		if err != nil {
			return err
		}
		var writes []any
		names := make(map[string]bool)
		for i, index := range contacts {
			var o campaign.Outcome
			if old[i] != "" {
				if err := json.Unmarshal([]byte(old[i]), &o); err != nil {
					return fmt.Errorf("outcome of contact %d of chunk %s: %w", index, ref, err)
				}
			}
			next, turns := change(index, o)
			text, err := json.Marshal(next)
			if err != nil {
				return fmt.Errorf("outcome of contact %d of chunk %s: %w", index, ref, err)
			}
			if string(text) == old[i] || (old[i] == "" && !next.Known()) {
				continue
			}
			var history []byte
			if turns != nil {
				if history, err = json.Marshal(turns); err != nil {
					return fmt.Errorf("history of contact %d of chunk %s: %w", index, ref, err)
				}
				history = s.encoder.EncodeAll(history, nil)
			}
			writes = append(writes, index, old[i], text, history)
			addKeys(names, next.Extraction)
		}
		if len(writes) == 0 {
			return nil
		}
		args := []any{maxExtractionKeys, len(names)}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			args = append(args, name)
		}
		left, err := outcomeScript.Run(ctx, s.rdb, keys, append(args, writes...)...).Int64Slice()
		if err != nil {
			return fmt.Errorf("write outcomes of chunk %s: %w", ref, err)
		}
		if len(left) == 0 {
			return nil
		}
		contacts = contacts[:0:0]
		for _, index := range left {
			contacts = append(contacts, int(index))
		}
	}
	return fmt.Errorf("write outcomes of chunk %s: they changed %d times meanwhile: %w", ref, maxRounds, ErrMoved)
}

// readOutcomes are the outcomes of contacts as stored.
func (s *Store) readOutcomes(ctx context.Context, ref Ref, contacts []int) ([]string, error) {
	fields := make([]string, len(contacts))
	for i, index := range contacts {
		fields[i] = strconv.Itoa(index)
	}
	values, err := s.rdb.HMGet(ctx, keyOutcomes(ref), fields...).Result()
	if err != nil {
		return nil, fmt.Errorf("read outcomes of chunk %s: %w", ref, err)
	}
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i], _ = v.(string)
	}
	return texts, nil
}

// addKeys adds the keys of a JSON object that can name a column.
func addKeys(names map[string]bool, object json.RawMessage) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(object, &fields) != nil {
		return // no object
	}
	for name := range fields {
		if name != "" && len(name) <= maxKeyBytes {
			names[name] = true
		}
	}
}

// Outcomes are those of a chunk's contacts, by index.
func (s *Store) Outcomes(ctx context.Context, ref Ref) (map[int]campaign.Outcome, error) {
	return readHash[campaign.Outcome](ctx, s, keyOutcomes(ref), "outcomes of chunk "+ref.String())
}

// History is a contact's conversation as last told; nil: none.
func (s *Store) History(ctx context.Context, ref Ref, index int) ([]campaign.Turn, error) {
	packed, err := s.rdb.HGet(ctx, keyHistories(ref), strconv.Itoa(index)).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	var text []byte
	if err == nil {
		text, err = s.decoder.DecodeAll(packed, nil)
	}
	var turns []campaign.Turn
	if err == nil {
		err = json.Unmarshal(text, &turns)
	}
	if err != nil {
		return nil, fmt.Errorf("history of contact %d of chunk %s: %w", index, ref, err)
	}
	return turns, nil
}

// ExtractionKeys are the keys that the agent has extracted for any contact, sorted.
func (s *Store) ExtractionKeys(ctx context.Context, name string) ([]string, error) {
	keys, err := s.rdb.SMembers(ctx, keyExtractionKeys(name)).Result()
	if err != nil {
		return nil, fmt.Errorf("read extraction keys of %s: %w", name, err)
	}
	slices.Sort(keys)
	return keys, nil
}
