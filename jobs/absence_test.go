package jobs

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"campaign-runner/jobs/timings"
)

func TestAnAbsenceOfRedisIsToldOnceAndThenRarely(t *testing.T) {
	var log bytes.Buffer
	a := absence{redis: "10.0.0.1:6379", log: slog.New(slog.NewTextHandler(&log, nil))}
	now, away := time.Unix(1_800_000_000, 0), errors.New("connection refused")
	beat := func(err error, times int) (lines int) {
		log.Reset()
		for range times {
			a.heard(t.Context(), err, now)
			now = now.Add(timings.HeartbeatEvery)
		}
		return strings.Count(log.String(), "\n")
	}
	minutes := func(n int) int { return n * int(time.Minute/timings.HeartbeatEvery) }
	if n := beat(nil, 3); n != 0 {
		t.Errorf("%d lines while all is well", n)
	}
	if n := beat(away, minutes(1)); n != 1 || !strings.Contains(log.String(), "redis=10.0.0.1:6379") || !strings.Contains(log.String(), "connection refused") {
		t.Errorf("%d lines in the first minute:\n%s", n, &log)
	}
	if n := beat(away, minutes(9)); n != 1 || !strings.Contains(log.String(), "for=5m0s") {
		t.Errorf("%d lines in the next nine minutes:\n%s", n, &log)
	}
	if n := beat(nil, 3); n != 1 || !strings.Contains(log.String(), "again") || !strings.Contains(log.String(), "after=10m0s") {
		t.Errorf("%d lines when it is over:\n%s", n, &log)
	}
	if n := beat(away, 1); n != 1 {
		t.Errorf("%d lines of the next one", n)
	}
}
