package store

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

// maxReasonBytes bounds a reason's text. A campaign keeps up to 65,534 of them;
// after that, new ones are "other".
const maxReasonBytes = 300

// reasonScript finds or makes the code of a text. KEYS reasons; ARGV text, the code
// for "no room". The hash holds code → text and, with "=" before it, text → code;
// "n" counts.
var reasonScript = redis.NewScript(`
local code = redis.call('HGET', KEYS[1], '=' .. ARGV[1])
if code then return tonumber(code) end
if tonumber(redis.call('HGET', KEYS[1], 'n') or '0') >= tonumber(ARGV[2]) - 1 then return tonumber(ARGV[2]) end
code = redis.call('HINCRBY', KEYS[1], 'n', 1)
redis.call('HSET', KEYS[1], code, ARGV[1], '=' .. ARGV[1], code)
return code`)

// ReasonCode is the code of a reason in a campaign; that of nothing is NoReason. It
// always asks Redis: a name may be given to another campaign, whose codes are others.
func (s *Store) ReasonCode(ctx context.Context, name string, reason campaign.Message) (campaign.Reason, error) {
	if reason.IsZero() {
		return campaign.NoReason, nil
	}
	line := reason.Cut(maxReasonBytes).Line()
	code, err := reasonScript.Run(ctx, s.rdb, []string{keyReasons(name)}, line, int(campaign.OtherReason)).Int()
	if err != nil {
		return 0, fmt.Errorf("reason code in %s: %w", name, err)
	}
	return campaign.Reason(code), nil
}

// Reasons are all reasons of a campaign by their code.
func (s *Store) Reasons(ctx context.Context, name string) (map[campaign.Reason]campaign.Message, error) {
	hash, err := s.rdb.HGetAll(ctx, keyReasons(name)).Result()
	if err != nil {
		return nil, fmt.Errorf("read reasons of %s: %w", name, err)
	}
	all := map[campaign.Reason]campaign.Message{campaign.OtherReason: campaign.Say(campaign.MsgOther)}
	for field, line := range hash {
		if code, err := strconv.ParseUint(field, 10, 16); err == nil {
			all[campaign.Reason(code)] = campaign.ReadMessage(line)
		}
	}
	return all, nil
}
