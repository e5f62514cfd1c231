package ratelimit

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func newTest(t *testing.T, cfg Config) *Quota {
	t.Helper()
	q, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// send takes a permit and reports an answer that took a tenth of a second.
func send(t *testing.T, q *Quota, a Answer) {
	t.Helper()
	permit, err := q.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	q.Report(t.Context(), permit, a)
}

func TestNewRefusesABadConfig(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"a share beyond all of it", Config{Share: 1.5}, "quota: share 1.5: want above 0 up to 1"},
		{"a share below nothing", Config{Share: -1}, "quota: share -1: want above 0 up to 1"},
		{"a timeout too short to be one", Config{Timeout: time.Millisecond}, "quota: timeout 1ms: want at least 1s"},
		{"a rate without a window", Config{Rate: Rate{Limit: 3}}, "quota: rate: window 0s: want 1s to 744h0m0s"},
		{"a rate without a limit", Config{Rate: Rate{Window: time.Minute}}, "quota: rate: limit 0: want 1 to 10000000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := New(tt.cfg); err == nil || err.Error() != tt.want {
				t.Errorf("New: %v, want %s", err, tt.want)
			}
			if _, err := NewShared(nil, "token", tt.cfg); err == nil || err.Error() != tt.want {
				t.Errorf("NewShared: %v, want %s", err, tt.want)
			}
		})
	}
}

func TestCallersAreServedInTheOrderTheyCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newTest(t, Config{Rate: Rate{Limit: 6, Window: time.Minute}})
		var mu sync.Mutex
		var served []int
		for i := range 10 {
			go func() {
				permit, err := q.Acquire(t.Context())
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				served = append(served, i)
				mu.Unlock()
				q.Report(t.Context(), permit, Answer{Status: 200})
			}()
			synctest.Wait()
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		for i := range served {
			if served[i] != i {
				t.Fatalf("served %v", served)
			}
		}
		if len(served) != 10 {
			t.Errorf("served %v", served)
		}
	})
}

func TestAcquireEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newTest(t, Config{Rate: Rate{Limit: 1, Window: time.Hour}})
		if _, err := q.Acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for range 3 {
			go func() {
				if _, err := q.Acquire(ctx); err == nil || err.Error() != "quota: wait: context deadline exceeded" {
					t.Errorf("Acquire: %v", err)
				}
			}()
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := q.waiting.Load(); n != 0 {
			t.Errorf("%d still wait", n)
		}
		if len(q.turn) != 1 {
			t.Error("the turn to ask went lost")
		}
	})
}

func TestPermitsThatNoCallerWantsAreGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newTest(t, Config{})
		send(t, q, Answer{Status: 200, Known: true, Limit: 30, Remaining: 29})
		var spare []Permit
		for range 3 {
			permit, err := q.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			spare = append(spare, permit)
		}
		<-q.turn
		q.turn <- spare
		q.tidy()
		if st, err := q.Status(t.Context()); err != nil || st.Remaining != 29 {
			t.Errorf("status %+v, %v; want all but the first left", st, err)
		}
	})
}

func TestAnAnswerMovesTheQuota(t *testing.T) {
	headers := Answer{Status: 200, Known: true, Limit: 30, Remaining: 29}
	with := func(change func(*Answer)) Answer {
		a := headers
		change(&a)
		return a
	}
	for _, tt := range []struct {
		name string
		a    []Answer
		want Status
	}{
		{"the headers override the configured limit", []Answer{with(func(a *Answer) { a.Limit, a.Remaining = 60, 59 })},
			Status{Limit: 60, Remaining: 59}},
		{"without headers the configured rate holds", []Answer{{Status: 200}},
			Status{Limit: 30, Remaining: 29}},
		{"a limit of nothing is no limit", []Answer{with(func(a *Answer) { a.Limit = 0 })},
			Status{Limit: 30, Remaining: 29}},
		{"others on the token are seen", []Answer{headers, with(func(a *Answer) { a.Remaining = 20 })},
			Status{Limit: 30, Remaining: 20, OthersPerWindow: 8}},
		{"what the server has forgotten is free again", []Answer{{Status: 200}, {Status: 200}, headers},
			Status{Limit: 30, Remaining: 29}},
		{"a request that was not sent counts nothing", []Answer{headers, {Unsent: true, Failed: true}},
			Status{Limit: 30, Remaining: 29, Failures: 1}},
		{"a request without an answer counts", []Answer{headers, {Failed: true}},
			Status{Limit: 30, Remaining: 28, Failures: 1}},
		{"a lost answer blocks at once", []Answer{headers, {Lost: true}},
			Status{Limit: 30, Remaining: 28, Failures: 3, Wait: time.Second, Reason: "an answer was lost; one contact will find out", Blocked: true, Probing: true}},
		{"a lost answer after a 429 leaves its wait", []Answer{{Status: 429, HasRetryAfter: true, RetryAfter: 10 * time.Second}, {Lost: true}, {Lost: true}},
			Status{Limit: 30, Remaining: 28, Failures: 4, Wait: 2 * time.Second, Reason: "an answer was lost; one contact will find out", Blocked: true, Probing: true}},
		{"too early is refused, too", []Answer{headers, {Status: 425, HasRetryAfter: true, RetryAfter: 10 * time.Second}},
			Status{Limit: 30, Remaining: 29, Wait: 11 * time.Second, Reason: "refused with 429", Blocked: true}},
		{"a 503 of the platform holds for as long as it says", []Answer{headers, {Status: 503, Held: true, HasRetryAfter: true, RetryAfter: 90 * time.Second}},
			Status{Limit: 30, Remaining: 28, Failures: 3, Wait: 91 * time.Second, Reason: "the platform asks to wait (503)", Blocked: true}},
		{"a 503 of the platform that says no time backs off at once", []Answer{headers, {Status: 503, Held: true}},
			Status{Limit: 30, Remaining: 28, Failures: 3, Wait: time.Second, Reason: "the platform asks to wait (503)", Blocked: true}},
		{"a wait of more than a day is one of a day", []Answer{{Status: 429, HasRetryAfter: true, RetryAfter: 100 * time.Hour}},
			Status{Limit: 30, Remaining: 30, Wait: 24*time.Hour + time.Second, Reason: "refused with 429", Blocked: true}},
		{"a negative remaining is none", []Answer{with(func(a *Answer) { a.Remaining = -2 })},
			Status{Limit: 30, Remaining: 0, Wait: time.Minute/3 + time.Millisecond, Reason: "the quota is used up"}},
		{"a 429 blocks a second longer than it says", []Answer{{Status: 429, Known: true, Limit: 30, HasRetryAfter: true, RetryAfter: 10 * time.Second}},
			Status{Limit: 30, Remaining: 0, Wait: 11 * time.Second, Reason: "refused with 429", Blocked: true}},
		{"a 429 of a proxy blocks and says nothing else", []Answer{headers, {Status: 429, HasRetryAfter: true, RetryAfter: 10 * time.Second}},
			Status{Limit: 30, Remaining: 29, Wait: 11 * time.Second, Reason: "refused with 429", Blocked: true}},
		{"a 429 without Retry-After blocks for a sixth of a window", []Answer{{Status: 429}},
			Status{Limit: 30, Remaining: 30, Wait: 10 * time.Second, Reason: "refused with 429", Blocked: true}},
		{"two failures do not block yet", []Answer{headers, {Status: 503, Failed: true}, {Status: 503, Failed: true}},
			Status{Limit: 30, Remaining: 27, Failures: 2}},
		{"the third failure blocks", []Answer{headers, {Status: 503, Failed: true}, {Unsent: true, Failed: true}, {Failed: true}},
			Status{Limit: 30, Remaining: 27, Failures: 3, Wait: time.Second, Reason: "the platform is failing", Blocked: true}},
		{"the fourth blocks twice as long", []Answer{{Failed: true}, {Failed: true}, {Failed: true}, {Failed: true}},
			Status{Limit: 30, Remaining: 26, Failures: 4, Wait: 2 * time.Second, Reason: "the platform is failing", Blocked: true}},
		{"failures block up to a minute or so", slices.Repeat([]Answer{{Unsent: true, Failed: true}}, 20),
			Status{Limit: 30, Remaining: 30, Failures: 20, Wait: 64 * time.Second, Reason: "the platform is failing", Blocked: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newTest(t, Config{})
				for _, a := range tt.a {
					send(t, q, a)
				}
				tt.want.Window = time.Minute
				if got, err := q.Status(t.Context()); err != nil || got != tt.want {
					t.Errorf("status %+v, %v\nwant   %+v", got, err, tt.want)
				}
			})
		})
	}
}

func TestOneRequestFindsOutAfterSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newTest(t, Config{})
		for range 2 { // at first, and after a while without answers
			permit, err := q.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if st, err := q.Status(t.Context()); err != nil || st.Reason != "one request is finding out" || st.Blocked {
				t.Errorf("status %+v, %v", st, err)
			}
			start := time.Now()
			second := make(chan Permit)
			go func() {
				permit, err := q.Acquire(t.Context())
				if err != nil {
					t.Error(err)
				}
				second <- permit
			}()
			time.Sleep(3 * time.Second)
			q.Report(t.Context(), permit, Answer{Status: 200})
			q.Return(t.Context(), <-second)
			if waited := time.Since(start); waited != 3*time.Second {
				t.Errorf("the second waited %v, want until the answer to the first", waited)
			}
			time.Sleep(30 * time.Second)
		}
	})
}

func TestUnlimitedIsUnlimitedUntilTheServerTellsALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		q := newTest(t, Config{Rate: Rate{Unlimited: true}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		start := time.Now()
		for range 500 {
			send(t, q, Answer{Status: 200})
		}
		if took := time.Since(start); took != 50*time.Second {
			t.Errorf("500 requests of 0.1 s took %v", took)
		}
		if st, err := q.Status(t.Context()); err != nil || st.Limit != 0 || st.Wait != 0 {
			t.Errorf("status %+v, %v", st, err)
		}
		send(t, q, Answer{Status: 200, Known: true, Limit: 60, Remaining: 59})
		if st, err := q.Status(t.Context()); err != nil || st.Limit != 60 || st.Remaining != 59 {
			t.Errorf("status %+v, %v", st, err)
		}
		if !strings.Contains(log.String(), `msg="rate limit changed" limit=60 was=0 window=1m0s`) {
			t.Errorf("log %s", &log)
		}
	})
}

func TestALostPermitRunsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newTest(t, Config{Rate: Rate{Limit: 1, Window: time.Minute}, Timeout: 10 * time.Second})
		lost, err := q.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		send(t, q, Answer{Status: 200})
		if waited := time.Since(start); waited < 70*time.Second || waited > 71*time.Second {
			t.Errorf("waited %v, want its timeout and a window", waited)
		}
		before, err := q.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		q.Report(t.Context(), lost, Answer{Status: 200, Known: true, Limit: 1, Remaining: 1})
		if after, err := q.Status(t.Context()); err != nil || after.Remaining != before.Remaining {
			t.Errorf("its late report moved the quota from %+v to %+v, %v", before, after, err)
		}
	})
}
