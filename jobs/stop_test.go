package jobs

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/internal/redistest"
	"campaign-runner/jobs/timings"
	"campaign-runner/velents"
)

// A coldRedis can be frozen: connections stay open, calls are taken, and nothing is
// answered. It lives in a synctest bubble.
type coldRedis struct {
	server *miniredis.Miniredis

	mu     sync.Mutex
	frozen bool
	calls  map[*coldConn][]byte // of those that came meanwhile
}

func newColdRedis(t *testing.T) *coldRedis {
	c := &coldRedis{server: miniredis.NewMiniRedis(), calls: make(map[*coldConn][]byte)}
	c.server.ClockTTL(true)
	t.Cleanup(c.server.Close)
	return c
}

func (c *coldRedis) client(t *testing.T) *redis.Client {
	options := redistest.Bubble(func() (net.Conn, error) {
		conn, err := c.server.Dial()
		return &coldConn{eager(conn), c}, err
	})
	options.ContextTimeoutEnabled = true // as store.Connect
	options.MaxRetries, options.MinRetryBackoff, options.MaxRetryBackoff = 12, 50*time.Millisecond, 4*time.Second
	rdb := redis.NewClient(options)
	t.Cleanup(func() { rdb.Close() })
	return rdb
}

func (c *coldRedis) freeze() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frozen = true
}

func (c *coldRedis) thaw() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frozen = false
	for conn, calls := range c.calls {
		go conn.Conn.Write(calls)
	}
	clear(c.calls)
}

type coldConn struct {
	net.Conn
	redis *coldRedis
}

func (c *coldConn) Write(p []byte) (int, error) {
	c.redis.mu.Lock()
	frozen := c.redis.frozen
	if frozen {
		c.redis.calls[c] = append(c.redis.calls[c], p...)
	}
	c.redis.mu.Unlock()
	if frozen {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// A stopping is a worker with requests on their way to a platform that answers
// when it is told to.
type stopping struct {
	*stage
	redis    *coldRedis
	underWay chan struct{}
	answer   chan struct{}
	stop     context.CancelFunc
	done     chan error
	log      *syncBuffer
}

func startStopping(t *testing.T, contacts int) *stopping {
	t.Helper()
	s := &stopping{redis: newColdRedis(t), underWay: make(chan struct{}, 100), answer: make(chan struct{}), done: make(chan error, 1), log: new(syncBuffer)}
	s.stage = newStageOn(t, s.redis.client(t), contacts, batchOf(10))
	s.platform.answer = func([]velents.Row) error {
		s.underWay <- struct{}{}
		<-s.answer
		return nil
	}
	w, err := NewWorker(Config{
		Store: s.store, Agents: []Agent{{"default", s.platform, s.quota}}, Logger: slog.New(slog.NewTextHandler(s.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.stop = cancel
	go func() { s.done <- w.Run(ctx) }()
	if _, err := s.queue.Release(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	return s
}

// awaitRequests waits until requests have left.
func (s *stopping) awaitRequests(n int) {
	s.t.Helper()
	for range n {
		wait(s, s.underWay)
	}
}

// leave waits until the worker has left.
func (s *stopping) leave() {
	s.t.Helper()
	if err := wait(s, s.done); err != nil {
		s.t.Error(err)
	}
}

// wait receives from what, within an hour: in virtual time, a worker goes round for ever.
func wait[V any](s *stopping, what <-chan V) (v V) {
	s.t.Helper()
	select {
	case v = <-what:
	case <-time.After(time.Hour):
		s.t.Fatalf("nothing has come in an hour:\n%s", s.log)
	}
	return v
}

// end waits until whatever the worker has left behind is over, too.
func (s *stopping) end() {
	s.redis.thaw()
	time.Sleep(3 * time.Minute)
}

func (s *stopping) running() bool {
	synctest.Wait()
	select {
	case err := <-s.done:
		s.done <- err
		return false
	default:
		return true
	}
}

func (s *stopping) wantLog(texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		if !strings.Contains(s.log.String(), text) {
			s.t.Errorf("the log lacks %q:\n%s", text, s.log)
		}
	}
}

type syncBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func TestAStopWaitsForAnswersThatAsynqHasForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startStopping(t, 30)
		s.awaitRequests(3)
		s.redis.freeze()
		time.Sleep(42 * time.Second) // asynq's lease has run out
		s.stop()
		time.Sleep(5 * time.Second)
		if !s.running() {
			t.Fatal("the worker has left while its requests are on their way")
		}
		close(s.answer)
		time.Sleep(10 * time.Second)
		if !s.running() {
			t.Fatal("the worker has left with answers in hand")
		}
		s.redis.thaw()
		s.leave()
		s.check()
		s.want(map[campaign.State]int{campaign.Accepted: 30})
		s.wantLog("waiting for the answers of 3 requests", "waiting for Redis to take 3 answers, up to 3m0s", "waiting for Redis to take 3 answers, up to 2m")
		s.end()
	})
}

func TestAnAnswerThatRedisDoesNotTakeIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startStopping(t, 10)
		s.awaitRequests(1)
		s.redis.freeze()
		s.stop()
		close(s.answer)
		time.Sleep(timings.CommitPatience - time.Second)
		if !s.running() {
			t.Fatal("the worker has left with an answer in hand")
		}
		s.leave()
		s.wantLog("level=ERROR msg=\"answer lost, since Redis did not take it: its contacts become unconfirmed\"", "request=1 contacts=10 answer=2xx")
		s.end()
	})
}

func TestAStopWithoutAnAnswerInHandNeedsNoRedis(t *testing.T) {
	for _, tt := range []struct {
		name   string
		away   time.Duration // of Redis, before the stop
		queued int           // contacts whose chunks wait for a permit
	}{
		{"Redis has just gone", 0, 0},
		{"Redis has been gone for a while", 20 * time.Second, 0},
		{"Redis has been gone for longer than asynq believes in its tasks", 50 * time.Second, 0},
		{"Redis is gone, and chunks wait for their permits", 20 * time.Second, 30},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := startStopping(t, tt.queued)
				s.quota.full.Store(tt.queued > 0)
				time.Sleep(time.Minute)
				s.redis.freeze()
				time.Sleep(tt.away)
				begun := time.Now()
				s.stop()
				s.leave()
				if took := time.Since(begun); took >= timings.KilledAfter {
					t.Errorf("it took %v", took)
				}
				s.end()
				if s.platform.count() > 0 {
					t.Error("a request has left after the worker")
				}
			})
		})
	}
}

func TestAStopTakesNoTimeWhereRedisAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startStopping(t, 10)
		s.awaitRequests(1)
		begun := time.Now()
		s.stop()
		time.Sleep(7 * time.Second)
		close(s.answer)
		s.leave()
		if took := time.Since(begun) - 7*time.Second; took > timings.LeaveWithin {
			t.Errorf("it took %v longer than the answer", took)
		}
		s.want(map[campaign.State]int{campaign.Accepted: 10})
		s.wantLog("waiting for the answer of 1 request")
		alive, err := s.store.Workers(t.Context())
		if err != nil || len(alive) > 0 {
			t.Errorf("stopped, but alive: %v, %v", alive, err)
		}
		s.end()
	})
}

func TestHeartbeatsGoOnWhileTheLastAnswersComeIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startStopping(t, 10)
		s.awaitRequests(1)
		s.stop()
		time.Sleep(50 * time.Second)
		alive, err := s.store.Workers(t.Context())
		if err != nil || len(alive) != 1 {
			t.Errorf("workers %v, %v", alive, err)
		}
		s.overdue()
		sweeper := &sweeper{store: s.store, queue: s.queue, steady: always, log: slog.New(slog.DiscardHandler)}
		if err := sweeper.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.want(map[campaign.State]int{campaign.Sending: 10})
		close(s.answer)
		s.leave()
		s.want(map[campaign.State]int{campaign.Accepted: 10})
		s.end()
	})
}
