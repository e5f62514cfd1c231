package quotasim

import (
	"context"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"golang.org/x/time/rate"

	"campaign-runner/ratelimit"
)

// client is a limiter as a worker uses it.
type client interface {
	// before waits until a request may leave, after hears what became of it.
	before(context.Context) (ratelimit.Permit, error)
	after(context.Context, ratelimit.Permit, ratelimit.Answer)
}

// A maker equips the worker of a process; share is one over the number of them.
type maker func(w *world, share float64) (client, error)

// ours is a process of its own for every worker, with the quota in Redis.
func ours(cfg ratelimit.Config) maker {
	return func(w *world, _ float64) (client, error) {
		q, err := ratelimit.NewShared(w.rdb, "token", cfg)
		return quota{q}, err
	}
}

type quota struct{ q *ratelimit.Quota }

func (c quota) before(ctx context.Context) (ratelimit.Permit, error) { return c.q.Acquire(ctx) }
func (c quota) after(ctx context.Context, t ratelimit.Permit, a ratelimit.Answer) {
	c.q.Report(ctx, t, a)
}

// What follows are the usual alternatives. All but the last know the limit, and
// all wait for Retry-After after a 429, each process by itself.

// politely waits for the Retry-After of a 429.
type politely struct{ until time.Time }

func (c *politely) before(ctx context.Context) (ratelimit.Permit, error) {
	return ratelimit.Permit{}, sleep(ctx, time.Until(c.until))
}

func (c *politely) after(_ context.Context, _ ratelimit.Permit, a ratelimit.Answer) {
	if a.Status == 429 {
		c.until = time.Now().Add(max(a.RetryAfter, time.Second))
	}
}

func retryOnly(*world, float64) (client, error) { return &politely{}, nil }

// perProcess is a limiter of golang.org/x/time/rate in every process.
type perProcess struct {
	politely
	limiter *rate.Limiter
}

func (c *perProcess) before(ctx context.Context) (ratelimit.Permit, error) {
	t, err := c.politely.before(ctx)
	if err == nil {
		err = c.limiter.Wait(ctx)
	}
	return t, err
}

func fullEach(w *world, _ float64) (client, error) {
	return &perProcess{limiter: rate.NewLimiter(rate.Limit(w.base), 1)}, nil
}

func divided(w *world, share float64) (client, error) {
	return &perProcess{limiter: rate.NewLimiter(rate.Limit(w.base*share), 1)}, nil
}

// redisRate is the module go-redis/redis_rate: a leaky bucket in Redis.
type redisRate struct {
	politely
	limiter *redis_rate.Limiter
	limit   redis_rate.Limit
}

func (c *redisRate) before(ctx context.Context) (ratelimit.Permit, error) {
	t, err := c.politely.before(ctx)
	for err == nil {
		var r *redis_rate.Result
		if r, err = c.limiter.Allow(ctx, "token", c.limit); err != nil || r.Allowed > 0 {
			break
		}
		err = sleep(ctx, r.RetryAfter)
	}
	return t, err
}

func viaRedisRate(w *world, _ float64) (client, error) {
	return &redisRate{
		limiter: redis_rate.NewLimiter(w.rdb),
		limit:   redis_rate.Limit{Rate: w.limit, Burst: w.limit, Period: w.window},
	}, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
