package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// A NoWritesError says that Redis answers, but takes no writes: nobody is contacted
// until it does.
type NoWritesError struct {
	Said     string // by Redis: its code, then its text
	Advice   string
	ReadOnly bool // this server is a replica; others may take writes
}

func (e *NoWritesError) Error() string {
	return fmt.Sprintf("Redis takes no writes: %s; %s", e.Said, e.Advice)
}

// refusals of writes, by the code that begins Redis's answer, and what to do.
// Source: the error texts of Redis's server.c.
var refusals = []struct{ code, advice string }{
	{"OOM", "give it more memory (maxmemory), or purge campaigns that are over"},
	{"READONLY", "this server is a replica: set REDIS_URL to the one that takes writes"},
	{"MISCONF", "it could not save to its disk: see its log, and whether the disk is full"},
	{"NOREPLICAS", "too few of its replicas are up"},
	{"MASTERDOWN", "this server is a replica without its master"},
}

// NoWrites is err as a *NoWritesError when Redis refused to write, and nil
// otherwise.
func NoWrites(err error) *NoWritesError {
	var known *NoWritesError
	if errors.As(err, &known) {
		return known
	}
	var answer redis.Error
	if !errors.As(err, &answer) {
		return nil
	}
	text := answer.Error()
	for _, r := range refusals {
		// Before version 7 Redis tells of a refusal within a script in its midst.
		at := strings.Index(text, "-"+r.code+" ") + 1
		if at == 0 && !strings.HasPrefix(text, r.code+" ") {
			continue
		}
		// The first sentence says it; MISCONF goes on for a paragraph.
		said, _, _ := strings.Cut(text[at:], ". ")
		return &NoWritesError{Said: strings.TrimRight(said, ".\r\n"), Advice: r.advice, ReadOnly: r.code == "READONLY"}
	}
	return nil
}

// clusterProbes are the keys that CheckWrites asks a cluster about: enough to meet
// each master of a usual one.
const clusterProbes = 32

// CheckWrites fails with a *NoWritesError when Redis, or a master of a cluster,
// refuses to write. It changes nothing: putting no bytes into a key that is not
// there leaves it so, and Redis refuses even that when it takes no writes.
func (s *Store) CheckWrites(ctx context.Context) error {
	probes := 1
	if _, ok := s.rdb.(*redis.ClusterClient); ok {
		probes = clusterProbes
	}
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range probes {
			if err := p.Process(ctx, once{redis.NewIntCmd(ctx, "setrange", fmt.Sprintf("none:%d", i), 0, "")}); err != nil {
				return err
			}
		}
		return nil
	})
	if refused := NoWrites(err); refused != nil {
		return refused
	}
	if err != nil {
		return fmt.Errorf("check that redis takes writes: %w", err)
	}
	return nil
}

// once is a command that go-redis does not repeat: it takes READONLY and NOREPLICAS
// for a failover at hand, and would wait half a minute for its end.
type once struct{ *redis.IntCmd }

// NoRetry is what go-redis asks.
func (once) NoRetry() bool { return true }
