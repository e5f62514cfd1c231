package ratelimit

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed core.lua
var coreLua string

var core = redis.NewScript(scriptText)

// scriptText begins with the constants of core.go.
var scriptText = fmt.Sprintf(`
local FULL, PACE, REFUSED, FAILING, PROBE, HELD, LOST = %d, %d, %d, %d, %d, %d, %d
local PATIENCE, FIRST_BLOCK, LONGEST_BLOCK = %d, %d, %d
local BATCH_AHEAD, MOST_AT_ONCE, LATENESS, LONGEST_MEMORY = %d, %d, %d, %d
local FEW_LEFT = %d
local LOG_ENTRIES, LOG_ENTRIES_UNLIMITED, LOOK_AGAIN = %d, %d, %d
local SHORTEST, LONGEST_LEARNED, LONGEST_UNPROVEN, MOST_DOUBTS, SLACK = %d, %d, %d, %d, %d
`, whyFull, whyPace, whyRefused, whyFailing, whyProbe, whyHeld, whyLost,
	patience, firstBlock, longestBlock,
	batchAhead, mostAtOnce, lateness, longestMemory,
	fewLeft, logEntries, logEntriesUnlimited, lookAgain,
	shortest, longestLearned, longestUnproven, mostDoubts, slackMillis) + coreLua

const (
	opAcquire = 1
	opReport  = 2
	opLift    = 3
)

// How a process goes on without Redis: it leaves part of the quota, for it does
// not see what the others send, and tries Redis again every few seconds.
const (
	cautionPermille = 750
	retryRedis      = 5 * time.Second
)

// NewShared returns the quota that all processes with this token and Redis
// share. Nothing but a hash of the token is stored.
func NewShared(rdb redis.UniversalClient, token string, cfg Config) (*Quota, error) {
	p, err := cfg.policy()
	if err != nil {
		return nil, err
	}
	q := newQuota(cfg, p, nil)
	q.book = &sharedBook{rdb: rdb, key: Key(token), script: core, policy: p, quota: q, last: reply{Limit: p.Limit, Window: p.Window, Peers: 1}}
	return q, nil
}

// Key is where the quota of a token is kept: a hash of it.
func Key(token string) string {
	sum := sha256.Sum256([]byte(token))
	return "quota:" + hex.EncodeToString(sum[:12])
}

// Key is where this quota is kept in Redis; empty when it is not.
func (q *Quota) Key() string {
	if b, shared := q.book.(*sharedBook); shared {
		return b.key
	}
	return ""
}

// sharedBook keeps the state in Redis.
type sharedBook struct {
	rdb    redis.UniversalClient
	key    string
	script *redis.Script
	policy policy
	quota  *Quota

	mu     sync.Mutex
	last   reply // the latest from Redis
	lastAt time.Time
	alone  *localBook // in use while Redis is gone
	retry  time.Time  // when to try Redis again
}

func (b *sharedBook) acquire(ctx context.Context, a ask) reply {
	if alone := b.outage(); alone != nil {
		return b.guess(alone.acquire(ctx, a))
	}
	err := b.handOver(ctx, a.Peer)
	var r reply
	if err == nil {
		r, err = b.callAcquire(ctx, a)
	}
	if err != nil {
		return b.guess(b.lost(ctx, err).acquire(ctx, a))
	}
	b.found(ctx, r)
	return r
}

func (b *sharedBook) report(ctx context.Context, peer int64, all []told) reply {
	alone := b.outage()
	if alone == nil {
		err := b.handOver(ctx, peer)
		var r reply
		if err == nil {
			r, err = b.callReport(ctx, peer, all)
		}
		if err == nil {
			b.found(ctx, r)
			return r
		}
		alone = b.lost(ctx, err)
	}
	ours := slices.Clone(all)
	for i := range ours {
		ours[i].outcome.Limit = 0 // the headers speak of all processes, the state alone of this one
	}
	return b.guess(alone.report(ctx, peer, ours))
}

func (b *sharedBook) callAcquire(ctx context.Context, a ask) (reply, error) {
	return b.call(ctx, opAcquire, a.Peer, a.Waited, a.Want)
}

func (b *sharedBook) callReport(ctx context.Context, peer int64, all []told) (reply, error) {
	var args []int64
	for _, t := range all {
		o := t.outcome
		args = append(args, t.permit.state, t.permit.serial, t.permit.counted, t.permit.expired,
			flag(o.Counted), flag(o.Answered), flag(o.Failed), flag(o.Refused), flag(o.Held), flag(o.Lost), o.RetryAfter, o.Limit, o.Remaining)
	}
	return b.call(ctx, opReport, peer, args...)
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// call runs the script. go-redis repeats a call whose reply was lost: a second
// acquire costs a permit that runs out, a second report finds nothing to do.
func (b *sharedBook) call(ctx context.Context, op, peer int64, args ...int64) (reply, error) {
	p := b.policy
	argv := []any{op, peer, identity(), p.Limit, p.Window, flag(p.Asks), p.Share, p.Timeout, p.Burst}
	for _, a := range args {
		argv = append(argv, a)
	}
	v, err := b.script.Run(ctx, b.rdb, []string{b.key}, argv...).Int64Slice()
	if err != nil {
		return reply{}, err
	}
	if len(v) != 14 {
		return reply{}, fmt.Errorf("%s: want 14 numbers, have %d", b.key, len(v))
	}
	return reply{
		Permits: v[0],
		Permit:  Permit{state: v[1], serial: v[2], counted: v[3], expired: v[4], Probe: v[5] == 1},
		Wait:    v[6], Limit: v[7], Others: v[8], Peers: v[9], Window: v[10], Blocked: v[11], Why: v[12], Lost: v[13],
	}, nil
}

func (b *sharedBook) look(ctx context.Context) (state, int64, error) { return look(ctx, b.rdb, b.key) }

func look(ctx context.Context, rdb redis.UniversalClient, key string) (state, int64, error) {
	pipe := rdb.Pipeline()
	get, clock := pipe.Get(ctx, key), pipe.Time(ctx)
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return state{}, 0, err
	}
	var s state
	if text, err := get.Bytes(); err == nil {
		if err := json.Unmarshal(text, &s); err != nil {
			return state{}, 0, fmt.Errorf("%s: %w", key, err)
		}
	}
	return s, clock.Val().UnixMilli(), nil
}

// Look is how the quota at a Key stands, for a caller that does not use it.
func Look(ctx context.Context, rdb redis.UniversalClient, key string) (Status, error) {
	s, now, err := look(ctx, rdb, key)
	if err != nil {
		return Status{}, fmt.Errorf("quota: status: %w", err)
	}
	p, _ := Config{Asks: true}.policy() // the defaults are valid
	return s.status(now, p), nil
}

// Unblock lets the quota at a Key go on at once, in all processes, and says for
// how long and why it was blocked: zero when it was not.
func Unblock(ctx context.Context, rdb redis.UniversalClient, key string) (left time.Duration, why Reason, err error) {
	p, _ := Config{Asks: true}.policy() // the defaults are valid
	b := &sharedBook{rdb: rdb, key: key, script: core, policy: p}
	r, err := b.call(ctx, opLift, 0)
	if err != nil {
		return 0, "", fmt.Errorf("quota: unblock: %w", err)
	}
	return time.Duration(r.Blocked) * time.Millisecond, reasons[r.Why], nil
}

// outage is the state to use while Redis is gone, and nil when it is to be tried.
func (b *sharedBook) outage() *localBook {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.alone != nil && time.Now().Before(b.retry) {
		return b.alone
	}
	return nil
}

// lost begins or prolongs an outage.
func (b *sharedBook) lost(ctx context.Context, err error) *localBook {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.retry = time.Now().Add(retryRedis)
	if b.alone == nil {
		b.alone = newLocalBook(cautious(b.policy, b.last))
		s := &b.alone.state
		if b.last.Limit > 0 { // not all processes at once
			s.Block = b.alone.now() + rand.Int64N(b.alone.policy.Window)
		}
		if left := b.last.Blocked - time.Since(b.lastAt).Milliseconds(); b.last.Blocked > 0 && b.alone.now()+left > s.Block {
			s.Block, s.Why = b.alone.now()+left, b.last.Why
		}
		s.Lost = b.last.Lost
		b.quota.log.WarnContext(ctx, "quota goes on without redis", "processes", b.last.Peers, "error", err)
	}
	return b.alone
}

// handOver tells Redis, when it is back, what this process has learned meanwhile
// and what holds all of them up.
func (b *sharedBook) handOver(ctx context.Context, peer int64) error {
	b.mu.Lock()
	alone := b.alone
	b.mu.Unlock()
	if alone == nil {
		return nil
	}
	s, now, _ := alone.look(ctx)
	var news []outcome
	if left := s.Block - now; left > 0 && s.Why == whyRefused {
		news = append(news, outcome{Refused: true, RetryAfter: left})
	} else if left > 0 && s.Why == whyHeld {
		news = append(news, outcome{Held: true, RetryAfter: left})
	}
	if s.Lost > 0 {
		news = append(news, outcome{Lost: true})
	}
	for _, o := range news {
		if _, err := b.callReport(ctx, peer, []told{{outcome: o}}); err != nil {
			return err
		}
	}
	return nil
}

func (b *sharedBook) found(ctx context.Context, r reply) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last, b.lastAt = r, time.Now()
	if b.alone != nil {
		b.alone = nil
		b.quota.log.InfoContext(ctx, "redis is back, the quota is shared again")
	}
}

// guess fills in what the state of one process does not know.
func (b *sharedBook) guess(r reply) reply {
	b.mu.Lock()
	defer b.mu.Unlock()
	r.Limit, r.Others, r.Peers, r.Window = b.last.Limit, b.last.Others, b.last.Peers, b.last.Window
	return r
}

// cautious is one process's part of the quota: one request at a time, as far
// apart as that part asks for.
func cautious(p policy, last reply) policy {
	if last.Limit == 0 {
		return p
	}
	ours := max(1000, 1000*last.Limit*p.Share/1000-last.Others)
	p.Window = last.Window * last.Peers * 1000 * 1000 / (ours * cautionPermille)
	p.Limit, p.Share, p.Burst, p.Fixed = 1, 1000, 1, true
	return p
}

// localBook keeps the state in this process.
type localBook struct {
	policy policy
	start  time.Time
	mu     sync.Mutex
	state  state
}

func newLocalBook(p policy) *localBook {
	return &localBook{policy: p, start: time.Now(), state: state{ID: identity()}}
}

// now is read off the monotonic clock.
func (b *localBook) now() int64 {
	return b.start.UnixMilli() + time.Since(b.start).Milliseconds()
}

func (b *localBook) acquire(_ context.Context, a ask) reply {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state.acquire(b.now(), b.policy, a)
}

func (b *localBook) report(_ context.Context, peer int64, all []told) reply {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state.report(b.now(), b.policy, peer, all)
}

func (b *localBook) look(context.Context) (state, int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state.clone(), b.now(), nil
}
