package store

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"campaign-runner/campaign"
)

// Names lists all campaigns, sorted.
func (s *Store) Names(ctx context.Context) ([]string, error) {
	names, err := s.rdb.ZRange(ctx, keyCampaigns, 0, -1).Result()
	slices.Sort(names)
	return names, wrap(err, "list campaigns")
}

// Latest lists the campaigns whose load began last, the newest first: most of them, or
// all when most is 0.
func (s *Store) Latest(ctx context.Context, most int) ([]string, error) {
	names, err := s.rdb.ZRevRange(ctx, keyCampaigns, 0, int64(most)-1).Result()
	return names, wrap(err, "list campaigns")
}

// enlist makes a campaign known, by when its load began.
func (s *Store) enlist(ctx context.Context, c campaign.Campaign) error {
	return s.rdb.ZAdd(ctx, keyCampaigns, redis.Z{Score: float64(c.CreatedAt.UnixMilli()), Member: c.Name}).Err()
}

// A Reading is a campaign with its tally, as they were at one moment, or why they could
// not be read.
type Reading struct {
	campaign.Campaign
	Tally campaign.Tally
	Err   error

	Told      string    // the words of the last notice that was sent; see ClaimNotice
	NoticeDue time.Time // when one that could not be sent is tried again; zero: there is none
}

// readPage is how many campaigns are read in one round trip, readsAtOnce how many of those
// are under way.
const (
	readPage    = 250
	readsAtOnce = 4
)

// ReadAll reads campaigns with their tallies, in few round trips. One that is not there,
// ErrNotFound, does not keep it from the others.
func (s *Store) ReadAll(ctx context.Context, names []string) ([]Reading, error) {
	all := make([]Reading, len(names))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readsAtOnce) // while one page is decoded, Redis answers for the next
	for from := 0; from < len(names); from += readPage {
		to := min(from+readPage, len(names))
		g.Go(func() error { return s.readPage(ctx, names[from:to], all[from:to]) })
	}
	if err := g.Wait(); err != nil {
		return nil, wrap(err, "read campaigns")
	}
	return all, nil
}

func (s *Store) readPage(ctx context.Context, names []string, all []Reading) error {
	hashes, tallies := make([]*redis.MapStringStringCmd, len(names)), make([]*redis.MapStringStringCmd, len(names))
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, name := range names {
			// In this order one that is just being loaded is not taken for finished.
			hashes[i], tallies[i] = p.HGetAll(ctx, keyCampaign(name)), p.HGetAll(ctx, keyTally(name))
		}
		return nil
	})
	if err != nil && !wrongType(err) { // else one of them is damaged
		return err
	}
	for i, name := range names {
		all[i] = readingOf(name, hashes[i], tallies[i])
	}
	return nil
}

func readingOf(name string, hash, tally *redis.MapStringStringCmd) (r Reading) {
	if r.Err = hash.Err(); r.Err == nil {
		r.Campaign, r.Err = decodeCampaign(name, hash.Val())
	}
	if r.Err != nil {
		r.Name, r.Err = name, wrap(r.Err, "read campaign %s", name)
		return r
	}
	if r.Phase == campaign.Loading {
		return r // it has no tally yet
	}
	r.Told = hash.Val()["notice_told"]
	if ms, _ := strconv.ParseInt(hash.Val()["notice_until"], 10, 64); ms > 0 {
		r.NoticeDue = timeOf(ms)
	}
	if r.Err = tally.Err(); r.Err == nil {
		r.Tally, r.Err = decodeTally(tally.Val())
	}
	r.Err = wrap(r.Err, "read tally of %s", name)
	return r
}

// Campaign reads a campaign's settings, phase and counts.
func (s *Store) Campaign(ctx context.Context, name string) (campaign.Campaign, error) {
	if err := campaign.CheckName(name); err != nil {
		return campaign.Campaign{}, err
	}
	hash, err := s.rdb.HGetAll(ctx, keyCampaign(name)).Result()
	if err != nil {
		return campaign.Campaign{}, wrap(err, "read campaign %s", name)
	}
	c, err := decodeCampaign(name, hash)
	if err != nil {
		return campaign.Campaign{}, wrap(err, "read campaign %s", name)
	}
	return c, nil
}

func decodeCampaign(name string, hash map[string]string) (campaign.Campaign, error) {
	c := campaign.Campaign{
		Name:        name,
		Phase:       campaign.Phase(hash["phase"]),
		PhaseReason: campaign.ReadMessage(hash["phase_reason"]),
		PhaseCall:   hash["phase_call"],
		Approval:    decodeApproval(hash),
		Fingerprint: hash["fingerprint"],
	}
	if c.Phase == "" {
		return c, ErrNotFound
	}
	for _, part := range []struct {
		field string
		to    any
	}{{"settings", &c.Settings}, {"counts", &c.Counts}, {"ends", &c.Ends}} { // the first damaged one is told
		text := hash[part.field]
		if text == "" && part.field != "settings" {
			continue
		}
		if err := json.Unmarshal([]byte(text), part.to); err != nil {
			return c, wrap(err, "%s", part.field)
		}
	}
	number := func(field string) int64 { n, _ := strconv.ParseInt(hash[field], 10, 64); return n }
	c.Chunks = int(number("chunks"))
	c.RowsPerCall = int(number("rows_per_call"))
	c.Run = uint8(min(number("run"), 255))
	c.Canary = int(number("canary"))
	c.CanaryRun = uint8(min(number("canary_run"), 255))
	c.Erased = int(number("erased"))
	c.Version = int(number("settings_version"))
	c.Canceled = int(number("canceled"))
	at := func(field string) (at time.Time) {
		if ms := number(field); ms > 0 {
			at = timeOf(ms)
		}
		return at
	}
	c.CreatedAt, c.LoadUntil, c.EndedAt = at("created_at"), at("load_until"), at("ended_at")
	c.PurgeBegan, c.PurgedAt, c.RungsSince = at("purge_began"), at("purged_at"), at("rungs_since")
	return c, nil
}

// Tally reads how many contacts are in each state.
func (s *Store) Tally(ctx context.Context, name string) (campaign.Tally, error) {
	hash, err := s.rdb.HGetAll(ctx, keyTally(name)).Result()
	if err != nil {
		return campaign.Tally{}, wrap(err, "read tally of %s", name)
	}
	t, err := decodeTally(hash)
	return t, wrap(err, "read tally of %s", name)
}

// decodeTally reads fields "state" and "state:reason", both as numbers, and
// "state:doubt", "0:rung" and "rungs".
func decodeTally(hash map[string]string) (campaign.Tally, error) {
	t := campaign.Tally{Reasons: make(map[campaign.StateReason]int)}
	for field, value := range hash {
		count, err := strconv.Atoi(value)
		if err != nil {
			return t, wrap(err, "field %q", field)
		}
		if field == "rungs" {
			t.Rungs = count
			continue
		}
		left, right, both := strings.Cut(field, ":")
		state, err := strconv.ParseUint(left, 10, 8)
		if err != nil || !campaign.State(state).Valid() {
			return t, fmt.Errorf("field %q: no such state", field)
		}
		if !both {
			t.States[state] = count
			continue
		}
		if right == "doubt" {
			t.InDoubt[state] = count
			continue
		}
		if right == "rung" {
			t.ForRung = count
			continue
		}
		reason, err := strconv.ParseUint(right, 10, 16)
		if err != nil {
			return t, fmt.Errorf("field %q: no such reason", field)
		}
		t.Reasons[campaign.StateReason{State: campaign.State(state), Reason: campaign.Reason(reason)}] = count
	}
	return t, nil
}

// nextRunScript begins another run, with a canary if that is not 0 and the settings are
// those that were read. KEYS campaign; ARGV canary, version, whether the campaign is remade
// by it, by, approve above. Answers the number of the run, 0 when they are not.
var nextRunScript = redis.NewScript(luaRemade + `
if ARGV[1] ~= '0' and (redis.call('HGET', KEYS[1], 'settings_version') or '0') ~= ARGV[2] then return 0 end
local run = redis.call('HINCRBY', KEYS[1], 'run', 1)
if ARGV[1] ~= '0' then
  redis.call('HSET', KEYS[1], 'canary', ARGV[1], 'canary_run', run)
  redis.call('HINCRBY', KEYS[1], 'settings_version', 1)
end
if ARGV[3] == '1' or redis.call('HGET', KEYS[1], 'approval') ~= 'given' then remade(KEYS[1], ARGV[4], ARGV[5]) end
return run`)

// A Run is another run of a campaign that is to begin.
type Run struct {
	Canary int // only that many first contacts of the list may be sent until it ends; 0: all
	// Anew: it sends to contacts again that were reached, which nobody has approved.
	Anew bool
	By   string // who begins it
}

// NextRun begins another run of a campaign, as it was read, and returns its number. An
// approval that the campaign has still counts, except for a run that is Anew.
// ErrOutdated when a canary is to begin and the settings have changed.
func (s *Store) NextRun(ctx context.Context, c campaign.Campaign, r Run) (uint8, error) {
	remaking, err := s.remaking(ctx, r.By)
	if err == nil {
		err = s.Raise(ctx, c.Name)
	}
	run := 0
	if err == nil {
		run, err = nextRunScript.Run(ctx, s.rdb, []string{keyCampaign(c.Name)}, append([]any{r.Canary, c.Version, r.Anew}, remaking...)...).Int()
	}
	if err == nil && run == 0 {
		err = ErrOutdated
	}
	return uint8(min(run, 255)), wrap(err, "begin run of %s", c.Name)
}

// lowerScript keeps the lowest positive value of a field. KEYS campaign; ARGV
// field, value.
var lowerScript = redis.NewScript(`
local old = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0')
if old == 0 or tonumber(ARGV[2]) < old then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
return 1`)

// LowerRequestRows notes that the platform takes no more than rows per request.
func (s *Store) LowerRequestRows(ctx context.Context, name string, rows int) error {
	err := lowerScript.Run(ctx, s.rdb, []string{keyCampaign(name)}, "rows_per_call", max(rows, 1)).Err()
	return wrap(err, "lower rows per request of %s", name)
}

// raiseRowsScript raises rows per request, where they were lowered. KEYS campaign; ARGV rows.
var raiseRowsScript = redis.NewScript(`
local old = tonumber(redis.call('HGET', KEYS[1], 'rows_per_call') or '0')
if old > 0 and tonumber(ARGV[1]) > old then redis.call('HSET', KEYS[1], 'rows_per_call', ARGV[1]) end
return 1`)

// RaiseRequestRows notes that the platform has taken rows in one request, although fewer were
// noted.
func (s *Store) RaiseRequestRows(ctx context.Context, name string, rows int) error {
	err := raiseRowsScript.Run(ctx, s.rdb, []string{keyCampaign(name)}, rows).Err()
	return wrap(err, "raise rows per request of %s", name)
}

// explainScript replaces the reason of a pause. KEYS campaign; ARGV old, new, id of
// this run: a repeated one answers as before.
var explainScript = redis.NewScript(`
local is = redis.call('HMGET', KEYS[1], 'phase', 'phase_reason', 'explained')
if is[3] == ARGV[3] then return 1 end
if is[1] ~= 'paused' or is[2] ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'phase_reason', ARGV[2], 'explained', ARGV[3])
return 1`)

// Explain says why the guard has paused a campaign. It reports false when that was
// already explained or the guard's pause is over.
func (s *Store) Explain(ctx context.Context, name string, reason campaign.Message) (bool, error) {
	done, err := explainScript.Run(ctx, s.rdb, []string{keyCampaign(name)}, guardTripped.Line(), reason.Line(), rand.Text()).Bool()
	return done, wrap(err, "explain the pause of %s", name)
}

// ErrNotOver: contacts of the campaign are pending or sending, or may have a rung to come.
var ErrNotOver = errors.New("campaign is not over")

// purgePage is how many keys are deleted at once: Redis serves others in between.
const purgePage = 500

// beginPurgeScript stops all writing of personal data, and ends the right of an
// unfinished append. KEYS campaign, open, rungs. Answers how many chunks there may be, -1
// when the campaign is not over, -2 when it is not loaded. A repeated one answers
// the same.
var beginPurgeScript = redis.NewScript(luaNow + `
local c = redis.call('HMGET', KEYS[1], 'phase', 'purge_began', 'chunks', 'append_last')
if not c[1] or c[1] == 'loading' then return -2 end
if not c[2] then
  if redis.call('ZCARD', KEYS[2]) + redis.call('ZCARD', KEYS[3]) > 0 then return -1 end
  redis.call('HSET', KEYS[1], 'purge_began', string.format('%.0f', now))
  redis.call('HDEL', KEYS[1], 'append')
end
return math.max(tonumber(c[3] or '0'), tonumber(c[4] or '-1') + 1)`)

// endPurgeScript marks a purge as done, once. KEYS campaign.
var endPurgeScript = redis.NewScript(luaNow + `
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HDEL', KEYS[1], 'append_last')
return redis.call('HSETNX', KEYS[1], 'purged_at', string.format('%.0f', now))`)

// Purge deletes the personal data of a campaign that is over: rows, numbers, states
// and outcomes of single contacts, rejects, events. Its totals stay, and its name,
// so that the same load cannot contact anyone again. Once it has begun, no personal
// data is written any more; the next call completes one that was interrupted.
// ErrNotOver.
//
// The do-not-contact list and the contact record belong to no campaign and stay.
func (s *Store) Purge(ctx context.Context, name string) error {
	if err := s.Raise(ctx, name); err != nil {
		return wrap(err, "purge %s", name)
	}
	chunks, err := beginPurgeScript.Run(ctx, s.rdb, []string{keyCampaign(name), keyOpen(name), keyRungs(name)}).Int()
	switch {
	case err != nil:
	case chunks == -1:
		err = ErrNotOver
	case chunks < 0:
		err = ErrNotFound
	default:
		err = s.purge(ctx, name, chunks)
	}
	return wrap(err, "purge %s", name)
}

func (s *Store) purge(ctx context.Context, name string, chunks int) error {
	keys := keysOf(name, personalKeys)
	for n := range chunks {
		for _, key := range personalChunkKeys {
			keys = append(keys, key(Ref{Campaign: name, Chunk: n}))
		}
	}
	for page := range slices.Chunk(keys, purgePage) {
		if err := s.rdb.Unlink(ctx, page...).Err(); err != nil {
			return err
		}
	}
	if _, err := s.DropEvents(ctx, func(e Event) bool { return e.Campaign == name }); err != nil {
		return err
	}
	return endPurgeScript.Run(ctx, s.rdb, []string{keyCampaign(name)}).Err()
}
