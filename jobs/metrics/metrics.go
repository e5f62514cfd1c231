// Package metrics counts what a worker does and shows it to Prometheus.
//
// What all workers share (contacts by state, waiting events, queues) is read from
// Redis for each look, and is the same on every worker. What a worker does itself
// (requests, events, sweeps) is its own count. No label ever holds a number, a token
// or a value.
package metrics

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	queues "github.com/hibiken/asynq/x/metrics"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/timings"
)

// Metrics are those of one worker.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	received *prometheus.CounterVec
	events   *prometheus.CounterVec
	swept    *prometheus.CounterVec
	signIns  *prometheus.CounterVec
}

// New returns the metrics of a worker on the store.
func New(st *store.Store) *Metrics {
	warnings := func(ctx context.Context) []string { return store.DurabilityWarnings(ctx, st.Redis()) }
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "request_seconds",
			Help:    "Requests to the platform, by result: the status or its hundred, lost, unsent, withheld.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"agent", "class"}),
		received: counter("events_received_total", "Requests to the webhook inbox, by the status of their answer.", "status", "204", "400", "401", "404", "405", "413", "503"),
		events:   counter("events_total", "Events of the platform, by result.", "result", "applied", "unmatched"),
		swept:    counter("sweeps_total", "What the sweeper did, by action.", "action", "settled", "released"),
		signIns:  counter("sign_ins_total", "Passwords given to the pages, by result: right, wrong, or slowed because too many were wrong.", "result", "right", "wrong", "slowed"),
	}
	m.registry.MustRegister(m.requests, m.received, m.events, m.swept, m.signIns,
		shared{st, warnings}, &whileUp{store: st, Collector: queues.NewQueueMetricsCollector(asynq.NewInspectorFromRedisClient(st.Redis()))},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// counter counts by the values of a label. The known values start at zero: a rate
// misses the first count of a value that starts at 1.
func counter(name, help, label string, known ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, []string{label})
	for _, value := range known {
		c.WithLabelValues(value)
	}
	return c
}

// Answered counts a request to the platform.
func (m *Metrics) Answered(agent, class string, took time.Duration) {
	m.requests.WithLabelValues(agent, class).Observe(took.Seconds())
}

// Received counts a request to the inbox by its answer.
func (m *Metrics) Received(status int) { m.received.WithLabelValues(strconv.Itoa(status)).Inc() }

// Events counts events by their result.
func (m *Metrics) Events(result string, n int) { m.events.WithLabelValues(result).Add(float64(n)) }

// Swept counts an action of the sweeper.
func (m *Metrics) Swept(action string) { m.swept.WithLabelValues(action).Inc() }

// SignedIn counts a password given to the pages, by its result.
func (m *Metrics) SignedIn(result string) { m.signIns.WithLabelValues(result).Inc() }

// ShowQuotas adds the quotas of this worker's agents.
func (m *Metrics) ShowQuotas(of func(context.Context) map[string]store.Quota) {
	m.registry.MustRegister(quotas{of})
}

// ShowBuild adds the build of this worker: its version, commit and the commit's date.
func (m *Metrics) ShowBuild(version, commit, date string) {
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: "build_info", Help: "1 for the build of this worker."}, []string{"version", "commit", "date"})
	build.WithLabelValues(version, commit, date).Set(1)
	m.registry.MustRegister(build)
}

// ServeHTTP shows everything. What cannot be read is left out, with an error among
// the lines, so that the rest still arrives.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}).ServeHTTP(w, r)
}

const (
	namespace = "campaign_runner"
	// maxCampaigns bounds the campaigns whose contacts are shown, the latest first.
	maxCampaigns = 100
	// overdueAfter is how late a chunk may be before it counts. Sweepers look every two
	// seconds.
	overdueAfter = time.Minute
	// patience bounds what is read from Redis for one look.
	patience = 5 * time.Second
)

func gauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
}

var (
	upDesc         = gauge("redis_up", "Whether Redis answers and its campaigns can be read: 1 or 0.")
	warningsDesc   = gauge("redis_warnings", "How many settings of Redis let it lose what was written: 0 is well; the log of the worker names each at its start.")
	memoryDesc     = gauge("redis_memory_bytes", "Memory that Redis uses; of a cluster, the server that has the least left.")
	maxDesc        = gauge("redis_memory_max_bytes", "Most memory that Redis may use; 0: no limit.")
	workersDesc    = gauge("workers", "Living workers that serve an agent.", "agent")
	stateDesc      = gauge("campaign_state", "1 for the state that each of the latest campaigns is in.", "campaign", "agent", "state")
	contactsDesc   = gauge("contacts", "Contacts of the latest campaigns, by state.", "campaign", "state")
	unapprovedDesc = gauge("campaign_unapproved", "1 if the campaign waits for approval: nothing of it is sent before.", "campaign")
	restDesc       = gauge("campaign_rest_seconds", "Seconds until a running campaign goes on by itself: it waits for its hours, a limit, its cap, the next attempt of --then, or because the platform asks for it. 0: something is due now, or only a person can let it go on.", "campaign")
	overdueDesc    = gauge("chunks_overdue", "Chunks of running campaigns that should have been looked at a minute ago.", "campaign")
	waitingDesc    = gauge("events_waiting", "Events that are still to be applied.")
	openDesc       = gauge("optouts_open", "Opt-outs whose number is not known yet.")

	limitDesc     = gauge("quota_limit", "Requests that the agent's token has per window; 0: no limit is known.", "agent")
	remainingDesc = gauge("quota_remaining", "Requests left in the present window.", "agent")
	usedDesc      = gauge("quota_used_ratio", "Part of the present window's requests that are gone, from 0 to 1; absent without a limit.", "agent")
	windowDesc    = gauge("quota_window_seconds", "Length of the window.", "agent")
	othersDesc    = gauge("quota_others", "Requests per window that others make on the same token, estimated.", "agent")
	blockedDesc   = gauge("quota_blocked_seconds", "Until the agent may send again, after a 429, failures or a lost answer; 0: it is not blocked.", "agent")
	waitDesc      = gauge("quota_wait_seconds", "Until the next request may leave, and why; 0: it may leave now.", "agent", "reason")
)

// describe sends what a collector shows.
func describe(ch chan<- *prometheus.Desc, descs ...*prometheus.Desc) {
	for _, d := range descs {
		ch <- d
	}
}

// show sends a gauge.
func show(ch chan<- prometheus.Metric, desc *prometheus.Desc, value float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}

// reader is what the metrics read of the store; *store.Store is the real one.
type reader interface {
	Latest(ctx context.Context, most int) ([]string, error)
	ReadAll(ctx context.Context, names []string) ([]store.Reading, error)
	Overdue(ctx context.Context, name string, before time.Time) (int, error)
	FirstDues(ctx context.Context, names []string) ([]time.Time, error)
	Reasons(ctx context.Context, name string) (map[campaign.Reason]campaign.Message, error)
	WaitingEvents(ctx context.Context) (int, error)
	CountWishes(ctx context.Context) (int, error)
	Now(ctx context.Context) (time.Time, error)
	Workers(ctx context.Context) ([]store.Worker, error)
	Fullest(ctx context.Context) (store.Memory, error)
}

// shared collects what all workers share.
type shared struct {
	store    reader
	warnings func(context.Context) []string // about Redis
}

func (s shared) Describe(ch chan<- *prometheus.Desc) {
	describe(ch, upDesc, warningsDesc, memoryDesc, maxDesc, workersDesc, stateDesc, unapprovedDesc, contactsDesc, restDesc, overdueDesc, waitingDesc, openDesc)
}

func (s shared) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.collect(ctx, ch); err != nil {
		show(ch, upDesc, 0)
		ch <- prometheus.NewInvalidMetric(contactsDesc, err)
		return
	}
	show(ch, upDesc, 1)
}

func (s shared) collect(ctx context.Context, ch chan<- prometheus.Metric) error {
	waiting, err := s.store.WaitingEvents(ctx)
	if err != nil {
		return err
	}
	show(ch, waitingDesc, float64(waiting))
	open, err := s.store.CountWishes(ctx)
	if err != nil {
		return err
	}
	show(ch, openDesc, float64(open))
	show(ch, warningsDesc, float64(len(s.warnings(ctx))))
	if memory, err := s.store.Fullest(ctx); err == nil { // a managed Redis may hide it
		show(ch, memoryDesc, float64(memory.Used))
		show(ch, maxDesc, float64(memory.Max))
	}
	if err := s.collectWorkers(ctx, ch); err != nil {
		return err
	}
	now, err := s.store.Now(ctx)
	if err != nil {
		return err
	}
	names, err := s.store.Latest(ctx, maxCampaigns)
	if err != nil {
		return err
	}
	latest, err := s.store.ReadAll(ctx, names)
	if err != nil {
		return err
	}
	dues, err := s.store.FirstDues(ctx, names)
	if err != nil {
		return err
	}
	for i, r := range latest {
		if r.CreatedAt.IsZero() { // it was removed meanwhile, or is damaged
			continue
		}
		if err := s.collectCampaign(ctx, r, dues[i], now, ch); err != nil {
			return err
		}
	}
	return nil
}

func (s shared) collectWorkers(ctx context.Context, ch chan<- prometheus.Metric) error {
	workers, err := s.store.Workers(ctx)
	if err != nil {
		return err
	}
	serving := make(map[string]int)
	for _, w := range workers {
		for _, agent := range w.Agents {
			serving[agent]++
		}
	}
	for agent, n := range serving {
		show(ch, workersDesc, float64(n), agent)
	}
	return nil
}

func (s shared) collectCampaign(ctx context.Context, c store.Reading, due, now time.Time, ch chan<- prometheus.Metric) (err error) {
	if c.Err != nil {
		return c.Err
	}
	tally := c.Tally
	state := tally.Phase(c.Phase)
	show(ch, stateDesc, 1, c.Name, c.Settings.Agent, string(state))
	for _, of := range campaign.States() {
		show(ch, contactsDesc, float64(tally.States[of]), c.Name, of.String())
	}
	unapproved := 0.0
	if c.Approval.Wanted && !tally.Over() && state != campaign.CanceledPhase {
		unapproved = 1
	}
	show(ch, unapprovedDesc, unapproved, c.Name)
	overdue := 0
	if state == campaign.Running && unapproved == 0 {
		if overdue, err = s.store.Overdue(ctx, c.Name, now.Add(-overdueAfter)); err != nil {
			return err
		}
	}
	show(ch, overdueDesc, float64(overdue), c.Name)
	rest := time.Duration(0)
	if state == campaign.Running {
		if rest, err = s.rest(ctx, c, due.Sub(now)); err != nil {
			return err
		}
	}
	show(ch, restDesc, rest.Seconds(), c.Name)
	return nil
}

// restFrom is the shortest rest. What is sent, or waits in a queue, is looked at more often.
const restFrom = timings.QueuedDue + time.Minute

// rest is how long a running campaign is kept back, if its first chunk or rung is due in due.
func (s shared) rest(ctx context.Context, c store.Reading, due time.Duration) (time.Duration, error) {
	if due < restFrom {
		return 0, nil
	}
	held, words := 0, map[campaign.Reason]campaign.Message(nil)
	for of, n := range c.Tally.Reasons {
		if of.State != campaign.Pending {
			continue
		}
		if words == nil {
			var err error
			if words, err = s.store.Reasons(ctx, c.Name); err != nil {
				return 0, err
			}
		}
		if words[of.Reason].NeedsPerson() {
			held += n
		}
	}
	if held > 0 && held == c.Tally.Open() {
		return 0, nil
	}
	return due, nil
}

// quotas collects the agents' quotas.
type quotas struct {
	of func(context.Context) map[string]store.Quota
}

func (q quotas) Describe(ch chan<- *prometheus.Desc) {
	describe(ch, limitDesc, remainingDesc, usedDesc, windowDesc, othersDesc, blockedDesc, waitDesc)
}

func (q quotas) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for agent, quota := range q.of(ctx) {
		show(ch, limitDesc, float64(quota.Limit), agent)
		show(ch, remainingDesc, float64(quota.Remaining), agent)
		show(ch, windowDesc, quota.Window, agent)
		show(ch, othersDesc, quota.Others, agent)
		blocked := 0.0
		if quota.Blocked {
			blocked = quota.Wait(time.Now()).Seconds()
		}
		show(ch, blockedDesc, blocked, agent)
		show(ch, waitDesc, quota.Wait(time.Now()).Seconds(), agent, quota.Reason.String())
		if quota.Limit > 0 {
			show(ch, usedDesc, 1-float64(quota.Remaining)/float64(quota.Limit), agent)
		}
	}
}

// whileUp leaves out a collector while Redis does not answer: asynq's own waits for
// it longer than Prometheus waits for the metrics. What that collects costs dozens of
// commands for each queue, so it is shown again for queuesEvery.
type whileUp struct {
	store reader
	prometheus.Collector

	mu   sync.Mutex
	at   time.Time
	kept []prometheus.Metric
}

// queuesEvery is how often asynq's queues are measured. It is less than a minute, so that
// each minute has a value of its own.
const queuesEvery = 50 * time.Second

func (w *whileUp) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := w.store.Now(ctx); err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := time.Now(); w.kept == nil || now.Sub(w.at) >= queuesEvery {
		w.at, w.kept = now, collected(w.Collector)
	}
	for _, m := range w.kept {
		ch <- m
	}
}

// collected is all that a collector has to show.
func collected(c prometheus.Collector) (all []prometheus.Metric) {
	ch := make(chan prometheus.Metric)
	go func() {
		defer close(ch)
		c.Collect(ch)
	}()
	for m := range ch {
		all = append(all, m)
	}
	return all
}
