package store

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// trips let commands of several goroutines share round trips, and waits for the disk:
// those that come while as many trips as may are under way go together on the next. None
// waits for others to come.
type trips struct {
	rdb  redis.UniversalClient
	most int // at once

	mu      sync.Mutex
	waiting []rider
	making  int // goroutines that make trips
}

// A rider is one caller's part of a trip.
type rider struct {
	ctx   context.Context
	queue func(redis.Pipeliner)
	done  chan struct{} // closed when its commands have their answers
}

// maxRiders bounds a trip, so that Redis serves others in between.
const maxRiders = 128

// pipelined runs the commands that queue adds to a pipeline. Each has its own error. They
// may still be carried out after ctx is over; then their answers must not be read.
func (t *trips) pipelined(ctx context.Context, queue func(redis.Pipeliner)) error {
	r := rider{ctx, queue, make(chan struct{})}
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
func (t *trips) run() {
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
func (t *trips) trip(riders []rider) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var latest time.Time
	endless := false
	pipe := t.rdb.Pipeline()
	riders = slices.DeleteFunc(riders, func(r rider) bool { return r.ctx.Err() != nil }) // they have left
	for _, r := range riders {
		deadline, has := r.ctx.Deadline()
		endless = endless || !has
		if deadline.After(latest) {
			latest = deadline
		}
		r.queue(pipe)
	}
	if !endless {
		ctx, cancel = context.WithDeadline(ctx, latest)
		defer cancel()
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for _, r := range riders {
		close(r.done)
	}
}

// script runs a script on a shared trip.
func (t *trips) script(ctx context.Context, script *redis.Script, keys []string, args ...any) *redis.Cmd {
	return script.Run(ctx, sharing{t.rdb, t}, keys, args...)
}

// sharing is a client whose runs of known scripts share trips.
type sharing struct {
	redis.UniversalClient
	trips *trips
}

// Sharing is the store's client for callers of many scripts at once: their runs share round
// trips.
func (s *Store) Sharing() redis.UniversalClient {
	return sharing{s.rdb, &trips{rdb: s.rdb, most: 2}}
}

func (c sharing) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	var cmd *redis.Cmd
	err := c.trips.pipelined(ctx, func(p redis.Pipeliner) { cmd = p.EvalSha(ctx, sha, keys, args...) })
	if err != nil {
		failed := redis.NewCmd(ctx)
		failed.SetErr(err)
		return failed
	}
	return cmd
}
