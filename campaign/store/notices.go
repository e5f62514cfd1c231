package store

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// NoticesSince is when notices were first asked for on this Redis, which is now if
// they never were.
func (s *Store) NoticesSince(ctx context.Context, now time.Time) (time.Time, error) {
	if err := s.rdb.SetNX(ctx, keyNoticesSince, now.UnixMilli(), 0).Err(); err != nil {
		return time.Time{}, fmt.Errorf("since when notices are sent: %w", err)
	}
	ms, err := s.rdb.Get(ctx, keyNoticesSince).Int64()
	if err != nil {
		return time.Time{}, fmt.Errorf("since when notices are sent: %w", err)
	}
	return timeOf(ms), nil
}

// claimNoticeScript takes the right to tell what a campaign has come to. KEYS
// campaign; ARGV what it has come to, ” for nothing to tell of; ms until another may
// try, doubled with each try; the most ms. Answers the number of the try, 0 when it is
// told or another has the right.
var claimNoticeScript = redis.NewScript(`
local is = redis.call('HMGET', KEYS[1], 'phase', 'notice_told', 'notice_trying', 'notice_tries', 'notice_until')
if not is[1] then return 0 end
if ARGV[1] == '' then
  redis.call('HDEL', KEYS[1], 'notice_told', 'notice_trying', 'notice_tries', 'notice_until')
  return 0
end
if is[2] == ARGV[1] then return 0 end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local tries = 0
if is[3] == ARGV[1] then
  if tonumber(is[5]) > now then return 0 end
  tries = tonumber(is[4])
end
local wait = math.min(tonumber(ARGV[2]) * 2 ^ tries, tonumber(ARGV[3]))
redis.call('HSET', KEYS[1], 'notice_trying', ARGV[1], 'notice_tries', tries + 1, 'notice_until', string.format('%.0f', now + wait))
return tries + 1`)

// ClaimNotice takes the right to tell what a campaign has come to, in words that are
// the same as long as nothing new has happened; no words: there is nothing to tell
// of, and whatever comes next is new. Answers the number of the try, from 1; 0 when
// it has been told, or is to be tried later, by whoever comes first: after wait, twice
// as long after each further try, and at the most after longest.
func (s *Store) ClaimNotice(ctx context.Context, name, words string, wait, longest time.Duration) (try int, err error) {
	try, err = claimNoticeScript.Run(ctx, s.rdb, []string{keyCampaign(name)}, words, millis(wait), millis(longest)).Int()
	if err != nil {
		return 0, fmt.Errorf("claim notice of %s: %w", name, err)
	}
	return try, nil
}

// endNoticeScript remembers what was told. KEYS campaign; ARGV the words.
var endNoticeScript = redis.NewScript(`
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'notice_told', ARGV[1])
redis.call('HDEL', KEYS[1], 'notice_trying', 'notice_tries', 'notice_until')
return 1`)

// EndNotice remembers that these words were told of a campaign, or never will be.
func (s *Store) EndNotice(ctx context.Context, name, words string) error {
	if err := endNoticeScript.Run(ctx, s.rdb, []string{keyCampaign(name)}, words).Err(); err != nil {
		return fmt.Errorf("end notice of %s: %w", name, err)
	}
	return nil
}
