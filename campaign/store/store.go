// Package store keeps campaigns in Redis.
//
// A campaign is one hash of settings and counts, and for each chunk a hash with
// its compressed rows beside a small fixed-width ledger of what became of each
// contact: about 40 bytes of Redis for a contact with two short values.
//
// It promises that every change is atomic and conditional. What a record
// becomes is decided in Go, by campaign.Record.Next; one script (change.lua)
// checks that the records are still those the decision was made on and that the
// caller has the right to change them, writes them, and moves the tally by the
// same amounts. So the tally always adds up to the contacts, two senders can
// never both hold a chunk, and a script that Redis runs twice acts once.
//
// It leaves to others when to send (package jobs) and what a person may ask for.
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

	packing sync.Pool // of *[]byte, in which rows are put together

	replicas int // that must have a Begin before it counts

	contactDay atomic.Int64 // the day on which contacts were last recorded here
}

// New returns a Store on rdb, which stays the caller's to close.
func New(rdb redis.UniversalClient) *Store {
	// Both constructors fail on bad options only, and these are constants.
	zip, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		panic(err)
	}
	zap, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxBlobBytes), zstd.WithDecoderConcurrency(0))
	if err != nil {
		panic(err)
	}
	return &Store{rdb: rdb, encoder: zip, decoder: zap, packing: sync.Pool{New: func() any { return new([]byte) }}}
}

// WaitForReplicas makes every Begin wait until so many replicas of the server that
// holds the campaign have it, so that a failover cannot forget that somebody is
// being contacted. It costs a round trip to the replicas per request. Call it
// before the store is used.
func (s *Store) WaitForReplicas(n int) { s.replicas = n }

// Redis is the client the store works on.
func (s *Store) Redis() redis.UniversalClient { return s.rdb }

// Now is Redis's clock. Claims and dues are told by it alone, so that the
// clocks of the workers never matter.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	now, err := s.rdb.Time(ctx).Result()
	if err != nil {
		return time.Time{}, fmt.Errorf("redis time: %w", err)
	}
	return now, nil
}

// ClockAhead is by how much Redis's clock is ahead of this process's, give or take
// half of the round trip it takes to ask.
func (s *Store) ClockAhead(ctx context.Context) (ahead, giveOrTake time.Duration, err error) {
	asked := time.Now()
	theirs, err := s.Now(ctx)
	answered := time.Now()
	half := answered.Sub(asked) / 2
	return theirs.Sub(asked.Add(half)), half, err
}

// Clock is the clock of the server that holds a campaign: the one by which its
// changes are judged.
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

// eachServer calls do for every server that takes writes, of a cluster several at
// once.
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
	// ErrGone: the chunk is not there (any more).
	ErrGone = errors.New("no such chunk")
	// ErrNotRunning: the campaign's phase allows nobody to be sent.
	ErrNotRunning = errors.New("campaign is not running")
	// ErrBusy: somebody else holds a living claim on the chunk.
	ErrBusy = errors.New("chunk is claimed")
	// ErrUnsettled: contacts are still sending under a claim that has ended;
	// they must be recovered before anybody takes the chunk.
	ErrUnrecovered = errors.New("chunk has contacts sending under an ended claim")
	// ErrLate: the change came after the time up to which it was to count.
	ErrLate = errors.New("the change came too late")
	// ErrMoved: contacts of the request are no longer what they were; nothing
	// was changed.
	ErrMoved = errors.New("contacts have moved")
)

// millis is a duration as the scripts take it.
func millis(d time.Duration) int64 { return d.Milliseconds() }

// timeOf turns a script's milliseconds into a time.
func timeOf(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
