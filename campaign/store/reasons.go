package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

// maxReasonBytes bounds a reason's text. A campaign keeps up to 65,534 of them;
// after that, new ones are "other".
const maxReasonBytes = 300

const otherReason = "other"

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

// ReasonCode is the code of a text in a campaign, NoReason for an empty one. It
// always asks Redis, because another campaign may get this name, with other codes.
func (s *Store) ReasonCode(ctx context.Context, name, text string) (campaign.Reason, error) {
	text = strings.ToValidUTF8(text, "�")
	for len(text) > maxReasonBytes {
		text = strings.ToValidUTF8(text[:maxReasonBytes], "")
	}
	if text == "" {
		return campaign.NoReason, nil
	}
	code, err := reasonScript.Run(ctx, s.rdb, []string{keyReasons(name)}, text, int(campaign.OtherReason)).Int()
	if err != nil {
		return 0, fmt.Errorf("reason code in %s: %w", name, err)
	}
	return campaign.Reason(code), nil
}

// ReasonTexts are all reasons of a campaign by their code.
func (s *Store) ReasonTexts(ctx context.Context, name string) (map[campaign.Reason]string, error) {
	hash, err := s.rdb.HGetAll(ctx, keyReasons(name)).Result()
	if err != nil {
		return nil, fmt.Errorf("read reasons of %s: %w", name, err)
	}
	texts := map[campaign.Reason]string{campaign.OtherReason: otherReason}
	for field, text := range hash {
		if code, err := strconv.ParseUint(field, 10, 16); err == nil {
			texts[campaign.Reason(code)] = text
		}
	}
	return texts, nil
}
