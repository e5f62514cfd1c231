package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
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
	if err != nil {
		return fmt.Errorf("store event of %s: %w", e.Campaign, err)
	}
	return nil
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
		return nil, fmt.Errorf("read events: %w", err)
	}
	return decodeEvents(streams[0].Messages), nil
}

// makeEventGroup creates the stream and its group when Redis has none.
func (s *Store) makeEventGroup(ctx context.Context) error {
	err := s.rdb.XGroupCreateMkStream(ctx, keyEvents, eventGroup, "0").Err()
	if err != nil && !redis.HasErrorPrefix(err, "BUSYGROUP") {
		return fmt.Errorf("make group of events: %w", err)
	}
	return nil
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
	if err != nil {
		return nil, fmt.Errorf("take over events: %w", err)
	}
	return decodeEvents(messages), nil
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
	if err != nil {
		return fmt.Errorf("end events: %w", err)
	}
	return nil
}

// WaitingEvents counts the events that still have to be applied.
func (s *Store) WaitingEvents(ctx context.Context) (int, error) {
	n, err := s.rdb.XLen(ctx, keyEvents).Result()
	if err != nil {
		return 0, fmt.Errorf("count events: %w", err)
	}
	return int(n), nil
}

func decodeEvents(messages []redis.XMessage) []Event {
	events := make([]Event, len(messages))
	for i, m := range messages {
		text := func(field string) string { t, _ := m.Values[field].(string); return t }
		contact, _ := strconv.Atoi(text("contact"))
		ms, _, _ := strings.Cut(m.ID, "-")
		at, _ := strconv.ParseInt(ms, 10, 64)
		events[i] = Event{ID: m.ID, At: timeOf(at), Campaign: text("campaign"), Contact: contact, Body: []byte(text("body"))}
	}
	return events
}
