package store

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// leaseScript takes or renews a lease. KEYS lease; ARGV holder, ms.
var leaseScript = redis.NewScript(`
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`)

// Lease takes or renews the right to do a piece of work that one process is
// enough for, and reports whether holder has it for so long. It saves work and
// guards nothing: two may believe they hold it.
func (s *Store) Lease(ctx context.Context, work, holder string, length time.Duration) (bool, error) {
	held, err := leaseScript.Run(ctx, s.rdb, []string{"lease:" + work}, holder, millis(length)).Bool()
	if err != nil {
		return false, fmt.Errorf("lease of %s: %w", work, err)
	}
	return held, nil
}
