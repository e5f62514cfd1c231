package jobs

import (
	"context"
	"fmt"
	"log/slog"

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

// asynqLogger passes asynq's own messages on.
type asynqLogger struct{ log *slog.Logger }

func (l asynqLogger) Debug(args ...any) { l.log.Debug(fmt.Sprint(args...)) }
func (l asynqLogger) Info(args ...any)  { l.log.Info(fmt.Sprint(args...)) }
func (l asynqLogger) Warn(args ...any)  { l.log.Warn(fmt.Sprint(args...)) }
func (l asynqLogger) Error(args ...any) { l.log.Error(fmt.Sprint(args...)) }
func (l asynqLogger) Fatal(args ...any) { l.log.Error(fmt.Sprint(args...)) }
