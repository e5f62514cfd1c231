package store

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Due is a chunk of a campaign with the time by which it must have moved.
type Due struct {
	Chunk int
	At    time.Time
	// Queued: nothing of it is in hand, and it was given a task. Until something begins,
	// only the loss of that task can keep it from moving. In Redis its time ends with half
	// a millisecond, which every other act takes away.
	Queued bool
}

// queuedMark is added to the score of a chunk that is Queued.
const queuedMark = 0.5

// score is the due time as Redis keeps it.
func (d Due) score() float64 {
	score := float64(d.At.UnixMilli())
	if d.Queued {
		score += queuedMark
	}
	return score
}

// Open lists the chunks with contacts pending or sending, those due first at the
// front: those due by before, or all of them when it is zero.
func (s *Store) Open(ctx context.Context, name string, before time.Time, limit int) ([]Due, error) {
	return s.dueChunks(ctx, keyOpen(name), name, before, limit)
}

func (s *Store) dueChunks(ctx context.Context, key, name string, before time.Time, limit int) ([]Due, error) {
	to := "+inf"
	if !before.IsZero() {
		to = strconv.FormatInt(before.UnixMilli(), 10)
	}
	members, err := s.rdb.ZRangeArgsWithScores(ctx, redis.ZRangeArgs{
		Key: key, ByScore: true, Start: "-inf", Stop: to, Count: int64(limit),
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
		open[i] = Due{Chunk: chunk, At: timeOf(int64(m.Score)), Queued: m.Score != math.Trunc(m.Score)}
	}
	return open, nil
}

// FirstDues are when the first open chunk of each campaign is due, or the first look for
// rungs to come, in few round trips; zero: it has neither.
func (s *Store) FirstDues(ctx context.Context, names []string) ([]time.Time, error) {
	return s.firstScores(ctx, names, keyOpen, keyRungs)
}

// firstScores are the lowest scores of sorted sets of campaigns, in ms, each with one or
// more keys; zero where there is none, long ago where a set is damaged: who looks then is
// told.
func (s *Store) firstScores(ctx context.Context, names []string, keys ...func(name string) string) ([]time.Time, error) {
	firsts := make([]time.Time, 0, len(names))
	for page := range slices.Chunk(names, readPage) {
		cmds := make([]*redis.ZSliceCmd, 0, len(page)*len(keys))
		_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, name := range page {
				for _, key := range keys {
					cmds = append(cmds, p.ZRangeWithScores(ctx, key(name), 0, 0))
				}
			}
			return nil
		})
		if err != nil && !wrongType(err) { // else one of them is damaged
			return nil, wrap(err, "look for what is due")
		}
		for of := range slices.Chunk(cmds, len(keys)) {
			firsts = append(firsts, firstScore(of))
		}
	}
	return firsts, nil
}

func firstScore(cmds []*redis.ZSliceCmd) (first time.Time) {
	for _, cmd := range cmds {
		var at time.Time
		if cmd.Err() != nil {
			at = timeOf(0)
		}
		for _, m := range cmd.Val() {
			at = timeOf(int64(m.Score))
		}
		if first.IsZero() || !at.IsZero() && at.Before(first) {
			first = at
		}
	}
	return first
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
	Ref    Ref
	Seq    int
	Queued bool // as Due has it
}

// ChunkSeqs reads how often open chunks were released: 0 for one that does not
// exist.
func (s *Store) ChunkSeqs(ctx context.Context, name string, open []Due) ([]ChunkSeq, error) {
	turns, counts := make([]ChunkSeq, len(open)), make([]*redis.StringCmd, len(open))
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, due := range open {
			turns[i].Ref, turns[i].Queued = Ref{Campaign: name, Chunk: due.Chunk}, due.Queued
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
// running, -1 alone when it waits for approval.
var releaseScript = redis.NewScript(luaNow + `
local is = redis.call('HMGET', KEYS[1], 'phase', 'approval')
if is[1] ~= 'running' then return {} end
if is[2] and is[2] ~= 'given' then return {-1} end
local due = string.format('%.0f', now + tonumber(ARGV[1]))
local counts = {}
for i = 3, #KEYS do
  local number, count = ARGV[2 * i - 4], 0
  if (redis.call('HGET', KEYS[i], 'seq') or '0') == ARGV[2 * i - 3] and redis.call('ZSCORE', KEYS[2], number)
    and redis.call('EXISTS', KEYS[i]) == 1 then
    -- One that never began a request has nothing in hand.
    redis.call('ZADD', KEYS[2], redis.call('HEXISTS', KEYS[i], 'requests') == 1 and due or due .. '.5', number)
    count = redis.call('HINCRBY', KEYS[i], 'seq', 1)
  end
  counts[i - 2] = count
end
return counts`)

// Release raises the release counts of chunks that were read with these counts, and
// returns the new ones. Their tasks must be in the queue within due. A count of 0
// means that there is nothing to do: another process has released the chunk, or it
// has nothing left to send. ErrNotRunning when the campaign is not running, ErrUnapproved
// when it waits for approval.
func (s *Store) Release(ctx context.Context, name string, due time.Duration, turns ...ChunkSeq) (next []int, err error) {
	if len(turns) == 0 {
		return nil, nil
	}
	if err := s.Raise(ctx, name); err != nil {
		return nil, wrap(err, "release chunks of %s", name)
	}
	keys, args := []string{keyCampaign(name), keyOpen(name)}, []any{millis(due)}
	for _, t := range turns {
		keys, args = append(keys, keyChunk(t.Ref)), append(args, t.Ref.Chunk, t.Seq)
	}
	counts, err := releaseScript.Run(ctx, s.rdb, keys, args...).Int64Slice()
	switch {
	case err == nil && len(counts) == 1 && counts[0] < 0:
		err = ErrUnapproved
	case err == nil && len(counts) != len(turns):
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
	if err := s.Raise(ctx, name); err != nil {
		return wrap(err, "postpone chunks of %s", name)
	}
	err := postponeScript.Run(ctx, s.rdb, []string{keyOpen(name)}, millis(due)).Err()
	return wrap(err, "postpone chunks of %s", name)
}

// SetDue sets when an open chunk is due, from now.
func (s *Store) SetDue(ctx context.Context, ref Ref, due time.Duration) error {
	now, err := s.About(ctx)
	if err == nil {
		err = s.setDues(ctx, ref.Campaign, []Due{{Chunk: ref.Chunk, At: now.Add(due)}}, redis.ZAddArgs{XX: true})
	}
	return wrap(err, "set due of chunk %s", ref)
}

// SetDues sets when open chunks are due, all in one command: times by Redis's clock.
func (s *Store) SetDues(ctx context.Context, name string, dues []Due) error {
	return s.setDues(ctx, name, dues, redis.ZAddArgs{XX: true})
}

// Hasten makes open chunks due at these times if they were due later, all in one command.
func (s *Store) Hasten(ctx context.Context, name string, dues []Due) error {
	return s.setDues(ctx, name, dues, redis.ZAddArgs{XX: true, LT: true})
}

// duesPage is how many due times one command sets: Redis serves others in between.
const duesPage = 1000

func (s *Store) setDues(ctx context.Context, name string, dues []Due, args redis.ZAddArgs) error {
	if len(dues) == 0 {
		return nil
	}
	if err := s.Raise(ctx, name); err != nil {
		return wrap(err, "set due of chunks of %s", name)
	}
	for page := range slices.Chunk(dues, duesPage) {
		args.Members = make([]redis.Z, len(page))
		for i, due := range page {
			args.Members[i] = redis.Z{Score: due.score(), Member: due.Chunk}
		}
		if err := s.rdb.ZAddArgs(ctx, keyOpen(name), args).Err(); err != nil {
			return wrap(err, "set due of chunks of %s", name)
		}
	}
	return nil
}

// queuedScript sets when chunks are due of which nothing is in hand, unless one has moved
// since. KEYS open; ARGV latest due time as read, most chunks, next due time, numbers of
// the chunks.
var queuedScript = redis.NewScript(`
local listed, moves = {}, {}
for i = 4, #ARGV do listed[ARGV[i]] = true end
for _, chunk in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])) do
  if listed[chunk] then
    moves[#moves + 1] = ARGV[3]
    moves[#moves + 1] = chunk
  end
end
if #moves > 0 then redis.call('ZADD', KEYS[1], 'XX', unpack(moves)) end
return #moves / 2`)

// SetQueued sets when chunks are due that Open has listed as due by before: nothing of
// them is in hand, and each has a task. One that has moved since is left alone: whatever
// begins is due later.
func (s *Store) SetQueued(ctx context.Context, name string, before time.Time, chunks []int, at time.Time) error {
	if len(chunks) == 0 {
		return nil
	}
	if err := s.Raise(ctx, name); err != nil {
		return wrap(err, "set due of queued chunks of %s", name)
	}
	args := []any{before.UnixMilli(), duesPage, fmt.Sprintf("%.1f", Due{At: at, Queued: true}.score())}
	for _, chunk := range chunks {
		args = append(args, chunk)
	}
	err := queuedScript.Run(ctx, s.rdb, []string{keyOpen(name)}, args...).Err()
	return wrap(err, "set due of queued chunks of %s", name)
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
	if err := s.Raise(ctx, ref.Campaign); err != nil {
		return wrap(err, "defer chunk %s", ref)
	}
	keys := []string{keyChunk(ref), keyOpen(ref.Campaign)}
	err := deferScript.Run(ctx, s.rdb, keys, seq, ref.Chunk, millis(due)).Err()
	return wrap(err, "defer chunk %s", ref)
}
