package store

import (
	"context"
	"crypto/rand"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

// haltLostScript pauses a campaign that is running or paused, and raises the counts of a
// chunk above those that somebody has seen. Both are one change: a Redis that loses the pause
// has a chunk again that is older than what was seen, so who remembers pauses it once more.
//
// KEYS campaign, chunk; ARGV reason, changes, requests, id of the call. Answers whether it did.
var haltLostScript = redis.NewScript(`
local phase = redis.call('HGET', KEYS[1], 'phase')
if phase ~= 'running' and phase ~= 'paused' or redis.call('EXISTS', KEYS[2]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'phase', 'paused', 'phase_reason', ARGV[1], 'phase_call', ARGV[4] .. ' ' .. phase)
local function raise(field, to)
  if tonumber(redis.call('HGET', KEYS[2], field) or '0') < to then redis.call('HSET', KEYS[2], field, string.format('%.0f', to)) end
end
raise('version', tonumber(ARGV[2]) + 1)
raise('requests', tonumber(ARGV[3]))
return 1`)

// HaltLost pauses a campaign because Redis has lost writes to a chunk: it once had seen
// more changes and requests of it. Also when something else has paused it: who resumes it must
// know. In any other phase it does nothing.
func (s *Store) HaltLost(ctx context.Context, chunk *Chunk, reason campaign.Message, changes, requests int) (halted bool, err error) {
	halted, err = haltLostScript.Run(ctx, s.rdb, []string{keyCampaign(chunk.Ref.Campaign), keyChunk(chunk.Ref)},
		reason.Line(), changes, requests, rand.Text()).Bool()
	return halted, wrap(err, "pause %s", chunk.Ref.Campaign)
}
