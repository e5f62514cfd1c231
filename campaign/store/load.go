package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

// loadLease is how long a load counts as alive after its last write. It decides only
// what people see: a new enqueue can take over at any time.
const loadLease = 30 * time.Second

// A Load is the right to write a campaign for the first time. Several goroutines may
// call its methods.
type Load struct{ right }

// A right allows one process to write contacts into a campaign. Every script checks
// that its id still stands in its field of the campaign's hash, so a load or append
// that was taken over writes nothing more.
type right struct {
	store    *Store
	campaign campaign.Campaign
	field    string // load, append
	id       string
	rejects  string // the key of their parts
	parts    int    // of the rejects that are stored

	// By is who loads or appends; empty: the user of this process.
	By string
	// With are others who have made it, and may not approve it either.
	With []string
}

// remaking are the last arguments of a script with luaRemade and luaMakers.
func (r *right) remaking(ctx context.Context) ([]any, error) {
	args, err := r.store.remaking(ctx, r.By)
	for _, maker := range r.With {
		args = append(args, Who(maker))
	}
	return args, err
}

// rowsOf packs the contacts of chunk n.
func (r *right) rowsOf(n int, contacts []campaign.Contact) (*Rows, error) {
	rows := NewRows(len(r.campaign.Settings.Columns))
	for _, c := range contacts {
		if err := rows.Add(c); err != nil {
			return nil, wrap(err, "store chunk %s", Ref{r.campaign.Name, n})
		}
	}
	return rows, nil
}

// add runs a script that stores chunks. Its keys end with those of each chunk and its
// ledger, its arguments with their values.
func (r *right) add(ctx context.Context, script *redis.Script, first int, chunks []*Rows, keys []string, args ...any) error {
	what := "store chunk " + Ref{r.campaign.Name, first}.String()
	for i, rows := range chunks {
		ref := Ref{r.campaign.Name, first + i}
		if size := r.campaign.Settings.ChunkSize; rows.Len() == 0 || rows.Len() > size {
			return fmt.Errorf("store chunk %s: want 1 to %d contacts, have %d", ref, size, rows.Len())
		}
		block, err := rows.encode()
		if err != nil {
			return wrap(err, "store chunk %s", ref)
		}
		keys = append(keys, keyChunk(ref), keyLedger(ref))
		args = append(args, block, []byte(campaign.NewLedger(rows.Len())))
	}
	if len(chunks) > 1 {
		what += " and " + strconv.Itoa(len(chunks)-1) + " more"
	}
	return r.run(ctx, what, script, keys, args...)
}

// run runs a script that answers 0 once the right is lost.
func (r *right) run(ctx context.Context, what string, script *redis.Script, keys []string, args ...any) error {
	kept, err := script.Run(ctx, r.store.rdb, keys, args...).Bool()
	if err == nil && !kept {
		err = ErrLoadLost
	}
	return wrap(err, "%s", what)
}

// beginLoadScript creates a campaign, or takes over an unfinished load of it.
//
// KEYS campaign; ARGV load id, lease ms, settings, fingerprint, canary, guard, guards
// of the answers, rungs. Answers when the load began, or 0 when the campaign has been loaded.
var beginLoadScript = redis.NewScript(luaNow + `
local phase = redis.call('HGET', KEYS[1], 'phase')
if phase and phase ~= 'loading' and redis.call('HGET', KEYS[1], 'chunks') ~= '0' then return 0 end
redis.call('HSET', KEYS[1], 'phase', 'loading', 'phase_reason', '', 'load', ARGV[1],
  'load_until', string.format('%.0f', now + tonumber(ARGV[2])),
  'settings', ARGV[3], 'fingerprint', ARGV[4], 'canary', ARGV[5], 'guard', ARGV[6], 'guards', ARGV[7], 'rungs', ARGV[8],
  'created_at', string.format('%.0f', now))
redis.call('HDEL', KEYS[1], 'ended_at', 'purge_began', 'purged_at')
return now`)

// BeginLoad creates the campaign c, or starts its unfinished load anew. ErrExists
// when it was loaded already with at least one contact.
func (s *Store) BeginLoad(ctx context.Context, c campaign.Campaign) (*Load, error) {
	if err := errors.Join(campaign.CheckName(c.Name), c.Settings.Check()); err != nil {
		return nil, wrap(err, "load %s", c.Name)
	}
	settings, err := json.Marshal(c.Settings)
	if err != nil {
		return nil, wrap(err, "load %s: settings", c.Name)
	}
	l := &Load{right{store: s, campaign: c, field: "load", id: rand.Text(), rejects: keyRejects(c.Name)}}
	begun, err := beginLoadScript.Run(ctx, s.rdb, []string{keyCampaign(c.Name)},
		l.id, millis(loadLease), settings, c.Fingerprint, c.Settings.Canary, guardOf(c.Settings), guardsOf(c.Settings), rungsOf(c.Settings)).Int64()
	switch {
	case err != nil:
	case begun == 0:
		err = ErrExists
	default: // listed only now: a listed campaign must be readable
		l.campaign.CreatedAt = timeOf(begun)
		if err = s.enlist(ctx, l.campaign); err == nil {
			err = l.clear(ctx)
		}
	}
	if err != nil {
		return nil, wrap(err, "load %s", c.Name)
	}
	return l, nil
}

// clearScript deletes what an earlier load wrote. KEYS campaign, open, then what to
// delete; ARGV load id, then numbers of the chunks. Answers 0 when the load was
// lost.
var clearScript = redis.NewScript(`
if redis.call('HGET', KEYS[1], 'load') ~= ARGV[1] then return 0 end
for i = 3, #KEYS do redis.call('DEL', KEYS[i]) end
for i = 2, #ARGV do redis.call('ZREM', KEYS[2], ARGV[i]) end
return 1`)

// clear deletes what an unfinished load wrote. Its chunks are those in the open set,
// because each is written together with its entry there.
func (l *Load) clear(ctx context.Context) error {
	name := l.campaign.Name
	const what = "clear what a load left"
	for {
		open, err := l.store.Open(ctx, name, time.Time{}, 1000)
		if err != nil {
			return wrap(err, what)
		}
		keys, args := []string{keyCampaign(name), keyOpen(name)}, []any{l.id}
		for _, o := range open {
			ref := Ref{Campaign: name, Chunk: o.Chunk}
			keys, args = append(keys, keyChunk(ref), keyLedger(ref)), append(args, o.Chunk)
		}
		if len(open) == 0 {
			keys = append(keys, keysOf(name, keptKeys[1:], personalKeys)...)
		}
		if err := l.run(ctx, what, clearScript, keys, args...); err != nil || len(open) == 0 {
			return err
		}
	}
}

// addChunksScript stores chunks that follow each other. KEYS campaign, open, then chunk and
// ledger of each; ARGV load id, lease ms, number of the first chunk, then rows and ledger
// of each. Answers 0 when the load was lost.
var addChunksScript = redis.NewScript(luaNow + `
if redis.call('HGET', KEYS[1], 'load') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'load_until', string.format('%.0f', now + tonumber(ARGV[2])))
for i = 3, #KEYS, 2 do
  redis.call('HSET', KEYS[i], 'rows', ARGV[i + 1])
  redis.call('SET', KEYS[i + 1], ARGV[i + 2])
  redis.call('ZADD', KEYS[2], 0, string.format('%d', ARGV[3] + (i - 3) / 2))
end
return 1`)

// Add stores the contacts of chunk n; see AddRows.
func (l *Load) Add(ctx context.Context, n int, contacts []campaign.Contact) error {
	rows, err := l.rowsOf(n, contacts)
	if err != nil {
		return err
	}
	return l.AddRows(ctx, n, rows)
}

// AddRows stores chunks that follow each other, the first as number n. Every chunk but the
// last is full, so a contact's ordinal is n*ChunkSize plus its index.
func (l *Load) AddRows(ctx context.Context, n int, chunks ...*Rows) error {
	name := l.campaign.Name
	return l.add(ctx, addChunksScript, n, chunks, []string{keyCampaign(name), keyOpen(name)}, l.id, millis(loadLease), n)
}

// abandonScript deletes the campaign of a load. KEYS campaign; ARGV load id. Answers
// 0 when the load was lost; a repeated one does no harm.
var abandonScript = redis.NewScript(`
if redis.call('EXISTS', KEYS[1]) == 0 then return 1 end
if redis.call('HGET', KEYS[1], 'load') ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
return 1`)

// Abandon undoes an unfinished load.
func (l *Load) Abandon(ctx context.Context) error {
	if err := l.clear(ctx); err != nil {
		return err
	}
	if err := l.store.rdb.ZRem(ctx, keyCampaigns, l.campaign.Name).Err(); err != nil {
		return wrap(err, "abandon load")
	}
	err := l.run(ctx, "abandon load", abandonScript, []string{keyCampaign(l.campaign.Name)}, l.id)
	if errors.Is(err, ErrLoadLost) { // another load has begun meanwhile, and may have finished
		err = cmp.Or(l.store.enlist(ctx, l.campaign), err)
	}
	return err
}

// finishLoadScript ends a load. KEYS campaign, tally; ARGV load id, phase, counts,
// chunks, contacts, by, approve above, other makers. Answers 0 when the load was lost; a repeated one
// answers 1.
var finishLoadScript = redis.NewScript(luaNow + luaRemade + luaMakers + `
if redis.call('HGET', KEYS[1], 'loaded') == ARGV[1] then return 1 end
if redis.call('HGET', KEYS[1], 'load') ~= ARGV[1] then return 0 end
if tonumber(ARGV[5]) > 0 then
  redis.call('HSET', KEYS[2], '0', ARGV[5])
else
  redis.call('HSET', KEYS[1], 'ended_at', string.format('%.0f', now))
end
redis.call('HSET', KEYS[1], 'phase', ARGV[2], 'counts', ARGV[3], 'chunks', ARGV[4], 'loaded', ARGV[1])
redis.call('HDEL', KEYS[1], 'load', 'load_until')
remade(KEYS[1], ARGV[6], ARGV[7])
makers(KEYS[1], 8)
return 1`)

// Finish ends the load and puts the campaign into phase. No contact can be sent
// before.
func (l *Load) Finish(ctx context.Context, counts campaign.Counts, chunks int, phase campaign.Phase) error {
	name := l.campaign.Name
	text, err := json.Marshal(counts)
	if err := cmp.Or(counts.Check(), err); err != nil {
		return wrap(err, "finish load of %s", name)
	}
	remaking, err := l.remaking(ctx)
	if err := cmp.Or(err, l.store.enlist(ctx, l.campaign), l.store.Raise(ctx, name)); err != nil {
		return wrap(err, "finish load of %s", name)
	}
	args := append([]any{l.id, string(phase), text, chunks, counts.Contacts}, remaking...)
	return l.run(ctx, "finish load of "+name, finishLoadScript, []string{keyCampaign(name), keyTally(name)}, args...)
}

// Rejects calls yield with each part of the rejects file, in order.
func (s *Store) Rejects(ctx context.Context, name string, yield func(part []byte) error) error {
	const page = 16
	for from := int64(0); ; from += page {
		parts, err := s.rdb.LRange(ctx, keyRejects(name), from, from+page-1).Result()
		if err != nil {
			return wrap(err, "read rejects of %s", name)
		}
		for _, p := range parts {
			part, err := s.decoder.DecodeAll([]byte(p), nil)
			if err != nil {
				return wrap(err, "read rejects of %s", name)
			}
			if err := yield(part); err != nil {
				return err
			}
		}
		if len(parts) < page {
			return nil
		}
	}
}

// addPartScript appends to a list, once. KEYS campaign, list; ARGV field of the
// right, its id, value, length of the list without it.
var addPartScript = redis.NewScript(`
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
if redis.call('LLEN', KEYS[2]) == tonumber(ARGV[4]) then redis.call('RPUSH', KEYS[2], ARGV[3]) end
return 1`)

// AddRejects stores the next part of the rejects file, so that every machine can
// hand it out. Call it for one part after another: they are kept in that order. An
// append's parts join the file when it is finished.
func (r *right) AddRejects(ctx context.Context, part []byte) error {
	keys := []string{keyCampaign(r.campaign.Name), r.rejects}
	err := r.run(ctx, "store rejects", addPartScript, keys, r.field, r.id, r.store.encoder.EncodeAll(part, nil), r.parts)
	if err == nil {
		r.parts++
	}
	return err
}
