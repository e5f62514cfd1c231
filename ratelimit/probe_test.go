package ratelimit

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/internal/redistest"
)

func acquire(t *testing.T, q *Quota) Permit {
	t.Helper()
	permit, err := q.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return permit
}

func TestAProbeIsAloneUntilItSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newTest(t, Config{Rate: Rate{Unlimited: true}})
		send(t, q, Answer{Status: 200})
		lost, late := acquire(t, q), acquire(t, q)
		if lost.Probe || late.Probe {
			t.Error("a probe before anything was lost")
		}
		start := time.Now()
		q.Report(t.Context(), lost, Answer{Status: 502, Failed: true, Lost: true})
		time.AfterFunc(20*time.Second, func() { q.Report(t.Context(), late, Answer{Status: 200}) })
		permits := make(chan Permit)
		for range 3 {
			go func() {
				permit, err := q.Acquire(t.Context())
				if err != nil {
					t.Error(err)
				}
				permits <- permit
			}()
		}
		probe := <-permits
		if waited := time.Since(start); !probe.Probe || waited < 20*time.Second || waited > 22*time.Second {
			t.Errorf("probe %t after %v, want one once the other request is answered", probe.Probe, waited)
		}
		time.Sleep(10 * time.Second)
		select {
		case <-permits:
			t.Error("somebody sends beside the probe")
		default:
		}
		q.Report(t.Context(), probe, Answer{Lost: true})
		again := <-permits
		q.Return(t.Context(), again) // it did not send: another is to find out
		third := <-permits
		if !again.Probe || !third.Probe {
			t.Error("no probe after a probe that was lost, or returned")
		}
		q.Report(t.Context(), third, Answer{Status: 200})
		if permit := acquire(t, q); permit.Probe {
			t.Error("a probe after one has succeeded")
		}
	})
}

func TestAGuestsSuccessDoesNotEndTheCaution(t *testing.T) {
	rdb := redistest.Shared(t)
	worker, guest := newShared(t, rdb, "t", Config{}), newShared(t, rdb, "t", Config{Asks: true})
	worker.Report(t.Context(), acquire(t, worker), Answer{Lost: true})
	for range 2 {
		permit := acquire(t, guest)
		if !permit.Probe {
			t.Error("no probe")
		}
		guest.Report(t.Context(), permit, Answer{Status: 200})
	}
	permit := acquire(t, worker)
	worker.Report(t.Context(), permit, Answer{Status: 200})
	if next := acquire(t, guest); !permit.Probe || next.Probe {
		t.Errorf("the worker's permit is a probe: %t; the next: %t", permit.Probe, next.Probe)
	}
}

func TestAProbeThatDiedWithItsWorkerIsFollowedByAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newTest(t, Config{Timeout: 10 * time.Second})
		q.Report(t.Context(), acquire(t, q), Answer{Lost: true})
		if !acquire(t, q).Probe { // and is never heard of again
			t.Error("no probe")
		}
		start := time.Now()
		if next := acquire(t, q); !next.Probe || time.Since(start) < 9*time.Second {
			t.Errorf("probe %t after %v", next.Probe, time.Since(start))
		}
	})
}

func TestUnblockLetsAllProcessesGoOnAtOnce(t *testing.T) {
	rdb := redistest.Shared(t)
	quotas := []*Quota{newShared(t, rdb, "t", Config{}), newShared(t, rdb, "t", Config{}), newShared(t, rdb, "t", Config{Asks: true})}
	send(t, quotas[0], Answer{Status: 200, Known: true, Limit: 30, Remaining: 29})
	send(t, quotas[0], Answer{Status: 503, Held: true, HasRetryAfter: true, RetryAfter: 24 * time.Hour})
	if st, err := Look(t.Context(), rdb, Key("t")); err != nil || !st.Blocked || st.Wait < 23*time.Hour || st.Reason != "the platform asks to wait (503)" {
		t.Errorf("status %+v, %v", st, err)
	}
	if ttl := rdb.PTTL(t.Context(), Key("t")).Val(); ttl < 24*time.Hour {
		t.Errorf("the block is kept for %v", ttl)
	}
	got := make(chan error)
	for _, q := range quotas {
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			permit, err := q.Acquire(ctx)
			q.Report(ctx, permit, Answer{Status: 200, Known: true, Limit: 30, Remaining: 20})
			got <- err
		}()
	}
	left, why, err := Unblock(t.Context(), rdb, quotas[0].Key())
	if err != nil || left < 23*time.Hour || why != "the platform asks to wait (503)" {
		t.Errorf("lifted %v of %q, %v", left, why, err)
	}
	for range quotas {
		if err := <-got; err != nil {
			t.Error(err)
		}
	}
	if left, why, err := Unblock(t.Context(), rdb, quotas[0].Key()); err != nil || left != 0 || why != "" {
		t.Errorf("lifted again: %v of %q, %v", left, why, err)
	}
	if left, _, err := Unblock(t.Context(), rdb, Key("another")); err != nil || left != 0 || rdb.Exists(t.Context(), Key("another")).Val() != 0 {
		t.Errorf("lifted what is not there: %v, %v", left, err)
	}
}

func TestAfterAnUnblockNoneWaitsForAProcessThatWasFirstAndIsGone(t *testing.T) {
	p := policy{Limit: 30, Window: 60_000, Share: 1000, Timeout: 75_000}
	s := state{ID: 1}
	const now = 1_700_000_000_000
	r := s.acquire(now, p, ask{Peer: 1, Want: 1})
	s.report(now, p, 1, []told{{r.Permit, outcome{Refused: true, RetryAfter: 86_400_000}}})
	for peer := range int64(3) {
		if r := s.acquire(now+peer, p, ask{Peer: peer + 1, Want: 1}); r.Wait > lookAgain || r.Blocked < 86_000_000 {
			t.Errorf("told to wait %d ms, of a block of %d", r.Wait, r.Blocked)
		}
	}
	s.lift(now + 100) // the first and the second never come back
	if r := s.acquire(now+200, p, ask{Peer: 3, Want: 1}); r.Wait > 3000 {
		t.Errorf("the third is told to wait %d ms", r.Wait)
	}
	if r := s.acquire(now+3000, p, ask{Peer: 3, Want: 1}); r.Permits != 1 {
		t.Errorf("the third waits behind those that are gone: %+v", r)
	}
}

func TestUnblockKeepsTheCautionAfterALostAnswer(t *testing.T) {
	rdb := redistest.Shared(t)
	q := newShared(t, rdb, "t", Config{})
	for range 8 { // a block of half a minute
		q.Report(t.Context(), acquire(t, q), Answer{Lost: true})
		if _, _, err := Unblock(t.Context(), rdb, q.Key()); err != nil {
			t.Fatal(err)
		}
	}
	if !acquire(t, q).Probe {
		t.Error("no probe after an unblock")
	}
}

func TestABlockOutlivesRedis(t *testing.T) {
	server := redistest.Start(t)
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr, MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() { rdb.Close() })
	q := newShared(t, rdb, "t", Config{Rate: Rate{Unlimited: true}})
	shared := q.book.(*sharedBook)
	ctx := t.Context()
	first, second, third := acquire(t, q), Permit{}, Permit{}
	q.Report(ctx, first, Answer{Status: 200})
	second, third = acquire(t, q), acquire(t, q)
	q.Report(ctx, second, Answer{Status: 429, HasRetryAfter: true, RetryAfter: time.Hour})

	server.Kill()
	q.Report(ctx, third, Answer{Lost: true}) // by the book of this process alone
	s, now, _ := shared.alone.look(ctx)
	if s.Lost != 1 || s.Block-now < 59*time.Minute.Milliseconds() || s.Why != whyRefused {
		t.Errorf("without Redis: %+v", s)
	}

	server.Restart(t)
	if err := rdb.FlushDB(ctx).Err(); err != nil { // its state is gone, too
		t.Fatal(err)
	}
	shared.retry = time.Time{} // as if the next attempt were due
	q.Return(ctx, Permit{})
	if st, err := q.Status(ctx); err != nil || !st.Blocked || st.Wait < 59*time.Minute || !st.Probing {
		t.Errorf("with a new Redis: %+v, %v", st, err)
	}
}
