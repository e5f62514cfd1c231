package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

// ErrTicketsFull: the campaign has as many tickets as it may.
var ErrTicketsFull = errors.New("as many tickets as the campaign may have")

// A Place is one contact of a campaign.
type Place struct {
	Ref
	Index int // in the chunk
}

func (p Place) String() string { return fmt.Sprintf("%s/%d", p.Ref, p.Index) }

// SetTicket moves a contact's ticket from what was read to new; nil means none. An
// open one is due again after due. It reports false when the ticket was another one
// meanwhile; ErrTicketsFull when the campaign has most tickets.
func (s *Store) SetTicket(ctx context.Context, at Place, old, new *campaign.Ticket, due time.Duration, most int) (bool, error) {
	oldText, oldState, err := encodeTicket(old)
	if err != nil {
		return false, fmt.Errorf("ticket of contact %s: %w", at, err)
	}
	newText, newState, err := encodeTicket(new)
	if err != nil {
		return false, fmt.Errorf("ticket of contact %s: %w", at, err)
	}
	wait := int64(-1)
	if new != nil && new.State.Open() {
		wait = millis(due)
	}
	keys := []string{keyCampaign(at.Campaign), keyTickets(at.Ref), keyTicketsDue(at.Campaign), keyTicketTally(at.Campaign)}
	moved, err := ticketScript.Run(ctx, s.rdb, keys, at.Index, fmt.Sprintf("%d/%d", at.Chunk, at.Index),
		oldText, oldState, newText, newState, wait, most).Int()
	switch {
	case err != nil:
		return false, fmt.Errorf("ticket of contact %s: %w", at, err)
	case moved < 0:
		return false, fmt.Errorf("ticket of contact %s: %w", at, ErrTicketsFull)
	}
	return moved == 1, nil
}

// Ticket is the ticket of a contact; nil when it has none.
func (s *Store) Ticket(ctx context.Context, at Place) (*campaign.Ticket, error) {
	text, err := s.rdb.HGet(ctx, keyTickets(at.Ref), strconv.Itoa(at.Index)).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	var t campaign.Ticket
	if err == nil {
		err = json.Unmarshal([]byte(text), &t)
	}
	if err != nil {
		return nil, fmt.Errorf("ticket of contact %s: %w", at, err)
	}
	return &t, nil
}

// Tickets are the tickets of a chunk's contacts, by index.
func (s *Store) Tickets(ctx context.Context, ref Ref) (map[int]campaign.Ticket, error) {
	return readHash[campaign.Ticket](ctx, s, keyTickets(ref), "tickets of chunk "+ref.String())
}

// DueTickets are contacts whose tickets are due, the longest due first.
func (s *Store) DueTickets(ctx context.Context, name string, now time.Time, limit int) ([]Place, error) {
	members, err := s.rdb.ZRangeArgs(ctx, redis.ZRangeArgs{
		Key: keyTicketsDue(name), ByScore: true, Start: "-inf", Stop: strconv.FormatInt(now.UnixMilli(), 10), Count: int64(limit),
	}).Result()
	if err != nil {
		return nil, fmt.Errorf("list due tickets of %s: %w", name, err)
	}
	due := make([]Place, len(members))
	for i, member := range members {
		p := Place{Ref: Ref{Campaign: name}}
		if _, err := fmt.Sscanf(member, "%d/%d", &p.Chunk, &p.Index); err != nil {
			return nil, fmt.Errorf("list due tickets of %s: %q: %w", name, member, err)
		}
		due[i] = p
	}
	return due, nil
}

// TicketTally counts the tickets of a campaign by state.
func (s *Store) TicketTally(ctx context.Context, name string) (map[campaign.TicketState]int, error) {
	hash, err := s.rdb.HGetAll(ctx, keyTicketTally(name)).Result()
	if err != nil {
		return nil, fmt.Errorf("count tickets of %s: %w", name, err)
	}
	tally := make(map[campaign.TicketState]int)
	for state, text := range hash {
		if tally[campaign.TicketState(state)], err = strconv.Atoi(text); err != nil {
			return nil, fmt.Errorf("count tickets of %s: %w", name, err)
		}
	}
	return tally, nil
}

// ticketScript moves one ticket that nothing else has moved meanwhile.
//
// KEYS campaign, tickets, due, tally; ARGV index, chunk/index, old and new ticket,
// each with its state (empty for none), ms until it is due again or -1, most tickets of
// the campaign. Answers 1; 0 when it was another ticket meanwhile; -1 when the
// campaign has its most. If the ticket is the new one already, only an earlier
// answer was lost.
var ticketScript = redis.NewScript(`
local old, oldState, new, newState = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local present = redis.call('HGET', KEYS[2], ARGV[1]) or ''
if present == new then return 1 end
if present ~= old or redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HEXISTS', KEYS[1], 'purge_began') == 1 then return 0 end
if old == '' then
  local tickets = 0
  for _, n in ipairs(redis.call('HVALS', KEYS[4])) do tickets = tickets + tonumber(n) end
  if tickets >= tonumber(ARGV[8]) then return -1 end
end
if new == '' then redis.call('HDEL', KEYS[2], ARGV[1]) else redis.call('HSET', KEYS[2], ARGV[1], new) end
if oldState ~= '' then redis.call('HINCRBY', KEYS[4], oldState, -1) end
if newState ~= '' then redis.call('HINCRBY', KEYS[4], newState, 1) end
if tonumber(ARGV[7]) < 0 then
  redis.call('ZREM', KEYS[3], ARGV[2])
else
  local time = redis.call('TIME')
  local at = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) + tonumber(ARGV[7])
  redis.call('ZADD', KEYS[3], string.format('%.0f', at), ARGV[2])
end
return 1`)

func encodeTicket(t *campaign.Ticket) (text, state string, err error) {
	if t == nil {
		return "", "", nil
	}
	stored := *t
	stored.Reason = t.Reason.Stored()
	packed, err := json.Marshal(stored)
	return string(packed), string(t.State), err
}

// readHash reads a hash of JSON by index.
func readHash[T any](ctx context.Context, s *Store, key, what string) (map[int]T, error) {
	hash, err := s.rdb.HGetAll(ctx, key).Result()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	all := make(map[int]T, len(hash))
	for field, text := range hash {
		index, err := strconv.Atoi(field)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", what, err)
		}
		var v T
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			return nil, fmt.Errorf("read %s: contact %d: %w", what, index, err)
		}
		all[index] = v
	}
	return all, nil
}
