package store

import (
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"campaign-runner/internal/redistest"
)

// A client changes its own options while it connects. Who shares it must not read these: the
// race detector sees it.
func TestAClientIsSharedWhileItConnects(t *testing.T) {
	options := redistest.Shared(t).Options()
	for range 20 {
		rdb := redis.NewClient(&redis.Options{Addr: options.Addr, DB: options.DB, Network: options.Network})
		var both sync.WaitGroup
		both.Go(func() { _ = rdb.Ping(t.Context()).Err() })
		both.Go(func() { New(rdb).Sharing() })
		both.Wait()
		_ = rdb.Close()
	}
}
