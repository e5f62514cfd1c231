package store

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

// PausedWithOthers is, for SetPhase, the phase of a campaign that was paused together with
// others, as campaign.MsgWithOthers says. Such a pause gives way to what has a reason of its
// own, and ends with theirs alone.
const PausedWithOthers campaign.Phase = "paused with others"

// CanceledAs is, for SetPhase, the phase of a campaign as it was read: canceled, and not once
// more since then. So a person's later cancel is not undone.
func CanceledAs(read campaign.Campaign) campaign.Phase {
	return campaign.Phase(fmt.Sprintf("%s %d", campaign.CanceledPhase, read.Canceled))
}

// As is, for SetPhase, the phase of a campaign as it was read, and not taken once more since then.
// So nobody resumes or starts one without knowing why it stands still.
func As(read campaign.Campaign) campaign.Phase {
	return campaign.Phase(fmt.Sprintf("%s by %s", read.Phase, read.PhaseCall))
}

// luaJoint tells in a script what a campaign is paused for, and whether that is together with
// others.
const luaJoint = `
local function pausedFor(code, phase, reason)
  local said = '\31["' .. code .. '"'
  return phase == 'paused' and string.sub(reason or '', 1, #said) == said
end
local function jointly(phase, reason) return pausedFor('with_others', phase, reason) end
`

// phaseScript moves a campaign's phase. A campaign that starts running gets an empty
// window and new cohorts, so that the guards judge only what comes from then on. One that
// is canceled has no rungs to come, and what its senders bring back is not sent again. One that
// is paused because Redis has lost writes keeps that reason when it is paused again.
//
// KEYS campaign, window, cohorts, open, tally, rungs, seen; ARGV to, reason, id of the call, then the phases
// it may come from. Answers the phase it came from, or the present one with a minus before it. A
// repeated one answers as before.
var phaseScript = redis.NewScript(luaNow + luaCohorts + luaRungs + luaJoint + `
local is = redis.call('HMGET', KEYS[1], 'phase', 'phase_reason', 'phase_call', 'canceled')
local phase = is[1]
if not phase then return '' end
local id, was = string.match(is[3] or '', '^(%S+) (.*)$')
if id == ARGV[3] then return was end
for i = 4, #ARGV do
  if phase == ARGV[i] or ARGV[i] == 'paused with others' and jointly(phase, is[2]) or ARGV[i] == phase .. ' by ' .. (is[3] or '') or ARGV[i] == phase .. ' ' .. (is[4] or '0') then
    if ARGV[1] == phase and pausedFor('lost_writes', phase, is[2]) then return phase end
    redis.call('HSET', KEYS[1], 'phase', ARGV[1], 'phase_reason', ARGV[2], 'phase_call', ARGV[3] .. ' ' .. phase)
    if ARGV[1] == 'running' and phase ~= 'running' then
      redis.call('DEL', KEYS[2])
      startCohorts(KEYS[3])
    elseif ARGV[1] == 'canceled' then -- what was decided before is outdated
      redis.call('HSET', KEYS[1], 'rungs_since', string.format('%.0f', now), 'canceled', redis.call('HINCRBY', KEYS[1], 'settings_version', 1))
      dropRungs(KEYS[1], KEYS[4], KEYS[5], KEYS[6], KEYS[7], now)
    end
    return phase
  end
end
return '-' .. phase`)

// SetPhase moves a campaign from one of the given phases to another, with the reason
// that people see. If it did not, was is the present phase.
func (s *Store) SetPhase(ctx context.Context, name string, to campaign.Phase, reason campaign.Message, from ...campaign.Phase) (was campaign.Phase, changed bool, err error) {
	if err := s.Raise(ctx, name); err != nil {
		return "", false, wrap(err, "set phase of %s", name)
	}
	args := []any{string(to), reason.Line(), rand.Text()}
	for _, f := range from {
		args = append(args, string(f))
	}
	answer, err := phaseScript.Run(ctx, s.rdb, []string{
		keyCampaign(name), keyWindow(name), keyCohorts(name), keyOpen(name), keyTally(name), keyRungs(name), keyRungsSeen(name)}, args...).Text()
	switch now, refused := strings.CutPrefix(answer, "-"); {
	case err != nil:
		return "", false, wrap(err, "set phase of %s", name)
	case answer == "":
		return "", false, wrap(ErrNotFound, "campaign %s", name)
	default:
		return campaign.Phase(now), !refused, nil
	}
}
