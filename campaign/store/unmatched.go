package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

// Events that match no contact are kept by campaign name, whether there is such a
// campaign or not: a sorted set by time of packed entries. An event that comes twice
// is one entry. The scripts that change the set count its bytes in the same step.
const (
	unmatchedKept  = 7 * 24 * time.Hour
	unmatchedBytes = 64 << 20 // of a campaign; beyond that the oldest go

	// MaxUnmatchedBytes bounds what is kept of one event, before compression.
	MaxUnmatchedBytes = 64 << 10

	// countsKept is how long counts last after the last event: they may belong to a name
	// that is no campaign, and must go some day.
	countsKept = 90 * 24 * time.Hour
)

// An Unmatched event belongs to no contact; Why says how that was decided.
type Unmatched struct {
	Event
	Why campaign.Message
}

// luaUnmatched begins a script on a campaign's unmatched events: bytes are what they
// take, entryBytes what one does. KEYS 2 is the set, KEYS 3 its counts.
const luaUnmatched = `
local function entryBytes(entry) return #entry + 100 end
local bytes = 0
if redis.call('EXISTS', KEYS[2]) == 1 then bytes = tonumber(redis.call('HGET', KEYS[3], 'bytes') or '0') end`

// keepUnmatchedScript keeps events unless the campaign was purged meanwhile. KEYS
// campaign, unmatched, counts; ARGV the time before which entries are too old, most
// bytes, seconds to keep entries and counts, then time and packed entry of each. Few
// that are too old go at a time: as many as fit into one step.
var keepUnmatchedScript = redis.NewScript(luaUnmatched + `
if redis.call('HEXISTS', KEYS[1], 'purge_began') == 1 then return 0 end
local kept, dropped, droppedBytes = 0, 0, 0
for i = 5, #ARGV, 2 do
  if redis.call('ZADD', KEYS[2], 'NX', ARGV[i], ARGV[i + 1]) == 1 then
    kept, bytes = kept + 1, bytes + entryBytes(ARGV[i + 1])
  end
end
for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[1], 'LIMIT', 0, 1000)) do
  redis.call('ZREM', KEYS[2], old)
  bytes = bytes - entryBytes(old)
end
while bytes > tonumber(ARGV[2]) do
  local oldest = redis.call('ZPOPMIN', KEYS[2])[1]
  if not oldest then bytes = 0 break end
  bytes = bytes - entryBytes(oldest)
  dropped, droppedBytes = dropped + 1, droppedBytes + entryBytes(oldest)
end
redis.call('HSET', KEYS[3], 'bytes', string.format('%.0f', bytes))
if kept > 0 then redis.call('HINCRBY', KEYS[3], 'unmatched', kept) end
if dropped > 0 then
  redis.call('HINCRBY', KEYS[3], 'dropped', dropped)
  redis.call('HINCRBY', KEYS[3], 'dropped_bytes', string.format('%.0f', droppedBytes))
end
redis.call('EXPIRE', KEYS[2], ARGV[3])
redis.call('EXPIRE', KEYS[3], ARGV[4])
return dropped`)

// keepsBytes bounds the events that one script keeps.
const keepsBytes = 1 << 20

// KeepUnmatched keeps events of a campaign for a week, unless it was purged, and counts
// those that it does not have yet. It returns how many older ones had to go for them. Of
// a body over MaxUnmatchedBytes only the beginning is kept.
func (s *Store) KeepUnmatched(ctx context.Context, name string, events []Unmatched) (dropped int, err error) {
	keys := []string{keyCampaign(name), keyUnmatched(name), keyUnmatchedCounts(name)}
	for len(events) > 0 {
		args := []any{time.Now().Add(-unmatchedKept).UnixMilli(), unmatchedBytes, int(unmatchedKept.Seconds()), int(countsKept.Seconds())}
		bytes := 0
		for len(events) > 0 && bytes < keepsBytes && len(args) < 2*endsPage {
			entry := s.encodeUnmatched(events[0])
			args = append(args, events[0].At.UnixMilli(), entry)
			bytes += len(entry)
			events = events[1:]
		}
		n, err := keepUnmatchedScript.Run(ctx, s.rdb, keys, args...).Int()
		if err != nil {
			return dropped, wrap(err, "keep unmatched events of %s", name)
		}
		dropped += n
	}
	return dropped, nil
}

func (s *Store) encodeUnmatched(e Unmatched) []byte {
	why := e.Why.Line()
	packed := binary.AppendUvarint(nil, uint64(e.Contact))
	packed = append(binary.AppendUvarint(packed, uint64(len(why))), why...)
	return s.encoder.EncodeAll(e.Body[:min(len(e.Body), MaxUnmatchedBytes)], packed)
}

// ErrDamagedEvent: what is kept of an unmatched event cannot be read.
var ErrDamagedEvent = errors.New("damaged")

// Unmatched lists the events of a campaign that match no contact, the oldest first,
// from the given place on. ErrDamagedEvent when one of them is.
func (s *Store) Unmatched(ctx context.Context, name string, from, limit int) ([]Unmatched, error) {
	members, err := s.rdb.ZRangeWithScores(ctx, keyUnmatched(name), int64(from), int64(from+limit-1)).Result()
	if err != nil {
		return nil, wrap(err, "read unmatched events of %s", name)
	}
	events := make([]Unmatched, len(members))
	for i, m := range members {
		packed, _ := m.Member.(string)
		rest := []byte(packed)
		contact, width := binary.Uvarint(rest)
		rest = rest[max(width, 0):]
		why, width := binary.Uvarint(rest)
		rest = rest[max(width, 0):]
		if width <= 0 || why > uint64(len(rest)) {
			return nil, fmt.Errorf("read unmatched events of %s: %w", name, ErrDamagedEvent)
		}
		body, err := s.decoder.DecodeAll(rest[why:], nil)
		if err != nil {
			return nil, fmt.Errorf("read unmatched events of %s: %w: %w", name, ErrDamagedEvent, err)
		}
		event := Event{ID: packed, At: timeOf(int64(m.Score)), Campaign: name, Contact: int(contact), Body: body}
		events[i] = Unmatched{event, campaign.ReadMessage(string(rest[:why]))}
	}
	return events, nil
}

// dropUnmatchedScript deletes entries. KEYS campaign, unmatched, counts; ARGV the count
// that grows by them, ” for none, then the entries.
var dropUnmatchedScript = redis.NewScript(luaUnmatched + `
local matched = 0
for i = 2, #ARGV do
  local entry = ARGV[i]
  if redis.call('ZREM', KEYS[2], entry) == 1 then
    matched, bytes = matched + 1, bytes - entryBytes(entry)
  end
end
if matched > 0 then
  redis.call('HSET', KEYS[3], 'bytes', string.format('%.0f', bytes))
  if ARGV[1] ~= '' then redis.call('HINCRBY', KEYS[3], ARGV[1], matched) end
end
return matched`)

// Matched deletes events that Unmatched has listed and that have been applied, and
// counts them as such: each once, by the first to delete it.
func (s *Store) Matched(ctx context.Context, name string, ids []string) error {
	return s.dropUnmatched(ctx, name, "matched", ids)
}

// DropUnmatched deletes events that Unmatched has listed, because their person is erased.
func (s *Store) DropUnmatched(ctx context.Context, name string, ids []string) error {
	return s.dropUnmatched(ctx, name, "", ids)
}

func (s *Store) dropUnmatched(ctx context.Context, name, count string, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	args := []any{count}
	for _, id := range ids {
		args = append(args, id)
	}
	keys := []string{keyCampaign(name), keyUnmatched(name), keyUnmatchedCounts(name)}
	return wrap(dropUnmatchedScript.Run(ctx, s.rdb, keys, args...).Err(), "drop unmatched events of %s", name)
}

// EventCounts counts a campaign's events.
type EventCounts struct {
	Applied      int `json:"applied"`
	Unmatched    int `json:"unmatched"`
	Kept         int `json:"kept"` // the unmatched that are still kept
	KeptBytes    int `json:"kept_bytes"`
	Dropped      int `json:"dropped"` // the unmatched that went before their week was over, for newer ones
	DroppedBytes int `json:"dropped_bytes"`
}

// EventCounts reads a campaign's counts.
func (s *Store) EventCounts(ctx context.Context, name string) (EventCounts, error) {
	var applied *redis.StringCmd
	var counts *redis.SliceCmd
	var kept *redis.IntCmd
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		applied = p.Get(ctx, keyApplied(name))
		counts = p.HMGet(ctx, keyUnmatchedCounts(name), "unmatched", "matched", "bytes", "dropped", "dropped_bytes")
		kept = p.ZCard(ctx, keyUnmatched(name))
		return nil
	})
	if err := exceptNil(err); err != nil {
		return EventCounts{}, wrap(err, "read event counts of %s", name)
	}
	texts := textsOf(counts.Val())
	number := func(text string) int { n, _ := strconv.Atoi(text); return n }
	matched := number(texts[1])
	c := EventCounts{
		Applied: number(applied.Val()) + matched, Unmatched: number(texts[0]) - matched,
		Kept: int(kept.Val()), Dropped: number(texts[3]), DroppedBytes: number(texts[4]),
	}
	if c.Kept > 0 {
		c.KeptBytes = number(texts[2])
	}
	return c, nil
}

// HaveUnmatched are those campaigns of which unmatched events are kept.
func (s *Store) HaveUnmatched(ctx context.Context, names []string) (have []string, err error) {
	for page := range slices.Chunk(names, namesPage) {
		cmds := make([]*redis.IntCmd, len(page))
		_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, name := range page {
				cmds[i] = p.Exists(ctx, keyUnmatched(name))
			}
			return nil
		})
		if err != nil {
			return nil, wrap(err, "look for unmatched events")
		}
		for i, name := range page {
			if cmds[i].Val() == 1 {
				have = append(have, name)
			}
		}
	}
	return have, nil
}

const namesPage = 500
