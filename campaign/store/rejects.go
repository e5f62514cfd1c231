package store

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Rejects calls yield with each part of the rejects file, in order.
func (s *Store) Rejects(ctx context.Context, name string, yield func(part []byte) error) error {
	const page = 16
	for from := int64(0); ; from += page {
		parts, err := s.rdb.LRange(ctx, keyRejects(name), from, from+page-1).Result()
		if err != nil {
			return fmt.Errorf("read rejects of %s: %w", name, err)
		}
		for _, p := range parts {
			part, err := s.decoder.DecodeAll([]byte(p), nil)
			if err != nil {
				return fmt.Errorf("read rejects of %s: %w", name, err)
			}
			if err := yield(part); err != nil {
				return err
			}
		}
		if len(parts) < page {
			return nil
		}
	}
}

// AddRejects stores the next part of the rejects file, so that every machine can
// hand it out. Call it for one part after another: they are kept in that order.
func (l *Load) AddRejects(ctx context.Context, part []byte) error {
	return l.addPart(ctx, keyRejects(l.campaign.Name), part)
}

// AddRejects stores the next part of the append's rejects, as Load.AddRejects does.
func (a *Append) AddRejects(ctx context.Context, part []byte) error {
	return a.addPart(ctx, keyAppendedRejects(a.campaign.Name), part)
}

// addPartScript appends to a list, once. KEYS campaign, list; ARGV field of the
// right, its id, value, length of the list without it.
var addPartScript = redis.NewScript(`
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
if redis.call('LLEN', KEYS[2]) == tonumber(ARGV[4]) then redis.call('RPUSH', KEYS[2], ARGV[3]) end
return 1`)

func (r *right) addPart(ctx context.Context, key string, part []byte) error {
	keys := []string{keyCampaign(r.campaign.Name), key}
	kept, err := addPartScript.Run(ctx, r.store.rdb, keys, r.field, r.id, r.store.encoder.EncodeAll(part, nil), r.parts).Bool()
	if err := wrote(kept, err, "store rejects"); err != nil {
		return err
	}
	r.parts++
	return nil
}
