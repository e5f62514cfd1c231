package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

const (
	// maxExtractionKeys bounds the keys of a campaign that become columns, and
	// maxKeyBytes their length. Other keys stay in the extraction.
	maxExtractionKeys = 200
	maxKeyBytes       = 100
)

// outcomeScript writes outcomes that nothing else has changed meanwhile.
//
// KEYS campaign, outcomes, histories, extraction keys, chunk, cohorts, rungs; ARGV the
// chunk's number, most extraction keys, number of those that follow, the keys, then for each contact its index,
// the old outcome, the new one, a history (empty leaves it), and what the cohorts are told:
// "seconds answered ended opted", or nothing. Answers the indexes left
// alone: all of them when the campaign does not exist or is being purged. "told" in
// the chunk counts writes. A chunk whose contacts may have a rung to come is looked at soon.
var outcomeScript = redis.NewScript(luaNow + luaCohorts + `
local number = table.remove(ARGV, 1)
local there = redis.call('EXISTS', KEYS[1]) == 1 and redis.call('HEXISTS', KEYS[1], 'purge_began') == 0
local names = tonumber(ARGV[2])
for i = 3, there and 2 + names or 0 do
  if redis.call('SCARD', KEYS[4]) >= tonumber(ARGV[1]) then break end
  redis.call('SADD', KEYS[4], ARGV[i])
end
local left, told, fields, outcomes, histories = {}, {}, {}, {}, {}
for i = 3 + names, #ARGV, 5 do fields[#fields + 1] = ARGV[i] end
local present = #fields > 0 and redis.call('HMGET', KEYS[2], unpack(fields))
for n, index in ipairs(fields) do
  local i, was = 5 * n + names - 2, present[n] or ''
  if there and was == ARGV[i + 1] then
    outcomes[#outcomes + 1], outcomes[#outcomes + 2] = index, ARGV[i + 2]
    if ARGV[i + 3] ~= '' then histories[#histories + 1], histories[#histories + 2] = index, ARGV[i + 3] end
    local at, answered, ended, opted = string.match(ARGV[i + 4], '^(%d+) (%d) (%d) (%d)$')
    for what, n in pairs({[ANSWERED] = answered, [ENDED] = ended, [OPTED] = opted}) do
      if n == '1' then told[#told + 1] = {tonumber(at), what, 1} end
    end
  elseif was ~= ARGV[i + 2] then
    left[#left + 1] = tonumber(index)
  end
end
local wrote = #outcomes > 0
if wrote then redis.call('HSET', KEYS[2], unpack(outcomes)) end
if #histories > 0 then redis.call('HSET', KEYS[3], unpack(histories)) end
if #told > 0 then tellCohorts(KEYS[6], told) end
if wrote and redis.call('EXISTS', KEYS[5]) == 1 then redis.call('HINCRBY', KEYS[5], 'told', 1) end
local soon = wrote and string.match(redis.call('HGET', KEYS[1], 'rungs') or '', '^%d+')
if soon then redis.call('ZADD', KEYS[7], 'XX', 'LT', string.format('%.0f', now + tonumber(soon)), number) end
return left`)

// UpdateOutcomes changes outcomes of a chunk's contacts. change gets a contact's
// outcome and returns the new one and a history; nil leaves the history. It is
// called again for contacts that another process has changed meanwhile. Of one that was
// erased nothing is kept, whatever change returns. A
// *DamagedError says that some outcomes cannot be read; the others are changed.
func (s *Store) UpdateOutcomes(ctx context.Context, ref Ref, contacts []int, change func(index int, o campaign.Outcome) (campaign.Outcome, []campaign.Turn)) error {
	damaged := make(map[int]error)
	for range maxRounds {
		old, err := s.readOutcomes(ctx, ref, contacts)
		if err != nil {
			return err
		}
		var writes []outcomeWrite
		for i, index := range contacts {
			w, err := s.changeOutcome(index, old[i], change)
			if err != nil {
				damaged[index] = err
			} else if w.new != nil {
				writes = append(writes, w)
			}
		}
		if contacts, err = s.writeOutcomes(ctx, ref, writes); err != nil {
			return wrap(err, "write outcomes of chunk %s", ref)
		}
		switch {
		case len(contacts) > 0:
		case len(damaged) > 0:
			return wrap(&DamagedError{damaged}, "outcomes of chunk %s", ref)
		default:
			return nil
		}
	}
	return wrap(ErrMoved, "write outcomes of chunk %s: they changed %d times meanwhile", ref, maxRounds)
}

// An outcomeWrite is the change of one contact's outcome, as outcomeScript takes it.
type outcomeWrite struct {
	index      int
	old        string
	new        []byte // nil: there is nothing to write
	history    []byte
	extraction json.RawMessage
	told       string // to the cohorts
}

// changeOutcome asks what becomes of a contact's outcome as stored.
func (s *Store) changeOutcome(index int, old string, change func(index int, o campaign.Outcome) (campaign.Outcome, []campaign.Turn)) (w outcomeWrite, err error) {
	var o campaign.Outcome
	if old != "" {
		if err := json.Unmarshal([]byte(old), &o); err != nil {
			return w, err
		}
	}
	next, turns := change(index, o)
	if o.Erased {
		return w, nil
	}
	text, err := json.Marshal(next)
	if err != nil || string(text) == old || (old == "" && !next.Known()) {
		return w, err
	}
	w = outcomeWrite{index: index, old: old, new: text, extraction: next.Extraction, told: toldOf(o, next)}
	if turns != nil {
		history, err := json.Marshal(turns)
		if err != nil {
			return outcomeWrite{}, err
		}
		w.history = s.encoder.EncodeAll(history, nil)
	}
	return w, nil
}

// writeOutcomes returns the contacts that something else has changed meanwhile.
func (s *Store) writeOutcomes(ctx context.Context, ref Ref, writes []outcomeWrite) (left []int, err error) {
	if len(writes) == 0 {
		return nil, nil
	}
	if err := s.Raise(ctx, ref.Campaign); err != nil {
		return nil, err
	}
	names := make(map[string]bool)
	for _, w := range writes {
		addKeys(names, w.extraction)
	}
	args := []any{ref.Chunk, maxExtractionKeys, len(names)}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		args = append(args, name)
	}
	for _, w := range writes {
		args = append(args, w.index, w.old, w.new, w.history, w.told)
	}
	keys := []string{keyCampaign(ref.Campaign), keyOutcomes(ref), keyHistories(ref), keyExtractionKeys(ref.Campaign), keyChunk(ref), keyCohorts(ref.Campaign), keyRungs(ref.Campaign)}
	indexes, err := s.applying.script(ctx, outcomeScript, keys, args...).Int64Slice()
	for _, index := range indexes {
		left = append(left, int(index))
	}
	return left, err
}

// readOutcomes are the outcomes of contacts as stored.
func (s *Store) readOutcomes(ctx context.Context, ref Ref, contacts []int) ([]string, error) {
	texts, err := s.readFields(ctx, keyOutcomes(ref), contacts)
	return texts, wrap(err, "read outcomes of chunk %s", ref)
}

// readFields reads those fields of a chunk's hash that belong to some contacts; empty
// where there is none.
func (s *Store) readFields(ctx context.Context, key string, contacts []int) ([]string, error) {
	fields := make([]string, len(contacts))
	for i, index := range contacts {
		fields[i] = strconv.Itoa(index)
	}
	var read *redis.SliceCmd
	err := s.applying.ride(ctx, func(p redis.Pipeliner) { read = p.HMGet(ctx, key, fields...) })
	if err != nil {
		return nil, err
	}
	return textsOf(read.Val()), read.Err()
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

// Outcomes are those of a chunk's contacts, by index. A *DamagedError says that some cannot be
// read; the others are returned.
func (s *Store) Outcomes(ctx context.Context, ref Ref) (map[int]campaign.Outcome, error) {
	return readHash[campaign.Outcome](ctx, s, keyOutcomes(ref), "outcomes of chunk "+ref.String())
}

// History is a contact's conversation as last told; nil: none.
func (s *Store) History(ctx context.Context, ref Ref, index int) ([]campaign.Turn, error) {
	packed, err := s.rdb.HGet(ctx, keyHistories(ref), strconv.Itoa(index)).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err == nil {
		packed, err = s.decoder.DecodeAll(packed, nil)
	}
	var turns []campaign.Turn
	if err == nil {
		err = json.Unmarshal(packed, &turns)
	}
	return turns, wrap(err, "history of contact %d of chunk %s", index, ref)
}

// ExtractionKeys are the keys that the agent has extracted for any contact, sorted.
func (s *Store) ExtractionKeys(ctx context.Context, name string) ([]string, error) {
	keys, err := s.rdb.SMembers(ctx, keyExtractionKeys(name)).Result()
	slices.Sort(keys)
	return keys, wrap(err, "read extraction keys of %s", name)
}

// ErrTicketsFull: the campaign has as many tickets as it may.
var ErrTicketsFull = errors.New("as many tickets as the campaign may have")

// A Place is one contact of a campaign.
type Place struct {
	Ref
	Index int // in the chunk
}

func (p Place) String() string { return fmt.Sprintf("%s/%d", p.Ref, p.Index) }

// member is how a campaign's sorted sets name a contact; see duePlaces.
func (p Place) member() string { return fmt.Sprintf("%d/%d", p.Chunk, p.Index) }

// SetTicket moves a contact's ticket from what was read to new; nil means none. An
// open one is due again after due. It reports false when the ticket was another one
// meanwhile; ErrTicketsFull when the campaign has most tickets.
func (s *Store) SetTicket(ctx context.Context, at Place, old, new *campaign.Ticket, due time.Duration, most int) (bool, error) {
	if err := s.Raise(ctx, at.Campaign); err != nil && !(old != nil && old.State == campaign.TicketCreating) { // an answer is written in any case
		return false, wrap(err, "ticket of contact %s", at)
	}
	oldText, oldState, err1 := encodeTicket(old)
	newText, newState, err2 := encodeTicket(new)
	if err := cmp.Or(err1, err2); err != nil {
		return false, wrap(err, "ticket of contact %s", at)
	}
	wait := int64(-1)
	if new != nil && new.State.Open() {
		wait = millis(due)
	}
	keys := []string{keyCampaign(at.Campaign), keyTickets(at.Ref), keyTicketsDue(at.Campaign), keyTicketTally(at.Campaign)}
	moved, err := ticketScript.Run(ctx, s.rdb, keys, at.Index, at.member(),
		oldText, oldState, newText, newState, wait, most).Int()
	if err == nil && moved < 0 {
		err = ErrTicketsFull
	}
	return moved == 1, wrap(err, "ticket of contact %s", at)
}

// Ticket is the ticket of a contact; nil when it has none.
func (s *Store) Ticket(ctx context.Context, at Place) (*campaign.Ticket, error) {
	var t campaign.Ticket
	found, err := decodeJSON(s.rdb.HGet(ctx, keyTickets(at.Ref), strconv.Itoa(at.Index)), &t)
	if !found {
		return nil, wrap(err, "ticket of contact %s", at)
	}
	return &t, nil
}

// TicketDue is when a contact's open ticket is due; of one that is being made, when its
// claim ends. Zero: it has none.
func (s *Store) TicketDue(ctx context.Context, at Place) (time.Time, error) {
	return s.dueAt(ctx, keyTicketsDue(at.Campaign), at)
}

// Tickets are the tickets of a chunk's contacts, by index.
func (s *Store) Tickets(ctx context.Context, ref Ref) (map[int]campaign.Ticket, error) {
	return readHash[campaign.Ticket](ctx, s, keyTickets(ref), "tickets of chunk "+ref.String())
}

// DueTickets are contacts whose tickets are due, the longest due first.
func (s *Store) DueTickets(ctx context.Context, name string, now time.Time, limit int) ([]Place, error) {
	return s.duePlaces(ctx, keyTicketsDue(name), name, now, limit)
}

func (s *Store) duePlaces(ctx context.Context, key, name string, now time.Time, limit int) ([]Place, error) {
	members, err := s.rdb.ZRangeArgs(ctx, redis.ZRangeArgs{
		Key: key, ByScore: true, Start: "-inf", Stop: strconv.FormatInt(now.UnixMilli(), 10), Count: int64(limit),
	}).Result()
	if err != nil {
		return nil, wrap(err, "list due tickets of %s", name)
	}
	due := make([]Place, len(members))
	for i, member := range members {
		p := Place{Ref: Ref{Campaign: name}}
		if _, err := fmt.Sscanf(member, "%d/%d", &p.Chunk, &p.Index); err != nil {
			return nil, wrap(err, "list due tickets of %s: %q", name, member)
		}
		due[i] = p
	}
	return due, nil
}

// FirstTickets are when the first ticket of each campaign needs a look, or what goes on
// about one, in few round trips; zero: none does.
func (s *Store) FirstTickets(ctx context.Context, names []string) ([]time.Time, error) {
	return s.firstScores(ctx, names, keyTicketsDue, keyFollowsDue)
}

// TicketTally counts the tickets of a campaign by state.
func (s *Store) TicketTally(ctx context.Context, name string) (map[campaign.TicketState]int, error) {
	hash, err := s.rdb.HGetAll(ctx, keyTicketTally(name)).Result()
	if err != nil {
		return nil, wrap(err, "count tickets of %s", name)
	}
	tally := make(map[campaign.TicketState]int)
	for state, text := range hash {
		if tally[campaign.TicketState(state)], err = strconv.Atoi(text); err != nil {
			return nil, wrap(err, "count tickets of %s", name)
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
var ticketScript = redis.NewScript(luaNow + luaTickets + `
local old, oldState, new, newState = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local present = redis.call('HGET', KEYS[2], ARGV[1]) or ''
if present == new then return 1 end
if present ~= old or redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HEXISTS', KEYS[1], 'purge_began') == 1 then return 0 end
if old == '' and ticketsIn(KEYS[4]) >= tonumber(ARGV[8]) then return -1 end
if new == '' then redis.call('HDEL', KEYS[2], ARGV[1]) else redis.call('HSET', KEYS[2], ARGV[1], new) end
if oldState ~= '' then redis.call('HINCRBY', KEYS[4], oldState, -1) end
if newState ~= '' then redis.call('HINCRBY', KEYS[4], newState, 1) end
if tonumber(ARGV[7]) < 0 then
  redis.call('ZREM', KEYS[3], ARGV[2])
else
  local at = now + tonumber(ARGV[7])
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
