package jobs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/redistest"
	"campaign-runner/jobs/sending"
	"campaign-runner/ratelimit"
	"campaign-runner/velents"
)

// widen lets the runner have as many contacts under way as it ever has: it sends a list
// of another campaign first.
func (s *stage) widen(runner *runner) {
	s.t.Helper()
	s.load("first", dispatchesInFlight, dispatching)
	if err := runner.run(s.t.Context(), store.Ref{Campaign: "first"}); err != nil {
		s.t.Fatal(err)
	}
	s.platform.forget()
}

// A gate lets no answer come before that many requests are under way.
type gate struct {
	want int
	mu   sync.Mutex
	here int
	open chan struct{}
}

func newGate(want int) *gate { return &gate{want: want, open: make(chan struct{})} }

func (g *gate) pass() {
	g.mu.Lock()
	if g.here++; g.here == g.want {
		close(g.open)
	}
	g.mu.Unlock()
	<-g.open
}

// counted counts commands and round trips.
type counted struct {
	mu              sync.Mutex
	commands, trips int
	begins          int
}

func (c *counted) add(cmds ...redis.Cmder) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trips++
	c.commands += len(cmds)
	for _, cmd := range cmds {
		if slices.Contains(cmd.Args(), any(string(store.Begin))) {
			c.begins++
		}
	}
}

func (c *counted) DialHook(next redis.DialHook) redis.DialHook { return next }
func (c *counted) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { c.add(cmd); return next(ctx, cmd) }
}
func (c *counted) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { c.add(cmds...); return next(ctx, cmds) }
}

// A contact's request has cost seven round trips of its own. Most are shared now; how many
// answers are written together depends on when they come, so the bound leaves room.
func TestWhatAContactCosts(t *testing.T) {
	t.Run("dispatch", func(t *testing.T) {
		s := newStage(t, dispatchesInFlight, dispatching)
		runner := s.runner("w1")
		s.widen(runner)
		gate, c := newGate(dispatchesInFlight), new(counted)
		s.platform.answer = func([]velents.Row) error { gate.pass(); return nil }
		s.rdb.AddHook(c)
		s.sendAs(runner, 0)
		s.want(map[campaign.State]int{campaign.Accepted: dispatchesInFlight})
		if c.begins != 1 {
			t.Errorf("%d begins for %d contacts, want 1", c.begins, dispatchesInFlight)
		}
		t.Logf("%d commands in %d round trips for %d contacts", c.commands, c.trips, dispatchesInFlight)
		if c.trips > 2*dispatchesInFlight {
			t.Errorf("%d round trips for %d contacts", c.trips, dispatchesInFlight)
		}
	})
	t.Run("batch", func(t *testing.T) {
		s := newStage(t, 500)
		runner, c := s.runner("w1"), new(counted)
		s.sendAs(s.runner("w0"), 9) // no such chunk: what a task costs by itself is known
		s.rdb.AddHook(c)
		s.sendAs(runner, 0)
		s.want(map[campaign.State]int{campaign.Accepted: 500})
		t.Logf("%d commands in %d round trips for 500 contacts", c.commands, c.trips)
		if c.trips > 30 || c.commands > 36 {
			t.Errorf("%d commands in %d round trips for 500 contacts, want at most 36 in 30", c.commands, c.trips)
		}
	})
}

func TestContactsThatBeginTogetherFailSeparately(t *testing.T) {
	s := newStage(t, 5, dispatching)
	runner := s.runner("w1")
	s.widen(runner)
	gate, c := newGate(5), new(counted)
	s.platform.answer = func(rows []velents.Row) error {
		gate.pass()
		switch rows[0].Phone {
		case phoneOf(0).E164():
			return &velents.Error{Status: 422, JSON: true, Fields: map[string][]string{"phone": {"The phone field is invalid."}}}
		case phoneOf(1).E164():
			return errLostAnswer
		case phoneOf(2).E164():
			return &velents.Unanswered{Err: errRedisGone} // nothing was sent
		}
		return nil
	}
	s.rdb.AddHook(c)
	s.sendAs(runner, 0)
	s.want(map[campaign.State]int{campaign.Rejected: 1, campaign.Unconfirmed: 1, campaign.Pending: 1, campaign.Accepted: 2})
	for i, want := range []campaign.State{campaign.Rejected, campaign.Unconfirmed, campaign.Pending, campaign.Accepted, campaign.Accepted} {
		if got := s.record(i).State; got != want {
			t.Errorf("contact %d is %s, want %s", i, got, want)
		}
	}
	if c.begins != 1 {
		t.Errorf("%d begins, want one for all", c.begins)
	}
}

// While a group waits for its permits one contact asks to be left alone, and just before
// it begins another is canceled: the others are sent.
func TestAGroupBeginsWithoutThoseWhoAreDecidedMeanwhile(t *testing.T) {
	s := newStage(t, 8, dispatching)
	runner := s.runner("w1")
	s.widen(runner)
	runner.sender.Quota = lateQuota{s.quota, func() {
		if _, err := s.store.Suppress(t.Context(), []campaign.Phone{phoneOf(1)}); err != nil {
			t.Error(err)
		}
	}}
	s.rdb.AddHook(&beforeBegin{do: func() {
		chunk := s.chunk(0)
		moves := sending.Moves([]int{3}, campaign.Cancel, campaign.NoReason)
		if _, err := s.store.Apply(t.Context(), chunk, store.Change{Act: store.Steer, Moves: moves}); err != nil {
			t.Error(err)
		}
	}})
	s.sendAs(runner, 0)
	s.want(map[campaign.State]int{campaign.Accepted: 6, campaign.Canceled: 2})
	for i := range 8 {
		left := i == 1 || i == 3
		if got := s.platform.contacted()[phoneOf(i).E164()]; (got == 0) != left {
			t.Errorf("contact %d was contacted %d times", i, got)
		}
	}
}

// beforeBegin does something just before the first begin.
type beforeBegin struct {
	once sync.Once
	do   func()
}

func (b *beforeBegin) DialHook(next redis.DialHook) redis.DialHook { return next }
func (b *beforeBegin) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if slices.Contains(cmd.Args(), any(string(store.Begin))) {
			b.once.Do(b.do)
		}
		return next(ctx, cmd)
	}
}
func (b *beforeBegin) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func TestAPauseKeepsAWholeGroupFromLeaving(t *testing.T) {
	s := newStage(t, 8, dispatching)
	runner := s.runner("w1")
	s.widen(runner)
	acquired, returned := s.quota.acquired, s.quota.returned
	runner.sender.Quota = lateQuota{s.quota, func() {
		if err := s.queue.Pause(t.Context(), "c", campaign.Message{}); err != nil {
			t.Error(err)
		}
	}}
	s.sendAs(runner, 0)
	s.want(map[campaign.State]int{campaign.Pending: 8})
	if got, back := s.quota.acquired-acquired, s.quota.returned-returned; got != 8 || back != 8 {
		t.Errorf("%d permits were taken and %d returned, want 8 and 8", got, back)
	}
	if n := s.rdb.HLen(t.Context(), "reach").Val(); n > 0 {
		t.Errorf("%d numbers stay reserved", n)
	}
}

// someQuota gives a few of the permits that are asked for.
type someQuota struct {
	*openQuota
	give func(most int) int
}

func (q someQuota) AcquireUpTo(ctx context.Context, most int) ([]ratelimit.Permit, error) {
	return q.openQuota.AcquireUpTo(ctx, q.give(most))
}

// repeated runs every script twice: go-redis repeats what it has no answer to.
type repeated struct{}

func (repeated) DialHook(next redis.DialHook) redis.DialHook { return next }
func (repeated) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if strings.HasPrefix(cmd.Name(), "eval") {
			_ = next(ctx, cmd)
		}
		return next(ctx, cmd)
	}
}
func (repeated) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		_ = next(ctx, cmds)
		return next(ctx, cmds)
	}
}

// Whatever each contact is answered, however many permits come at once and whatever is
// decided by somebody else meanwhile: each ends as its own answer says, and is contacted
// at most once. Each script runs twice.
func TestEachOfAGroupIsDecidedByItsOwnAnswer(t *testing.T) {
	rdb := redistest.Shared(t)
	rdb.AddHook(repeated{})
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		rdb.FlushDB(outer.Context())
		n := rapid.IntRange(1, 50).Draw(t, "contacts")
		s := newStageOn(outer, rdb, n, dispatching)
		runner := s.runner("w1")
		var mu sync.Mutex
		grants := rapid.SliceOfN(rapid.IntRange(1, 8), 1, 50).Draw(t, "permits at once")
		runner.sender.Quota = someQuota{s.quota, func(most int) int {
			mu.Lock()
			defer mu.Unlock()
			few := grants[0]
			grants = append(grants[1:], few)
			return min(few, most)
		}}
		answers := make(map[string]campaign.State)
		want := make(map[campaign.State]int)
		for i := range n {
			state := rapid.SampledFrom([]campaign.State{campaign.Accepted, campaign.Accepted, campaign.Rejected, campaign.Unconfirmed, campaign.Pending}).Draw(t, fmt.Sprint(i))
			answers[phoneOf(i).E164()] = state
			want[state]++
		}
		s.platform.answer = func(rows []velents.Row) error {
			switch answers[rows[0].Phone] {
			case campaign.Rejected:
				return &velents.Error{Status: 422, JSON: true, Fields: map[string][]string{"phone": {"The phone field is invalid."}}}
			case campaign.Unconfirmed:
				return errLostAnswer
			case campaign.Pending:
				return &velents.Unanswered{Err: errRedisGone}
			}
			return nil
		}
		s.sendAs(runner, 0) // checks that the states add up and nobody was contacted twice
		s.want(want)
		for i := range n {
			if got := s.record(i).State; got != answers[phoneOf(i).E164()] {
				t.Fatalf("contact %d is %s, its answer says %s", i, got, answers[phoneOf(i).E164()])
			}
		}
		if s.quota.acquired != s.quota.returned+len(s.quota.reported) {
			t.Fatalf("%d permits, %d returned, %d reported", s.quota.acquired, s.quota.returned, len(s.quota.reported))
		}
		if n := rdb.HLen(outer.Context(), "reach").Val(); n > 0 {
			t.Fatalf("%d numbers stay reserved", n)
		}
	})
}
