package ratelimit

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// gate spaces the questions of one process: each answer says when to ask next,
// and that sets the rate.
type gate struct {
	mu    sync.Mutex
	next  *rate.Reservation
	moved chan struct{} // next has changed
}

// set allows the next question after d. The limiter's first token is for the
// question just answered, the reservation for the one to come; it belongs to
// the process, so that a caller who gives up leaves it to the one behind.
func (g *gate) set(d time.Duration) {
	now := time.Now()
	limiter := rate.NewLimiter(rate.Every(d), 1)
	limiter.AllowN(now, 1)
	g.mu.Lock()
	g.next = limiter.ReserveN(now, 1)
	g.mu.Unlock()
	select {
	case g.moved <- struct{}{}:
	default:
	}
}

// wait returns when the process may ask, or with the context's error.
func (g *gate) wait(ctx context.Context) error {
	for {
		g.mu.Lock()
		d := g.next.DelayFrom(time.Now())
		g.mu.Unlock()
		if d <= 0 {
			return context.Cause(ctx)
		}
		timer := time.NewTimer(d)
		select {
		case <-timer.C:
		case <-g.moved:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}
