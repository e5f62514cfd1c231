package main

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign/store"
	"campaign-runner/internal/redistest"
)

func TestClocksThatDifferAreToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := miniredis.NewMiniRedis()
		defer m.Close()
		rdb := redis.NewClient(redistest.Bubble(m.Dial))
		defer rdb.Close()
		said := newLog()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		m.SetTime(time.Now().Add(5 * time.Second)) // as far apart as may be
		go func() {
			defer close(done)
			watchClock(ctx, store.New(rdb), slog.New(slog.NewTextHandler(said, nil)))
		}()
		lines := func(want int) string {
			t.Helper()
			time.Sleep(10 * time.Second) // between two looks
			if n := strings.Count(said.String(), "\n"); n != want {
				t.Fatalf("%d lines, want %d:\n%s", n, want, said)
			}
			return said.String()
		}
		lines(0)
		m.SetTime(time.Now().Add(-7 * time.Hour))
		time.Sleep(clockEvery)
		if text := lines(1); !strings.Contains(text, "level=WARN") || !strings.Contains(text, "redis_ahead=-7h0m") {
			t.Errorf("got %q", text)
		}
		time.Sleep(3 * clockEvery)
		lines(1)
		m.SetTime(time.Now().Truncate(clockEvery).Add(clockEvery)) // as it will be at the next look
		time.Sleep(clockEvery)
		if text := lines(2); !strings.Contains(text, "agree again") {
			t.Errorf("got %q", text)
		}
		cancel()
		<-done
	})
}
