package ratelimit

import (
	"context"
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

func TestCallersAreServedInTheOrderTheyCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newTest(t, Config{Rate: Rate{Limit: 6, Window: time.Minute}})
		var served []int
		for i := range 10 {
			go func() {
				ticket, err := q.Acquire(t.Context())
				if err != nil {
					t.Error(err)
				}
				served = append(served, i)
				q.Report(t.Context(), ticket, Answer{Status: 200})
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
	})
}
