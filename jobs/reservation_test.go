package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/hours"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/sending"
	"campaign-runner/jobs/timings"
	"campaign-runner/ratelimit"
	"campaign-runner/velents"
)

func skipping(s *campaign.Settings)   { s.SkipContactedDays = 7 }
func unrecorded(s *campaign.Settings) { s.Unrecorded = true }

// A duel is two campaigns over the same people.
type duel struct {
	*stage
	runner *runner
}

func newDuel(t *testing.T, contacts int, first, second []func(*campaign.Settings)) *duel {
	t.Helper()
	s := newStage(t, contacts, first...)
	s.load("d", contacts, second...)
	return &duel{s, s.runner("w1")}
}

// run runs the task of a campaign's only chunk.
func (d *duel) run(name string) *sending.ComeBack {
	d.t.Helper()
	return d.runAs(d.runner, name)
}

func (d *duel) runAs(r *runner, name string) *sending.ComeBack {
	d.t.Helper()
	err := r.run(d.t.Context(), store.Ref{Campaign: name})
	var later *sending.ComeBack
	if err != nil && !errors.As(err, &later) {
		d.t.Fatal(err)
	}
	d.check()
	return later
}

func (d *duel) states(name string) map[campaign.State]int {
	d.t.Helper()
	tally, err := d.store.Tally(d.t.Context(), name)
	if err != nil {
		d.t.Fatal(err)
	}
	states := make(map[campaign.State]int)
	for _, state := range campaign.States() {
		if n := tally.States[state]; n > 0 {
			states[state] = n
		}
	}
	return states
}

func (d *duel) wantStates(name string, want map[campaign.State]int) {
	d.t.Helper()
	if diff := cmp.Diff(want, d.states(name)); diff != "" {
		d.t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// during calls what happens while the first request is on its way.
func (d *duel) during(happens func()) {
	var begun atomic.Bool // it may send itself
	d.platform.answer = func([]velents.Row) error {
		if !begun.Swap(true) {
			happens()
		}
		return nil
	}
}

// past puts the fence of every reservation into the past, as time does.
func (d *duel) past() {
	d.t.Helper()
	for number, value := range d.rdb.HGetAll(d.t.Context(), "reach").Val() {
		end := len(value) - len("1234567890123")
		d.rdb.HSet(d.t.Context(), "reach", number, value[:end]+"1000000000000")
	}
}

func (s *stage) reserved() []string {
	s.t.Helper()
	numbers, err := s.rdb.HKeys(s.t.Context(), "reach").Result()
	if err != nil {
		s.t.Fatal(err)
	}
	return numbers
}

func TestTwoCampaignsAtOnceContactNobodyTwice(t *testing.T) {
	for _, tt := range []struct {
		name          string
		first, second []func(*campaign.Settings)
		want          map[campaign.State]int // of the second, once it was released again
	}{
		{"both leave out contacts of others", []func(*campaign.Settings){skipping}, []func(*campaign.Settings){skipping}, map[campaign.State]int{campaign.Canceled: 5}},
		{"only the second does", nil, []func(*campaign.Settings){skipping}, map[campaign.State]int{campaign.Canceled: 5}},
		{"the second is not recorded itself", nil, []func(*campaign.Settings){skipping, unrecorded}, map[campaign.State]int{campaign.Canceled: 5}},
		{"the second sends one by one", []func(*campaign.Settings){skipping}, []func(*campaign.Settings){skipping, dispatching}, map[campaign.State]int{campaign.Canceled: 5}},
		{"the second goes by the limits of rules", nil, []func(*campaign.Settings){func(s *campaign.Settings) { s.Limits = hours.Limits{PerDay: 1} }}, map[campaign.State]int{campaign.Pending: 5}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDuel(t, 5, tt.first, tt.second)
			d.during(func() {
				if later := d.run("d"); later != nil {
					t.Errorf("come back: %v, want it to rest", later)
				}
				d.wantStates("d", map[campaign.State]int{campaign.Pending: 5})
				if n := d.quota.returned; n == 0 {
					t.Error("the permit was not given back")
				}
				acquired := d.quota.acquired
				d.run("d")
				if d.quota.acquired != acquired {
					t.Error("who waits for another request takes a permit")
				}
				chunk, err := d.store.ReadLedger(t.Context(), store.Ref{Campaign: "d"})
				if err != nil {
					t.Fatal(err)
				}
				now, _ := d.store.Now(t.Context())
				if wait := chunk.Due.Sub(now); wait <= 0 || wait > timings.ContestedWait {
					t.Errorf("looked at again in %v", wait)
				}
			})
			d.run("c")
			d.wantStates("c", map[campaign.State]int{campaign.Accepted: 5})
			if keys := d.reserved(); len(keys) > 0 {
				t.Errorf("%d numbers are still reserved", len(keys))
			}
			d.run("d")
			d.wantStates("d", tt.want)
		})
	}
	t.Run("a campaign that asks for nobody to be left out waits for the request and goes on", func(t *testing.T) {
		d := newDuel(t, 5, nil, nil)
		d.during(func() {
			d.run("d")
			d.wantStates("d", map[campaign.State]int{campaign.Pending: 5})
		})
		d.run("c")
		d.platform.forget() // it was not asked for more
		d.run("d")
		d.wantStates("d", map[campaign.State]int{campaign.Accepted: 5})
	})
	t.Run("a contact without a reservation is sent at once", func(t *testing.T) {
		d := newDuel(t, 3, []func(*campaign.Settings){skipping}, []func(*campaign.Settings){skipping})
		d.load("more", 6, skipping)
		d.during(func() { d.run("more") })
		d.run("c")
		d.wantStates("more", map[campaign.State]int{campaign.Accepted: 3, campaign.Pending: 3})
		d.run("more")
		d.wantStates("more", map[campaign.State]int{campaign.Accepted: 3, campaign.Canceled: 3})
	})
}

// A campaign asks whom others have contacted before each of its requests, also to those whom
// it has tried to contact itself.
func TestARetryAndARerunLeaveOutWhomAnotherContactedMeanwhile(t *testing.T) {
	own500 := func([]velents.Row) error { return &velents.Error{Status: 500, Message: "Server Error", JSON: true} }
	for _, tt := range []struct {
		name     string
		attempts int
		others   bool // another contacts them meanwhile
		want     map[campaign.State]int
	}{
		{"a retry", 3, true, map[campaign.State]int{campaign.Canceled: 3}},
		{"a retry of nobody else's", 3, false, map[campaign.State]int{campaign.Accepted: 3}},
		{"a rerun", 1, true, map[campaign.State]int{campaign.Canceled: 3}},
		{"a rerun of nobody else's", 1, false, map[campaign.State]int{campaign.Accepted: 3}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDuel(t, 3, []func(*campaign.Settings){skipping, func(s *campaign.Settings) { s.MaxAttempts = tt.attempts }}, nil)
			d.platform.answer = own500
			d.run("c")
			d.platform.answer = func([]velents.Row) error { return nil }
			if tt.others {
				d.run("d")
				d.wantStates("d", map[campaign.State]int{campaign.Accepted: 3})
			}
			if tt.attempts == 1 {
				d.wantStates("c", map[campaign.State]int{campaign.Failed: 3})
				if _, err := d.queue.Rerun(t.Context(), "c", Selection{States: []campaign.State{campaign.Failed}}); err != nil {
					t.Fatal(err)
				}
			}
			for range 3 { // in halves after a failure
				d.run("c")
			}
			d.wantStates("c", tt.want)
		})
	}
}

// A campaign is answered so that its contacts are sent again, and is stopped; another
// one comes in between.
func TestACampaignThatGoesOnKnowsWhatAnotherHasContactedMeanwhile(t *testing.T) {
	for name, answer := range map[string]error{
		"a JSON 500":    &velents.Error{Status: 500, Message: "Server Error", JSON: true},
		"429":           &velents.Error{Status: 429, Message: "Too Many Attempts.", JSON: true},
		"no connection": &velents.Unanswered{Err: errors.New("refused")},
	} {
		t.Run(name, func(t *testing.T) {
			both := []func(*campaign.Settings){skipping}
			d := newDuel(t, 20, both, both)
			d.platform.answer = func([]velents.Row) error {
				if _, _, err := d.store.SetPhase(t.Context(), "c", campaign.Paused, campaign.Text("by hand"), campaign.Running); err != nil {
					t.Error(err)
				}
				return answer
			}
			d.run("c")
			d.wantStates("c", map[campaign.State]int{campaign.Pending: 20})
			d.platform.answer = func([]velents.Row) error { return nil }
			d.run("d")
			if _, _, err := d.store.SetPhase(t.Context(), "c", campaign.Running, campaign.Message{}, campaign.Paused); err != nil {
				t.Fatal(err)
			}
			d.run("c")
			c, other := d.states("c"), d.states("d")
			if c[campaign.Accepted]+other[campaign.Accepted] != 20 || c[campaign.Canceled]+other[campaign.Canceled] != 20 {
				t.Errorf("%v and %v, want 20 accepted by one and canceled by the other", c, other)
			}
		})
	}
}

func TestAReservationThatWasLeftBehind(t *testing.T) {
	both := []func(*campaign.Settings){skipping}
	taken := func(t *testing.T, d *duel, want map[campaign.State]int) {
		t.Helper()
		if later := d.run("d"); later != nil {
			t.Errorf("come back: %v", later)
		}
		d.wantStates("d", map[campaign.State]int{campaign.Pending: 3})
		d.past()
		d.run("d")
		d.wantStates("d", want)
	}
	// die reserves and begins as a sender that is killed at that point.
	die := func(t *testing.T, d *duel, begins bool) {
		t.Helper()
		now, err := d.store.Clock(t.Context(), "c")
		if err != nil {
			t.Fatal(err)
		}
		chunk, token := d.chunk(0), store.NewClaim("dead", "1")
		wanted := make([]store.Reservation, 3)
		for i := range wanted {
			wanted[i] = store.Reservation{
				Phone: chunk.Contacts[i].Phone, Ref: chunk.Ref, Index: i, Token: token, N: 1, Until: now.Add(timings.BeginPatience),
			}
		}
		if others, err := d.store.Reserve(t.Context(), wanted, nil); err != nil || !slices.Equal(others, []store.Owner{"", "", ""}) {
			t.Fatal(others, err)
		}
		if begins {
			if _, err := d.store.Apply(t.Context(), chunk, store.Change{Act: store.Begin, Token: token, ClaimTTL: time.Hour, Due: timings.KeepDue,
				Moves: sending.Moves([]int{0, 1, 2}, campaign.Send, campaign.NoReason)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Run("by a sender that was killed before its request began", func(t *testing.T) {
		d := newDuel(t, 3, both, both)
		die(t, d, false)
		taken(t, d, map[campaign.State]int{campaign.Accepted: 3})
	})
	t.Run("by one that was killed in its request", func(t *testing.T) {
		d := newDuel(t, 3, both, both)
		die(t, d, true)
		d.past()
		taken(t, d, map[campaign.State]int{campaign.Pending: 3}) // until its claim is recovered
		d.sweep()
		d.wantStates("c", map[campaign.State]int{campaign.Unconfirmed: 3})
		d.run("d")
		d.wantStates("d", map[campaign.State]int{campaign.Canceled: 3})
	})
	t.Run("by a campaign that was canceled and purged", func(t *testing.T) {
		d := newDuel(t, 3, both, both)
		die(t, d, false)
		if err := d.queue.Purge(t.Context(), "c", true); err != nil {
			t.Fatal(err)
		}
		d.run("d")
		d.wantStates("d", map[campaign.State]int{campaign.Accepted: 3})
	})
	t.Run("by the campaign itself", func(t *testing.T) {
		d := newDuel(t, 3, both, both)
		die(t, d, false)
		d.past()
		d.run("c")
		d.wantStates("c", map[campaign.State]int{campaign.Accepted: 3})
	})
	t.Run("by one that was answered and could not give it back", func(t *testing.T) {
		d := newDuel(t, 3, both, both)
		d.platform.answer = func([]velents.Row) error {
			d.rdb.ScriptFlush(t.Context()) // it must do without what Redis remembers, too
			return nil
		}
		d.run("c")
		if n := len(d.reserved()); n != 0 {
			t.Errorf("%d numbers are reserved", n)
		}
		d.run("d")
		d.wantStates("d", map[campaign.State]int{campaign.Canceled: 3})
	})
}

func TestWhatARefusedBeginHadTakenIsGivenBack(t *testing.T) {
	for name, between := range map[string]func(*duel){
		"paused": func(d *duel) {
			_, _, _ = d.store.SetPhase(d.t.Context(), "c", campaign.Paused, campaign.Message{}, campaign.Running)
		},
		"other settings": func(d *duel) {
			to := d.campaign.Settings
			to.DailyCap = 100
			_ = d.store.ChangeSettings(d.t.Context(), d.campaign, to, "")
		},
		"claimed": func(d *duel) { d.rdb.HSet(d.t.Context(), "c:{c}:k:0", "claim", "w2/1", "claim_until", "9999999999999") },
		"purged":  func(d *duel) { d.rdb.HSet(d.t.Context(), "c:{c}", "purge_began", "1") },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDuel(t, 3, nil, nil)
			once := new(sync.Once)
			d.rdb.AddHook(beforeArg{"begin", func() {
				once.Do(func() {
					if n := len(d.reserved()); n != 3 {
						t.Errorf("%d numbers are reserved, want 3", n)
					}
					between(d)
				})
			}})
			_ = d.runner.run(t.Context(), store.Ref{Campaign: "c"})
			if n := d.platform.count(); n != 0 {
				t.Errorf("%d requests", n)
			}
			if keys := d.reserved(); len(keys) > 0 {
				t.Errorf("%d numbers are still reserved", len(keys))
			}
			if d.quota.returned != d.quota.acquired {
				t.Errorf("%d permits taken, %d given back", d.quota.acquired, d.quota.returned)
			}
		})
	}
}

// beforeArg calls do before each command with an argument.
type beforeArg struct {
	arg string
	do  func()
}

func (h beforeArg) DialHook(next redis.DialHook) redis.DialHook { return next }
func (h beforeArg) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if slices.Contains(cmd.Args(), any(h.arg)) {
			h.do()
		}
		return next(ctx, cmd)
	}
}
func (h beforeArg) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if slices.ContainsFunc(cmds, func(cmd redis.Cmder) bool { return slices.Contains(cmd.Args(), any(h.arg)) }) {
			h.do()
		}
		return next(ctx, cmds)
	}
}

// A sender whose begin Redis carries out too late has nobody sent by it, and asks again
// by Redis's clock.
func TestALateBeginIsAskedAgain(t *testing.T) {
	newStage(t, 1).send("w0", 0) // from then on the server knows the script, and is not asked twice
	s := newStage(t, 3)
	runner := s.runner("w1")
	slow := new(sync.Once)
	s.rdb.AddHook(rewrite(func(cmd redis.Cmder) {
		args := cmd.Args()
		if slices.Contains(args, any("begin")) {
			slow.Do(func() {
				fence, err := strconv.ParseInt(fmt.Sprint(args[len(args)-1]), 10, 64)
				if late := time.Until(time.UnixMilli(fence)); err != nil || late > timings.BeginPatience {
					t.Errorf("the begin may come until %v from now, %v", late, err)
				}
				args[len(args)-1] = "1000" // as though it had been frozen since
			})
		}
	}))
	if later := s.sendAs(runner, 0); later == nil || later.After != 0 {
		t.Errorf("wants to %v, want at once", later)
	}
	s.want(map[campaign.State]int{campaign.Pending: 3})
	if n := s.platform.count(); n != 0 {
		t.Errorf("%d requests", n)
	}
	s.sendAs(runner, 0)
	s.want(map[campaign.State]int{campaign.Accepted: 3})
}

type rewrite func(redis.Cmder)

func (h rewrite) DialHook(next redis.DialHook) redis.DialHook { return next }
func (h rewrite) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { h(cmd); return next(ctx, cmd) }
}
func (h rewrite) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

type watchingQuota struct {
	*openQuota
	at func()
}

func (q watchingQuota) Report(ctx context.Context, t ratelimit.Permit, a ratelimit.Answer) {
	q.at()
	q.openQuota.Report(ctx, t, a)
}

// An answer in hand is written down before the quota's Redis, which may take five
// seconds, is told; and the numbers are given back only after.
func TestAnAnswerIsWrittenBeforeTheQuotaIsTold(t *testing.T) {
	s := newStage(t, 5)
	runner := s.runner("w1")
	told := 0
	runner.sender.Quota = watchingQuota{s.quota, func() {
		told++
		if n := len(s.chunk(0).In(campaign.Sending)); n > 0 {
			t.Errorf("%d contacts are still sending", n)
		}
		if diff := cmp.Diff([]bool{true, true, true, true, true}, s.contacted(0, 1, 2, 3, 4)); diff != "" {
			t.Errorf("on the contact record (-want +got):\n%s", diff)
		}
	}}
	s.sendAs(runner, 0)
	if told != 1 {
		t.Errorf("told %d times", told)
	}
}

// No other worker records a living sender's contacts, not even one that wants to
// recover its claim.
func TestOnlyADeadSendersContactsAreRecorded(t *testing.T) {
	s := newStage(t, 3)
	s.platform.answer = func([]velents.Row) error {
		for _, steady := range []bool{true, false} {
			if wait, err := s.queue.recoverClaim(t.Context(), s.now(), s.ledger(0), steady); wait == 0 || err != nil {
				t.Errorf("recovered: %v, %v", wait, err)
			}
		}
		if diff := cmp.Diff([]bool{false, false, false}, s.contacted(0, 1, 2)); diff != "" {
			t.Errorf("recorded (-want +got):\n%s", diff)
		}
		return &velents.Error{Status: 429, Message: "Too Many Attempts.", JSON: true}
	}
	runner := s.runner("w1")
	ctx, stop := context.WithCancel(t.Context())
	runner.sender.Worker.Stopping = ctx
	answer := s.platform.answer
	s.platform.answer = func(rows []velents.Row) error { defer stop(); return answer(rows) }
	s.sendAs(runner, 0)
	s.want(map[campaign.State]int{campaign.Pending: 3})
	if diff := cmp.Diff([]bool{false, false, false}, s.contacted(0, 1, 2)); diff != "" {
		t.Errorf("a 429 was recorded (-want +got):\n%s", diff)
	}
}

// In dispatch mode the last answer but one must not give the claim up.
func TestTheClaimIsKeptWhileAnotherRequestIsOnItsWay(t *testing.T) {
	s := newStage(t, 2, dispatching)
	runner := s.runner("w1")
	var left atomic.Int32
	both, written := make(chan struct{}), make(chan struct{})
	answers := make(chan bool, 2) // who comes first is slow
	answers <- true
	answers <- false
	runner.sender.Quota = watchingQuota{s.quota, sync.OnceFunc(func() { close(written) })}
	s.platform.answer = func([]velents.Row) error {
		if left.Add(1) == 2 {
			close(both)
		}
		if slow := <-answers; slow {
			<-written
			if s.chunk(0).Claim == "" {
				t.Error("the claim was given up with a request on its way")
			}
			return &velents.Error{Status: 422, Message: "bad", Fields: map[string][]string{"phone": {"bad"}}, JSON: true}
		}
		<-both
		return nil
	}
	s.sendAs(runner, 0)
	s.want(map[campaign.State]int{campaign.Accepted: 1, campaign.Rejected: 1})
}

// A request that has left is not called back by the end of its task.
func TestARequestOutlivesItsTask(t *testing.T) {
	s := newStage(t, 2)
	ctx, cancel := context.WithCancel(t.Context())
	runner := s.runner("w1")
	runner.sender.Platform = contextPlatform(func(during context.Context) error {
		cancel()
		return during.Err()
	})
	if err := runner.run(ctx, store.Ref{Campaign: "c"}); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	s.want(map[campaign.State]int{campaign.Accepted: 2})
}

type contextPlatform func(context.Context) error

func (p contextPlatform) Batch(ctx context.Context, _ velents.Batch) (velents.Answer, error) {
	return velents.Answer{Status: 200}, p(ctx)
}
func (p contextPlatform) Dispatch(ctx context.Context, _ velents.Dispatch) (velents.Answer, error) {
	return velents.Answer{Status: 200}, p(ctx)
}

// Who are too many for the day begin nothing; the rest of the chunk goes on.
func TestACapThatOthersHaveFilledDoesNotEndTheRun(t *testing.T) {
	s := newStage(t, 4, func(c *campaign.Settings) { c.DailyCap = 3; c.RowsPerRequest = 2 })
	once := new(sync.Once)
	s.rdb.AddHook(beforeArg{"begin", func() {
		once.Do(func() { // another chunk's contacts have begun in between
			now, err := s.store.Now(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			day := s.campaign.Settings.DayOf(now)
			s.rdb.HSet(t.Context(), "c:{c}:day", "from", day.From.UnixMilli(), "until", day.Until.UnixMilli(), "begun", 2)
		})
	}})
	s.send("w1", 0)
	s.want(map[campaign.State]int{campaign.Accepted: 1, campaign.Pending: 3})
}

func TestATaskOfACampaignThatIsLoadingSendsNobody(t *testing.T) {
	s := newStage(t, 2)
	s.begin("dead/1", 1)
	s.rdb.HSet(t.Context(), "c:{c}", "phase", string(campaign.Loading))
	if err := s.runner("w1").run(t.Context(), store.Ref{Campaign: "c"}); err != nil {
		t.Error(err)
	}
	s.want(map[campaign.State]int{campaign.Sending: 1, campaign.Pending: 1})
	if n := s.platform.count(); n > 0 {
		t.Errorf("%d requests", n)
	}
}

// Another campaign contacts two of the three just before their numbers are reserved.
func TestTheContactRecordIsReadOnceTheNumbersAreReserved(t *testing.T) {
	s := newStage(t, 3, skipping)
	s.load("d", 2, skipping)
	other, done := s.runner("w2"), false
	s.rdb.AddHook(beforeArg{"reach", func() {
		if done {
			return
		}
		done = true
		if err := other.run(t.Context(), store.Ref{Campaign: "d"}); err != nil {
			t.Error(err)
		}
	}})
	s.send("w1", 0)
	s.want(map[campaign.State]int{campaign.Canceled: 2, campaign.Accepted: 1})
	if keys := s.reserved(); len(keys) > 0 {
		t.Errorf("still reserved: %v", keys)
	}
}
