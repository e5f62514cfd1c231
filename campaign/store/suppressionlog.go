package store

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// maxSuppressionLog is how many changes of the do-not-contact list its log keeps at least.
const maxSuppressionLog = 10_000

// A Suppression is a change of the do-not-contact list by a person. It holds no number.
type Suppression struct {
	At      time.Time // by Redis's clock, when it was written
	By      string    // LogSuppression takes empty for the user of this process
	Added   bool      // to the list, or else taken off it
	Numbers int       // that were changed
	Reason  string    // without numbers
}

// LogSuppression writes a change into the log of the do-not-contact list. The log is an
// account and no state: a caller that cannot write it goes on.
func (s *Store) LogSuppression(ctx context.Context, c Suppression) error {
	err := s.rdb.XAdd(ctx, &redis.XAddArgs{
		Stream: keySuppressionLog, MaxLen: maxSuppressionLog, Approx: true,
		Values: []any{"by", Who(c.By), "added", c.Added, "numbers", c.Numbers, "reason", c.Reason},
	}).Err()
	return wrap(err, "log of the do-not-contact list")
}

// SuppressionLog is the log of the do-not-contact list, the latest n entries first.
func (s *Store) SuppressionLog(ctx context.Context, n int) ([]Suppression, error) {
	entries, err := s.rdb.XRevRangeN(ctx, keySuppressionLog, "+", "-", int64(n)).Result()
	list := make([]Suppression, len(entries))
	for i, e := range entries {
		text := func(field string) string { t, _ := e.Values[field].(string); return t }
		numbers, _ := strconv.Atoi(text("numbers"))
		list[i] = Suppression{At: streamTime(e.ID), By: text("by"), Added: text("added") == "1", Numbers: numbers, Reason: text("reason")}
	}
	return list, wrap(err, "read the log of the do-not-contact list")
}
