package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

// HeartbeatTTL is how long a worker counts as alive after its last heartbeat.
// Work of a dead one goes on elsewhere soon after.
const HeartbeatTTL = 8 * time.Second

// AskDead bounds ClaimIsDead. A later answer would not say whether the claim was
// dead when it was asked.
const AskDead = 2 * time.Second

// A Worker is what a running worker's heartbeat tells.
type Worker struct {
	ID      string    `json:"id"`
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	Agents  []string  `json:"agents"`
	Started time.Time `json:"started"`
	Tickets bool      `json:"tickets,omitempty"` // whether it makes tickets in the Support Center
	// Quotas is how each agent stands with its quota, as this worker sees it.
	Quotas map[string]Quota `json:"quotas,omitempty"`
	// Looked is when it last looked at its quotas and lanes. A frozen worker's heartbeat
	// counts for a while, with old values.
	Looked time.Time `json:"looked,omitzero"`
	// QuotaKeys is the key of each agent's quota: a hash of its token.
	QuotaKeys map[string]string `json:"quota_keys,omitempty"`
	// Paused are the lanes, by agent, that were paused in the asynq UI.
	Paused map[string][]campaign.Lane `json:"paused,omitempty"`
}

// A Quota is how an agent stands with its quota.
type Quota struct {
	Limit     int              `json:"limit"` // requests per window; 0: none is known
	Remaining int              `json:"remaining"`
	Window    float64          `json:"window_seconds"`
	Others    float64          `json:"others_per_window"` // requests by others on the same token, estimated
	Next      time.Time        `json:"next"`              // when the next request may leave; zero: now
	Reason    campaign.Message `json:"reason"`            // why it waits; empty when it need not
	Blocked   bool             `json:"blocked"`           // it waits because of a 429, of failures, or of a lost answer
	Failures  int              `json:"failures"`          // failed requests in a row
	Probing   bool             `json:"probing"`           // an answer was lost: requests carry one contact, one by one, until one succeeds
}

// Wait is the time until the next request may leave.
func (q Quota) Wait(now time.Time) time.Duration { return max(0, q.Next.Sub(now)) }

// Heartbeat keeps w alive for HeartbeatTTL.
func (s *Store) Heartbeat(ctx context.Context, w Worker) error {
	w.Quotas = maps.Clone(w.Quotas)
	for agent, quota := range w.Quotas {
		quota.Reason = quota.Reason.Stored()
		w.Quotas[agent] = quota
	}
	text, err := json.Marshal(w)
	if err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, keyWorker(w.ID), text, HeartbeatTTL)
		p.SAdd(ctx, keyWorkers, w.ID)
		return nil
	})
	if err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	return nil
}

// Goodbye ends a worker's heartbeat at once.
func (s *Store) Goodbye(ctx context.Context, id string) error {
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Del(ctx, keyWorker(id))
		p.SRem(ctx, keyWorkers, id)
		return nil
	})
	if err != nil {
		return fmt.Errorf("end heartbeat: %w", err)
	}
	return nil
}

// Workers lists the living workers by id. A heartbeat that cannot be read, such as a
// later version's, gives only the id.
func (s *Store) Workers(ctx context.Context) ([]Worker, error) {
	ids, texts, err := s.heartbeats(ctx)
	if err != nil {
		return nil, fmt.Errorf("list workers: %w", err)
	}
	var alive []Worker
	for i, text := range texts {
		if text == "" {
			continue // it is dead
		}
		var w Worker
		if json.Unmarshal([]byte(text), &w) != nil {
			w = Worker{ID: ids[i]}
		}
		alive = append(alive, w)
	}
	return alive, nil
}

// ForgetWorkers removes the ids of dead workers. Workers does not, so that reading
// needs no right to write.
func (s *Store) ForgetWorkers(ctx context.Context) error {
	ids, texts, err := s.heartbeats(ctx)
	if err != nil {
		return fmt.Errorf("forget dead workers: %w", err)
	}
	var dead []any
	for i, text := range texts {
		if text == "" {
			dead = append(dead, ids[i]) // a late heartbeat brings it back
		}
	}
	if len(dead) == 0 {
		return nil
	}
	if err := s.rdb.SRem(ctx, keyWorkers, dead...).Err(); err != nil {
		return fmt.Errorf("forget dead workers: %w", err)
	}
	return nil
}

// heartbeats are the ids of workers, sorted, and what each heartbeat says; empty
// when it has ended.
func (s *Store) heartbeats(ctx context.Context) (ids, texts []string, err error) {
	ids, err = s.rdb.SMembers(ctx, keyWorkers).Result()
	if err != nil {
		return nil, nil, err
	}
	slices.Sort(ids)
	found := make([]*redis.StringCmd, len(ids))
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			found[i] = p.Get(ctx, keyWorker(id))
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, nil, err
	}
	texts = make([]string, len(ids))
	for i, text := range found {
		if err := text.Err(); err != nil && !errors.Is(err, redis.Nil) {
			return nil, nil, err
		}
		texts[i] = text.Val()
	}
	return ids, texts, nil
}

// NewClaim is a token for a worker's claim. It names the worker, so that others can see
// whether the claim's holder is alive. nonce must never repeat and holds no
// slash.
func NewClaim(worker, nonce string) string { return worker + "/" + nonce }

// ClaimIsDead reports whether the claim's worker is gone.
func (s *Store) ClaimIsDead(ctx context.Context, token string) (bool, error) {
	end := strings.LastIndexByte(token, '/') // an id may contain slashes, a nonce does not
	if end < 0 {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, AskDead)
	defer cancel()
	n, err := s.rdb.Exists(ctx, keyWorker(token[:end])).Result()
	if err != nil {
		return false, fmt.Errorf("look for worker %s: %w", token[:end], err)
	}
	return n == 0, nil
}

// Seen is what an agent was ever answered.
func (s *Store) Seen(ctx context.Context, agent string) (campaign.Seen, error) {
	fields, err := s.rdb.HMGet(ctx, keySeen(agent), "rate_headers", "accepted").Result()
	if err != nil {
		return campaign.Seen{}, fmt.Errorf("read what agent %s was answered: %w", agent, err)
	}
	return campaign.Seen{RateHeaders: fields[0] != nil, Accepted: fields[1] != nil}, nil
}

// AddSeen adds to what an agent was ever answered; nothing is taken back.
func (s *Store) AddSeen(ctx context.Context, agent string, seen campaign.Seen) error {
	var fields []any
	if seen.RateHeaders {
		fields = append(fields, "rate_headers", 1)
	}
	if seen.Accepted {
		fields = append(fields, "accepted", 1)
	}
	if len(fields) == 0 {
		return nil
	}
	if err := s.rdb.HSet(ctx, keySeen(agent), fields...).Err(); err != nil {
		return fmt.Errorf("keep what agent %s was answered: %w", agent, err)
	}
	return nil
}

// leaseScript takes or renews a lease. KEYS lease; ARGV holder, ms.
var leaseScript = redis.NewScript(`
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`)

// Lease takes or renews holder's right to do work that needs one process only. It
// saves work and protects nothing: two processes may believe they have it.
func (s *Store) Lease(ctx context.Context, work, holder string, length time.Duration) (bool, error) {
	held, err := leaseScript.Run(ctx, s.rdb, []string{keyLease(work)}, holder, millis(length)).Bool()
	if err != nil {
		return false, fmt.Errorf("lease of %s: %w", work, err)
	}
	return held, nil
}
