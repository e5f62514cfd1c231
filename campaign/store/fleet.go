package store

import (
	"context"
	"encoding/json"
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
	Version string    `json:"version,omitempty"` // its build, in words
	Tickets bool      `json:"tickets,omitempty"` // whether it makes tickets in the Support Center
	// Listens is whether it links its requests to the inbox of events.
	Listens bool `json:"listens,omitempty"`
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
	Next      time.Time        `json:"next,omitzero"`     // when the next request may leave; zero: now
	Reason    campaign.Message `json:"reason"`            // why it waits; empty when it need not
	Blocked   bool             `json:"blocked"`           // it waits because of a 429, of failures, or of a lost answer
	Failures  int              `json:"failures"`          // failed requests in a row
	Probing   bool             `json:"probing"`           // an answer was lost: requests carry one contact, one by one, until one succeeds
}

// Wait is the time until the next request may leave.
func (q Quota) Wait(now time.Time) time.Duration { return max(0, q.Next.Sub(now)) }

// listedEvery is how often a heartbeat puts its worker into the set of workers as well,
// from which only the dead are taken out.
const listedEvery = 10 * time.Second

// Heartbeat keeps w alive for HeartbeatTTL.
func (s *Store) Heartbeat(ctx context.Context, w Worker) error {
	w.Quotas = maps.Clone(w.Quotas)
	for agent, quota := range w.Quotas {
		quota.Reason = quota.Reason.Stored()
		w.Quotas[agent] = quota
	}
	text, err := json.Marshal(w)
	if err != nil {
		return wrap(err, "heartbeat")
	}
	now := time.Now()
	before, _ := s.listed.Load(w.ID)
	last, known := before.(time.Time)
	list := !known || now.Sub(last) >= listedEvery
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, keyWorker(w.ID), text, HeartbeatTTL)
		if list {
			p.SAdd(ctx, keyWorkers, w.ID)
		}
		return nil
	})
	if err == nil && list {
		s.listed.Store(w.ID, now)
	}
	return wrap(err, "heartbeat")
}

// Goodbye ends a worker's heartbeat at once.
func (s *Store) Goodbye(ctx context.Context, id string) error {
	s.listed.Delete(id)
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Del(ctx, keyWorker(id))
		p.SRem(ctx, keyWorkers, id)
		return nil
	})
	return wrap(err, "end heartbeat")
}

// Workers lists the living workers by id. A heartbeat that cannot be read, such as a
// later version's, gives only the id.
func (s *Store) Workers(ctx context.Context) ([]Worker, error) {
	ids, texts, err := s.heartbeats(ctx)
	if err != nil {
		return nil, wrap(err, "list workers")
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
		return wrap(err, "forget dead workers")
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
	return wrap(s.rdb.SRem(ctx, keyWorkers, dead...).Err(), "forget dead workers")
}

// heartbeats are the ids of workers, sorted, and what each heartbeat says; empty
// when it has ended.
func (s *Store) heartbeats(ctx context.Context) (ids, texts []string, err error) {
	ids, err = s.rdb.SMembers(ctx, keyWorkers).Result()
	if err != nil {
		return nil, nil, err
	}
	slices.Sort(ids)
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = keyWorker(id)
	}
	texts, err = s.getAll(ctx, keys)
	return ids, texts, err
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
	return err == nil && n == 0, wrap(err, "look for worker %s", token[:end])
}

// Seen is what an agent was ever answered.
func (s *Store) Seen(ctx context.Context, agent string) (campaign.Seen, error) {
	fields, err := s.rdb.HMGet(ctx, keySeen(agent), "rate_headers", "accepted").Result()
	if err != nil {
		return campaign.Seen{}, wrap(err, "read what agent %s was answered", agent)
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
	return wrap(s.rdb.HSet(ctx, keySeen(agent), fields...).Err(), "keep what agent %s was answered", agent)
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
	return held, wrap(err, "lease of %s", work)
}

// NoticesSince is when notices were first asked for on this Redis: now, if never
// before. What ended earlier is no news.
func (s *Store) NoticesSince(ctx context.Context, now time.Time) (time.Time, error) {
	if err := s.rdb.SetNX(ctx, keyNoticesSince, now.UnixMilli(), 0).Err(); err != nil {
		return time.Time{}, wrap(err, "since when notices are sent")
	}
	ms, err := s.rdb.Get(ctx, keyNoticesSince).Int64()
	if err != nil {
		return time.Time{}, wrap(err, "since when notices are sent")
	}
	return timeOf(ms), nil
}

// claimNoticeScript takes the right to send a notice. KEYS campaign; ARGV the news,
// empty for none; ms until another may try, doubled with each try; most ms. Answers the
// number of the try, 0 when the news was told or another has the right.
var claimNoticeScript = redis.NewScript(luaNow + `
local is = redis.call('HMGET', KEYS[1], 'phase', 'notice_told', 'notice_trying', 'notice_tries', 'notice_until')
if not is[1] then return 0 end
if ARGV[1] == '' then
  redis.call('HDEL', KEYS[1], 'notice_told', 'notice_trying', 'notice_tries', 'notice_until')
  return 0
end
if is[2] == ARGV[1] then return 0 end
local tries = 0
if is[3] == ARGV[1] then
  if tonumber(is[5]) > now then return 0 end
  tries = tonumber(is[4])
end
local wait = math.min(tonumber(ARGV[2]) * 2 ^ tries, tonumber(ARGV[3]))
redis.call('HSET', KEYS[1], 'notice_trying', ARGV[1], 'notice_tries', tries + 1, 'notice_until', string.format('%.0f', now + wait))
return tries + 1`)

// ClaimNotice takes the right to send a notice, so that one worker sends each. words
// say what is news about a campaign and stay the same until something new happens;
// empty: nothing is news. It returns the number of the try, from 1, or 0 when the
// news was told or another try is still due: after wait, doubled with each try, and
// at most longest.
func (s *Store) ClaimNotice(ctx context.Context, name, words string, wait, longest time.Duration) (try int, err error) {
	try, err = claimNoticeScript.Run(ctx, s.rdb, []string{keyCampaign(name)}, words, millis(wait), millis(longest)).Int()
	return try, wrap(err, "claim notice of %s", name)
}

// endNoticeScript notes what was told. KEYS campaign; ARGV the words.
var endNoticeScript = redis.NewScript(`
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'notice_told', ARGV[1])
redis.call('HDEL', KEYS[1], 'notice_trying', 'notice_tries', 'notice_until')
return 1`)

// EndNotice notes that these words were told, or never will be.
func (s *Store) EndNotice(ctx context.Context, name, words string) error {
	return wrap(endNoticeScript.Run(ctx, s.rdb, []string{keyCampaign(name)}, words).Err(), "end notice of %s", name)
}
