package redistest_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"campaign-runner/internal/redistest"
)

// One bubble after the other has more calls under way than a pool has connections by
// default: with that pool, the second takes timers of the first, and the process ends.
func TestBubblesShareNothing(t *testing.T) {
	for range 3 {
		synctest.Test(t, func(t *testing.T) {
			mini := miniredis.NewMiniRedis()
			defer mini.Close()
			rdb := redis.NewClient(redistest.Bubble(mini.Dial))
			defer rdb.Close()
			var waiting sync.WaitGroup
			for range 200 {
				waiting.Go(func() {
					if err := rdb.BLPop(t.Context(), time.Second, "empty").Err(); err != redis.Nil {
						t.Error(err)
					}
				})
			}
			waiting.Wait()
		})
	}
}
