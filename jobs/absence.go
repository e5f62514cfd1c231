package jobs

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"campaign-runner/jobs/timings"
)

// An absence is a time in which no heartbeat reaches Redis, as the log tells it: when it
// begins, every timings.TroubleToldEvery while it lasts, and when it is over. Only the loop
// of heartbeats calls it.
type absence struct {
	redis string // where it is, without a password
	log   *slog.Logger

	since, told time.Time // zero: there is none
}

// heard takes note of a heartbeat that was made at now; err is why it did not reach Redis.
func (a *absence) heard(ctx context.Context, err error, now time.Time) {
	switch {
	case err == nil && !a.since.IsZero():
		a.log.InfoContext(ctx, "Redis takes heartbeats again", "redis", a.redis, "after", now.Sub(a.since).Round(time.Second))
		a.since, a.told = time.Time{}, time.Time{}
	case err != nil && now.Sub(a.told) >= timings.TroubleToldEvery:
		a.told = now
		a.since = cmp.Or(a.since, now)
		a.log.WarnContext(ctx, "no heartbeat reaches Redis: no request begins until one does; answers that come are kept for it",
			"redis", a.redis, "for", now.Sub(a.since).Round(time.Second), "error", err)
	}
}
