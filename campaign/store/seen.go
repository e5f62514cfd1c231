package store

import (
	"context"
	"fmt"
)

// Seen is what the platform's answers to an agent have shown, ever. It tells the
// platform's own word from that of what stands before it.
type Seen struct {
	RateHeaders bool // the headers of its rate limit
	Accepted    bool // a request with contacts was accepted
}

// Or is what either has seen.
func (s Seen) Or(other Seen) Seen {
	return Seen{s.RateHeaders || other.RateHeaders, s.Accepted || other.Accepted}
}

func keySeen(agent string) string { return "seen:" + agent }

// Seen reads what was ever seen of an agent's answers.
func (s *Store) Seen(ctx context.Context, agent string) (Seen, error) {
	fields, err := s.rdb.HMGet(ctx, keySeen(agent), "rate_headers", "accepted").Result()
	if err != nil {
		return Seen{}, fmt.Errorf("read what agent %s was answered: %w", agent, err)
	}
	return Seen{RateHeaders: fields[0] != nil, Accepted: fields[1] != nil}, nil
}

// AddSeen adds to it. What was seen once stays.
func (s *Store) AddSeen(ctx context.Context, agent string, seen Seen) error {
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
