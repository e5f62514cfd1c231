package store

import (
	"context"
	"fmt"

	"campaign-runner/campaign"
)

func keySeen(agent string) string { return "seen:" + agent }

// Seen reads what was ever seen of an agent's answers.
func (s *Store) Seen(ctx context.Context, agent string) (campaign.Seen, error) {
	fields, err := s.rdb.HMGet(ctx, keySeen(agent), "rate_headers", "accepted").Result()
	if err != nil {
		return campaign.Seen{}, fmt.Errorf("read what agent %s was answered: %w", agent, err)
	}
	return campaign.Seen{RateHeaders: fields[0] != nil, Accepted: fields[1] != nil}, nil
}

// AddSeen adds to it. What was seen once stays.
func (s *Store) AddSeen(ctx context.Context, agent string, seen campaign.Seen) error {
	var fields []any
	if seen.RateHeaders {
		fields = append(fields, "rate_headers", 1)
	}
	if seen.Accepted {
		fields = append(fields, "accepted", 1)
	}
	if len(fields) == 0 {
		return nil
	}
	if err := s.rdb.HSet(ctx, keySeen(agent), fields...).Err(); err != nil {
		return fmt.Errorf("keep what agent %s was answered: %w", agent, err)
	}
	return nil
}
