package store

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// NoticesSince is when notices were first asked for on this Redis: now, if never
// before. What ended earlier is no news.
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

// claimNoticeScript takes the right to send a notice. KEYS campaign; ARGV the news,
// empty for none; ms until another may try, doubled with each try; most ms. Answers the
// number of the try, 0 when the news was told or another has the right.
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

// ClaimNotice takes the right to send a notice, so that one worker sends each. words
// say what is news about a campaign and stay the same until something new happens;
// empty: nothing is news. It returns the number of the try, from 1, or 0 when the
// news was told or another try is still due: after wait, doubled with each try, and
// at most longest.
func (s *Store) ClaimNotice(ctx context.Context, name, words string, wait, longest time.Duration) (try int, err error) {
	try, err = claimNoticeScript.Run(ctx, s.rdb, []string{keyCampaign(name)}, words, millis(wait), millis(longest)).Int()
	if err != nil {
		return 0, fmt.Errorf("claim notice of %s: %w", name, err)
	}
	return try, nil
}

// endNoticeScript notes what was told. KEYS campaign; ARGV the words.
var endNoticeScript = redis.NewScript(`
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'notice_told', ARGV[1])
redis.call('HDEL', KEYS[1], 'notice_trying', 'notice_tries', 'notice_until')
return 1`)

// EndNotice notes that these words were told, or never will be.
func (s *Store) EndNotice(ctx context.Context, name, words string) error {
	if err := endNoticeScript.Run(ctx, s.rdb, []string{keyCampaign(name)}, words).Err(); err != nil {
		return fmt.Errorf("end notice of %s: %w", name, err)
	}
	return nil
}
