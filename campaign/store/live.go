package store

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// The sorted set live holds the campaigns that have to be looked at, by the time from
// which on. Every act that may give a campaign something to do raises it first, in a
// command of its own: the set lies in another slot than the campaign. A crash in between
// costs a look and no more. Loops over campaigns read this set, so what has finished
// costs nothing.
const (
	// LiveFor is how long a campaign stays live after the last act. Then Rest may take it
	// out.
	LiveFor = 10 * time.Minute
	// raiseAgain is how long a process takes its own raise for good. It is so much shorter
	// than LiveFor that the act which follows is seen.
	raiseAgain = 20 * time.Second
	// actsWithin is how long after a raise its acts are looked for.
	actsWithin = raiseAgain + 10*time.Second
	// raisedKept bounds the campaigns of which a process knows when it raised them.
	raisedKept = 10_000
)

// A Live is a campaign that has to be looked at.
type Live struct {
	Campaign string
	Since    time.Time // its latest act, or the time it was to be looked at; by Redis's clock
}

// raised are the campaigns that this process has raised lately.
type raised struct {
	mu sync.Mutex
	at map[string]time.Time
}

// lately reports whether it has raised the campaign within raiseAgain, by both clocks: the
// monotonic one may stand still while a machine is paused.
func (r *raised) lately(name string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.at[name]
	return ok && now.Sub(at) < raiseAgain && now.Round(0).Sub(at.Round(0)) < raiseAgain
}

func (r *raised) add(name string, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at == nil || len(r.at) >= raisedKept {
		r.at = make(map[string]time.Time)
	}
	r.at[name] = at
}

// raiseScript makes a campaign live from now on. KEYS live; ARGV name.
var raiseScript = redis.NewScript(luaNow + `
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
return 1`)

// Raise makes a campaign live for LiveFor at least. Every act of this package that may
// give a campaign something to do calls it first.
func (s *Store) Raise(ctx context.Context, name string) error {
	begun := time.Now()
	if s.raised.lately(name, begun) {
		return nil
	}
	if err := raiseScript.Run(ctx, s.rdb, []string{keyLive}, name).Err(); err != nil {
		return wrap(err, "raise campaign %s", name)
	}
	s.raised.add(name, begun)
	return nil
}

// LookAt makes a campaign live from a time on, unless it is live already or will be
// earlier.
func (s *Store) LookAt(ctx context.Context, name string, at time.Time) error {
	err := s.rdb.ZAddArgs(ctx, keyLive, redis.ZAddArgs{LT: true, Members: []redis.Z{{Score: float64(at.UnixMilli()), Member: name}}}).Err()
	return wrap(err, "look at campaign %s", name)
}

// Live lists the campaigns that have to be looked at now, those without an act for the
// longest time first, with the time by Redis's clock.
func (s *Store) Live(ctx context.Context) (live []Live, now time.Time, err error) {
	if now, err = s.About(ctx); err != nil {
		return nil, now, err
	}
	live, err = s.live(ctx, strconv.FormatInt(now.UnixMilli(), 10))
	return live, now, err
}

// EverLive lists the campaigns that have to be looked at now or at a later time.
func (s *Store) EverLive(ctx context.Context) ([]Live, error) { return s.live(ctx, "+inf") }

func (s *Store) live(ctx context.Context, until string) ([]Live, error) {
	members, err := s.rdb.ZRangeByScoreWithScores(ctx, keyLive, &redis.ZRangeBy{Min: "-inf", Max: until}).Result()
	if err != nil {
		return nil, wrap(err, "list live campaigns")
	}
	live := make([]Live, len(members))
	for i, m := range members {
		name, _ := m.Member.(string)
		live[i] = Live{name, timeOf(int64(m.Score))}
	}
	return live, nil
}

// A Round is what a loop over campaigns knows of its looks. Its zero value has not looked.
type Round struct {
	last  time.Time            // by this process's clock
	looks map[string]time.Time // at live campaigns, by Redis's clock
}

// Again says that a live campaign is to be looked at in the next round, whether anything
// raises it or not.
func (r *Round) Again(name string) { delete(r.looks, name) }

// Anew says that another process has looked meanwhile: the next round is one of all
// campaigns.
func (r *Round) Anew() { *r = Round{} }

// Due are those of the live campaigns that have to be looked at in this round. For actsWithin after a
// raise its act may come; then nothing happens until the next raise. An act that Redis kept
// waiting for longer is seen before the campaign may rest.
func (r *Round) Due(live []Live, now time.Time) (names []string) {
	looks := make(map[string]time.Time, len(live))
	for _, l := range live {
		look := r.looks[l.Campaign]
		acted, ends := l.Since.Add(actsWithin), l.Since.Add(LiveFor/2)
		if !look.After(acted) || now.After(ends) && !look.After(ends) {
			names, look = append(names, l.Campaign), now
		}
		looks[l.Campaign] = look
	}
	r.looks = looks
	return names
}

// ToLookAt lists the campaigns that a loop has to look at in this round, with the time by
// Redis's clock: live ones, and all there are when it has not looked for so long that some
// may have been live meanwhile, and at its first look.
func (s *Store) ToLookAt(ctx context.Context, r *Round) (names []string, now time.Time, err error) {
	begun := time.Now()
	live, now, err := s.Live(ctx)
	if err != nil {
		return nil, now, err
	}
	all := r.last.IsZero() || max(begun.Sub(r.last), begun.Round(0).Sub(r.last.Round(0))) > LiveFor/2
	if all {
		if names, err = s.Names(ctx); err != nil {
			return nil, now, err
		}
	}
	r.last = begun
	if due := r.Due(live, now); !all {
		names = due
	}
	return names, now, nil
}

// restScript moves a campaign that nothing has raised since it was read. KEYS live; ARGV
// name, score as read, next score; empty: it is taken out.
var restScript = redis.NewScript(`
if tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or '-1') ~= tonumber(ARGV[2]) then return 0 end
if ARGV[3] == '' then redis.call('ZREM', KEYS[1], ARGV[1]) else redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1]) end
return 1`)

// Rest lets a campaign, as it was read, alone until next; zero: until it is raised. If it
// was raised meanwhile, it stays live. Call it only for one that was raised more than
// LiveFor ago: another process may be about to act, by a raise of its own that is younger.
func (s *Store) Rest(ctx context.Context, l Live, next time.Time) error {
	score := ""
	if !next.IsZero() {
		score = strconv.FormatInt(next.UnixMilli(), 10)
	}
	err := restScript.Run(ctx, s.rdb, []string{keyLive}, l.Campaign, l.Since.UnixMilli(), score).Err()
	return wrap(err, "rest campaign %s", l.Campaign)
}
