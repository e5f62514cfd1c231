package ratelimit

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/internal/redistest"
)

func newShared(t *testing.T, rdb redis.UniversalClient, token string, cfg Config) *Quota {
	t.Helper()
	q, err := NewShared(rdb, token, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestProcessesWithOneTokenShareAQuota(t *testing.T) {
	rdb := redistest.Shared(t)
	one, two := newShared(t, rdb, "secret", Config{}), newShared(t, rdb, "secret", Config{})
	other := newShared(t, rdb, "another", Config{})
	send(t, one, Answer{Status: 200, Known: true, Limit: 45, Remaining: 44})
	for _, q := range []*Quota{one, two} {
		if st, err := q.Status(t.Context()); err != nil || st.Limit != 45 || st.Remaining != 44 {
			t.Errorf("status %+v, %v", st, err)
		}
	}
	if st, err := other.Status(t.Context()); err != nil || st.Limit != 30 || st.Remaining != 30 {
		t.Errorf("another token: %+v, %v", st, err)
	}
	keys, err := rdb.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) != 1 || strings.Contains(keys[0], "secret") {
		t.Errorf("keys %q, %v; want one without the token", keys, err)
	}
	if ttl := rdb.PTTL(t.Context(), keys[0]).Val(); ttl < time.Hour || ttl > 2*time.Hour {
		t.Errorf("it is kept for %v", ttl)
	}
}

func TestManyCallersGetOnePermitEach(t *testing.T) {
	rdb := redistest.Shared(t)
	quotas := []*Quota{newShared(t, rdb, "t", Config{Rate: Rate{Unlimited: true}}), newShared(t, rdb, "t", Config{Rate: Rate{Unlimited: true}})}
	send(t, quotas[0], Answer{Status: 200})
	var mu sync.Mutex
	seen := map[int64]bool{}
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			permit, err := quotas[i%2].Acquire(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			if seen[permit.serial] {
				t.Errorf("permit %d was given twice", permit.serial)
			}
			seen[permit.serial] = true
			mu.Unlock()
			quotas[i%2].Report(t.Context(), permit, Answer{Status: 200})
		})
	}
	wg.Wait()
	s, _, err := quotas[0].book.look(t.Context())
	if err != nil || s.Granted != 201 || len(s.Flight) != 0 || s.used() != 201 {
		t.Errorf("granted %d, %d in flight, %d used, %v", s.Granted, len(s.Flight), s.used(), err)
	}
}

func TestPermitsOfALostStateHonourOnlyA429(t *testing.T) {
	rdb := redistest.Shared(t)
	q := newShared(t, rdb, "t", Config{})
	old := make([]Permit, 2)
	for i := range old {
		var err error
		if old[i], err = q.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := rdb.FlushDB(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	q.Report(t.Context(), old[0], Answer{Status: 200, Known: true, Limit: 60, Remaining: 1})
	if st, err := q.Status(t.Context()); err != nil || st.Limit != 30 || st.Remaining != 30 {
		t.Errorf("after an answer: %+v, %v", st, err)
	}
	q.Report(t.Context(), old[1], Answer{Status: 429, HasRetryAfter: true, RetryAfter: time.Hour})
	if st, err := q.Status(t.Context()); err != nil || st.Wait < time.Hour || st.Reason != "refused with 429" {
		t.Errorf("after a 429: %+v, %v", st, err)
	}
}

func TestAProcessGoesOnWithoutRedis(t *testing.T) {
	server := redistest.Start(t)
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr, MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() { rdb.Close() })
	var log bytes.Buffer
	q := newShared(t, rdb, "t", Config{Rate: Rate{Unlimited: true}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	shared := q.book.(*sharedBook)
	send(t, q, Answer{Status: 200})
	permit, err := q.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	server.Kill()
	q.Report(t.Context(), permit, Answer{Status: 200})
	if _, err := q.Status(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "quota: status: ") {
		t.Errorf("Status: %v", err)
	}
	send(t, q, Answer{Status: 200})
	shared.retry = time.Time{} // as if the next attempt were due
	send(t, q, Answer{Status: 429, HasRetryAfter: true})

	server.Restart(t)
	shared.retry = time.Time{}
	send(t, q, Answer{Status: 200})
	if n := strings.Count(log.String(), "quota goes on without redis"); n != 1 || !strings.Contains(log.String(), "redis is back") {
		t.Errorf("log:\n%s", &log)
	}
	if st, err := q.Status(t.Context()); err != nil || st.Wait != 0 {
		t.Errorf("status %+v, %v", st, err)
	}
}

func TestAProcessWithoutRedisTakesItsPartOnly(t *testing.T) {
	p, err := Config{}.policy()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		last reply
		want time.Duration // between requests
	}{
		{"alone", reply{Limit: 30, Window: 60_000, Peers: 1}, 60 * time.Second * 4 / 3 / 30},
		{"one of sixteen", reply{Limit: 30, Window: 60_000, Peers: 16}, 60 * time.Second * 4 / 3 / 30 * 16},
		{"with another client", reply{Limit: 30, Window: 60_000, Peers: 1, Others: 15_000}, 60 * time.Second * 4 / 3 / 15},
		{"with another client that takes all", reply{Limit: 30, Window: 60_000, Peers: 1, Others: 40_000}, 60 * time.Second * 4 / 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := cautious(p, tt.last)
			if got := time.Duration(c.Window) * time.Millisecond; c.Limit != 1 || (got-tt.want).Abs() > time.Millisecond {
				t.Errorf("%d per %v, want 1 per %v", c.Limit, got, tt.want)
			}
		})
	}
	if got := cautious(p, reply{Window: 60_000, Peers: 3}); got != p {
		t.Errorf("without a limit: %+v", got)
	}
}

func TestProcessesWithoutRedisDoNotGoAllAtOnce(t *testing.T) {
	q := newShared(t, nil, "t", Config{})
	alone := q.book.(*sharedBook).lost(t.Context(), redis.ErrClosed)
	window := time.Duration(alone.policy.Window) * time.Millisecond
	if wait := time.Duration(alone.state.Block-alone.now()) * time.Millisecond; wait < -time.Second || wait > window {
		t.Errorf("the first request waits %v, want somewhere within %v", wait, window)
	}
}

func TestAStrangeValueInRedisIsAnError(t *testing.T) {
	rdb := redistest.Shared(t)
	q := newShared(t, rdb, "t", Config{})
	if err := rdb.Set(t.Context(), Key("t"), "not JSON", 0).Err(); err != nil {
		t.Fatal(err)
	}
	want := "quota: status: " + Key("t") + ": invalid character"
	if _, err := q.Status(t.Context()); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("Status: %v", err)
	}
	b := &sharedBook{rdb: rdb, key: Key("t"), script: redis.NewScript("return {1}")}
	if _, err := b.call(context.Background(), opAcquire, 1); err == nil || err.Error() != Key("t")+": want 14 numbers, have 1" {
		t.Errorf("call: %v", err)
	}
}
