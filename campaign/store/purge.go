package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"
)

// ErrNotOver: contacts of the campaign are pending or sending.
var ErrNotOver = errors.New("campaign is not over")

// purgePage is how many keys or events are deleted at once: Redis serves others in
// between.
const purgePage = 500

// beginPurgeScript stops all writing of personal data, and ends the right of an
// unfinished append. KEYS campaign, open. Answers how many chunks there may be, -1
// when the campaign is not over, -2 when it is not loaded. A repeated one answers
// the same.
var beginPurgeScript = redis.NewScript(`
local c = redis.call('HMGET', KEYS[1], 'phase', 'purge_began', 'chunks', 'append_last')
if not c[1] or c[1] == 'loading' then return -2 end
if not c[2] then
  if redis.call('ZCARD', KEYS[2]) > 0 then return -1 end
  local time = redis.call('TIME')
  redis.call('HSET', KEYS[1], 'purge_began', string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)))
  redis.call('HDEL', KEYS[1], 'append')
end
return math.max(tonumber(c[3] or '0'), tonumber(c[4] or '-1') + 1)`)

// endPurgeScript marks a purge as done, once. KEYS campaign.
var endPurgeScript = redis.NewScript(`
local time = redis.call('TIME')
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HDEL', KEYS[1], 'append_last')
return redis.call('HSETNX', KEYS[1], 'purged_at', string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)))`)

// Purge deletes the personal data of a campaign that is over: rows, numbers, states
// and outcomes of single contacts, rejects, events. Its totals stay, and its name,
// so that the same load cannot contact anyone again. Once it has begun, no personal
// data is written any more; the next call completes one that was interrupted.
// ErrNotOver.
//
// The do-not-contact list and the contact record belong to no campaign and stay.
func (s *Store) Purge(ctx context.Context, name string) error {
	what := "purge " + name
	chunks, err := beginPurgeScript.Run(ctx, s.rdb, []string{keyCampaign(name), keyOpen(name)}).Int()
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", what, err)
	case chunks == -1:
		return fmt.Errorf("%s: %w", what, ErrNotOver)
	case chunks < 0:
		return fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	keys := keysOf(name, personalKeys)
	for n := range chunks {
		for _, key := range personalChunkKeys {
			keys = append(keys, key(Ref{Campaign: name, Chunk: n}))
		}
	}
	for page := range slices.Chunk(keys, purgePage) {
		if err := s.rdb.Unlink(ctx, page...).Err(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	if err := s.dropEvents(ctx, name); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if err := endPurgeScript.Run(ctx, s.rdb, []string{keyCampaign(name)}).Err(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// dropEvents deletes the waiting events of a campaign.
func (s *Store) dropEvents(ctx context.Context, name string) error {
	for from := "-"; ; {
		page, err := s.rdb.XRangeN(ctx, keyEvents, from, "+", purgePage).Result()
		if err != nil {
			return err
		}
		var ids []string
		for _, e := range decodeEvents(page) {
			if e.Campaign == name {
				ids = append(ids, e.ID)
			}
		}
		if err := s.DoneEvents(ctx, ids); err != nil {
			return err
		}
		if len(page) < purgePage {
			return nil
		}
		from = "(" + page[len(page)-1].ID
	}
}
