package metrics_test

import (
	"context"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hibiken/asynq"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/campaigntest"
	"campaign-runner/internal/redistest"
	"campaign-runner/jobs/metrics"
	"campaign-runner/jobs/timings"
)

// look is what the metrics show of ours and of the queues' sizes.
func look(m *metrics.Metrics) []string {
	page := httptest.NewRecorder()
	m.ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
	var lines []string
	for line := range strings.Lines(page.Body.String()) {
		if regexp.MustCompile(`^(campaign_runner_|asynq_queue_size)`).MatchString(line) && !strings.Contains(line, "_bucket{") && !strings.Contains(line, "_memory_") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

func TestMetrics(t *testing.T) {
	f := campaigntest.New(t, redistest.Shared(t))
	st, ctx := f.Store, t.Context()
	f.Load(campaigntest.List{
		Name: "sale", Settings: campaigntest.Settings(500, campaign.Column{Name: "phone"}), Contacts: campaigntest.People(966500000001, 2, nil),
	})
	if err := st.AddEvent(ctx, store.Event{Campaign: "sale"}); err != nil {
		t.Fatal(err)
	}
	if _, err := st.OpenWishes(ctx, []store.Wish{{ID: "a", Campaign: "gone"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := asynq.NewClientFromRedisClient(st.Redis()).Enqueue(asynq.NewTask("send", nil), asynq.Queue("default")); err != nil {
		t.Fatal(err)
	}
	if err := st.Heartbeat(ctx, store.Worker{ID: "w", Agents: []string{"default"}}); err != nil {
		t.Fatal(err)
	}
	m := metrics.New(st)
	m.ShowQuotas(func(context.Context) map[string]store.Quota {
		return map[string]store.Quota{"default": {Limit: 30, Remaining: 12, Window: 60, Others: 4.5, Next: time.Now(), Reason: campaign.Text("refused with 429")}}
	})
	m.Answered("default", "2xx", time.Second)
	m.Answered("default", "429", 500*time.Millisecond)
	m.Received(204)
	m.Events("applied", 3)
	m.SignedIn("wrong")
	m.Swept("released")

	want := []string{
		`asynq_queue_size{queue="default"} 1`,
		`campaign_runner_campaign_rest_seconds{campaign="sale"} 0`,
		`campaign_runner_campaign_state{agent="default",campaign="sale",state="running"} 1`,
		`campaign_runner_campaign_unapproved{campaign="sale"} 0`,
		`campaign_runner_chunks_overdue{campaign="sale"} 1`,
		`campaign_runner_contacts{campaign="sale",state="accepted"} 0`,
		`campaign_runner_contacts{campaign="sale",state="canceled"} 0`,
		`campaign_runner_contacts{campaign="sale",state="ended"} 0`,
		`campaign_runner_contacts{campaign="sale",state="failed"} 0`,
		`campaign_runner_contacts{campaign="sale",state="pending"} 2`,
		`campaign_runner_contacts{campaign="sale",state="rejected"} 0`,
		`campaign_runner_contacts{campaign="sale",state="sending"} 0`,
		`campaign_runner_contacts{campaign="sale",state="started"} 0`,
		`campaign_runner_contacts{campaign="sale",state="unconfirmed"} 0`,
		`campaign_runner_events_received_total{status="204"} 1`,
		`campaign_runner_events_received_total{status="400"} 0`,
		`campaign_runner_events_received_total{status="401"} 0`,
		`campaign_runner_events_received_total{status="404"} 0`,
		`campaign_runner_events_received_total{status="405"} 0`,
		`campaign_runner_events_received_total{status="413"} 0`,
		`campaign_runner_events_received_total{status="503"} 0`,
		`campaign_runner_events_total{result="applied"} 3`,
		`campaign_runner_events_total{result="unmatched"} 0`,
		`campaign_runner_events_waiting 1`,
		`campaign_runner_optouts_open 1`,
		`campaign_runner_quota_blocked_seconds{agent="default"} 0`,
		`campaign_runner_quota_limit{agent="default"} 30`,
		`campaign_runner_quota_others{agent="default"} 4.5`,
		`campaign_runner_quota_remaining{agent="default"} 12`,
		`campaign_runner_quota_used_ratio{agent="default"} 0.6`,
		`campaign_runner_quota_wait_seconds{agent="default",reason="refused with 429"} 0`,
		`campaign_runner_quota_window_seconds{agent="default"} 60`,
		`campaign_runner_redis_up 1`,
		`campaign_runner_redis_warnings 1`,
		`campaign_runner_request_seconds_count{agent="default",class="2xx"} 1`,
		`campaign_runner_request_seconds_count{agent="default",class="429"} 1`,
		`campaign_runner_request_seconds_sum{agent="default",class="2xx"} 1`,
		`campaign_runner_request_seconds_sum{agent="default",class="429"} 0.5`,
		`campaign_runner_sign_ins_total{result="right"} 0`,
		`campaign_runner_sign_ins_total{result="slowed"} 0`,
		`campaign_runner_sign_ins_total{result="wrong"} 1`,
		`campaign_runner_sweeps_total{action="released"} 1`,
		`campaign_runner_sweeps_total{action="settled"} 0`,
		`campaign_runner_workers{agent="default"} 1`,
	}
	got := look(m)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

func TestACampaignThatWaitsForApprovalIsNotOverdue(t *testing.T) {
	f := campaigntest.New(t, redistest.Shared(t))
	f.ApproveAbove(1)
	f.Load(campaigntest.List{Name: "large", Settings: campaigntest.Settings(1, campaign.Column{Name: "phone"}), Contacts: campaigntest.People(966500000000, 2, nil)})
	got := look(metrics.New(f.Store))
	for _, want := range []string{`campaign_runner_campaign_unapproved{campaign="large"} 1`, `campaign_runner_chunks_overdue{campaign="large"} 0`} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is missing in %q", want, got)
		}
	}
}

// value is what a page of metrics says of one.
func value(t *testing.T, page []string, name string) float64 {
	t.Helper()
	for _, line := range page {
		if text, is := strings.CutPrefix(line, name+" "); is {
			v, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("%s is missing in %q", name, page)
	return 0
}

func TestACampaignRestsUntilSomethingOfItIsDue(t *testing.T) {
	f := campaigntest.New(t, redistest.Shared(t))
	ctx := t.Context()
	f.Load(campaigntest.List{Name: "night", Settings: campaigntest.Settings(1, campaign.Column{Name: "phone"}), Contacts: campaigntest.People(966500000000, 2, nil)})
	rest := func() float64 {
		return value(t, look(metrics.New(f.Store)), `campaign_runner_campaign_rest_seconds{campaign="night"}`)
	}
	if err := f.Postpone(ctx, "night", timings.QueuedDue); err != nil {
		t.Fatal(err)
	}
	if got := rest(); got != 0 {
		t.Errorf("with its tasks in the queue it rests for %v s", got)
	}
	if err := f.Postpone(ctx, "night", 8*time.Hour); err != nil {
		t.Fatal(err)
	}
	if got := rest(); got < 7*3600 || got > 8*3600 {
		t.Errorf("until its hours begin it rests for %v s, want nearly 8 h", got)
	}
	hold := func(chunk int) {
		t.Helper()
		code, err := f.ReasonCode(ctx, "night", campaign.Say(campaign.MsgNoZone))
		if err != nil {
			t.Fatal(err)
		}
		c, err := f.ReadLedger(ctx, store.Ref{Campaign: "night", Chunk: chunk})
		if err != nil {
			t.Fatal(err)
		}
		move := store.Move{Move: campaign.Move{Cause: campaign.Hold, Reason: code, At: time.Now()}}
		if _, err := f.Apply(ctx, c, store.Change{Act: store.Steer, Moves: []store.Move{move}, Due: 8 * time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	hold(0)
	if got := rest(); got < 7*3600 {
		t.Errorf("with one contact of two held for a person it rests for %v s", got)
	}
	hold(1)
	if got := rest(); got != 0 {
		t.Errorf("with everybody held for a person it rests for %v s, and nobody would hear of it", got)
	}
	f.Pass("night", campaign.Paused, "by a person")
	if got := rest(); got != 0 {
		t.Errorf("paused it rests for %v s", got)
	}
}

func TestABlockOfAnAgentIsShown(t *testing.T) {
	m := metrics.New(campaigntest.New(t, redistest.Shared(t)).Store)
	m.ShowQuotas(func(context.Context) map[string]store.Quota {
		hour := time.Now().Add(time.Hour)
		return map[string]store.Quota{"blocked": {Next: hour, Blocked: true}, "full": {Next: hour}}
	})
	page := look(m)
	if got := value(t, page, `campaign_runner_quota_blocked_seconds{agent="blocked"}`); got < 3000 || got > 3600 {
		t.Errorf("blocked for an hour: %v", got)
	}
	if got := value(t, page, `campaign_runner_quota_blocked_seconds{agent="full"}`); got != 0 {
		t.Errorf("not blocked: %v", got)
	}
}

func TestWithoutRedisTheWorkersOwnCountsAreShown(t *testing.T) {
	server := redistest.Start(t)
	m := metrics.New(store.New(server.Client()))
	m.Swept("released")
	server.Kill()
	got := look(m)
	for _, want := range []string{`campaign_runner_redis_up 0`, `campaign_runner_sweeps_total{action="released"} 1`} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is missing in %q", want, got)
		}
	}
}
