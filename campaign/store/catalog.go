package store

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

// Names lists all campaigns, sorted.
func (s *Store) Names(ctx context.Context) ([]string, error) {
	names, err := s.rdb.SMembers(ctx, keyCampaigns).Result()
	if err != nil {
		return nil, fmt.Errorf("list campaigns: %w", err)
	}
	slices.Sort(names)
	return names, nil
}

// Campaign reads a campaign's settings, phase and counts.
func (s *Store) Campaign(ctx context.Context, name string) (campaign.Campaign, error) {
	if err := campaign.CheckName(name); err != nil {
		return campaign.Campaign{}, err
	}
	hash, err := s.rdb.HGetAll(ctx, keyCampaign(name)).Result()
	if err != nil {
		return campaign.Campaign{}, fmt.Errorf("read campaign %s: %w", name, err)
	}
	c, err := decodeCampaign(name, hash)
	if err != nil {
		return campaign.Campaign{}, fmt.Errorf("read campaign %s: %w", name, err)
	}
	return c, nil
}

func decodeCampaign(name string, hash map[string]string) (campaign.Campaign, error) {
	c := campaign.Campaign{
		Name:        name,
		Phase:       campaign.Phase(hash["phase"]),
		PhaseReason: campaign.ReadMessage(hash["phase_reason"]),
		Fingerprint: hash["fingerprint"],
	}
	if c.Phase == "" {
		return c, ErrNotFound
	}
	if err := json.Unmarshal([]byte(hash["settings"]), &c.Settings); err != nil {
		return c, fmt.Errorf("settings: %w", err)
	}
	if counts := hash["counts"]; counts != "" {
		if err := json.Unmarshal([]byte(counts), &c.Counts); err != nil {
			return c, fmt.Errorf("counts: %w", err)
		}
	}
	if ends := hash["ends"]; ends != "" {
		if err := json.Unmarshal([]byte(ends), &c.Ends); err != nil {
			return c, fmt.Errorf("ends: %w", err)
		}
	}
	number := func(field string) int64 { n, _ := strconv.ParseInt(hash[field], 10, 64); return n }
	c.Chunks = int(number("chunks"))
	c.RowsPerCall = int(number("rows_per_call"))
	c.Run = uint8(min(number("run"), 255))
	c.Canary = int(number("canary"))
	c.Version = int(number("settings_version"))
	for field, at := range map[string]*time.Time{
		"created_at": &c.CreatedAt, "load_until": &c.LoadUntil, "ended_at": &c.EndedAt, "purge_began": &c.PurgeBegan, "purged_at": &c.PurgedAt,
	} {
		if ms := number(field); ms > 0 {
			*at = timeOf(ms)
		}
	}
	return c, nil
}

// emptyAsNotFound is ErrNotFound when a campaign's hash has no phase.
func emptyAsNotFound(name string, phase campaign.Phase) error {
	if phase == "" {
		return fmt.Errorf("campaign %s: %w", name, ErrNotFound)
	}
	return nil
}

// Tally reads how many contacts are in each state.
func (s *Store) Tally(ctx context.Context, name string) (campaign.Tally, error) {
	hash, err := s.rdb.HGetAll(ctx, keyTally(name)).Result()
	if err != nil {
		return campaign.Tally{}, fmt.Errorf("read tally of %s: %w", name, err)
	}
	t, err := decodeTally(hash)
	if err != nil {
		return campaign.Tally{}, fmt.Errorf("read tally of %s: %w", name, err)
	}
	return t, nil
}

// decodeTally reads fields "state" and "state:reason", both as numbers, and
// "state:doubt".
func decodeTally(hash map[string]string) (campaign.Tally, error) {
	t := campaign.Tally{Reasons: make(map[campaign.StateReason]int)}
	for field, value := range hash {
		count, err := strconv.Atoi(value)
		if err != nil {
			return t, fmt.Errorf("field %q: %w", field, err)
		}
		left, right, both := strings.Cut(field, ":")
		state, err := strconv.ParseUint(left, 10, 8)
		if err != nil || !campaign.State(state).Valid() {
			return t, fmt.Errorf("field %q: no such state", field)
		}
		if !both {
			t.States[state] = count
			continue
		}
		if right == "doubt" {
			t.InDoubt[state] = count
			continue
		}
		reason, err := strconv.ParseUint(right, 10, 16)
		if err != nil {
			return t, fmt.Errorf("field %q: no such reason", field)
		}
		t.Reasons[campaign.StateReason{State: campaign.State(state), Reason: campaign.Reason(reason)}] = count
	}
	return t, nil
}

// phaseScript moves a campaign's phase. A campaign that starts running gets an empty
// window, so that the guard judges only what comes from then on.
//
// KEYS campaign, window; ARGV to, reason, then the phases it may come from. Answers
// the phase it came from, or the present one with a minus before it.
var phaseScript = redis.NewScript(`
local phase = redis.call('HGET', KEYS[1], 'phase')
if not phase then return '' end
for i = 3, #ARGV do
  if phase == ARGV[i] then
    redis.call('HSET', KEYS[1], 'phase', ARGV[1], 'phase_reason', ARGV[2])
    if ARGV[1] == 'running' and phase ~= 'running' then redis.call('DEL', KEYS[2]) end
    return phase
  end
end
return '-' .. phase`)

// SetPhase moves a campaign from one of the given phases to another, with the reason
// that people see. If it did not, was is the present phase.
func (s *Store) SetPhase(ctx context.Context, name string, to campaign.Phase, reason campaign.Message, from ...campaign.Phase) (was campaign.Phase, changed bool, err error) {
	args := []any{string(to), reason.Line()}
	for _, f := range from {
		args = append(args, string(f))
	}
	answer, err := phaseScript.Run(ctx, s.rdb, []string{keyCampaign(name), keyWindow(name)}, args...).Text()
	if err != nil {
		return "", false, fmt.Errorf("set phase of %s: %w", name, err)
	}
	if len(answer) > 0 && answer[0] == '-' {
		return campaign.Phase(answer[1:]), false, nil
	}
	was = campaign.Phase(answer)
	return was, was != "", emptyAsNotFound(name, was)
}

// NextRun begins another run of a campaign and returns its number.
func (s *Store) NextRun(ctx context.Context, name string) (uint8, error) {
	run, err := s.rdb.HIncrBy(ctx, keyCampaign(name), "run", 1).Result()
	if err != nil {
		return 0, fmt.Errorf("begin run of %s: %w", name, err)
	}
	return uint8(min(run, 255)), nil
}

// lowerScript keeps the lowest positive value of a field. KEYS campaign; ARGV
// field, value.
var lowerScript = redis.NewScript(`
local old = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0')
if old == 0 or tonumber(ARGV[2]) < old then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
return 1`)

// LowerRequestRows notes that the platform takes no more than rows per request.
func (s *Store) LowerRequestRows(ctx context.Context, name string, rows int) error {
	if err := lowerScript.Run(ctx, s.rdb, []string{keyCampaign(name)}, "rows_per_call", max(rows, 1)).Err(); err != nil {
		return fmt.Errorf("lower rows per request of %s: %w", name, err)
	}
	return nil
}

// explainScript replaces the reason of a pause. KEYS campaign; ARGV old, new, id of
// this run: a repeated one answers as before.
var explainScript = redis.NewScript(`
local is = redis.call('HMGET', KEYS[1], 'phase', 'phase_reason', 'explained')
if is[3] == ARGV[3] then return 1 end
if is[1] ~= 'paused' or is[2] ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'phase_reason', ARGV[2], 'explained', ARGV[3])
return 1`)

// Explain says why the guard has paused a campaign. It reports false when that was
// already explained or the guard's pause is over.
func (s *Store) Explain(ctx context.Context, name string, reason campaign.Message) (bool, error) {
	done, err := explainScript.Run(ctx, s.rdb, []string{keyCampaign(name)}, guardTripped.Line(), reason.Line(), rand.Text()).Bool()
	if err != nil {
		return false, fmt.Errorf("explain the pause of %s: %w", name, err)
	}
	return done, nil
}
