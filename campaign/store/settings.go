package store

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

// ErrOutdated: what was decided by, the campaign's settings or the day, has changed.
var ErrOutdated = errors.New("the campaign's settings or the day have changed")

// changeSettingsScript replaces settings that are still those that were read.
//
// KEYS campaign, cohorts, open, tally, rungs, seen; ARGV version, settings, guard, guards of
// the answers, rungs, 1 if contacts may have other rungs by them, by, approve above.
// Answers 1; 0 when they have changed in between; -1 when the campaign is not loaded. While
// there was no guard of the answers, nothing was counted.
var changeSettingsScript = redis.NewScript(luaNow + luaRungs + luaRemade + `
local is = redis.call('HMGET', KEYS[1], 'phase', 'settings_version', 'settings', 'guards', 'chunks', 'purge_began')
if not is[1] or is[1] == 'loading' then return -1 end
if is[3] == ARGV[2] then return 1 end
if (is[2] or '0') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'settings', ARGV[2], 'guard', ARGV[3], 'guards', ARGV[4], 'rungs', ARGV[5])
if (is[4] or '') == '' then redis.call('DEL', KEYS[2]) end
if ARGV[5] == '' then
  dropRungs(KEYS[1], KEYS[3], KEYS[4], KEYS[5], KEYS[6], now)
elseif ARGV[6] == '1' and is[1] ~= 'canceled' and not is[6] then -- each chunk is looked at
  for n = 0, tonumber(is[5] or '0') - 1 do redis.call('ZADD', KEYS[5], 'LT', string.format('%.0f', now), n) end
  countRungs(KEYS[4], KEYS[5])
end
redis.call('HINCRBY', KEYS[1], 'settings_version', 1)
remade(KEYS[1], ARGV[7], ARGV[8])
return 1`)

// ChangeSettings gives a campaign, as it was read, other settings. Requests that
// begin from then on go by them. What its chunks and rows are made of (Agent, Mode,
// ChunkSize, Columns) must stay. by is who changes them. ErrOutdated when they have
// changed in between.
func (s *Store) ChangeSettings(ctx context.Context, c campaign.Campaign, to campaign.Settings, by string) error {
	if err := s.Raise(ctx, c.Name); err != nil {
		return wrap(err, "change settings of %s", c.Name)
	}
	if err := to.Check(); err != nil {
		return fmt.Errorf("change settings of %s: %w", c.Name, err)
	}
	text, err := json.Marshal(to)
	if err != nil {
		return fmt.Errorf("change settings of %s: %w", c.Name, err)
	}
	args, err := s.remaking(ctx, by)
	done := 0
	if err == nil {
		args = append([]any{c.Version, text, guardOf(to), guardsOf(to), rungsOf(to), otherRungs(c.Settings, to)}, args...)
		keys := []string{keyCampaign(c.Name), keyCohorts(c.Name), keyOpen(c.Name), keyTally(c.Name), keyRungs(c.Name), keyRungsSeen(c.Name)}
		done, err = changeSettingsScript.Run(ctx, s.rdb, keys, args...).Int()
	}
	switch {
	case err != nil:
	case done < 0:
		err = errors.New("it is not loaded")
	case done == 0:
		err = ErrOutdated
	}
	if err != nil {
		return fmt.Errorf("change settings of %s: %w", c.Name, err)
	}
	return nil
}

// endCanaryScript ends the canary of a running campaign that is still as it was
// read. KEYS campaign; ARGV version, phase, reason, id of the call.
var endCanaryScript = redis.NewScript(`
local is = redis.call('HMGET', KEYS[1], 'phase', 'settings_version', 'canary', 'canary_ended')
if is[4] == ARGV[4] then return 1 end
if is[1] ~= 'running' or (is[2] or '0') ~= ARGV[1] or (is[3] or '0') == '0' then return 0 end
redis.call('HSET', KEYS[1], 'phase', ARGV[2], 'phase_reason', ARGV[3], 'canary', 0, 'canary_ended', ARGV[4])
redis.call('HINCRBY', KEYS[1], 'settings_version', 1)
return 1`)

// EndCanary lets the rest of a campaign go, in the phase and for the reason given.
// It reports false when the campaign is no longer what was read.
func (s *Store) EndCanary(ctx context.Context, c campaign.Campaign, phase campaign.Phase, reason campaign.Message) (bool, error) {
	if err := s.Raise(ctx, c.Name); err != nil {
		return false, wrap(err, "end canary of %s", c.Name)
	}
	done, err := endCanaryScript.Run(ctx, s.rdb, []string{keyCampaign(c.Name)}, c.Version, string(phase), reason.Line(), rand.Text()).Bool()
	if err != nil {
		return false, fmt.Errorf("end canary of %s: %w", c.Name, err)
	}
	return done, nil
}
