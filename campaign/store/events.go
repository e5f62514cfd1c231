package store

import (
	"context"
	"errors"
	"slices"
	"strconv"
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

// The stream is bounded by events and by bytes. Nothing is ever dropped from it: when it
// is full, the inbox takes no more, and the platform has to come again. A share beyond
// both bounds is for events in which somebody asks not to be contacted.
const (
	maxEvents     = 100_000
	maxEventBytes = 256 << 20
	reserveShare  = 16 // of each bound, one part in 16
)

// eventBytes is what an event counts for: its body, and about what the stream takes
// beside it.
func eventBytes(e Event) int { return len(e.Body) + len(e.Campaign) + besideBody }

const besideBody = 64

// ErrFull: too many events wait to be applied.
var ErrFull = errors.New("too many events wait to be applied")

// An Event is one post of the platform, unchanged.
type Event struct {
	ID       string // in the stream, or among the unmatched
	At       time.Time
	Campaign string
	Contact  int // its place in the list from 1, by the link; 0: the event's number says
	Body     []byte
	Urgent   bool // somebody asks in it not to be contacted: it may use the reserve
}

// addEventsScript appends events. KEYS stream, its bytes; ARGV most entries and most bytes,
// the same with the reserve, then for each event '1' if it may use that, campaign, contact,
// body. Answers for each 1, or 0 when there is no room.
var addEventsScript = redis.NewScript(`
local entries = redis.call('XLEN', KEYS[1])
local bytes = 0
if entries > 0 then bytes = tonumber(redis.call('GET', KEYS[2]) or '0') end
local most = {[''] = {tonumber(ARGV[1]), tonumber(ARGV[2])}, ['1'] = {tonumber(ARGV[3]), tonumber(ARGV[4])}}
local kept = {}
for i = 5, #ARGV, 4 do
  local bound, after = most[ARGV[i]], bytes + #ARGV[i + 1] + #ARGV[i + 3] + ` + strconv.Itoa(besideBody) + `
  if entries >= bound[1] or after > bound[2] then
    kept[#kept + 1] = 0
  else
    redis.call('XADD', KEYS[1], '*', 'campaign', ARGV[i + 1], 'contact', ARGV[i + 2], 'body', ARGV[i + 3])
    entries, bytes = entries + 1, after
    kept[#kept + 1] = 1
  end
end
if bytes > 0 then redis.call('SET', KEYS[2], string.format('%.0f', bytes)) end
return kept`)

// AddEvent puts an event into the stream, which dates it by Redis's clock. Those that
// come while one is being written are written together, right after. ErrFull when there
// is no room.
func (s *Store) AddEvent(ctx context.Context, e Event) error {
	a := &arrival{event: e}
	err := s.inbox.ride(ctx, a)
	if err == nil {
		err = a.err
	}
	return wrap(err, "store event of %s", e.Campaign)
}

// An arrival is an event to be stored, with what came of it.
type arrival struct {
	event Event
	err   error
}

// maxRunBytes bounds the events that one run of the script stores, except a single one:
// Redis serves nobody else meanwhile.
const maxRunBytes = 1 << 20

// addEvents stores events.
func (s *Store) addEvents(ctx context.Context, all []*arrival) {
	for len(all) > 0 {
		n, bytes := 1, eventBytes(all[0].event)
		for ; n < len(all) && bytes+eventBytes(all[n].event) <= maxRunBytes; n++ {
			bytes += eventBytes(all[n].event)
		}
		s.addSome(ctx, all[:n])
		all = all[n:]
	}
}

func (s *Store) addSome(ctx context.Context, some []*arrival) {
	args := make([]any, 0, 4+4*len(some))
	args = append(args, maxEvents, maxEventBytes, maxEvents+maxEvents/reserveShare, maxEventBytes+maxEventBytes/reserveShare)
	for _, a := range some {
		urgent := ""
		if a.event.Urgent {
			urgent = "1"
		}
		args = append(args, urgent, a.event.Campaign, a.event.Contact, a.event.Body)
	}
	kept, err := addEventsScript.Run(ctx, s.rdb, []string{keyEvents, keyEventBytes}, args...).BoolSlice()
	if err == nil && len(kept) != len(some) {
		err = errors.New("unexpected answer")
	}
	for i, a := range some {
		if a.err = err; err == nil && !kept[i] {
			a.err = ErrFull
		}
	}
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
// done: it has died, or it failed. Each call goes on where the one before ended, and
// begins again after the last: events that always fail do not hide those behind them.
func (s *Store) StaleEvents(ctx context.Context, limit int, idle time.Duration) ([]Event, error) {
	from := "0"
	if cursor := s.staleFrom.Load(); cursor != nil {
		from = *cursor
	}
	messages, next, err := s.rdb.XAutoClaim(ctx, &redis.XAutoClaimArgs{
		Stream: keyEvents, Group: eventGroup, Consumer: eventConsumer, MinIdle: idle, Start: from, Count: int64(limit),
	}).Result()
	if redis.HasErrorPrefix(err, "NOGROUP") {
		return nil, s.makeEventGroup(ctx)
	}
	if err != nil {
		return nil, wrap(err, "take over events")
	}
	s.staleFrom.Store(&next)
	return decodeEvents(messages), nil
}

// endEventsScript deletes events, and counts those applied: each once, by the run that
// deletes it. KEYS stream, its bytes, count; ARGV group, seconds to keep the count, how
// many of the events were applied, then id and bytes of each, those applied first. Events
// that the group has not ended yet are all there: they go in one command.
var endEventsScript = redis.NewScript(`
local ids, all, applied, freed = {}, 0, 0, 0
for i = 4, #ARGV, 2 do
  ids[#ids + 1] = ARGV[i]
  all = all + tonumber(ARGV[i + 1])
end
if redis.call('XACK', KEYS[1], ARGV[1], unpack(ids)) == #ids then
  redis.call('XDEL', KEYS[1], unpack(ids))
  applied, freed = tonumber(ARGV[3]), all
else
  for n, id in ipairs(ids) do
    if redis.call('XDEL', KEYS[1], id) == 1 then
      freed = freed + tonumber(ARGV[2 * n + 3])
      if n <= tonumber(ARGV[3]) then applied = applied + 1 end
    end
  end
end
if redis.call('XLEN', KEYS[1]) == 0 then
  redis.call('DEL', KEYS[2])
elseif freed > 0 then
  redis.call('DECRBY', KEYS[2], string.format('%.0f', freed))
end
if applied > 0 then
  redis.call('INCRBY', KEYS[3], applied)
  redis.call('EXPIRE', KEYS[3], ARGV[2])
end
return applied`)

// endsPage bounds the events that one script ends.
const endsPage = 1000

// EndEvents deletes events of a campaign from the stream. Those applied are counted.
func (s *Store) EndEvents(ctx context.Context, name string, applied, others []Event) error {
	keys := []string{keyEvents, keyEventBytes, keyApplied(name)}
	for len(applied)+len(others) > 0 {
		counted := min(len(applied), endsPage)
		rest := min(len(others), endsPage-counted)
		args := []any{eventGroup, int(countsKept.Seconds()), counted}
		for _, e := range slices.Concat(applied[:counted], others[:rest]) {
			args = append(args, e.ID, eventBytes(e))
		}
		if err := endEventsScript.Run(ctx, s.rdb, keys, args...).Err(); err != nil {
			return wrap(err, "end events of %s", name)
		}
		applied, others = applied[counted:], others[rest:]
	}
	return nil
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
		byCampaign := make(map[string][]Event)
		for _, e := range decodeEvents(messages) {
			if drop(e) {
				byCampaign[e.Campaign] = append(byCampaign[e.Campaign], e)
			}
		}
		for name, events := range byCampaign {
			if err := s.EndEvents(ctx, name, nil, events); err != nil {
				return dropped, err
			}
			dropped += len(events)
		}
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
