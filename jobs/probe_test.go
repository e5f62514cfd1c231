package jobs

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/redistest"
	"campaign-runner/ratelimit"
	"campaign-runner/velents"
)

// A probingQuota only gives permits for probes.
type probingQuota struct{ *openQuota }

func (q probingQuota) AcquireUpTo(ctx context.Context, _ int) ([]ratelimit.Permit, error) {
	permits, err := q.openQuota.AcquireUpTo(ctx, 1)
	for i := range permits {
		permits[i].Probe = true
	}
	return permits, err
}

func TestAProbeCarriesOneContact(t *testing.T) {
	s := newStage(t, 3, batchOf(3))
	runner := s.runner("w")
	runner.sender.Quota = probingQuota{s.quota}
	s.sendAs(runner, 0)
	s.want(map[campaign.State]int{campaign.Accepted: 3})
	if !slices.Equal(s.platform.requests, []int{1, 1, 1}) || s.quota.acquired != 3 || s.quota.returned != 0 {
		t.Errorf("requests of %v contacts, %d permits, %d of them returned", s.platform.requests, s.quota.acquired, s.quota.returned)
	}
}

func TestTheQuotaLearnsWhatAnswersMean(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer error
		want   ratelimit.Answer
	}{
		{"accepted", nil, ratelimit.Answer{Status: 200}},
		{"an answer that never came", errLostAnswer, ratelimit.Answer{Failed: true, Lost: true}},
		{"a gateway that gave up", &velents.Error{Status: 504, Message: "Gateway Time-out"}, ratelimit.Answer{Status: 504, Failed: true, Lost: true}},
		{"a request that never left", &velents.Unanswered{}, ratelimit.Answer{Failed: true, Unsent: true}},
		{"the platform's own 500", &velents.Error{Status: 500, Message: "Server Error", JSON: true}, ratelimit.Answer{Status: 500, Failed: true}},
		{"maintenance", &velents.Error{Status: 503, Message: "Service Unavailable", JSON: true}, ratelimit.Answer{Status: 503, Failed: true, Held: true}},
		{"maintenance as a page, with its end", &velents.Error{Status: 503, Message: "page", RetryAfter: time.Hour, HasRetryAfter: true},
			ratelimit.Answer{Status: 503, Failed: true, Held: true, RetryAfter: time.Hour, HasRetryAfter: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, 1)
			runner := s.runner("w")
			runner.sender.Platform = newOutage(s.platform, func(time.Time) error { return tt.answer })
			s.sendAs(runner, 0)
			if len(s.quota.reported) == 0 || s.quota.reported[0] != tt.want {
				t.Errorf("the quota was told %+v, want %+v", s.quota.reported, tt.want)
			}
		})
	}
}

func TestAChunkDoesNotOutwaitTheBlockOfItsAgent(t *testing.T) {
	s := newStage(t, 2)
	s.platform.answer = func([]velents.Row) error {
		return &velents.Error{Status: 503, Message: "Service Unavailable", JSON: true, RetryAfter: 24 * time.Hour, HasRetryAfter: true}
	}
	if later := s.send("w", 0); later == nil || later.After > time.Minute {
		t.Errorf("it comes back %+v: after an unblock it would still wait", later)
	}
}

// A request is one as a platform saw it.
type request struct {
	left, answered time.Time
	rows           int
	alone          bool // no other was under way meanwhile
	lost           bool
}

// A badGateway is a platform that does its work, for as long as it takes, and answers as
// the time of the answer says.
type badGateway struct {
	*fakePlatform
	takes  time.Duration // virtual
	answer func(now time.Time) error

	mu       sync.Mutex
	requests []*request
	under    map[*request]bool
}

func newOutage(p *fakePlatform, answer func(now time.Time) error) *badGateway {
	return &badGateway{fakePlatform: p, answer: answer, under: make(map[*request]bool)}
}

func (p *badGateway) Batch(ctx context.Context, b velents.Batch) (velents.Answer, error) {
	q := &request{left: time.Now(), rows: len(b.Rows), alone: true}
	p.mu.Lock()
	for other := range p.under {
		other.alone, q.alone = false, false
	}
	p.under[q] = true
	p.requests = append(p.requests, q)
	p.mu.Unlock()
	time.Sleep(p.takes)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.under, q)
	q.answered = time.Now()
	err := p.answer(q.answered)
	q.lost = err != nil
	var refused *velents.Error
	status := http.StatusOK
	if errors.As(err, &refused) {
		status = refused.Status
	} else if err != nil {
		status = 0
	}
	if status != http.StatusInternalServerError { // it has worked, whatever became of its answer
		if _, err := p.fakePlatform.Batch(ctx, b); err != nil {
			return velents.Answer{}, err
		}
	}
	return velents.Answer{Status: status}, err
}

// virtually runs a campaign of that many contacts with three workers of the same
// token in virtual time, until no contact is left to be sent.
func virtually(t *testing.T, contacts int, answer func(since time.Duration) error) (p *badGateway, states [9]int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		mini := miniredis.NewMiniRedis()
		mini.ClockTTL(true)
		defer mini.Close()
		client := func() *redis.Client {
			return redis.NewClient(redistest.Bubble(func() (net.Conn, error) {
				conn, err := mini.Dial()
				return eager(conn), err
			}))
		}
		rdb := client()
		defer rdb.Close()
		s := newStageOn(t, rdb, contacts, batchOf(40))
		begin := time.Now()
		p = newOutage(s.platform, func(now time.Time) error { return answer(now.Sub(begin)) })
		p.takes = 5 * time.Second
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var workers sync.WaitGroup
		for range 3 {
			rdb := client()
			defer rdb.Close()
			quota, err := ratelimit.NewShared(rdb, "token", ratelimit.Config{Rate: ratelimit.Rate{Limit: 30, Window: time.Minute}})
			if err != nil {
				t.Fatal(err)
			}
			w, err := NewWorker(Config{
				Store: store.New(rdb), Agents: []Agent{{Name: "default", Platform: p, Quota: quota}}, Logger: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				t.Fatal(err)
			}
			workers.Go(func() {
				if err := w.Run(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		if _, err := s.queue.Release(ctx, "c"); err != nil {
			t.Fatal(err)
		}
		for range 120 {
			time.Sleep(5 * time.Second)
			tally, err := s.store.Tally(ctx, "c")
			if err != nil {
				t.Fatal(err)
			}
			if states = tally.States; tally.Open() == 0 {
				break
			}
		}
		cancel()
		workers.Wait()
		s.check()
	})
	return p, states
}

var errGateway = &velents.Error{Status: 502, Message: "Bad Gateway", Page: true}

func TestAnOutageLeavesInDoubtOnlyWhoWasUnderWayAndOneContactAProbe(t *testing.T) {
	const contacts, from, length = 1_200, 15 * time.Second, 40 * time.Second
	p, states := virtually(t, contacts, func(since time.Duration) error {
		if since >= from && since < from+length {
			return errGateway
		}
		return nil
	})
	var first time.Time // answer that was lost
	for _, q := range p.requests {
		if q.lost && (first.IsZero() || q.answered.Before(first)) {
			first = q.answered
		}
	}
	underWay, lostUnderWay, probes, small := 0, 0, 0, 0
	for _, q := range p.requests {
		switch {
		case !q.lost:
		case !q.left.After(first): // it was under way when the outage showed
			underWay++
			lostUnderWay += q.rows
		default:
			probes++
			if q.rows != 1 || !q.alone {
				t.Errorf("a request of %d contacts was lost %v after the first, alone: %t", q.rows, q.left.Sub(first), q.alone)
			}
		}
		if q.rows == 1 {
			small++
		}
	}
	if underWay == 0 || underWay > 6 || probes == 0 || probes > 8 {
		t.Errorf("%d requests were under way and %d probes were lost", underWay, probes)
	}
	if got, want := states[campaign.Unconfirmed], lostUnderWay+probes; got != want || states[campaign.Accepted] != contacts-want {
		t.Errorf("%d contacts are unconfirmed, want %d; %d accepted of %d", got, want, states[campaign.Accepted], contacts)
	}
	if small != probes+1 {
		t.Errorf("%d requests carried one contact, want %d: the lost probes and the one that was answered", small, probes+1)
	}
}

func TestASingleLostAnswerCostsOneSmallRequest(t *testing.T) {
	var once sync.Once
	p, states := virtually(t, 1200, func(since time.Duration) (err error) {
		if since > 10*time.Second {
			once.Do(func() { err = errLostAnswer })
		}
		return err
	})
	small := 0
	for _, q := range p.requests {
		if q.rows == 1 {
			small++
		}
	}
	if small != 1 || states[campaign.Unconfirmed] != 40 || states[campaign.Accepted] != 1160 {
		t.Errorf("%d requests carried one contact, states %v", small, states)
	}
}

func TestThePlatformsOwn500sDoNotShrinkTheAgent(t *testing.T) {
	p, states := virtually(t, 1200, func(since time.Duration) error {
		if since > 10*time.Second && since < 16*time.Second {
			return &velents.Error{Status: 500, Message: "Server Error", JSON: true}
		}
		return nil
	})
	for _, q := range p.requests {
		if q.rows < 10 { // halves, and halves of those
			t.Errorf("a request of %d contacts", q.rows)
		}
	}
	if states[campaign.Unconfirmed] != 0 {
		t.Errorf("states %v", states)
	}
}
