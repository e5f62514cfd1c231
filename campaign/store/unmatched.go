package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"campaign-runner/campaign"

	"github.com/redis/go-redis/v9"
)

// Events that match no contact are kept by campaign name, whether there is such a
// campaign or not: a sorted set by time of packed entries. An event that comes twice
// is one entry.
const (
	unmatchedKept = 7 * 24 * time.Hour
	maxUnmatched  = 10_000 // per campaign; beyond that the oldest go
)

// An Unmatched event belongs to no contact; Why says how that was decided.
type Unmatched struct {
	Event
	Why campaign.Message
}

// keepUnmatchedScript keeps events unless the campaign was purged meanwhile. KEYS
// campaign, unmatched; ARGV the time before which entries are too old, most entries,
// seconds to keep them, then time and packed entry of each.
var keepUnmatchedScript = redis.NewScript(`
if redis.call('HEXISTS', KEYS[1], 'purge_began') == 1 then return 0 end
for i = 4, #ARGV, 2 do redis.call('ZADD', KEYS[2], 'NX', ARGV[i], ARGV[i + 1]) end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - tonumber(ARGV[2]))
redis.call('EXPIRE', KEYS[2], ARGV[3])
return 1`)

// KeepUnmatched keeps events of a campaign for a week, unless it was purged.
func (s *Store) KeepUnmatched(ctx context.Context, name string, events []Unmatched) error {
	args := []any{time.Now().Add(-unmatchedKept).UnixMilli(), maxUnmatched, int(unmatchedKept.Seconds())}
	for _, e := range events {
		packed := binary.AppendUvarint(nil, uint64(e.Contact))
		why := e.Why.Line()
		packed = append(binary.AppendUvarint(packed, uint64(len(why))), why...)
		args = append(args, e.At.UnixMilli(), s.encoder.EncodeAll(e.Body, packed))
	}
	if err := keepUnmatchedScript.Run(ctx, s.rdb, []string{keyCampaign(name), keyUnmatched(name)}, args...).Err(); err != nil {
		return fmt.Errorf("keep unmatched events of %s: %w", name, err)
	}
	return nil
}

// Unmatched lists the events of a campaign that match no contact, the oldest first,
// from the given place on.
func (s *Store) Unmatched(ctx context.Context, name string, from, limit int) ([]Unmatched, error) {
	what := fmt.Sprintf("read unmatched events of %s", name)
	members, err := s.rdb.ZRangeWithScores(ctx, keyUnmatched(name), int64(from), int64(from+limit-1)).Result()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	events := make([]Unmatched, len(members))
	for i, m := range members {
		packed, _ := m.Member.(string)
		e := Unmatched{Event: Event{ID: packed, At: timeOf(int64(m.Score)), Campaign: name}}
		rest := []byte(packed)
		contact, width := binary.Uvarint(rest)
		rest = rest[max(width, 0):]
		why, width := binary.Uvarint(rest)
		rest = rest[max(width, 0):]
		if width <= 0 || why > uint64(len(rest)) {
			return nil, fmt.Errorf("%s: damaged", what)
		}
		e.Contact, e.Why = int(contact), campaign.ReadMessage(string(rest[:why]))
		if e.Body, err = s.decoder.DecodeAll(rest[why:], nil); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		events[i] = e
	}
	return events, nil
}

// DropUnmatched deletes events that Unmatched has listed.
func (s *Store) DropUnmatched(ctx context.Context, name string, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	members := make([]any, len(ids))
	for i, id := range ids {
		members[i] = id
	}
	if err := s.rdb.ZRem(ctx, keyUnmatched(name), members...).Err(); err != nil {
		return fmt.Errorf("drop unmatched events of %s: %w", name, err)
	}
	return nil
}

// EventCounts counts a campaign's events. One that a crash made to be applied twice
// counts twice.
type EventCounts struct {
	Applied   int `json:"applied"`
	Unmatched int `json:"unmatched"`
	Kept      int `json:"kept"` // the unmatched that are still kept
}

// CountEvents adds to a campaign's counts.
func (s *Store) CountEvents(ctx context.Context, name string, applied, unmatched int) error {
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.HIncrBy(ctx, keyEventCounts(name), "applied", int64(applied))
		p.HIncrBy(ctx, keyEventCounts(name), "unmatched", int64(unmatched))
		p.Expire(ctx, keyEventCounts(name), countsKept)
		return nil
	})
	if err != nil {
		return fmt.Errorf("count events of %s: %w", name, err)
	}
	return nil
}

// countsKept is how long counts last after the last event: they may belong to a name
// that is no campaign, and must go some day.
const countsKept = 90 * 24 * time.Hour

// EventCounts reads a campaign's counts.
func (s *Store) EventCounts(ctx context.Context, name string) (EventCounts, error) {
	var counts *redis.SliceCmd
	var kept *redis.IntCmd
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		counts = p.HMGet(ctx, keyEventCounts(name), "applied", "unmatched")
		kept = p.ZCard(ctx, keyUnmatched(name))
		return nil
	})
	if err != nil {
		return EventCounts{}, fmt.Errorf("read event counts of %s: %w", name, err)
	}
	number := func(i int) int { t, _ := counts.Val()[i].(string); n, _ := strconv.Atoi(t); return n }
	return EventCounts{Applied: number(0), Unmatched: number(1), Kept: int(kept.Val())}, nil
}
