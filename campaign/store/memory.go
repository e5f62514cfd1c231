package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// A Memory is what a server of Redis uses of its memory, in bytes.
type Memory struct {
	Used int64
	Max  int64 // 0: there is no limit
}

// Full is the part that is used, from 0 to 1; 0 without a limit.
func (m Memory) Full() float64 {
	if m.Max == 0 {
		return 0
	}
	return float64(m.Used) / float64(m.Max)
}

// Memory is that of the server that holds, or would hold, a campaign.
func (s *Store) Memory(ctx context.Context, name string) (Memory, error) {
	server, err := s.serverOf(ctx, keyCampaign(name))
	if err != nil {
		return Memory{}, fmt.Errorf("memory of redis: %w", err)
	}
	return memoryOf(ctx, server)
}

// Fullest is the memory of the server that has the least left: of those without
// a limit, the one that uses the most.
func (s *Store) Fullest(ctx context.Context) (fullest Memory, err error) {
	var mu sync.Mutex
	err = eachServer(ctx, s.rdb, func(ctx context.Context, server redis.UniversalClient) error {
		m, err := memoryOf(ctx, server)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if m.Full() > fullest.Full() || (m.Full() == fullest.Full() && m.Used > fullest.Used) {
			fullest = m
		}
		return nil
	})
	return fullest, err
}

func memoryOf(ctx context.Context, server redis.UniversalClient) (Memory, error) {
	text, err := server.Info(ctx, "memory").Result()
	if err != nil {
		return Memory{}, fmt.Errorf("memory of redis: %w", err)
	}
	return Memory{Used: infoNumber(text, "used_memory"), Max: infoNumber(text, "maxmemory")}, nil
}

// infoNumber is a field of Redis's INFO, 0 when it is not there.
func infoNumber(info, field string) int64 {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			return n
		}
	}
	return 0
}
