package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/hours"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/timings"
	"campaign-runner/ratelimit"
)

// between is a week that is open every day between two times from now on, in UTC.
func between(t *testing.T, from, to time.Duration) hours.Week {
	t.Helper()
	now := time.Now().UTC()
	week, err := hours.MakeWeek([]string{now.Add(from).Format("15:04") + "-" + now.Add(to).Format("15:04")}, "")
	if err != nil {
		t.Fatal(err)
	}
	return week
}

// settings changes what the loaded campaign is to do.
func (s *stage) settings(change func(*campaign.Settings)) {
	s.t.Helper()
	c, err := s.store.Campaign(s.t.Context(), "c")
	if err != nil {
		s.t.Fatal(err)
	}
	change(&c.Settings)
	text, err := json.Marshal(c.Settings)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.rdb.HSet(s.t.Context(), "c:{c}", "settings", text).Err(); err != nil {
		s.t.Fatal(err)
	}
}

func in(week hours.Week, zone string) func(*campaign.Settings) {
	return func(s *campaign.Settings) { s.Hours = hours.Schedule{Week: week, Zone: zone} }
}

// near checks a time that was counted from a moment ago.
func near(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if got < want-3*time.Minute || got > want+3*time.Minute {
		t.Errorf("%s in %v, want about %v", what, got, want)
	}
}

func TestNobodyIsSentOutsideTheHours(t *testing.T) {
	for _, mode := range []campaign.Mode{campaign.Batch, campaign.Dispatch} {
		t.Run(string(mode), func(t *testing.T) {
			s := newStage(t, 8, in(between(t, 2*time.Hour, 4*time.Hour), "UTC"), func(c *campaign.Settings) { c.Mode = mode })
			for range 2 {
				if later := s.send("w", 0); later != nil {
					t.Errorf("its task stays: %v", later)
				}
				near(t, "looked at again", s.due(), 2*time.Hour)
			}
			s.want(map[campaign.State]int{campaign.Pending: 8})
			if s.platform.count() > 0 {
				t.Error("a request has left")
			}
			s.settings(in(between(t, -2*time.Hour, 2*time.Hour), "UTC"))
			s.sweep() // its time has come
			if diff := cmp.Diff([]string{"c:0:1"}, s.waitingTasks("default")); diff != "" {
				t.Errorf("tasks (-want +got):\n%s", diff)
			}
			s.send("w", 0)
			s.want(map[campaign.State]int{campaign.Accepted: 8})
		})
	}
}

// lateQuota gives its permit when something has happened meanwhile.
type lateQuota struct {
	*openQuota
	meanwhile func()
}

func (q lateQuota) AcquireUpTo(ctx context.Context, most int) ([]ratelimit.Permit, error) {
	q.meanwhile()
	return q.openQuota.AcquireUpTo(ctx, most)
}

func TestHoursEndWhileARequestWaitsForItsPermit(t *testing.T) {
	now := time.Now().UTC()
	window := func(from, to time.Duration) string {
		return now.Add(from).Format("15:04") + "-" + now.Add(to).Format("15:04")
	}
	week, err := hours.MakeWeek([]string{window(-time.Hour, time.Hour), window(5*time.Hour, 6*time.Hour)}, "")
	if err != nil {
		t.Fatal(err)
	}
	s := newStage(t, 8, in(week, "UTC"))
	runner, clock := s.runner("w"), new(fastClock)
	s.rdb.AddHook(clock)
	runner.sender.Quota = lateQuota{s.quota, func() { clock.ahead.Store(int64(2 * time.Hour)) }}
	if later := s.sendAs(runner, 0); later != nil {
		t.Errorf("its task stays: %v", later)
	}
	s.want(map[campaign.State]int{campaign.Pending: 8})
	clock.ahead.Store(0)
	near(t, "looked at again", s.due(), 3*time.Hour)
	if s.platform.count() > 0 {
		t.Error("a request has left")
	}
}

// A fastClock lets Redis say that it is later than it is.
type fastClock struct{ ahead atomic.Int64 }

func (f *fastClock) DialHook(next redis.DialHook) redis.DialHook { return next }
func (f *fastClock) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if told, ok := cmd.(*redis.TimeCmd); ok {
			told.SetVal(told.Val().Add(time.Duration(f.ahead.Load())))
		}
		return err
	}
}
func (f *fastClock) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func TestContactsWithClocksOfTheirOwn(t *testing.T) {
	s := newStage(t, 3)
	now := time.Now()
	// Open where it is now within the hours: not in Riyadh, but at UTC.
	riyadh, err := time.LoadLocation("Asia/Riyadh")
	if err != nil {
		t.Fatal(err)
	}
	from := now.In(riyadh).Add(time.Hour)
	week, err := hours.MakeWeek([]string{from.Format("15:04") + "-" + from.Add(time.Hour).Format("15:04")}, "")
	if err != nil {
		t.Fatal(err)
	}
	s.settings(func(c *campaign.Settings) {
		c.Hours = hours.Schedule{Week: week, Zone: hours.ByContact}
	})
	r := s.read(s.runner("w"), 0)
	r.Contacts[0].Phone = 8001234567  // international freephone: no zone
	r.Contacts[1].Phone = 18005550100 // anywhere in North America: never together for an hour
	if err := r.pass(); err != nil {
		t.Errorf("its task stays: %v", err)
	}
	s.check()
	s.want(map[campaign.State]int{campaign.Pending: 3})
	want := map[string]int{
		"no time zone is known for its number":                   1,
		"the hours of America/Adak and 41 more zones never meet": 1,
		"waits for its hours in Asia/Riyadh":                     1,
	}
	if diff := cmp.Diff(want, s.reasons(campaign.Pending)); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	near(t, "looked at again", s.due(), time.Hour)
	if s.platform.count() > 0 {
		t.Error("a request has left")
	}

	// Once a person has decided about contacts without a zone, they are sent. The
	// others go on waiting.
	noZone := hours.Zoned{Week: between(t, -2*time.Hour, 2*time.Hour), Zone: "UTC"}
	s.settings(func(c *campaign.Settings) { c.Hours.NoZone = noZone })
	again := s.read(s.runner("w"), 0)
	again.Contacts[0].Phone = 8001234567
	again.Contacts[1].Phone = 18005550100
	if err := again.pass(); err != nil {
		t.Errorf("its task stays: %v", err)
	}
	s.check()
	s.want(map[campaign.State]int{campaign.Pending: 2, campaign.Accepted: 1})
}

func TestAChunkWhoseContactsMayNeverBeSentIsLeftAlone(t *testing.T) {
	s := newStage(t, 2)
	s.settings(in(between(t, 0, time.Hour), hours.ByContact))
	r := s.read(s.runner("w"), 0)
	for i := range r.Contacts {
		r.Contacts[i].Phone = 8001234567
	}
	if err := r.pass(); err != nil {
		t.Error(err)
	}
	near(t, "looked at again", s.due(), longestIdle)
}

func TestAReleaseMeanwhileIsNotForgotten(t *testing.T) {
	s := newStage(t, 2, in(between(t, 2*time.Hour, 4*time.Hour), "UTC"))
	r := s.read(s.runner("w"), 0)
	if _, err := s.queue.Release(t.Context(), "c"); err != nil { // somebody has changed something
		t.Fatal(err)
	}
	if err := r.pass(); err != nil {
		t.Error(err)
	}
	if due := s.due(); due > timings.ReleaseDue {
		t.Errorf("looked at again in %v only", due)
	}
}

func TestContactsThatAreTooLateAreCanceled(t *testing.T) {
	s := newStage(t, 6, func(c *campaign.Settings) { c.FinishBy = time.Now().Add(time.Hour) }, in(between(t, 3*time.Hour, 4*time.Hour), "UTC"))
	s.send("w", 0)
	near(t, "looked at again", s.due(), time.Hour) // not when its hours begin
	end := time.Now().Add(-time.Second).Truncate(time.Second).UTC()
	s.settings(func(c *campaign.Settings) { c.FinishBy, c.Hours = end, hours.Schedule{} })
	s.send("w", 0)
	s.want(map[campaign.State]int{campaign.Canceled: 6})
	text := "not sent by " + end.Format(time.RFC3339) + ", when the campaign was to finish"
	if diff := cmp.Diff(map[string]int{text: 6}, s.reasons(campaign.Canceled)); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}

	// A person may still ask for them.
	if done, err := s.queue.Rerun(t.Context(), "c", Selection{States: []campaign.State{campaign.Canceled}}); done.Contacts != 6 || err != nil {
		t.Fatal(done, err)
	}
	s.send("w", 0)
	s.want(map[campaign.State]int{campaign.Accepted: 6})
}

func TestRulesBoundHowOftenSomebodyIsContacted(t *testing.T) {
	s := newStage(t, 4, func(c *campaign.Settings) {
		c.Rules, c.Limits = "ae", hours.Limits{PerDay: 1, PerWeek: 2, RefusalIsFinal: true}
	})
	now, err := s.store.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	day := 24 * time.Hour
	for phone, ago := range map[campaign.Phone][]time.Duration{
		phoneOf(0): {0},                // today
		phoneOf(1): {1 * day, 5 * day}, // twice this week
		phoneOf(2): {1 * day, 8 * day}, // once
	} {
		for _, d := range ago {
			if err := s.store.RecordContacted(t.Context(), now.Add(-d), []campaign.Phone{phone}); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.send("w", 0)
	s.want(map[campaign.State]int{campaign.Accepted: 2, campaign.Pending: 2})
	if diff := cmp.Diff(map[string]int{"contacted as often as its rules allow for now": 2}, s.reasons(campaign.Pending)); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	tomorrow := now.Truncate(day).Add(day)
	near(t, "looked at again", s.due(), tomorrow.Sub(now))

	_, err = s.queue.Rerun(t.Context(), "c", Selection{States: []campaign.State{campaign.Rejected}})
	if err == nil || err.Error() != "rerun c: by its rules (ae) contacts that were rejected are not sent again" {
		t.Errorf("rerun of the rejected: %v", err)
	}
}

func TestScheduledCampaignsStart(t *testing.T) {
	for _, tt := range []struct {
		name   string
		start  time.Duration // from now
		phase  campaign.Phase
		reason string

		released int
	}{
		{"not before their time", time.Hour, campaign.Scheduled, "", 0},
		{"when it has come", -time.Second, campaign.Running, "", 1},
		{"a little late", -9 * time.Minute, campaign.Running, "", 1},
		{"not blindly", -11 * time.Minute, campaign.Ready, "it was to start at ", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, 20, batchOf(10), func(c *campaign.Settings) {
				c.StartAt, c.MaxLateness = time.Now().Add(tt.start).UTC(), 10*time.Minute
			})
			if _, _, err := s.store.SetPhase(t.Context(), "c", campaign.Scheduled, campaign.Message{}, campaign.Running); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				s.sweep()
			}
			phase, reason := s.phase("c")
			if phase != tt.phase || !strings.HasPrefix(reason, tt.reason) || (reason == "") != (tt.reason == "") {
				t.Errorf("it is %s: %q", phase, reason)
			}
			if seq := s.ledger(0).Seq; seq != tt.released {
				t.Errorf("released %d times", seq)
			}
			if tt.phase == campaign.Running {
				return
			}
			if err := s.queue.Pause(t.Context(), "c", campaign.Message{}); err == nil || !strings.Contains(err.Error(), "nobody is contacted before it starts") {
				t.Errorf("paused: %v", err)
			}
			if n, err := s.start("c"); n != 2 || err != nil {
				t.Errorf("started by hand: %d chunks, %v", n, err)
			}
		})
	}
}

func TestSeveralWorkersStartACampaignOnce(t *testing.T) {
	s := newStage(t, 40, batchOf(2), func(c *campaign.Settings) { c.StartAt, c.MaxLateness = time.Now().UTC(), time.Hour })
	if _, _, err := s.store.SetPhase(t.Context(), "c", campaign.Scheduled, campaign.Message{}, campaign.Running); err != nil {
		t.Fatal(err)
	}
	s.overdue()
	done := make(chan error)
	for range 4 {
		go func() {
			done <- (&sweeper{store: s.store, queue: s.queue, steady: always, log: slog.New(slog.DiscardHandler)}).sweep(context.Background())
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if ids := s.waitingTasks("default"); len(ids) != 20 {
		t.Errorf("%d tasks for 20 chunks", len(ids))
	}
	started := 0
	for _, line := range s.log() {
		if strings.Contains(line, "its time has come") {
			started++
		}
	}
	if started != 1 {
		t.Errorf("started %d times", started)
	}
}

func TestHoursThatCannotBeReadSendNobody(t *testing.T) {
	s := newStage(t, 2)
	s.settings(func(c *campaign.Settings) { c.Hours.Zone = "Atlantis/City" })
	err := s.runner("w").run(t.Context(), store.Ref{Campaign: "c"})
	if err == nil || !strings.Contains(err.Error(), `hours of c: time zone "Atlantis/City"`) {
		t.Errorf("error %v", err)
	}
	s.want(map[campaign.State]int{campaign.Pending: 2})
}

func TestNobodyIsSentWhileTheTimeIsNotKnown(t *testing.T) {
	for n := range 2 { // before, and again for each request after its permit
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			s := newStage(t, 2, in(between(t, -time.Hour, time.Hour), "UTC"))
			s.rdb.AddHook(&flakyRedis{on: "time", spare: n, refuse: 2})
			if err := s.runner("w").run(t.Context(), store.Ref{Campaign: "c"}); err == nil {
				t.Error("no error")
			}
			s.want(map[campaign.State]int{campaign.Pending: 2})
		})
	}
}

// Redis begins a request only after the end of its campaign.
func TestASlowRedisBeginsNothingAfterTheEnd(t *testing.T) {
	s := newStage(t, 1, func(s *campaign.Settings) { s.FinishBy = time.Now().Add(time.Second) })
	s.rdb.AddHook(&oneCall{string(store.Begin), func() {
		for now := time.Now(); !now.After(s.campaign.Settings.FinishBy); {
			now, _ = s.store.Now(context.WithoutCancel(t.Context()))
		}
	}})
	s.send("w1", 0)
	s.send("w1", 0)
	s.want(map[campaign.State]int{campaign.Canceled: 1})
	if n := s.platform.count(); n > 0 {
		t.Errorf("%d requests left after the end", n)
	}
}
