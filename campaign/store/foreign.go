package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

// kinds are the types of the keys that all campaigns share, and of those of asynq that
// have no queue's name. Each is asked for by a command of its type, which workers use
// anyway and a Redis user of theirs has the right to.
var kinds = []struct {
	key, kind string
	ask       func(ctx context.Context, p redis.Pipeliner, key string) redis.Cmder
}{
	{keyCampaigns, "sorted set", askSorted}, {keyLive, "sorted set", askSorted}, {keyWorkers, "set", askSet}, {"asynq:queues", "set", askSet},
	{keyClosedWishes, "sorted set", askSorted}, {"asynq:servers", "sorted set", askSorted}, {"asynq:workers", "sorted set", askSorted},
	{keyWishes, "hash", askHash}, {keyContactedDays, "hash", askHash}, {keyPolicy, "hash", askHash}, {keyUsers, "hash", askHash},
	{keyDrafts, "sorted set", askSorted}, {keyDraftBytes, "hash", askHash},
	{keyNoticesSince, "text", askText}, {keyEventBytes, "text", askText}, {"suppressed:used", "text", askText},
	{keyEvents, "stream", func(ctx context.Context, p redis.Pipeliner, key string) redis.Cmder { return p.XLen(ctx, key) }},
}

func askSet(ctx context.Context, p redis.Pipeliner, key string) redis.Cmder { return p.SCard(ctx, key) }
func askSorted(ctx context.Context, p redis.Pipeliner, key string) redis.Cmder {
	return p.ZCard(ctx, key)
}
func askHash(ctx context.Context, p redis.Pipeliner, key string) redis.Cmder { return p.HLen(ctx, key) }
func askText(ctx context.Context, p redis.Pipeliner, key string) redis.Cmder {
	return p.GetRange(ctx, key, 0, 0)
}

// A ForeignError says that Redis holds something else under a key of ours.
type ForeignError struct{ Key, Why string }

func (e *ForeignError) Error() string {
	return fmt.Sprintf("redis: the key %q is not this program's (%s): use another server, or another database at the end of REDIS_URL", e.Key, e.Why)
}

// CheckForeign fails with a *ForeignError when another program uses this Redis and our
// names: each would destroy what the other has. It changes nothing. What a user may not
// see is not looked at.
func CheckForeign(ctx context.Context, rdb redis.UniversalClient) error {
	asked := make([]redis.Cmder, len(kinds))
	_, err := rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, k := range kinds {
			asked[i] = k.ask(ctx, p, k.key)
		}
		return nil
	})
	for i, k := range kinds {
		if redis.HasErrorPrefix(asked[i].Err(), "WRONGTYPE") {
			return &ForeignError{k.key, "it is no " + k.kind}
		}
	}
	if err == nil {
		err = checkCampaigns(ctx, rdb)
	}
	if err == nil {
		err = checkEvents(ctx, rdb)
	}
	var foreign *ForeignError
	switch {
	case errors.As(err, &foreign):
		return foreign
	case redis.HasErrorPrefix(err, "NOPERM"):
		return nil
	}
	return wrap(err, "look whose redis this is")
}

// checkCampaigns looks whether the first campaigns that are named are ours.
func checkCampaigns(ctx context.Context, rdb redis.UniversalClient) error {
	names, err := rdb.ZRange(ctx, keyCampaigns, 0, 9).Result()
	if err != nil || len(names) == 0 {
		return err
	}
	for _, name := range names {
		if campaign.CheckName(name) != nil {
			return &ForeignError{keyCampaigns, "it holds what is no campaign's name"}
		}
	}
	fields, err := rdb.HLen(ctx, keyCampaign(names[0])).Result()
	if redis.HasErrorPrefix(err, "WRONGTYPE") || err == nil && fields == 0 {
		return &ForeignError{keyCampaigns, "it names a campaign that is not there"}
	}
	return err
}

// checkEvents looks whether the events that wait are ours.
func checkEvents(ctx context.Context, rdb redis.UniversalClient) error {
	first, err := rdb.XRangeN(ctx, keyEvents, "-", "+", 1).Result()
	if err == nil && len(first) > 0 && first[0].Values["campaign"] == nil {
		return &ForeignError{keyEvents, "it holds what are no events"}
	}
	return err
}
