package sending

import (
	"sync"
	"time"
)

// A redisClock is what is known of Redis's clock: what it said, and when that was
// heard. It is never ahead of Redis's.
type redisClock struct {
	mu          sync.Mutex
	said, heard time.Time
}

func (c *redisClock) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said, c.heard = now, time.Now()
}

func (c *redisClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.said.Add(time.Since(c.heard))
}
