package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

// An Append is the right to add contacts to a loaded campaign. What it writes joins
// the campaign when it is finished, all at once; until then its chunks are not
// looked at. Several goroutines may call its methods.
type Append struct {
	right
	fingerprint string
}

// ErrCanceled: a campaign was canceled meanwhile, so more contacts do not set it running.
var ErrCanceled = errors.New("the campaign was canceled meanwhile")

// An Appended says what an earlier append has added.
type Appended struct {
	Counts campaign.Counts `json:"counts"`
	Chunks int             `json:"chunks"`
}

// Appended is what an earlier append of this fingerprint has added to the campaign.
func (s *Store) Appended(ctx context.Context, name, fingerprint string) (done Appended, ok bool, err error) {
	ok, err = decodeJSON(s.rdb.HGet(ctx, keyCampaign(name), "appended:"+fingerprint), &done)
	return done, ok, wrap(err, "look for an append to %s", name)
}

// beginAppendScript takes the right to append. KEYS campaign; ARGV id. Answers the
// last chunk that an unfinished append may have written, or -1; -2 when the campaign
// is not loaded, -3 when it was purged.
var beginAppendScript = redis.NewScript(`
local phase = redis.call('HGET', KEYS[1], 'phase')
if not phase or phase == 'loading' then return -2 end
if redis.call('HEXISTS', KEYS[1], 'purge_began') == 1 then return -3 end
redis.call('HSET', KEYS[1], 'append', ARGV[1])
return tonumber(redis.call('HGET', KEYS[1], 'append_last') or '-1')`)

// BeginAppend first deletes what an unfinished append has left.
func (s *Store) BeginAppend(ctx context.Context, name, fingerprint string) (*Append, error) {
	a := &Append{right{store: s, field: "append", id: rand.Text(), rejects: keyAppendedRejects(name)}, fingerprint}
	last, err := beginAppendScript.Run(ctx, s.rdb, []string{keyCampaign(name)}, a.id).Int()
	if err == nil && last == -2 {
		err = errors.New("it is not loaded")
	}
	if err != nil {
		return nil, wrap(err, "append to %s", name)
	}
	if a.campaign, err = s.Campaign(ctx, name); err != nil {
		return nil, err
	}
	if err := a.campaign.Kept(); err != nil {
		return nil, err
	}
	if err := a.clear(ctx, last); err != nil {
		return nil, err
	}
	return a, nil
}

// Campaign is the campaign as it was before the append.
func (a *Append) Campaign() campaign.Campaign { return a.campaign }

// clearAppendScript deletes chunks. KEYS campaign, then what to delete; ARGV id.
var clearAppendScript = redis.NewScript(`
if redis.call('HGET', KEYS[1], 'append') ~= ARGV[1] then return 0 end
for i = 2, #KEYS do redis.call('DEL', KEYS[i]) end
return 1`)

// clear deletes what an unfinished append wrote.
func (a *Append) clear(ctx context.Context, last int) error {
	name := a.campaign.Name
	if last < a.campaign.Chunks {
		last = -1 // that append was finished
	}
	if last >= 0 {
		if err := a.dropIndex(ctx); err != nil {
			return err
		}
	}
	const page = 500
	for from := a.campaign.Chunks; ; from += page {
		keys := []string{keyCampaign(name), keyAppendedRejects(name)}
		for n := from; n <= min(last, from+page-1); n++ {
			ref := Ref{Campaign: name, Chunk: n}
			keys = append(keys, keyChunk(ref), keyLedger(ref))
		}
		if err := a.run(ctx, "clear what an append left", clearAppendScript, keys, a.id); err != nil || from+page > last {
			return err
		}
	}
}

// Abandon undoes an unfinished append.
func (a *Append) Abandon(ctx context.Context) error {
	last, err := a.store.rdb.HGet(ctx, keyCampaign(a.campaign.Name), "append_last").Int()
	switch {
	case errors.Is(err, redis.Nil):
		last = -1
	case err != nil:
		return wrap(err, "abandon append")
	}
	return a.clear(ctx, last)
}

// appendChunksScript stores chunks that follow each other. KEYS campaign, then chunk and
// ledger of each; ARGV id, number of the last chunk, then rows and ledger of each.
var appendChunksScript = redis.NewScript(`
if redis.call('HGET', KEYS[1], 'append') ~= ARGV[1] then return 0 end
if tonumber(redis.call('HGET', KEYS[1], 'append_last') or '-1') < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'append_last', ARGV[2])
end
for i = 2, #KEYS, 2 do
  redis.call('HSET', KEYS[i], 'rows', ARGV[i + 1])
  redis.call('SET', KEYS[i + 1], ARGV[i + 2])
end
return 1`)

// Add stores the contacts of chunk n of the append, counted from 0.
func (a *Append) Add(ctx context.Context, n int, contacts []campaign.Contact) error {
	rows, err := a.rowsOf(a.campaign.Chunks+n, contacts)
	if err != nil {
		return err
	}
	return a.AddRows(ctx, n, rows)
}

// AddRows stores chunks of the append, as Load.AddRows does.
func (a *Append) AddRows(ctx context.Context, n int, chunks ...*Rows) error {
	n += a.campaign.Chunks
	return a.add(ctx, appendChunksScript, n, chunks, []string{keyCampaign(a.campaign.Name)}, a.id, n+len(chunks)-1)
}

// finishAppendScript makes the appended contacts part of the campaign. KEYS
// campaign, tally, open, rejects, appended rejects, window, cohorts; ARGV id, counts, chunks
// before, chunks, contacts, the append's field, its value, ends of parts, the cancel that was
// known, by, approve above, other makers. A repeated one answers 1; -1 when it was canceled since.
var finishAppendScript = redis.NewScript(luaCohorts + luaRemade + luaMakers + `
if redis.call('HGET', KEYS[1], 'append_done') == ARGV[1] then return 1 end
if redis.call('HGET', KEYS[1], 'append') ~= ARGV[1] then return 0 end
if tonumber(ARGV[5]) > 0 and (redis.call('HGET', KEYS[1], 'canceled') or '0') ~= ARGV[9] then return -1 end
for n = tonumber(ARGV[3]), tonumber(ARGV[4]) - 1 do redis.call('ZADD', KEYS[3], 0, n) end
if tonumber(ARGV[5]) > 0 then redis.call('HINCRBY', KEYS[2], '0', ARGV[5]) end
while true do
  local part = redis.call('LPOP', KEYS[5])
  if not part then break end
  redis.call('RPUSH', KEYS[4], part)
end
redis.call('HSET', KEYS[1], 'counts', ARGV[2], 'chunks', ARGV[4], ARGV[6], ARGV[7], 'ends', ARGV[8], 'append_done', ARGV[1])
if tonumber(ARGV[5]) > 0 then
  remade(KEYS[1], ARGV[10], ARGV[11])
  makers(KEYS[1], 12)
end
if tonumber(ARGV[5]) > 0 and redis.call('HGET', KEYS[1], 'phase') == 'canceled' then
  redis.call('HSET', KEYS[1], 'phase', 'running', 'phase_reason', '')
  redis.call('DEL', KEYS[6])
  startCohorts(KEYS[7])
end
redis.call('HDEL', KEYS[1], 'append', 'append_last')
return 1`)

// Finish makes the appended contacts part of the campaign. A canceled campaign runs
// again if any were added; a paused one stays paused. ErrCanceled: it was canceled since the
// append began, and nothing is added.
func (a *Append) Finish(ctx context.Context, added Appended) (campaign.Campaign, error) {
	c := a.campaign
	before := c.Chunks
	c.Counts, c.Chunks = c.Counts.Add(added.Counts), c.Chunks+added.Chunks
	c.Ends = append(c.Ends[:len(c.Ends):len(c.Ends)], before-1)
	counts, err1 := json.Marshal(c.Counts)
	summary, err2 := json.Marshal(added)
	ends, err3 := json.Marshal(c.Ends)
	what := "finish append to " + c.Name
	if err := cmp.Or(added.Counts.Check(), err1, err2, err3); err != nil {
		return c, wrap(err, "%s", what)
	}
	remaking, err := a.remaking(ctx)
	if err := cmp.Or(err, a.store.Raise(ctx, c.Name)); err != nil {
		return c, wrap(err, "%s", what)
	}
	keys := []string{keyCampaign(c.Name), keyTally(c.Name), keyOpen(c.Name), keyRejects(c.Name), keyAppendedRejects(c.Name), keyWindow(c.Name), keyCohorts(c.Name)}
	args := append([]any{a.id, counts, before, c.Chunks, added.Counts.Contacts, "appended:" + a.fingerprint, summary, ends, c.Canceled}, remaking...)
	switch done, err := finishAppendScript.Run(ctx, a.store.rdb, keys, args...).Int(); {
	case err != nil:
		return c, wrap(err, "%s", what)
	case done == 0:
		return c, wrap(ErrLoadLost, "%s", what)
	case done < 0:
		return c, wrap(ErrCanceled, "%s", what)
	}
	return a.store.Campaign(ctx, c.Name)
}
