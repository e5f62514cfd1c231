package store

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Due is a chunk of a campaign with the time by which it must have moved.
type Due struct {
	Chunk int
	At    time.Time
}

// Open lists the chunks with contacts pending or sending, those due first at the
// front: those due by before, or all of them when it is zero.
func (s *Store) Open(ctx context.Context, name string, before time.Time, limit int) ([]Due, error) {
	to := "+inf"
	if !before.IsZero() {
		to = strconv.FormatInt(before.UnixMilli(), 10)
	}
	members, err := s.rdb.ZRangeArgsWithScores(ctx, redis.ZRangeArgs{
		Key: keyOpen(name), ByScore: true, Start: "-inf", Stop: to, Count: int64(limit),
	}).Result()
	if err != nil {
		return nil, wrap(err, "list open chunks of %s", name)
	}
	open := make([]Due, len(members))
	for i, m := range members {
		text, _ := m.Member.(string)
		chunk, err := strconv.Atoi(text)
		if err != nil {
			return nil, wrap(err, "list open chunks of %s", name)
		}
		open[i] = Due{Chunk: chunk, At: timeOf(int64(m.Score))}
	}
	return open, nil
}

// OpenChunks counts the chunks with contacts pending or sending.
func (s *Store) OpenChunks(ctx context.Context, name string) (int, error) {
	n, err := s.rdb.ZCard(ctx, keyOpen(name)).Result()
	return int(n), wrap(err, "count open chunks of %s", name)
}

// Overdue counts the chunks of a campaign that were due by before and have not
// moved.
func (s *Store) Overdue(ctx context.Context, name string, before time.Time) (int, error) {
	n, err := s.rdb.ZCount(ctx, keyOpen(name), "-inf", strconv.FormatInt(before.UnixMilli(), 10)).Result()
	return int(n), wrap(err, "count overdue chunks of %s", name)
}

// A ChunkSeq is a chunk with the number of its releases.
type ChunkSeq struct {
	Ref Ref
	Seq int
}

// ChunkSeqs reads how often open chunks were released: 0 for one that does not
// exist.
func (s *Store) ChunkSeqs(ctx context.Context, name string, open []Due) ([]ChunkSeq, error) {
	turns, counts := make([]ChunkSeq, len(open)), make([]*redis.StringCmd, len(open))
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, due := range open {
			turns[i].Ref = Ref{Campaign: name, Chunk: due.Chunk}
			counts[i] = p.HGet(ctx, keyChunk(turns[i].Ref), "seq")
		}
		return nil
	})
	if err := exceptNil(err); err != nil {
		return nil, wrap(err, "read releases of %s", name)
	}
	for i, count := range counts {
		turns[i].Seq, _ = strconv.Atoi(count.Val()) // missing: never released
	}
	return turns, nil
}

// releaseScript raises the release counts of chunks, which name their next tasks.
//
// KEYS campaign, open, then the chunks; ARGV ms until due, then number and expected
// count of each chunk. Answers the new counts, 0 for a chunk that another process
// has released or that has nothing left to send; nothing when the campaign is not
// running.
var releaseScript = redis.NewScript(luaNow + `
if redis.call('HGET', KEYS[1], 'phase') ~= 'running' then return {} end
local due = string.format('%.0f', now + tonumber(ARGV[1]))
local counts = {}
for i = 3, #KEYS do
  local number, count = ARGV[2 * i - 4], 0
  if (redis.call('HGET', KEYS[i], 'seq') or '0') == ARGV[2 * i - 3] and redis.call('ZSCORE', KEYS[2], number)
    and redis.call('EXISTS', KEYS[i]) == 1 then
    redis.call('ZADD', KEYS[2], due, number)
    count = redis.call('HINCRBY', KEYS[i], 'seq', 1)
  end
  counts[i - 2] = count
end
return counts`)

// Release raises the release counts of chunks that were read with these counts, and
// returns the new ones. Their tasks must be in the queue within due. A count of 0
// means that there is nothing to do: another process has released the chunk, or it
// has nothing left to send. ErrNotRunning when the campaign is not running.
func (s *Store) Release(ctx context.Context, name string, due time.Duration, turns ...ChunkSeq) (next []int, err error) {
	if len(turns) == 0 {
		return nil, nil
	}
	keys, args := []string{keyCampaign(name), keyOpen(name)}, []any{millis(due)}
	for _, t := range turns {
		keys, args = append(keys, keyChunk(t.Ref)), append(args, t.Ref.Chunk, t.Seq)
	}
	counts, err := releaseScript.Run(ctx, s.rdb, keys, args...).Int64Slice()
	if err == nil && len(counts) != len(turns) {
		err = ErrNotRunning
	}
	if err != nil {
		return nil, wrap(err, "release chunks of %s", name)
	}
	next = make([]int, len(counts))
	for i, count := range counts {
		next[i] = int(count)
	}
	return next, nil
}

// postponeScript gives later times to all open chunks that are due sooner. KEYS
// open; ARGV ms from now.
var postponeScript = redis.NewScript(luaNow + `
local due = string.format('%.0f', now + tonumber(ARGV[1]))
for _, chunk in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. due)) do
  redis.call('ZADD', KEYS[1], due, chunk)
end
return 1`)

// Postpone lets every open chunk of a campaign wait until due has passed.
func (s *Store) Postpone(ctx context.Context, name string, due time.Duration) error {
	err := postponeScript.Run(ctx, s.rdb, []string{keyOpen(name)}, millis(due)).Err()
	return wrap(err, "postpone chunks of %s", name)
}

// dueScript sets when an open chunk is due. KEYS open; ARGV chunk number, ms from
// now.
var dueScript = redis.NewScript(luaNow + `
return redis.call('ZADD', KEYS[1], 'XX', string.format('%.0f', now + tonumber(ARGV[2])), ARGV[1])`)

// SetDue sets when an open chunk is due, from now.
func (s *Store) SetDue(ctx context.Context, ref Ref, due time.Duration) error {
	err := dueScript.Run(ctx, s.rdb, []string{keyOpen(ref.Campaign)}, ref.Chunk, millis(due)).Err()
	return wrap(err, "set due of chunk %s", ref)
}

// hastenScript makes an open chunk due sooner, never later. KEYS open; ARGV chunk
// number, ms from now.
var hastenScript = redis.NewScript(luaNow + `
local by = now + tonumber(ARGV[2])
local due = redis.call('ZSCORE', KEYS[1], ARGV[1])
if due and tonumber(due) > by then redis.call('ZADD', KEYS[1], string.format('%.0f', by), ARGV[1]) end
return 0`)

// Hasten makes an open chunk due within due, if it was deferred longer.
func (s *Store) Hasten(ctx context.Context, ref Ref, due time.Duration) error {
	err := hastenScript.Run(ctx, s.rdb, []string{keyOpen(ref.Campaign)}, ref.Chunk, millis(due)).Err()
	return wrap(err, "hasten chunk %s", ref)
}

// deferScript sets when a chunk is due, unless it was released meanwhile. KEYS
// chunk, open; ARGV count of releases, chunk number, ms from now.
var deferScript = redis.NewScript(luaNow + `
if (redis.call('HGET', KEYS[1], 'seq') or '0') ~= ARGV[1] then return 0 end
return redis.call('ZADD', KEYS[2], 'XX', string.format('%.0f', now + tonumber(ARGV[3])), ARGV[2])`)

// Defer lets an open chunk wait until due has passed because none of its contacts
// may be sent before. seq is the release count it was read with: a later release
// wins.
func (s *Store) Defer(ctx context.Context, ref Ref, seq int, due time.Duration) error {
	keys := []string{keyChunk(ref), keyOpen(ref.Campaign)}
	err := deferScript.Run(ctx, s.rdb, keys, seq, ref.Chunk, millis(due)).Err()
	return wrap(err, "defer chunk %s", ref)
}
