package person

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"
)

// A counter is a hook that cancels a context after a number of calls.
type counter struct {
	mu     sync.Mutex
	left   int
	cancel context.CancelFunc
}

func (c *counter) count() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left--; c.left < 0 && c.cancel != nil {
		c.cancel()
	}
}

func (c *counter) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		c.count()
		return err
	}
}

func (c *counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		c.count()
		return err
	}
}

// before is a hook that sees each command before it goes.
type before func(cmd redis.Cmder)

func (b before) DialHook(next redis.DialHook) redis.DialHook { return next }

func (b before) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		b(cmd)
		return next(ctx, cmd)
	}
}

func (b before) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
