package store

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// durable is how Redis should be set up, and what it costs when it is not.
var durable = []struct{ setting, want, cost string }{
	{"maxmemory-policy", "noeviction", "Redis may throw campaigns away when memory runs short"},
	{"appendonly", "yes", "a restart of Redis loses what was sent since its last snapshot"},
	{"appendfsync", "always", "a crash of Redis can lose the last second: those contacts could be sent again"},
}

// DurabilityWarnings says where Redis could lose what was written, one line
// each. A Redis that does not tell its settings, as managed ones may not, gives
// one warning of that.
func DurabilityWarnings(ctx context.Context, rdb redis.UniversalClient) []string {
	var warnings []string
	have := make(map[string]string)
	for _, d := range durable {
		value, err := rdb.ConfigGet(ctx, d.setting).Result()
		if err != nil || len(value) == 0 {
			return []string{"Redis does not tell its settings: make sure of appendonly yes, appendfsync always and maxmemory-policy noeviction"}
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
