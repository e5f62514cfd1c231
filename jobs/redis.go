package jobs

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// ackClient is the Redis client that asynq's servers work on. It carries
// asynq's scripts through even when their context is over.
//
// asynq v0.26 acknowledges a task under a context that it cancels on return. If Redis
// is away at that moment, it repeats the acknowledgement under the dead context: that
// never arrives, and the finished task runs again a minute later.
type ackClient struct{ redis.UniversalClient }

func (c ackClient) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	return c.UniversalClient.EvalSha(context.WithoutCancel(ctx), sha, keys, args...)
}

func (c ackClient) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	return c.UniversalClient.Eval(context.WithoutCancel(ctx), script, keys, args...)
}
