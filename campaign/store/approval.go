package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

// A Policy is what holds for campaigns from their next load, append, rerun or change of
// settings on. What was asked of them before goes on being asked.
type Policy struct {
	ApproveAbove int       // contacts; a campaign with more waits for approval; 0: none does
	By           string    // who set it; empty: nobody has
	At           time.Time // when
}

// Policy reads the policy.
func (s *Store) Policy(ctx context.Context) (Policy, error) {
	hash, err := s.rdb.HGetAll(ctx, keyPolicy).Result()
	if err != nil || len(hash) == 0 {
		return Policy{}, wrap(err, "read policy")
	}
	above, err1 := strconv.ParseUint(hash["approve_above"], 10, 31)
	at, err2 := strconv.ParseInt(hash["at"], 10, 64)
	return Policy{int(above), hash["by"], timeOf(at)}, wrap(errors.Join(err1, err2), "read policy")
}

// setPolicyScript KEYS policy; ARGV approve above, by.
var setPolicyScript = redis.NewScript(luaNow + `
redis.call('HSET', KEYS[1], 'approve_above', ARGV[1], 'by', ARGV[2], 'at', string.format('%.0f', now))
return 1`)

// SetPolicy sets above how many contacts a campaign waits for approval; 0: none does.
func (s *Store) SetPolicy(ctx context.Context, above int, by string) error {
	return wrap(setPolicyScript.Run(ctx, s.rdb, []string{keyPolicy}, above, Who(by)).Err(), "set policy")
}

// luaRemade notes in a script that somebody has made or changed the list or the settings
// of a campaign: they are one of its makers, an approval is void, and with more contacts
// than the policy's number, 0 for none, it waits for one. One that waits goes on waiting.
const luaRemade = `
local function remade(campaign, by, above)
  redis.call('HSETNX', campaign, 'maker:' .. by, redis.call('HINCRBY', campaign, 'revision', 1))
  local contacts = cjson.decode(redis.call('HGET', campaign, 'counts')).contacts
  if tonumber(above) > 0 and contacts > tonumber(above) then
    redis.call('HSET', campaign, 'approval', 'wanted')
  elseif redis.call('HGET', campaign, 'approval') == 'given' then
    redis.call('HDEL', campaign, 'approval')
  end
  redis.call('HDEL', campaign, 'approved_by', 'approved_at')
end
`

// luaMakers notes in a script that others have made it, too: those from that argument on.
const luaMakers = `
local function makers(campaign, from)
  for i = from, #ARGV do redis.call('HSETNX', campaign, 'maker:' .. ARGV[i], redis.call('HGET', campaign, 'revision')) end
end
`

// remaking are the last arguments of a script with luaRemade: by, and the policy's number.
func (s *Store) remaking(ctx context.Context, by string) ([]any, error) {
	policy, err := s.Policy(ctx)
	return []any{Who(by), policy.ApproveAbove}, err
}

// decodeApproval reads an approval. One of an unknown kind is taken for wanted, as
// change.lua does.
func decodeApproval(hash map[string]string) campaign.Approval {
	number := func(text string) int64 { n, _ := strconv.ParseInt(text, 10, 64); return n }
	a := campaign.Approval{By: hash["approved_by"], Revision: int(number(hash["revision"]))}
	a.Wanted = hash["approval"] != "" && hash["approval"] != "given"
	if at := number(hash["approved_at"]); at > 0 {
		a.At = timeOf(at)
	}
	since := make(map[string]int64) // the revision by which they became makers
	for field, revision := range hash {
		if maker, ok := strings.CutPrefix(field, "maker:"); ok {
			a.Makers, since[maker] = append(a.Makers, maker), number(revision)
		}
	}
	slices.SortFunc(a.Makers, func(a, b string) int { return cmp.Or(cmp.Compare(since[a], since[b]), strings.Compare(a, b)) })
	return a
}

// approveScript KEYS campaign, open, rungs; ARGV revision, by, id of the call. Answers 1; 0 when
// nothing waits for it; -1 when list or settings are no longer those that were read. A
// repeated one answers 1.
var approveScript = redis.NewScript(luaNow + `
local is = redis.call('HMGET', KEYS[1], 'phase', 'approval', 'revision', 'approve_call')
if is[4] == ARGV[3] then return 1 end
if is[2] ~= 'wanted' or is[1] == 'loading' or is[1] == 'canceled' or redis.call('ZCARD', KEYS[2]) + redis.call('ZCARD', KEYS[3]) == 0 then return 0 end
if is[3] ~= ARGV[1] then return -1 end
redis.call('HSET', KEYS[1], 'approval', 'given', 'approved_by', ARGV[2], 'approved_at', string.format('%.0f', now), 'approve_call', ARGV[3])
return 1`)

// ErrNotWanted: the campaign does not wait for approval.
var ErrNotWanted = errors.New("it does not wait for approval")

// ErrOwnWork: who made or changed a campaign cannot approve it.
var ErrOwnWork = errors.New("somebody else must approve it")

// ErrRemade: what was to be approved has changed.
var ErrRemade = errors.New("its list or settings have changed meanwhile: look at it again")

// Approve lets a campaign go, as it was read. ErrNotWanted, ErrOwnWork, ErrRemade.
func (s *Store) Approve(ctx context.Context, c campaign.Campaign, by string) error {
	by = Who(by)
	if c.Approval.Wanted && c.Approval.MadeBy(by) {
		return fmt.Errorf("approve %s: %s may be among those who made it or changed it (%s): %w", c.Name, by, strings.Join(c.Approval.Makers, ", "), ErrOwnWork)
	}
	err := s.Raise(ctx, c.Name)
	done := 0
	if err == nil {
		done, err = approveScript.Run(ctx, s.rdb, []string{keyCampaign(c.Name), keyOpen(c.Name), keyRungs(c.Name)}, c.Approval.Revision, by, rand.Text()).Int()
	}
	switch {
	case err != nil:
	case done == 0:
		err = ErrNotWanted
	case done < 0:
		err = ErrRemade
	}
	return wrap(err, "approve %s", c.Name)
}
