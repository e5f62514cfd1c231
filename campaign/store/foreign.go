package store

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

// kinds are the types of the keys that all campaigns share, as Redis names them, and of
// those of asynq that have no queue's name.
var kinds = map[string]string{
	keyCampaigns: "set", keyWorkers: "set", keyEvents: "stream", keyWishes: "hash", keyClosedWishes: "zset",
	keyNoticesSince: "string", keyContactedDays: "hash", "suppressed:used": "string",
	"asynq:queues": "set", "asynq:servers": "zset", "asynq:workers": "zset",
}

// someCampaigns is how many campaigns are looked at.
const someCampaigns = 10

// A ForeignError says that Redis holds something else under a key of ours.
type ForeignError struct{ Key, Why string }

func (e *ForeignError) Error() string {
	return fmt.Sprintf("redis: the key %q is not this program's (%s): use another server, or another database at the end of REDIS_URL", e.Key, e.Why)
}

// CheckForeign fails with a *ForeignError when another program uses this Redis and our
// names. Each would destroy what the other has. A user who may not look is let through.
func CheckForeign(ctx context.Context, rdb redis.UniversalClient) error {
	keys := slices.Sorted(maps.Keys(kinds))
	found, err := typesOf(ctx, rdb, keys)
	if err != nil {
		return mayLook(err)
	}
	for i, key := range keys {
		if found[i] != "none" && found[i] != kinds[key] {
			return &ForeignError{key, "it is a " + found[i] + ", not a " + kinds[key]}
		}
	}
	names, err := rdb.SRandMemberN(ctx, keyCampaigns, someCampaigns).Result()
	if err != nil {
		return mayLook(err)
	}
	for i, name := range names {
		if campaign.CheckName(name) != nil {
			return &ForeignError{keyCampaigns, "it holds what is no campaign's name"}
		}
		names[i] = keyCampaign(name)
	}
	if found, err = typesOf(ctx, rdb, names); err != nil {
		return mayLook(err)
	}
	if i := slices.IndexFunc(found, func(kind string) bool { return kind != "hash" }); i >= 0 {
		return &ForeignError{keyCampaigns, "it names a campaign that is not there"}
	}
	first, err := rdb.XRangeN(ctx, keyEvents, "-", "+", 1).Result()
	if err != nil {
		return mayLook(err)
	}
	if len(first) > 0 && first[0].Values["campaign"] == nil {
		return &ForeignError{keyEvents, "it holds what are no events"}
	}
	return nil
}

// typesOf asks for the types of keys, in one round trip.
func typesOf(ctx context.Context, rdb redis.UniversalClient, keys []string) ([]string, error) {
	asked := make([]*redis.StatusCmd, len(keys))
	_, err := rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, key := range keys {
			asked[i] = p.Type(ctx, key)
		}
		return nil
	})
	types := make([]string, len(keys))
	for i, cmd := range asked {
		types[i] = cmd.Val()
	}
	return types, err
}

// mayLook lets a user through whom Redis does not let look.
func mayLook(err error) error {
	if redis.HasErrorPrefix(err, "NOPERM") {
		return nil
	}
	return wrap(err, "look whose redis this is")
}
