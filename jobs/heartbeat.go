package jobs

import (
	"context"
	"os"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/timings"
	"campaign-runner/ratelimit"
)

// heartbeats are those of a worker that arrived. They never change; nil is none.
type heartbeats struct {
	since time.Time // when the first of an unbroken row had arrived
	last  time.Time // when the latest was begun: it lives from then at least
}

// then is h with another one.
func (h *heartbeats) then(begun, arrived time.Time) *heartbeats {
	if !h.unbroken(arrived) {
		return &heartbeats{since: arrived, last: begun}
	}
	return &heartbeats{since: h.since, last: begun}
}

// alive reports whether the last one is young enough, by both clocks.
func (h *heartbeats) alive(now time.Time) bool {
	return h != nil && timings.Elapsed(h.last, now) < timings.AliveFor
}

// unbroken reports whether Redis cannot have been away for long since the last one
// was begun. When it arrived says nothing: it may have waited for Redis.
func (h *heartbeats) unbroken(now time.Time) bool {
	return h != nil && timings.Elapsed(h.last, now) < timings.SteadyGap
}

// steady reports whether they have come without a gap for as long as one lives. Then a
// worker whose heartbeat is missing now is gone: Redis has not been away.
func (h *heartbeats) steady(now time.Time) bool {
	return h.unbroken(now) && now.Sub(h.since) >= timings.SteadyAfter
}

// alive reports whether others still take this worker for living.
func (w *Worker) alive(now time.Time) bool { return w.beats.Load().alive(now) }

// steady reports whether this worker may take others for dead. After an outage of
// Redis the heartbeats of all workers have to come back first.
func (w *Worker) steady(now time.Time) bool { return w.beats.Load().steady(now) }

// beat tells the others that this worker is alive, and keeps when it did.
func (w *Worker) beat(ctx context.Context) error {
	return w.cfg.Watch.beat(w.beatWithin(ctx, timings.HeartbeatTimeout))
}

func (w *Worker) beatWithin(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if w.looked.Load() == nil {
		_ = w.look(ctx)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	seen := w.looked.Load()
	begun := time.Now()
	err = w.cfg.Store.Heartbeat(ctx, store.Worker{
		ID: w.id, Host: host, PID: os.Getpid(), Agents: w.agentNames(), Started: w.started, Version: w.cfg.Version, Tickets: w.cfg.Tickets, Listens: w.cfg.Webhook != nil,
		Quotas: seen.quotas, QuotaKeys: w.quotaKeys(), Paused: seen.paused, Looked: seen.at,
	})
	if err == nil {
		w.beats.Store(w.beats.Load().then(begun, time.Now()))
	}
	return err
}

// A look is where a worker's quotas and queues stood at a time.
type look struct {
	at     time.Time
	quotas map[string]store.Quota
	paused map[string][]campaign.Lane
	asked  time.Time // when the queues were asked for paused
}

// look takes a new look. That is several calls to Redis, and heartbeats do not wait
// for it.
func (w *Worker) look(ctx context.Context) error {
	now := time.Now()
	next := &look{at: now.UTC(), quotas: w.Quotas(ctx), asked: now}
	if last := w.looked.Load(); last != nil && now.Sub(last.asked) < timings.PausedEvery {
		next.paused, next.asked = last.paused, last.asked
	} else {
		next.paused = w.queue.paused(ctx, w.agentNames())
	}
	w.looked.Store(next)
	return nil
}

// Quotas are how each agent stands with its quota, as far as that is known: a
// heartbeat must not fail because of it.
func (w *Worker) Quotas(ctx context.Context) map[string]store.Quota {
	now, quotas := time.Now(), make(map[string]store.Quota)
	for _, r := range w.runners {
		status, err := r.agent.Quota.Status(ctx)
		if err != nil {
			continue
		}
		quotas[r.agent.Name] = QuotaOf(status, now)
	}
	return quotas
}

// QuotaOf is the state of a quota as people are shown it.
func QuotaOf(status ratelimit.Status, now time.Time) store.Quota {
	quota := store.Quota{
		Limit: status.Limit, Remaining: status.Remaining, Window: status.Window.Seconds(),
		Others: status.OthersPerWindow, Blocked: status.Blocked,
		Failures: status.Failures, Probing: status.Probing,
	}
	if code, waits := quotaReasons[status.Reason]; waits {
		quota.Reason = campaign.Say(code)
	}
	if status.Wait > 0 {
		quota.Next = now.Add(status.Wait).UTC()
	}
	return quota
}

// quotaReasons say why the next request waits. A test holds the two texts equal.
var quotaReasons = map[ratelimit.Reason]campaign.Code{
	ratelimit.Full:    campaign.MsgQuotaFull,
	ratelimit.Pace:    campaign.MsgQuotaPace,
	ratelimit.Refused: campaign.MsgQuotaRefused,
	ratelimit.Failing: campaign.MsgQuotaFailing,
	ratelimit.Probe:   campaign.MsgQuotaProbe,
	ratelimit.Held:    campaign.MsgQuotaHeld,
	ratelimit.Lost:    campaign.MsgQuotaLost,
}

// quotaKeys are where each agent's quota is kept, for processes that have no token.
func (w *Worker) quotaKeys() map[string]string {
	keys := make(map[string]string)
	for _, r := range w.runners {
		if kept, ok := r.agent.Quota.(interface{ Key() string }); ok {
			keys[r.agent.Name] = kept.Key()
		}
	}
	return keys
}
