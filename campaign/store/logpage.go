package store

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"
)

// A LogPlace is before which entry a page of a log ends: an id of each of the two streams.
// An empty one stands for the latest entry.
type LogPlace [2]string

// LogPage reads up to n entries of a campaign's log, the latest first, from a place
// backwards. With whole it leaves out those about its chunks. next is where the following
// page begins; more is false when there is none.
func (s *Store) LogPage(ctx context.Context, name string, at LogPlace, whole bool, n int) (page []Decision, next LogPlace, more bool, err error) {
	keys := []string{keyLog(name), keyChunksLog(name)}
	if whole {
		keys = keys[:1]
	}
	streams := make([][]redis.XMessage, len(keys))
	for i, key := range keys {
		end := "+"
		if at[i] != "" {
			end = "(" + at[i]
		}
		if streams[i], err = s.rdb.XRevRangeN(ctx, key, end, "-", int64(n)+1).Result(); err != nil {
			return nil, at, false, wrap(err, "read log of %s", name)
		}
	}
	for next = at; ; {
		last := -1
		for i, stream := range streams {
			if len(stream) > 0 && (last < 0 || streamTime(stream[0].ID).After(streamTime(streams[last][0].ID))) {
				last = i
			}
		}
		if last < 0 || len(page) == n {
			return slices.Clip(page), next, last >= 0, nil
		}
		m := streams[last][0]
		d, err := decodeDecision(m)
		if err != nil {
			return nil, at, false, wrap(err, "read log of %s: entry %s", name, m.ID)
		}
		page, next[last], streams[last] = append(page, d), m.ID, streams[last][1:]
	}
}
