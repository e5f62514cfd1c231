package main

import (
	"context"
	"log/slog"
	"time"

	"campaign-runner/campaign/store"
)

const (
	clockEvery = time.Minute
	// clockApart is how far the clocks of Redis and of this machine may be apart
	// before a person should know: hours and limits go by Redis's clock, logs and
	// what people type by this machine's.
	clockApart = 5 * time.Second
)

// watchClock warns when this machine's clock and Redis's begin to differ, and says
// when they agree again.
func watchClock(ctx context.Context, st *store.Store, log *slog.Logger) {
	tick := time.NewTicker(clockEvery)
	defer tick.Stop()
	apart := false
	for {
		ahead, giveOrTake, err := st.ClockAhead(ctx)
		switch differ := ahead.Abs()-giveOrTake > clockApart; {
		case err != nil: // others log that Redis does not answer
		case differ && !apart:
			log.WarnContext(ctx, "the clocks of Redis and of this machine differ: set both by NTP; hours, limits and starts go by that of Redis", "redis_ahead", ahead.Round(time.Millisecond))
			apart = true
		case !differ && apart:
			log.InfoContext(ctx, "the clocks of Redis and of this machine agree again")
			apart = false
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
