package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign/users"
)

var (
	// ErrUserExists: there is a user of that name, perhaps in another case.
	ErrUserExists = errors.New("there is a user of that name already")
	// ErrNoUser: there is no user of that name.
	ErrNoUser = errors.New("no such user")
)

// Users are all who may use the pages, by name.
func (s *Store) Users(ctx context.Context) ([]users.User, error) {
	hash, err := s.rdb.HGetAll(ctx, keyUsers).Result()
	if err != nil {
		return nil, wrap(err, "read users")
	}
	list := make([]users.User, 0, len(hash))
	for key, text := range hash {
		var u users.User
		if err := json.Unmarshal([]byte(text), &u); err != nil {
			u = users.User{Name: key} // damaged: it may do nothing, and still there are users
		}
		list = append(list, u)
	}
	slices.SortFunc(list, func(a, b users.User) int { return cmp.Compare(users.Key(a.Name), users.Key(b.Name)) })
	return list, nil
}

// swapUserScript changes a user. KEYS users; ARGV key of the name, user as it was read,
// empty for none, user as it becomes, empty for none. Answers whether it is so now.
var swapUserScript = redis.NewScript(`
local is = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if is == ARGV[3] then return 1 end
if is ~= ARGV[2] then return 0 end
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
return 1`)

func (s *Store) swapUser(ctx context.Context, name, was, is string) (bool, error) {
	return swapUserScript.Run(ctx, s.rdb, []string{keyUsers}, users.Key(name), was, is).Bool()
}

// AddUser adds a user. ErrUserExists.
func (s *Store) AddUser(ctx context.Context, u users.User) error {
	text, err := json.Marshal(u)
	if err != nil {
		return wrap(err, "add user %s", u.Name)
	}
	added, err := s.swapUser(ctx, u.Name, "", string(text))
	if err == nil && !added {
		err = ErrUserExists
	}
	return wrap(err, "add user %s", u.Name)
}

// ChangeUser changes a user as it stands. ErrNoUser.
func (s *Store) ChangeUser(ctx context.Context, name string, change func(*users.User)) error {
	return wrap(s.turnUser(ctx, name, func(was string) ([]byte, error) {
		u := users.User{Name: name}
		_ = json.Unmarshal([]byte(was), &u) // a damaged one is made whole by the change
		change(&u)
		return json.Marshal(u)
	}), "change user %s", name)
}

// RemoveUser removes a user. ErrNoUser.
func (s *Store) RemoveUser(ctx context.Context, name string) error {
	return wrap(s.turnUser(ctx, name, func(string) ([]byte, error) { return nil, nil }), "remove user %s", name)
}

// turnUser makes of a user's text what become makes of it.
func (s *Store) turnUser(ctx context.Context, name string, become func(was string) ([]byte, error)) error {
	for range 10 { // another may change it meanwhile
		was, err := s.rdb.HGet(ctx, keyUsers, users.Key(name)).Result()
		if errors.Is(err, redis.Nil) {
			err = ErrNoUser
		}
		if err != nil {
			return err
		}
		is, err := become(was)
		if err != nil {
			return err
		}
		if done, err := s.swapUser(ctx, name, was, string(is)); done || err != nil {
			return err
		}
	}
	return ErrMoved
}

// KeepSession keeps a session of the pages for a time. Its id is a hash of what the browser
// has, so that nobody who reads Redis can take it over.
func (s *Store) KeepSession(ctx context.Context, id string, session []byte, length time.Duration) error {
	return wrap(s.rdb.Set(ctx, keySession(id), session, length).Err(), "keep session")
}

// Session reads a session; nil: there is none.
func (s *Store) Session(ctx context.Context, id string) ([]byte, error) {
	session, err := s.rdb.Get(ctx, keySession(id)).Bytes()
	return session, wrap(exceptNil(err), "read session")
}

// ProlongSession lets a session last for a time from now on, if it is still there.
func (s *Store) ProlongSession(ctx context.Context, id string, length time.Duration) error {
	return wrap(s.rdb.Expire(ctx, keySession(id), length).Err(), "prolong session")
}

// EndSession ends a session.
func (s *Store) EndSession(ctx context.Context, id string) error {
	return wrap(s.rdb.Del(ctx, keySession(id)).Err(), "end session")
}

// guessScript takes or gives back one guess. KEYS guesses; ARGV ms until another is
// allowed, how many are at once, whether one is taken: 1, or given back: 0. Answers for how
// many ms there is none; then none is taken.
var guessScript = redis.NewScript(luaNow + `
local every = tonumber(ARGV[1])
local free = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now) -- when as many are allowed as can be
if ARGV[3] == '0' then
  free = math.max(free - every, now)
else
  free = free + every
  local wait = free - every * tonumber(ARGV[2]) - now
  if wait > 0 then return wait end
end
redis.call('SET', KEYS[1], string.format('%.0f', free), 'PX', string.format('%.0f', math.max(free - now, 1)))
return 0`)

// Guesses is how many guesses are allowed: so many at once, and another after each time.
type Guesses struct {
	AtOnce int
	Every  time.Duration
}

// Take takes one of somebody's guesses, for all workers together. Without one left it
// returns how long that stays so. A call that go-redis repeats may take two.
func (g Guesses) Take(ctx context.Context, s *Store, of string) (wait time.Duration, err error) {
	return g.run(ctx, s, of, 1)
}

// GiveBack gives a guess back, because it was right.
func (g Guesses) GiveBack(ctx context.Context, s *Store, of string) error {
	_, err := g.run(ctx, s, of, 0)
	return err
}

func (g Guesses) run(ctx context.Context, s *Store, of string, take int) (time.Duration, error) {
	ms, err := guessScript.Run(ctx, s.rdb, []string{keyGuesses(of)}, millis(g.Every), g.AtOnce, take).Int64()
	return time.Duration(ms) * time.Millisecond, wrap(err, "count a guess")
}
