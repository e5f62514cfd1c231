package store

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
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
	select {
	case <-t.board(ctx, brings):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// board has something carried out on a trip, unless ctx is over before that leaves. The
// channel is closed when the trip is over.
func (t *trips[T]) board(ctx context.Context, brings T) <-chan struct{} {
	r := rider[T]{ctx, brings, make(chan struct{})}
	t.mu.Lock()
	t.waiting = append(t.waiting, r)
	if t.making < t.most {
		t.making++
		go t.run()
	}
	t.mu.Unlock()
	return r.done
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
	all := make([]T, 0, len(riders))
	for _, r := range riders {
		defer close(r.done)
		if r.ctx.Err() != nil {
			continue // it has left
		}
		deadline, has := r.ctx.Deadline()
		endless = endless || !has
		if deadline.After(latest) {
			latest = deadline
		}
		all = append(all, r.brings)
	}
	if !endless {
		ctx, cancel = context.WithDeadline(ctx, latest)
		defer cancel()
	}
	t.carry(ctx, all)
}

// A pipeline is trips of commands: each rider adds some.
type pipeline struct {
	shared redis.UniversalClient // whose commands ride on the trips
	trips[func(redis.Pipeliner)]
}

func newPipeline(rdb redis.UniversalClient, most int) *pipeline {
	p := &pipeline{trips: trips[func(redis.Pipeliner)]{most: most, carry: func(ctx context.Context, all []func(redis.Pipeliner)) {
		pipe := rdb.Pipeline()
		for _, queue := range all {
			queue(pipe)
		}
		_, _ = pipe.Exec(ctx) // each command has its own error
	}}}
	p.shared = p.share(rdb)
	return p
}

// script runs a script on a shared trip.
func (p *pipeline) script(ctx context.Context, script *redis.Script, keys []string, args ...any) *redis.Cmd {
	return script.Run(ctx, p.shared, keys, args...)
}

// sharing is a hook that has the commands of a client ride on trips. Those of a transaction
// do not.
type sharing struct{ trips *pipeline }

// share is a client on the same Redis as rdb, whose commands ride on trips. It has no
// connections of its own but for transactions and subscriptions.
func (p *pipeline) share(rdb redis.UniversalClient) redis.UniversalClient {
	none := &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	var client redis.UniversalClient
	switch rdb := rdb.(type) {
	case *redis.Client:
		options := *rdb.Options()
		options.PushNotificationProcessor = nil // it has its handlers from rdb
		options.MaintNotificationsConfig = none // rdb changes its own while it connects
		client = redis.NewClient(&options)
	case *redis.ClusterClient:
		options := *rdb.Options()
		options.MaintNotificationsConfig = none
		client = redis.NewClusterClient(&options)
	default:
		return rdb // each command makes its own trip
	}
	client.AddHook(sharing{p})
	return client
}

// Sharing is the store's client for callers of many commands at once, which share round
// trips. None of them may block.
func (s *Store) Sharing() redis.UniversalClient { return newPipeline(s.rdb, 2).shared }

// Together is the store for many callers at once, whose commands share round trips.
func (s *Store) Together() *Store {
	together := New(s.Sharing())
	together.replicas = s.replicas
	return together
}

func (h sharing) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h sharing) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { return h.ride(ctx, cmd) }
}

func (h sharing) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if len(cmds) > 0 && cmds[0].Name() == "multi" {
			return next(ctx, cmds)
		}
		return h.ride(ctx, cmds...)
	}
}

// ride waits for the commands even when ctx is over: their caller reads them. The trip ends
// by their deadline.
func (h sharing) ride(ctx context.Context, cmds ...redis.Cmder) error {
	carried := false
	<-h.trips.board(ctx, func(p redis.Pipeliner) {
		carried = true
		for _, cmd := range cmds {
			_ = p.Process(ctx, cmd) // each has its own error
		}
	})
	if !carried {
		for _, cmd := range cmds {
			cmd.SetErr(ctx.Err())
		}
	}
	return firstErr(cmds)
}
