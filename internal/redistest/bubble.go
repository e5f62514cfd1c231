package redistest

import (
	"context"
	"net"

	"github.com/redis/go-redis/v9"
)

// Bubble returns the options of a client in a testing/synctest bubble, whose connections
// come from dial: miniredis's Dial, or one around it.
//
// Such a client never waits for a connection of its pool. Those that wait take timers that
// all clients of the process share (go-redis v9.23.0, internal/semaphore.go), and a timer of
// one bubble ends the process, or never fires, outside of it.
func Bubble(dial func() (net.Conn, error)) *redis.Options {
	return &redis.Options{
		Addr:     "127.0.0.1:6379", // which is not dialled, nor looked up
		Protocol: 2, DisableIdentity: true,
		PoolSize: 10_000,
		Dialer:   func(context.Context, string, string) (net.Conn, error) { return dial() },
	}
}
