package jobs

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/timings"
	"campaign-runner/ratelimit"
	"campaign-runner/sandbox"
	"campaign-runner/velents"
)

// platformAt is a client of a sandbox.
func platformAt(t *testing.T, cfg sandbox.Config, token string) (*sandbox.Server, *velents.Client) {
	t.Helper()
	platform, err := sandbox.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(platform)
	t.Cleanup(func() { server.Close(); platform.Close() })
	client, err := velents.New(velents.Config{BaseURL: server.URL, Token: token, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return platform, client
}

// startWorker runs a worker until stop is called, which waits for its end.
func (s *stage) startWorker(agents ...Agent) (stop func()) {
	s.t.Helper()
	w, err := NewWorker(Config{Store: s.store, Agents: agents, RequestTimeout: 5 * time.Second})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	stop = func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
		done <- nil
	}
	s.t.Cleanup(stop)
	return stop
}

// await waits until nobody of a campaign is pending or sending.
func (s *stage) await(name string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
		tally, err := s.store.Tally(ctx, name)
		if err != nil {
			s.t.Fatalf("campaign %s does not end: %v", name, err)
		}
		if tally.Open() == 0 {
			return
		}
	}
}

func TestWorkerSendsTheCampaignsOfItsAgents(t *testing.T) {
	s := newStage(t, 250, batchOf(10), func(c *campaign.Settings) { c.MaxAttempts = 100 })
	s.load("slow", 5, func(c *campaign.Settings) { c.Agent = "slow"; c.ChunkSize = 1 })
	platform, fast := platformAt(t, sandbox.Config{Limit: sandbox.Unlimited, Faults: sandbox.Faults{ServerError: 0.1}}, "fast")
	_, blocked := platformAt(t, sandbox.Config{Limit: 1, Window: time.Hour}, "slow")
	quota := func(rate string) *ratelimit.Quota {
		r, err := ratelimit.ParseRate(rate)
		if err != nil {
			t.Fatal(err)
		}
		q, err := ratelimit.New(ratelimit.Config{Rate: r})
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	if _, err := s.queue.Release(t.Context(), "slow"); err != nil {
		t.Fatal(err)
	}
	stop := s.startWorker(
		Agent{"default", fast, quota("none")},
		Agent{"slow", blocked, quota("1/1h")},
	)
	// The campaign "c" was never released: the sweeper finds it. The other agent's
	// quota is used up after one request and holds nobody up.
	s.await("c")
	stop()
	s.check()
	s.want(map[campaign.State]int{campaign.Accepted: 250})
	if stats := platform.Stats(); stats.Contacts != 250 || stats.Repeated != 0 {
		t.Errorf("the platform contacted %d, %d of them again", stats.Contacts, stats.Repeated)
	}
	alive, err := s.store.Workers(t.Context())
	if err != nil || len(alive) != 0 {
		t.Errorf("stopped, but alive: %v, %v", alive, err)
	}
}

func TestWorkerStopsWithTheAnswersOfWhatIsOnItsWay(t *testing.T) {
	s := newStage(t, 30, batchOf(10))
	underWay, goOn := make(chan struct{}, 3), make(chan struct{})
	s.platform.answer = func([]velents.Row) error {
		underWay <- struct{}{}
		<-goOn
		return nil
	}
	if _, err := s.queue.Release(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	w, err := NewWorker(Config{Store: s.store, Agents: []Agent{{"default", s.platform, s.quota}}, Concurrency: 2})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	<-underWay
	<-underWay
	cancel()
	close(goOn)
	if err := <-done; err != nil {
		t.Error(err)
	}
	s.check()
	s.want(map[campaign.State]int{campaign.Accepted: 20, campaign.Pending: 10})

	// What it has left goes on elsewhere.
	s.startWorker(Agent{"default", s.platform, s.quota})
	s.await("c")
	s.want(map[campaign.State]int{campaign.Accepted: 30})
	s.check()
}

func TestNewWorkerRefusesNonsense(t *testing.T) {
	s := newStage(t, 1)
	good := Agent{"default", s.platform, s.quota}
	for name, cfg := range map[string]Config{
		"no agents":                  {Store: s.store},
		"an agent of a bad name":     {Store: s.store, Agents: []Agent{{"a b", s.platform, s.quota}}},
		"an agent named like a lane": {Store: s.store, Agents: []Agent{{"a-bulk", s.platform, s.quota}}},
		"negative concurrency":       {Store: s.store, Agents: []Agent{good}, Concurrency: -1},
		"a negative request timeout": {Store: s.store, Agents: []Agent{good}, RequestTimeout: -1},
	} {
		if _, err := NewWorker(cfg); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestWorkerIsAliveAsLongAsItsHeartbeat(t *testing.T) {
	s := newStage(t, 1)
	linked := func(campaign.Campaign, int) *velents.Webhook { return nil }
	w, err := NewWorker(Config{Store: s.store, Agents: []Agent{{"default", s.platform, s.quota}}, Webhook: linked})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	if w.alive(now) {
		t.Error("alive before its first heartbeat")
	}
	if err := w.beat(t.Context()); err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration]bool{0: true, timings.AliveFor - time.Second: true, timings.AliveFor + time.Second: false, store.HeartbeatTTL: false} {
		if got := w.alive(now.Add(after)); got != want {
			t.Errorf("%v after its heartbeat: alive %v", after, got)
		}
	}
	workers, err := s.store.Workers(t.Context())
	if err != nil || len(workers) != 1 || workers[0].ID != w.id || !workers[0].Listens || workers[0].Quotas["default"].Remaining != 12 {
		t.Errorf("workers %+v, %v", workers, err)
	}
}

func TestHeartbeatTellsOfPausedQueues(t *testing.T) {
	s := newStage(t, 1)
	w, err := NewWorker(Config{Store: s.store, Agents: []Agent{{"default", s.platform, s.quota}, {"sales", s.platform, s.quota}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.queue.inspector.PauseQueue(queueName("sales", campaign.Bulk)); err != nil {
		t.Fatal(err)
	}
	if err := w.beat(t.Context()); err != nil {
		t.Fatal(err)
	}
	workers, err := s.store.Workers(t.Context())
	if err != nil || len(workers) != 1 {
		t.Fatalf("workers %+v, %v", workers, err)
	}
	if diff := cmp.Diff(map[string][]campaign.Lane{"sales": {campaign.Bulk}}, workers[0].Paused); diff != "" {
		t.Errorf("paused (-want +got):\n%s", diff)
	}
}

func TestArchivesAreEmptied(t *testing.T) {
	s := newStage(t, 1)
	w, err := NewWorker(Config{Store: s.store, Agents: []Agent{{"default", s.platform, s.quota}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.emptyArchives(t.Context()); err != nil {
		t.Errorf("before any queue exists: %v", err)
	}
	if _, err := s.queue.Release(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.queue.inspector.ArchiveAllPendingTasks("default"); err != nil {
		t.Fatal(err)
	}
	if err := w.emptyArchives(t.Context()); err != nil {
		t.Fatal(err)
	}
	if info, err := w.queue.inspector.GetQueueInfo("default"); err != nil || info.Archived != 0 {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestWorkersSampleEveryCampaign(t *testing.T) {
	s := newStage(t, 2)
	s.load("other", 1)
	w, err := NewWorker(Config{Store: s.store, Agents: []Agent{{Name: "default"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.sample(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, contacts := range map[string]int{"c": 2, "other": 1} {
		series, err := s.store.Series(t.Context(), name)
		if err != nil || len(series) != 1 || series[0].Tally.Open() != contacts {
			t.Errorf("%s: %v, %v", name, series, err)
		}
	}
	// One that makes trouble does not keep the others from it.
	if err := s.rdb.Set(t.Context(), "c:{c}:series", "no list", 0).Err(); err != nil {
		t.Fatal(err)
	}
	s.rdb.Del(t.Context(), "c:{other}:series")
	if err := w.sample(t.Context()); err == nil {
		t.Error("trouble is not told")
	}
	if series, err := s.store.Series(t.Context(), "other"); err != nil || len(series) != 1 {
		t.Errorf("other: %v, %v", series, err)
	}
	s.rdb.Close()
	if err := w.sample(t.Context()); err == nil {
		t.Error("a Redis that is gone is not told")
	}
}
