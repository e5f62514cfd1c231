// Package store keeps campaigns in Redis, about 40 bytes for a contact with two
// short values.
//
// Every change is atomic and conditional. Go decides what a record becomes
// (campaign.Record.Next). One script, change.lua, checks that the records are still
// those the decision was made on and that the caller may change them, writes them,
// and moves the tally by the same amounts. So the tally always adds up to the
// contacts, two senders never hold one claim, and a script that Redis runs twice
// acts once. When to send is for package jobs.
//
// Files, by what they keep (keys.go lists every key with its type):
//
//	catalog settings  which campaigns there are: settings, phase, tally; purging one
//	live              which of them have to be looked at, and when
//	load append       a contact file becomes chunks; its rejects
//	index             finding a contact by number or conversation
//	chunk             contacts and ledger of one chunk, and how its rows are encoded
//	change            moving contacts, and by what right (change_lua: running the script)
//	release reasons   which chunks are due, and their releases; texts of reasons
//	reservation       who may be contacted now; who was, by day
//	phones            sets of numbers
//	suppression       the do-not-contact list; opt-outs whose number is not known
//	events unmatched  the platform's events, and those that match no contact
//	trips             how commands of several goroutines share round trips
//	outcomes damaged  what the events led to: conversations, tickets; and what of it cannot be read
//	fleet             workers, quotas, leases; who was notified
//	log verify        what was decided, how the tally went; whether everything adds up
//	drafts            campaigns that are being made: their file and settings so far
//	users             who may use the pages; their sessions, and guesses of passwords
//	connect server    opening Redis; its memory, durability, refusals
package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/redis/go-redis/v9"
)

// A Store reads and changes campaigns. It is safe for use by many goroutines.
type Store struct {
	rdb     redis.UniversalClient
	encoder *zstd.Encoder
	decoder *zstd.Decoder

	inbox    trips[*arrival] // of events that come in
	applying *pipeline       // of those that are applied

	replicas int         // that must have a Begin
	drafts   draftBounds // lower ones in tests

	staleFrom  atomic.Pointer[string] // where StaleEvents goes on; nil: at the first event
	leftFrom   atomic.Uint64          // where ForgetReservations goes on
	contactDay atomic.Int64           // on which this process last wrote into the contact record
	raised     raised
	recent     recent
	clock      atomic.Pointer[clock] // Redis's, as last asked
	listed     sync.Map              // workers by id: when they were put into the set of workers
}

// New returns a Store on rdb. The caller closes rdb.
func New(rdb redis.UniversalClient) *Store {
	// Both constructors fail on bad options only, and these are constants.
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		panic(err)
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxBlobBytes), zstd.WithDecoderConcurrency(0))
	if err != nil {
		panic(err)
	}
	s := &Store{rdb: rdb, applying: newPipeline(rdb, 1), drafts: draftBounds{MaxDraftBytes, MaxDrafts}, encoder: encoder, decoder: decoder}
	s.recent.turn = make(chan struct{}, 1)
	s.inbox.most, s.inbox.carry = 4, s.addEvents
	return s
}

// WaitForReplicas makes every Begin wait until n replicas of the campaign's server
// have it, so that a failover cannot forget a request. It costs each request a round
// trip to the replicas. Call it before the store is used.
func (s *Store) WaitForReplicas(n int) { s.replicas = n }

// Redis is the client the store works on.
func (s *Store) Redis() redis.UniversalClient { return s.rdb }

// Now is Redis's clock. It alone decides about claims and due times, so the workers'
// clocks do not matter.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	asked := time.Now()
	now, err := s.rdb.Time(ctx).Result()
	if err == nil {
		s.clock.Store(&clock{asked: asked, said: now})
	}
	return now, wrap(err, "redis time")
}

// A clock is what Redis said the time is when it was asked.
type clock struct{ asked, said time.Time }

// clockHolds is how long an answer about the time is good enough for due times.
const clockHolds = 5 * time.Second

// About is Redis's clock, give or take a round trip: by what it said a moment ago, if
// both of this process's clocks say since that it was a moment. It is good enough for
// when a chunk is looked at and when a contact moved, and for nothing else.
func (s *Store) About(ctx context.Context) (time.Time, error) {
	if c := s.clock.Load(); c != nil {
		now := time.Now()
		passed, wall := now.Sub(c.asked), now.Round(0).Sub(c.asked.Round(0))
		if passed < clockHolds && (wall-passed).Abs() < time.Second {
			return c.said.Add(passed), nil
		}
	}
	return s.Now(ctx)
}

// ClockAhead is how far Redis's clock is ahead of this process's, give or take half
// a round trip.
func (s *Store) ClockAhead(ctx context.Context) (ahead, giveOrTake time.Duration, err error) {
	asked := time.Now()
	theirs, err := s.Now(ctx)
	answered := time.Now()
	half := answered.Sub(asked) / 2
	return theirs.Sub(asked.Add(half)), half, err
}

// Clock is the clock of the server that holds a campaign, which judges its changes.
func (s *Store) Clock(ctx context.Context, name string) (time.Time, error) {
	server, err := s.serverOf(ctx, keyCampaign(name))
	if err != nil {
		return time.Time{}, wrap(err, "redis time")
	}
	now, err := server.Time(ctx).Result()
	return now, wrap(err, "redis time")
}

// serverOf is the server that holds a key.
func (s *Store) serverOf(ctx context.Context, key string) (redis.UniversalClient, error) {
	if cluster, ok := s.rdb.(*redis.ClusterClient); ok {
		return cluster.MasterForKey(ctx, key)
	}
	return s.rdb, nil
}

// eachServer calls do for every server that takes writes; for those of a cluster at
// the same time.
func eachServer(ctx context.Context, rdb redis.UniversalClient, do func(context.Context, redis.UniversalClient) error) error {
	cluster, ok := rdb.(*redis.ClusterClient)
	if !ok {
		return do(ctx, rdb)
	}
	return cluster.ForEachMaster(ctx, func(ctx context.Context, server *redis.Client) error { return do(ctx, server) })
}

var (
	// ErrNotFound: there is no campaign of that name.
	ErrNotFound = errors.New("no such campaign")
	// ErrExists: a campaign of that name has been loaded already.
	ErrExists = errors.New("campaign exists")
	// ErrLoadLost: another enqueue has taken this load over.
	ErrLoadLost = errors.New("another enqueue has taken this load over")
	// ErrGone: the chunk or contact does not exist, or no longer.
	ErrGone = errors.New("no such chunk")
	// ErrNotRunning: the campaign's phase does not allow sending.
	ErrNotRunning = errors.New("campaign is not running")
	// ErrUnapproved: the campaign waits for approval, as one that is not running waits.
	ErrUnapproved = fmt.Errorf("%w: it waits for approval", ErrNotRunning)
	// ErrBusy: another sender holds a living claim on the chunk.
	ErrBusy = errors.New("chunk is claimed")
	// ErrUnrecovered: contacts are still sending under a claim that has ended. Recover
	// it before taking the chunk.
	ErrUnrecovered = errors.New("chunk has contacts sending under an ended claim")
	// ErrLate: the change came after Change.Latest.
	ErrLate = errors.New("the change came too late")
	// ErrMoved: contacts of the request have changed since they were read; nothing was
	// changed.
	ErrMoved = errors.New("contacts have moved")
)

// wrap says what failed; nil stays nil.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err)
}

// exceptNil is err, except where it only says that a key is missing.
func exceptNil(err error) error {
	if errors.Is(err, redis.Nil) {
		return nil
	}
	return err
}

// wrongType reports whether err is about what a key holds, and not about Redis.
func wrongType(err error) bool { return redis.HasErrorPrefix(err, "WRONGTYPE") }

// textsOf are the answers of HMGET; empty where a field is missing.
func textsOf(values []any) []string {
	texts := make([]string, len(values))
	for i, value := range values {
		texts[i], _ = value.(string)
	}
	return texts
}

// decodeJSON decodes what a command has read into v; found is false when there was
// nothing.
func decodeJSON(read *redis.StringCmd, v any) (found bool, err error) {
	text, err := read.Bytes()
	if err != nil {
		return false, exceptNil(err)
	}
	err = json.Unmarshal(text, v)
	return err == nil, err
}

// getAll reads strings in one round trip; empty where a key is missing.
func (s *Store) getAll(ctx context.Context, keys []string) ([]string, error) {
	cmds := make([]*redis.StringCmd, len(keys))
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, key := range keys {
			cmds[i] = p.Get(ctx, key)
		}
		return nil
	})
	err = exceptNil(err)
	texts := make([]string, len(keys))
	for i, cmd := range cmds {
		err = cmp.Or(err, exceptNil(cmd.Err()))
		texts[i] = cmd.Val()
	}
	return texts, err
}

// luaNow begins a script that needs the clock of its server: now, in milliseconds.
const luaNow = `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)`

// millis is a duration as scripts take it.
func millis(d time.Duration) int64 { return d.Milliseconds() }

// timeOf turns a script's milliseconds into a time.
func timeOf(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// RetryWrite repeats a write that must not be lost until it succeeds or patience is
// over, whether ctx is cancelled or not. ErrGone and ErrMoved end it at once: they do
// not pass.
func RetryWrite(ctx context.Context, patience time.Duration, write func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	wait := 100 * time.Millisecond
	for {
		err := write(ctx)
		if err == nil || errors.Is(err, ErrGone) || errors.Is(err, ErrMoved) || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
			wait = min(2*wait, 5*time.Second)
		}
	}
}
