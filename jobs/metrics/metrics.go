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
	"time"

	"github.com/hibiken/asynq"
	queues "github.com/hibiken/asynq/x/metrics"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"campaign-runner/campaign/store"
)

// Metrics are those of one worker.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	received *prometheus.CounterVec
	events   *prometheus.CounterVec
	swept    *prometheus.CounterVec
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
		received: counter("events_received_total", "Requests to the webhook inbox, by the status of their answer.", "status", "204", "401", "503"),
		events:   counter("events_total", "Events of the platform, by result.", "result", "applied", "unmatched"),
		swept:    counter("sweeps_total", "What the sweeper did, by action.", "action", "settled", "released"),
	}
	m.registry.MustRegister(m.requests, m.received, m.events, m.swept,
		shared{st, warnings}, whileUp{st, queues.NewQueueMetricsCollector(asynq.NewInspectorFromRedisClient(st.Redis()))},
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

// ShowQuotas adds the quotas of this worker's agents.
func (m *Metrics) ShowQuotas(of func(context.Context) map[string]store.Quota) {
	m.registry.MustRegister(quotas{of})
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
