package store

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

// A FollowDue says when what goes on about a ticket is looked at next.
type FollowDue struct {
	After time.Duration // from now on
	Unset bool          // only if there is no time yet
	Leave bool          // the time stays as it is
	Never bool
}

// BeforeOthers is an After that puts messages before what is only to be read. It is less
// than what a worker's sweeper takes for a ticket that nobody makes.
const BeforeOthers = -30 * time.Minute

// text is how followScript takes it.
func (d FollowDue) text() string {
	switch {
	case d.Leave:
		return "leave"
	case d.Never:
		return "never"
	case d.Unset:
		return "unset:" + strconv.FormatInt(d.After.Milliseconds(), 10)
	}
	return strconv.FormatInt(d.After.Milliseconds(), 10)
}

// UpdateFollow changes what goes on about a contact's ticket. change gets it as it is, and
// says when it is looked at next, and whether there is anything to write; it is called
// again when another process was faster. Of a contact that was erased nothing is kept, and
// nothing of one without a ticket once the campaign has most of them; 0: they do not count.
func (s *Store) UpdateFollow(ctx context.Context, at Place, most int, change func(f *campaign.Follow) (due FollowDue, write bool)) error {
	if err := s.Raise(ctx, at.Campaign); err != nil {
		return wrap(err, "follow ticket of contact %s", at)
	}
	for range maxRounds {
		f, old, err := s.follow(ctx, at)
		if err != nil {
			return err
		}
		if f == nil {
			f = new(campaign.Follow)
		}
		due, write := change(f)
		if !write {
			return nil
		}
		for i := range f.Said {
			f.Said[i].Reason = f.Said[i].Reason.Stored()
		}
		text, err := json.Marshal(f)
		if err != nil {
			return wrap(err, "follow ticket of contact %s", at)
		}
		keys := []string{
			keyCampaign(at.Campaign), keyFollows(at.Ref), keyFollowsDue(at.Campaign), keyOutcomes(at.Ref), keyTickets(at.Ref), keyTicketTally(at.Campaign),
		}
		moved, err := s.applying.script(ctx, followScript, keys, at.Index, at.member(), old, text, due.text(), most).Bool()
		if err != nil || moved {
			return wrap(err, "follow ticket of contact %s", at)
		}
	}
	return wrap(ErrMoved, "follow ticket of contact %s: it changed %d times meanwhile", at, maxRounds)
}

// DropFollow forgets what was to go on about a ticket that is not there.
func (s *Store) DropFollow(ctx context.Context, at Place) error {
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.HDel(ctx, keyFollows(at.Ref), strconv.Itoa(at.Index))
		p.ZRem(ctx, keyFollowsDue(at.Campaign), at.member())
		return nil
	})
	return wrap(err, "forget ticket of contact %s", at)
}

// Follow is what goes on about a contact's ticket; nil: nothing.
func (s *Store) Follow(ctx context.Context, at Place) (*campaign.Follow, error) {
	f, _, err := s.follow(ctx, at)
	return f, err
}

// follow also returns the SHA-1 of what is stored; empty: nothing is.
func (s *Store) follow(ctx context.Context, at Place) (f *campaign.Follow, sum string, err error) {
	f = new(campaign.Follow)
	text := s.rdb.HGet(ctx, keyFollows(at.Ref), strconv.Itoa(at.Index))
	found, err := decodeJSON(text, f)
	if !found {
		return nil, "", wrap(err, "ticket of contact %s", at)
	}
	hash := sha1.Sum([]byte(text.Val()))
	return f, hex.EncodeToString(hash[:]), nil
}

// FollowDueAt is when what goes on about a contact's ticket is looked at; while a message is
// on its way, when the claim on it ends. Zero: never.
func (s *Store) FollowDueAt(ctx context.Context, at Place) (time.Time, error) {
	return s.dueAt(ctx, keyFollowsDue(at.Campaign), at)
}

func (s *Store) dueAt(ctx context.Context, key string, at Place) (time.Time, error) {
	score, err := s.rdb.ZScore(ctx, key, at.member()).Result()
	if score == 0 {
		return time.Time{}, wrap(exceptNil(err), "ticket of contact %s", at)
	}
	return timeOf(int64(score)), wrap(err, "ticket of contact %s", at)
}

// Follows are what goes on about the tickets of a chunk's contacts, by index.
func (s *Store) Follows(ctx context.Context, ref Ref) (map[int]campaign.Follow, error) {
	return readHash[campaign.Follow](ctx, s, keyFollows(ref), "tickets of chunk "+ref.String())
}

// DueFollows are contacts about whose tickets something is due, the longest due first.
func (s *Store) DueFollows(ctx context.Context, name string, now time.Time, limit int) ([]Place, error) {
	return s.duePlaces(ctx, keyFollowsDue(name), name, now, limit)
}

// TicketStates are those of the tickets of some of a chunk's contacts.
func (s *Store) TicketStates(ctx context.Context, ref Ref, contacts []int) (map[int]campaign.TicketState, error) {
	texts, err := s.readFields(ctx, keyTickets(ref), contacts)
	if err != nil {
		return nil, wrap(err, "tickets of chunk %s", ref)
	}
	states := make(map[int]campaign.TicketState)
	for i, text := range texts {
		var t campaign.Ticket
		if text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(text), &t); err != nil {
			return nil, wrap(err, "ticket of contact %s/%d", ref, contacts[i])
		}
		states[contacts[i]] = t.State
	}
	return states, nil
}

// luaTickets defines how many tickets a campaign has, by its tally of them.
const luaTickets = `
local function ticketsIn(tally)
  local tickets = 0
  for _, n in ipairs(redis.call('HVALS', tally)) do tickets = tickets + tonumber(n) end
  return tickets
end`

// followScript writes what goes on about one ticket, unless something else has changed it
// meanwhile.
//
// KEYS campaign, follows, due follows, outcomes, tickets, tally of tickets; ARGV index,
// chunk/index, SHA-1 of the old text (empty for none), the new text, ms until it is due
// (after unset: if no time is set; or leave, or never), most tickets of the campaign (0:
// they do not count). Answers 0 when something has changed it; 1 when it is written, and
// when nothing may be: the campaign is gone or being purged, the contact erased, or it has
// no ticket and there are most already.
var followScript = redis.NewScript(luaNow + luaTickets + `
local index, due, most = ARGV[1], ARGV[5], tonumber(ARGV[6])
local present = redis.call('HGET', KEYS[2], index)
if (present and redis.sha1hex(present) or '') ~= ARGV[3] then return present == ARGV[4] and 1 or 0 end
if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HEXISTS', KEYS[1], 'purge_began') == 1 then return 1 end
local outcome = redis.call('HGET', KEYS[4], index)
if outcome and cjson.decode(outcome).erased then return 1 end
if most > 0 and redis.call('HEXISTS', KEYS[5], index) == 0 and ticketsIn(KEYS[6]) >= most then return 1 end
redis.call('HSET', KEYS[2], index, ARGV[4])
if due == 'never' then
  redis.call('ZREM', KEYS[3], ARGV[2])
elseif due ~= 'leave' then
  local unset = string.match(due, '^unset:(.*)')
  if unset and redis.call('ZSCORE', KEYS[3], ARGV[2]) then return 1 end
  redis.call('ZADD', KEYS[3], string.format('%.0f', now + tonumber(unset or due)), ARGV[2])
end
return 1`)
