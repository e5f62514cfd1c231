package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

// Events of all campaigns wait in one stream until they are applied, and are then
// deleted, so its length is the work left. All workers read it as one consumer: an
// entry that is not done in time is handed out again, so its owner does not matter.
const (
	eventGroup    = "apply"
	eventConsumer = "worker"
)

// maxEvents bounds the stream. Nothing is ever dropped from it: when it is full, the
// inbox takes no more, and the platform has to come again.
const maxEvents = 100_000

// ErrFull: too many events wait to be applied.
var ErrFull = errors.New("too many events wait to be applied")

// An Event is one post of the platform, unchanged.
type Event struct {
	ID       string // in the stream, or among the unmatched
	At       time.Time
	Campaign string
	Contact  int // its place in the list from 1, by the link; 0: the event's number says
	Body     []byte
}

// addEventScript appends an event. KEYS stream; ARGV most entries, campaign,
// contact, body. Answers 0 when there is no room.
var addEventScript = redis.NewScript(`
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
redis.call('XADD', KEYS[1], '*', 'campaign', ARGV[2], 'contact', ARGV[3], 'body', ARGV[4])
return 1`)

// AddEvent puts an event into the stream, which dates it by Redis's clock. ErrFull
// when there is no room.
func (s *Store) AddEvent(ctx context.Context, e Event) error {
	kept, err := addEventScript.Run(ctx, s.rdb, []string{keyEvents}, maxEvents, e.Campaign, e.Contact, e.Body).Bool()
	if err == nil && !kept {
		err = ErrFull
	}
	return wrap(err, "store event of %s", e.Campaign)
}

// NextEvents takes the oldest events that no worker has taken, and waits for one
// when there is none.
func (s *Store) NextEvents(ctx context.Context, limit int, wait time.Duration) ([]Event, error) {
	streams, err := s.rdb.XReadGroup(ctx, &redis.XReadGroupArgs{
		Group: eventGroup, Consumer: eventConsumer, Streams: []string{keyEvents, ">"}, Count: int64(limit), Block: wait,
	}).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return nil, nil
	case redis.HasErrorPrefix(err, "NOGROUP"):
		return nil, s.makeEventGroup(ctx)
	case err != nil:
		return nil, wrap(err, "read events")
	}
	return decodeEvents(streams[0].Messages), nil
}

// makeEventGroup creates the stream and its group when Redis has none.
func (s *Store) makeEventGroup(ctx context.Context) error {
	err := s.rdb.XGroupCreateMkStream(ctx, keyEvents, eventGroup, "0").Err()
	if redis.HasErrorPrefix(err, "BUSYGROUP") {
		return nil
	}
	return wrap(err, "make group of events")
}

// StaleEvents takes events that another worker took at least idle ago and has not
// done: it has died, or it failed.
func (s *Store) StaleEvents(ctx context.Context, limit int, idle time.Duration) ([]Event, error) {
	messages, _, err := s.rdb.XAutoClaim(ctx, &redis.XAutoClaimArgs{
		Stream: keyEvents, Group: eventGroup, Consumer: eventConsumer, MinIdle: idle, Start: "0", Count: int64(limit),
	}).Result()
	if redis.HasErrorPrefix(err, "NOGROUP") {
		return nil, s.makeEventGroup(ctx)
	}
	return decodeEvents(messages), wrap(err, "take over events")
}

// DoneEvents deletes events from the stream.
func (s *Store) DoneEvents(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := s.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.XAck(ctx, keyEvents, eventGroup, ids...)
		p.XDel(ctx, keyEvents, ids...)
		return nil
	})
	return wrap(err, "end events")
}

// DropEvents deletes the waiting events that drop picks, and returns how many. One that a
// worker has taken is deleted too; the worker goes on with it.
func (s *Store) DropEvents(ctx context.Context, drop func(Event) bool) (dropped int, err error) {
	const page = 500
	for from := "-"; ; {
		messages, err := s.rdb.XRangeN(ctx, keyEvents, from, "+", page).Result()
		if err != nil {
			return dropped, wrap(err, "read waiting events")
		}
		var ids []string
		for _, e := range decodeEvents(messages) {
			if drop(e) {
				ids = append(ids, e.ID)
			}
		}
		if err := s.DoneEvents(ctx, ids); err != nil {
			return dropped, err
		}
		dropped += len(ids)
		if len(messages) < page {
			return dropped, nil
		}
		from = "(" + messages[len(messages)-1].ID
	}
}

// WaitingEvents counts the events that still have to be applied.
func (s *Store) WaitingEvents(ctx context.Context) (int, error) {
	n, err := s.rdb.XLen(ctx, keyEvents).Result()
	return int(n), wrap(err, "count events")
}

func decodeEvents(messages []redis.XMessage) []Event {
	events := make([]Event, len(messages))
	for i, m := range messages {
		text := func(field string) string { t, _ := m.Values[field].(string); return t }
		contact, _ := strconv.Atoi(text("contact"))
		events[i] = Event{ID: m.ID, At: streamTime(m.ID), Campaign: text("campaign"), Contact: contact, Body: []byte(text("body"))}
	}
	return events
}

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
	err := keepUnmatchedScript.Run(ctx, s.rdb, []string{keyCampaign(name), keyUnmatched(name)}, args...).Err()
	return wrap(err, "keep unmatched events of %s", name)
}

// Unmatched lists the events of a campaign that match no contact, the oldest first,
// from the given place on.
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
			return nil, fmt.Errorf("read unmatched events of %s: damaged", name)
		}
		body, err := s.decoder.DecodeAll(rest[why:], nil)
		if err != nil {
			return nil, wrap(err, "read unmatched events of %s", name)
		}
		events[i] = Unmatched{Event{packed, timeOf(int64(m.Score)), name, int(contact), body}, campaign.ReadMessage(string(rest[:why]))}
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
	return wrap(s.rdb.ZRem(ctx, keyUnmatched(name), members...).Err(), "drop unmatched events of %s", name)
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
	return wrap(err, "count events of %s", name)
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
		return EventCounts{}, wrap(err, "read event counts of %s", name)
	}
	number := func(i int) int { t, _ := counts.Val()[i].(string); n, _ := strconv.Atoi(t); return n }
	return EventCounts{Applied: number(0), Unmatched: number(1), Kept: int(kept.Val())}, nil
}
