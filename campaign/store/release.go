package store

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// releaseScript raises a chunk's release count, which names its next task.
//
// KEYS campaign, chunk, open; ARGV expected count, ms until due, chunk number.
// Answers the new count, 0 when somebody else released it meanwhile or it is
// through, -1 when the campaign is not running.
var releaseScript = redis.NewScript(`
if redis.call('HGET', KEYS[1], 'phase') ~= 'running' then return -1 end
if (redis.call('HGET', KEYS[2], 'seq') or '0') ~= ARGV[1] then return 0 end
if not redis.call('ZSCORE', KEYS[3], ARGV[3]) then return 0 end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('ZADD', KEYS[3], string.format('%.0f', now + tonumber(ARGV[2])), ARGV[3])
return redis.call('HINCRBY', KEYS[2], 'seq', 1)`)

// Release raises the release count of a chunk that was read with count seq, and
// returns the new one; its task must be in the queue within due. ok is false
// when there is nothing to do: somebody else has released the chunk meanwhile,
// or nobody of it is left to send. ErrNotRunning when the campaign is not.
func (s *Store) Release(ctx context.Context, ref Ref, seq int, due time.Duration) (next int, ok bool, err error) {
	keys := []string{keyCampaign(ref.Campaign), keyChunk(ref), keyOpen(ref.Campaign)}
	next, err = releaseScript.Run(ctx, s.rdb, keys, seq, millis(due), ref.Chunk).Int()
	if err != nil {
		return 0, false, fmt.Errorf("release chunk %s: %w", ref, err)
	}
	if next < 0 {
		return 0, false, fmt.Errorf("release chunk %s: %w", ref, ErrNotRunning)
	}
	return next, next > 0, nil
}

// dueScript moves the time by which a chunk must have moved. KEYS open; ARGV
// chunk number, ms from now. A chunk that is through stays through.
var dueScript = redis.NewScript(`
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
return redis.call('ZADD', KEYS[1], 'XX', string.format('%.0f', now + tonumber(ARGV[2])), ARGV[1])`)

// SetDue says that an open chunk need not have moved before due has passed.
func (s *Store) SetDue(ctx context.Context, ref Ref, due time.Duration) error {
	if err := dueScript.Run(ctx, s.rdb, []string{keyOpen(ref.Campaign)}, ref.Chunk, millis(due)).Err(); err != nil {
		return fmt.Errorf("set due of chunk %s: %w", ref, err)
	}
	return nil
}

// hastenScript moves the time by which a chunk must have moved nearer, never
// farther. KEYS open; ARGV chunk number, ms from now. A chunk that is through
// stays through.
var hastenScript = redis.NewScript(`
local time = redis.call('TIME')
local by = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) + tonumber(ARGV[2])
local due = redis.call('ZSCORE', KEYS[1], ARGV[1])
if due and tonumber(due) > by then redis.call('ZADD', KEYS[1], string.format('%.0f', by), ARGV[1]) end
return 0`)

// Hasten says that an open chunk must have moved before due has passed, if it
// might have rested longer.
func (s *Store) Hasten(ctx context.Context, ref Ref, due time.Duration) error {
	if err := hastenScript.Run(ctx, s.rdb, []string{keyOpen(ref.Campaign)}, ref.Chunk, millis(due)).Err(); err != nil {
		return fmt.Errorf("hasten chunk %s: %w", ref, err)
	}
	return nil
}

// restScript moves the time by which a chunk must have moved, unless it was
// released meanwhile. KEYS chunk, open; ARGV count of releases, chunk number, ms
// from now.
var restScript = redis.NewScript(`
if (redis.call('HGET', KEYS[1], 'seq') or '0') ~= ARGV[1] then return 0 end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
return redis.call('ZADD', KEYS[2], 'XX', string.format('%.0f', now + tonumber(ARGV[3])), ARGV[2])`)

// Rest says that an open chunk, read with count seq, need not have moved before
// due has passed: nobody of it may be sent until then. If it was released since,
// whoever asked for that sees to it.
func (s *Store) Rest(ctx context.Context, ref Ref, seq int, due time.Duration) error {
	keys := []string{keyChunk(ref), keyOpen(ref.Campaign)}
	if err := restScript.Run(ctx, s.rdb, keys, seq, ref.Chunk, millis(due)).Err(); err != nil {
		return fmt.Errorf("let chunk %s rest: %w", ref, err)
	}
	return nil
}
