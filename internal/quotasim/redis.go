package quotasim

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisTrip is how long a call to Redis takes.
const redisTrip = time.Millisecond

var errGone = errors.New("dial tcp: connection refused")

// warp lets a real Redis live in virtual time: scripts find the bubble's clock
// where they ask for TIME. It counts the calls, and fails them while Redis is
// said to be gone.
type warp struct {
	calls atomic.Int64
	gone  atomic.Bool
	mu    sync.Mutex
	texts map[any]string // of scripts, by hash
}

// inVirtualTime returns a client of db to be used in the bubble it is made in.
func inVirtualTime(db *redis.Options) (*redis.Client, *warp) {
	o := *db
	o.ReadTimeout, o.WriteTimeout = -1, -1 // real time does not pass in a bubble
	o.MaxRetries = -1
	o.PoolSize = 1000 // a wait for a connection would use a timer of another bubble
	rdb := redis.NewClient(&o)
	w := &warp{texts: map[any]string{}}
	rdb.AddHook(w)
	return rdb, w
}

func (w *warp) DialHook(next redis.DialHook) redis.DialHook { return next }

func (w *warp) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (w *warp) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		time.Sleep(redisTrip / 2)
		if w.gone.Load() {
			cmd.SetErr(errGone)
			return errGone
		}
		defer time.Sleep(redisTrip / 2)
		switch cmd.Name() {
		case "evalsha":
			w.calls.Add(1)
			return w.evalsha(ctx, cmd, next)
		case "eval":
			return w.eval(ctx, cmd, next)
		}
		return next(ctx, cmd)
	}
}

// evalsha is how go-redis runs a script; unknown ones follow as eval.
func (w *warp) evalsha(ctx context.Context, cmd redis.Cmder, next redis.ProcessHook) error {
	w.mu.Lock()
	text, known := w.texts[cmd.Args()[1]]
	w.mu.Unlock()
	if !known {
		return next(ctx, cmd) // Redis does not know it either
	}
	return w.run(ctx, cmd, text, next)
}

func (w *warp) eval(ctx context.Context, cmd redis.Cmder, next redis.ProcessHook) error {
	text := cmd.Args()[1].(string)
	sha := redis.NewScript(text).Hash()
	text = strings.NewReplacer(
		`redis.call('TIME')`, `{ARGV[#ARGV-1], ARGV[#ARGV]}`,
		`redis.call("TIME")`, `{ARGV[#ARGV-1], ARGV[#ARGV]}`,
	).Replace(text)
	w.mu.Lock()
	w.texts[sha] = text
	w.mu.Unlock()
	return w.run(ctx, cmd, text, next)
}

func (w *warp) run(ctx context.Context, cmd redis.Cmder, text string, next redis.ProcessHook) error {
	now := time.Now()
	args := append([]any{"eval", text}, cmd.Args()[2:]...)
	args = append(args, strconv.FormatInt(now.Unix(), 10), strconv.Itoa(now.Nanosecond()/1000))
	timed := redis.NewCmd(ctx, args...)
	err := next(ctx, timed)
	cmd.(*redis.Cmd).SetVal(timed.Val())
	cmd.SetErr(err)
	return err
}
