package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

// Suppress puts numbers on the do-not-contact list and returns how many were new
// there. No request that begins afterwards contacts them.
func (s *Store) Suppress(ctx context.Context, phones []campaign.Phone) (added int, err error) {
	one, two := bySpellings(phones)
	listed, err := s.FindSuppressed(ctx, two)
	if err != nil {
		return 0, err
	}
	for i, phone := range two {
		if !listed[i] {
			one = append(one, phone)
		}
	}
	added, err = s.doNotContact().add(ctx, one)
	return added, wrap(err, "do-not-contact list: add")
}

// Unsuppress takes numbers off the do-not-contact list and returns how many were on
// it.
func (s *Store) Unsuppress(ctx context.Context, phones []campaign.Phone) (removed int, err error) {
	one, two := bySpellings(phones)
	listed, err := s.FindSuppressed(ctx, two)
	if err != nil {
		return 0, err
	}
	removed, err = s.doNotContact().remove(ctx, one)
	if err == nil {
		_, err = s.doNotContact().remove(ctx, append(two, otherSpellings(two)...))
	}
	if err != nil {
		return removed, wrap(err, "do-not-contact list: remove")
	}
	for _, was := range listed {
		if was {
			removed++
		}
	}
	return removed, nil
}

// bySpellings separates numbers with one spelling from those with two, of which it
// keeps each person's first.
func bySpellings(phones []campaign.Phone) (one, two []campaign.Phone) {
	seen := make(map[campaign.Phone]bool)
	for _, phone := range phones {
		if _, ok := phone.OtherSpelling(); !ok {
			one = append(one, phone)
		} else if !seen[phone.Person()] {
			seen[phone.Person()] = true
			two = append(two, phone)
		}
	}
	return one, two
}

// otherSpellings are the second spellings of the numbers that have one.
func otherSpellings(phones []campaign.Phone) (others []campaign.Phone) {
	for _, phone := range phones {
		if other, ok := phone.OtherSpelling(); ok {
			others = append(others, other)
		}
	}
	return others
}

// Suppressed yields the do-not-contact list, in no particular order.
func (s *Store) Suppressed(ctx context.Context) iter.Seq2[campaign.Phone, error] {
	return func(yield func(campaign.Phone, error) bool) {
		for b, err := range s.doNotContact().buckets(ctx) {
			if err != nil {
				yield(0, wrap(err, "do-not-contact list: read"))
				return
			}
			for _, q := range b.quotients {
				if !yield(campaign.Phone(q*phoneBuckets+b.n), nil) {
					return
				}
			}
		}
	}
}

// ReadSuppressed reads the do-not-contact list into memory.
func (s *Store) ReadSuppressed(ctx context.Context) (*Phones, error) {
	phones := new(Phones)
	err := phones.read(ctx, s.doNotContact())
	return phones, wrap(err, "do-not-contact list: read")
}

// FindSuppressed reports for each number whether it is on the do-not-contact list.
func (s *Store) FindSuppressed(ctx context.Context, phones []campaign.Phone) ([]bool, error) {
	if len(phones) == 0 {
		return nil, nil
	}
	found, err := s.doNotContact().find(ctx, append(slices.Clip(phones), otherSpellings(phones)...))
	if err != nil {
		return nil, wrap(err, "do-not-contact list: look up")
	}
	others := found[len(phones):]
	for i, phone := range phones {
		if _, ok := phone.OtherSpelling(); ok {
			found[i] = found[i] || others[0]
			others = others[1:]
		}
	}
	return found[:len(phones)], nil
}

// A Wish is an opt-out that names no known contact. It stays open until the contact
// is found or an operator closes it. It belongs to no campaign, so a purge leaves
// it, as it leaves the do-not-contact list.
type Wish struct {
	ID           string           `json:"id"`
	At           time.Time        `json:"at"`
	Campaign     string           `json:"campaign"`
	Contact      int              `json:"contact,omitempty"`      // its place in the list from 1, by the link
	Conversation string           `json:"conversation,omitempty"` // the platform's id
	Told         string           `json:"told,omitempty"`         // in place of a number
	Rule         string           `json:"rule"`                   // that found the opt-out
	Why          campaign.Message `json:"why"`                    // it is still open
	Late         bool             `json:"late,omitempty"`         // its campaign was over, or its contact erased, when it came
}

// A closed wish is kept for a while, so that an event that comes again does not open
// it again.
const (
	maxWishes       = 20_000
	closedWishKept  = 90 * 24 * time.Hour
	maxClosedWishes = 100_000
)

// openWishesScript opens wishes. KEYS wishes, closed; ARGV most wishes, then id and
// wish of each. Answers how many are new, -1 when there is no room.
var openWishesScript = redis.NewScript(`
local new = 0
for i = 2, #ARGV, 2 do
  if not redis.call('ZSCORE', KEYS[2], ARGV[i]) then
    if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 0 then
      if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[1]) then return -1 end
      new = new + 1
    end
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
return new`)

// OpenWishes keeps wishes and returns how many are new. An open one is replaced; one
// that an operator has closed stays closed. ErrFull when there is no room.
func (s *Store) OpenWishes(ctx context.Context, wishes []Wish) (opened int, err error) {
	if len(wishes) == 0 {
		return 0, nil
	}
	args := []any{maxWishes}
	for _, w := range wishes {
		w.Why = w.Why.Stored()
		text, err := json.Marshal(w)
		if err != nil {
			return 0, wrap(err, "open wishes")
		}
		args = append(args, w.ID, text)
	}
	opened, err = openWishesScript.Run(ctx, s.rdb, []string{keyWishes, keyClosedWishes}, args...).Int()
	if err == nil && opened < 0 {
		opened, err = 0, ErrFull
	}
	return opened, wrap(err, "open wishes")
}

// FindWishes are those of the ids that are open.
func (s *Store) FindWishes(ctx context.Context, ids []string) (map[string]Wish, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	values, err := s.rdb.HMGet(ctx, keyWishes, ids...).Result()
	if err != nil {
		return nil, wrap(err, "find wishes")
	}
	open := make(map[string]Wish)
	for i, value := range values {
		if text, ok := value.(string); ok {
			open[ids[i]] = decodeWish(ids[i], text)
		}
	}
	return open, nil
}

// Wishes are all open ones, the oldest first.
func (s *Store) Wishes(ctx context.Context) ([]Wish, error) {
	hash, err := s.rdb.HGetAll(ctx, keyWishes).Result()
	if err != nil {
		return nil, wrap(err, "read wishes")
	}
	wishes := make([]Wish, 0, len(hash))
	for id, text := range hash {
		wishes = append(wishes, decodeWish(id, text))
	}
	slices.SortFunc(wishes, func(a, b Wish) int { return cmp.Or(a.At.Compare(b.At), strings.Compare(a.ID, b.ID)) })
	return wishes, nil
}

// decodeWish reads a wish. A damaged one still counts and must not hide the others.
func decodeWish(id, text string) (w Wish) {
	if err := json.Unmarshal([]byte(text), &w); err != nil {
		w = Wish{Why: campaign.Say(campaign.MsgWishDamaged)}
	}
	w.ID = id
	return w
}

// CountWishes counts the open wishes.
func (s *Store) CountWishes(ctx context.Context) (int, error) {
	n, err := s.rdb.HLen(ctx, keyWishes).Result()
	return int(n), wrap(err, "count wishes")
}

// ResolveWishes ends wishes whose contact is known now.
func (s *Store) ResolveWishes(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	return wrap(s.rdb.HDel(ctx, keyWishes, ids...).Err(), "resolve wishes")
}

// ErrNoWish: no wish of that id is open.
var ErrNoWish = errors.New("no such open wish")

// closeWishScript closes a wish. KEYS wishes, closed; ARGV id, now, time before
// which closed ones are forgotten, most closed ones.
var closeWishScript = redis.NewScript(`
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then
  return redis.call('ZSCORE', KEYS[2], ARGV[1]) and 1 or 0
end
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[3])
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - tonumber(ARGV[4]))
return 1`)

// CloseWish closes a wish for an operator; a second call changes nothing. ErrNoWish.
func (s *Store) CloseWish(ctx context.Context, id string) error {
	now := time.Now()
	closed, err := closeWishScript.Run(ctx, s.rdb, []string{keyWishes, keyClosedWishes},
		id, now.UnixMilli(), now.Add(-closedWishKept).UnixMilli(), maxClosedWishes).Bool()
	if err == nil && !closed {
		err = ErrNoWish
	}
	return wrap(err, "close wish")
}
