package store

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"
)

// durable is how Redis should be set up, and what it costs when it is not.
var durable = []struct{ setting, want, cost string }{
	{"maxmemory-policy", "noeviction", "Redis may throw campaigns away when memory runs short"},
	{"appendonly", "yes", "a restart of Redis loses what was sent since its last snapshot"},
	{"appendfsync", "always", "a crash of Redis can lose the last second: those contacts could be sent again"},
}

// DurabilityWarnings says where Redis could lose what was written, one line
// each, for all servers of a cluster. A Redis that does not tell its settings, as
// managed ones may not, gives one warning of that.
func DurabilityWarnings(ctx context.Context, rdb redis.UniversalClient) (warnings []string) {
	var mu sync.Mutex
	err := eachServer(ctx, rdb, func(ctx context.Context, server redis.UniversalClient) error {
		found := warningsOf(ctx, server)
		mu.Lock()
		defer mu.Unlock()
		warnings = append(warnings, found...)
		return nil
	})
	if err != nil {
		return []string{untold}
	}
	slices.Sort(warnings)
	return slices.Compact(warnings)
}

// eachServer calls do for every server that takes writes, of a cluster several at
// once.
func eachServer(ctx context.Context, rdb redis.UniversalClient, do func(context.Context, redis.UniversalClient) error) error {
	cluster, ok := rdb.(*redis.ClusterClient)
	if !ok {
		return do(ctx, rdb)
	}
	return cluster.ForEachMaster(ctx, func(ctx context.Context, server *redis.Client) error { return do(ctx, server) })
}

const untold = "Redis does not tell its settings: make sure of appendonly yes, appendfsync always and maxmemory-policy noeviction"

func warningsOf(ctx context.Context, server redis.UniversalClient) []string {
	var warnings []string
	have := make(map[string]string)
	for _, d := range durable {
		value, err := server.ConfigGet(ctx, d.setting).Result()
		if err != nil || len(value) == 0 {
			return []string{untold}
		}
		have[d.setting] = value[d.setting]
		if d.setting == "appendfsync" && have["appendonly"] != "yes" {
			continue // there is nothing to sync
		}
		if have[d.setting] != d.want {
			warnings = append(warnings, fmt.Sprintf("Redis has %s %s, not %s: %s", d.setting, have[d.setting], d.want, d.cost))
		}
	}
	return warnings
}
