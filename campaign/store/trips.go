package store

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// trips let several goroutines share round trips, and waits for the disk: those that come
// while as many trips as may are under way go together on the next. None waits for others to
// come.
type trips[T any] struct {
	most  int                                // at once
	carry func(ctx context.Context, all []T) // carries out what the riders of one trip bring

	mu      sync.Mutex
	waiting []rider[T]
	making  int // goroutines that make trips
}

// A rider is one caller's part of a trip.
type rider[T any] struct {
	ctx    context.Context
	brings T
	done   chan struct{} // closed when it is carried out
}

// maxRiders bounds a trip, so that Redis serves others in between.
const maxRiders = 128

// ride has something carried out on a trip. It may still be carried out after ctx is over;
// then what came of it must not be read.
func (t *trips[T]) ride(ctx context.Context, brings T) error {
	r := rider[T]{ctx, brings, make(chan struct{})}
	t.mu.Lock()
	t.waiting = append(t.waiting, r)
	if t.making < t.most {
		t.making++
		go t.run()
	}
	t.mu.Unlock()
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run makes trips until nobody waits.
func (t *trips[T]) run() {
	for {
		runtime.Gosched() // those who are about to come are taken along
		t.mu.Lock()
		riders := t.waiting
		t.waiting = nil // what riders bring may be large: nothing of it is kept
		if len(riders) > maxRiders {
			riders, t.waiting = riders[:maxRiders:maxRiders], slices.Clone(riders[maxRiders:])
		}
		if len(riders) == 0 {
			t.making--
		}
		t.mu.Unlock()
		if len(riders) == 0 {
			return
		}
		t.trip(riders)
	}
}

// trip lasts at most as long as the most patient rider.
func (t *trips[T]) trip(riders []rider[T]) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var latest time.Time
	endless := false
	riders = slices.DeleteFunc(riders, func(r rider[T]) bool { return r.ctx.Err() != nil }) // they have left
	all := make([]T, len(riders))
	for i, r := range riders {
		deadline, has := r.ctx.Deadline()
		endless = endless || !has
		if deadline.After(latest) {
			latest = deadline
		}
		all[i] = r.brings
	}
	if !endless {
		ctx, cancel = context.WithDeadline(ctx, latest)
		defer cancel()
	}
	t.carry(ctx, all)
	for _, r := range riders {
		close(r.done)
	}
}

// A pipeline is trips of commands: each rider adds some.
type pipeline struct {
	rdb redis.UniversalClient
	trips[func(redis.Pipeliner)]
}

func newPipeline(rdb redis.UniversalClient, most int) *pipeline {
	return &pipeline{rdb, trips[func(redis.Pipeliner)]{most: most, carry: func(ctx context.Context, all []func(redis.Pipeliner)) {
		pipe := rdb.Pipeline()
		for _, queue := range all {
			queue(pipe)
		}
		_, _ = pipe.Exec(ctx) // each command has its own error
	}}}
}

// script runs a script on a shared trip.
func (p *pipeline) script(ctx context.Context, script *redis.Script, keys []string, args ...any) *redis.Cmd {
	return script.Run(ctx, sharing{p.rdb, p}, keys, args...)
}

// sharing is a client whose runs of known scripts share trips.
type sharing struct {
	redis.UniversalClient
	trips *pipeline
}

// Sharing is the store's client for callers of many scripts at once: their runs share round
// trips.
func (s *Store) Sharing() redis.UniversalClient {
	return sharing{s.rdb, newPipeline(s.rdb, 2)}
}

func (c sharing) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	var cmd *redis.Cmd
	err := c.trips.ride(ctx, func(p redis.Pipeliner) { cmd = p.EvalSha(ctx, sha, keys, args...) })
	if err != nil {
		failed := redis.NewCmd(ctx)
		failed.SetErr(err)
		return failed
	}
	return cmd
}
