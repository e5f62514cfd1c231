package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"campaign-runner/campaign"

	"github.com/redis/go-redis/v9"
)

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
			return 0, fmt.Errorf("open wishes: %w", err)
		}
		args = append(args, w.ID, text)
	}
	opened, err = openWishesScript.Run(ctx, s.rdb, []string{keyWishes, keyClosedWishes}, args...).Int()
	if err == nil && opened < 0 {
		opened, err = 0, ErrFull
	}
	if err != nil {
		err = fmt.Errorf("open wishes: %w", err)
	}
	return opened, err
}

// FindWishes are those of the ids that are open.
func (s *Store) FindWishes(ctx context.Context, ids []string) (map[string]Wish, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	values, err := s.rdb.HMGet(ctx, keyWishes, ids...).Result()
	if err != nil {
		return nil, fmt.Errorf("find wishes: %w", err)
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
		return nil, fmt.Errorf("read wishes: %w", err)
	}
	wishes := make([]Wish, 0, len(hash))
	for id, text := range hash {
		wishes = append(wishes, decodeWish(id, text))
	}
	slices.SortFunc(wishes, func(a, b Wish) int {
		if order := a.At.Compare(b.At); order != 0 {
			return order
		}
		return strings.Compare(a.ID, b.ID)
	})
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
	if err != nil {
		return 0, fmt.Errorf("count wishes: %w", err)
	}
	return int(n), nil
}

// ResolveWishes ends wishes whose contact is known now.
func (s *Store) ResolveWishes(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	if err := s.rdb.HDel(ctx, keyWishes, ids...).Err(); err != nil {
		return fmt.Errorf("resolve wishes: %w", err)
	}
	return nil
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
	closed, err := closeWishScript.Run(ctx, s.rdb, []string{keyWishes, keyClosedWishes}, id, now.UnixMilli(), now.Add(-closedWishKept).UnixMilli(), maxClosedWishes).Bool()
	if err == nil && !closed {
		err = ErrNoWish
	}
	if err != nil {
		return fmt.Errorf("close wish: %w", err)
	}
	return nil
}
