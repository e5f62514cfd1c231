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
//	catalog               which campaigns there are: settings, phase, tally
//	load append rejects   a contact file becomes chunks; index, conversations: finding a contact
//	chunk rows            contacts and ledger of one chunk
//	change guard terms    moving contacts (change_lua: the call; replicas: waiting for them)
//	release reasons       which chunks are due, and their releases; texts of reasons
//	reservation contacted who may be contacted now; who was, by day (phoneset, phones: sets of numbers)
//	suppression wishes    the do-not-contact list; opt-outs whose number is not known
//	events unmatched      the platform's events; outcomes, tickets: what they led to
//	fleet notices         workers, quotas, leases; who was notified
//	log series verify     what was decided, how the tally went, whether everything adds up
//	purge settings        deleting what is personal; changing settings
//	connect server        opening Redis; its memory, durability, refusals
package store

import (
	"context"
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

	packing sync.Pool // of *[]byte: buffers in which rows are packed

	replicas int // that must have a Begin

	contactDay atomic.Int64 // on which this process last wrote into the contact record
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
	return &Store{rdb: rdb, encoder: encoder, decoder: decoder, packing: sync.Pool{New: func() any { return new([]byte) }}}
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
	now, err := s.rdb.Time(ctx).Result()
	if err != nil {
		return time.Time{}, fmt.Errorf("redis time: %w", err)
	}
	return now, nil
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
		return time.Time{}, fmt.Errorf("redis time: %w", err)
	}
	now, err := server.Time(ctx).Result()
	if err != nil {
		return time.Time{}, fmt.Errorf("redis time: %w", err)
	}
	return now, nil
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

// millis is a duration as scripts take it.
func millis(d time.Duration) int64 { return d.Milliseconds() }

// timeOf turns a script's milliseconds into a time.
func timeOf(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
