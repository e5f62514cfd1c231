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
// hand it out. Parts are called one after the other and kept in their order.
func (l *Load) AddRejects(ctx context.Context, part []byte) error {
	keys := []string{keyCampaign(l.campaign.Name), keyRejects(l.campaign.Name)}
	kept, err := addPartScript.Run(ctx, l.store.rdb, keys, l.id, l.store.encoder.EncodeAll(part, nil), l.rejects).Bool()
	if err := l.wrote(kept, err, "store rejects"); err != nil {
		return err
	}
	l.rejects++
	return nil
}

// AddRejects stores the next part of the append's refused lines. Parts are called one
// after the other and kept in their order.
func (a *Append) AddRejects(ctx context.Context, part []byte) error {
	keys := []string{keyCampaign(a.campaign.Name), keyAppendedRejects(a.campaign.Name)}
	kept, err := appendPartScript.Run(ctx, a.store.rdb, keys, a.id, a.store.encoder.EncodeAll(part, nil), a.rejects).Bool()
	if err := a.wrote(kept, err, "store rejects"); err != nil {
		return err
	}
	a.rejects++
	return nil
}

// addPartScript appends to a list, once. KEYS campaign, list; ARGV load id,
// value, the length the list has without it.
var addPartScript = redis.NewScript(`
if redis.call('HGET', KEYS[1], 'load') ~= ARGV[1] then return 0 end
if redis.call('LLEN', KEYS[2]) == tonumber(ARGV[3]) then redis.call('RPUSH', KEYS[2], ARGV[2]) end
return 1`)

// appendPartScript appends to a list, once. KEYS campaign, list; ARGV id, value, the
// length the list has without it.
var appendPartScript = redis.NewScript(`
if redis.call('HGET', KEYS[1], 'append') ~= ARGV[1] then return 0 end
if redis.call('LLEN', KEYS[2]) == tonumber(ARGV[3]) then redis.call('RPUSH', KEYS[2], ARGV[2]) end
return 1`)
