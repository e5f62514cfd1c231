package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// A NoWritesError says that Redis answers but takes no writes. Nothing is sent until
// it does.
type NoWritesError struct {
	Said     string // Redis's code, then its text
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

// NoWrites is err as a *NoWritesError when Redis refused to write, otherwise nil.
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
		// Before version 7 a refusal within a script stands inside Redis's text.
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

// clusterProbes is how many keys CheckWrites asks a cluster about: enough to reach
// each master of a usual one.
const clusterProbes = 32

// CheckWrites fails with a *NoWritesError when Redis, or a master of a cluster,
// refuses to write. It changes nothing: writing no bytes into a missing key leaves
// it missing, and a Redis that takes no writes refuses even that.
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
	return wrap(err, "check that redis takes writes")
}

// once is a command that go-redis does not repeat. It takes READONLY and NOREPLICAS
// for a failover in progress and would wait half a minute for its end.
type once struct{ *redis.IntCmd }

// NoRetry is the method that go-redis looks for.
func (once) NoRetry() bool { return true }

// durable is how Redis should be configured, and what another value costs.
var durable = []struct{ setting, want, cost string }{
	{"maxmemory-policy", "noeviction", "Redis may throw campaigns away when memory runs short"},
	{"appendonly", "yes", "a restart of Redis loses what was sent since its last snapshot"},
	{"appendfsync", "always", "a crash of Redis can lose the last second: those contacts could be sent again"},
}

// DurabilityWarnings says where Redis could lose writes, one line each, for all
// servers of a cluster. A Redis that hides its settings, as managed ones may, gives
// one warning about that.
func DurabilityWarnings(ctx context.Context, rdb redis.UniversalClient) (warnings []string) {
	var mu sync.Mutex
	err := eachServer(ctx, rdb, func(ctx context.Context, server redis.UniversalClient) error {
		found := warningsOf(ctx, server)
		mu.Lock()
		defer mu.Unlock()
		warnings = append(warnings, found...)
		return nil
	})
	if err != nil {
		return []string{untold}
	}
	slices.Sort(warnings)
	return slices.Compact(warnings)
}

const untold = "Redis does not tell its settings: make sure of appendonly yes, appendfsync always and maxmemory-policy noeviction"

func warningsOf(ctx context.Context, server redis.UniversalClient) []string {
	var warnings []string
	have := make(map[string]string)
	for _, d := range durable {
		value, err := server.ConfigGet(ctx, d.setting).Result()
		if err != nil || len(value) == 0 {
			return []string{untold}
		}
		have[d.setting] = value[d.setting]
		if d.setting == "appendfsync" && have["appendonly"] != "yes" {
			continue // there is nothing to sync
		}
		if have[d.setting] != d.want {
			warnings = append(warnings, fmt.Sprintf("Redis has %s %s, not %s: %s", d.setting, have[d.setting], d.want, d.cost))
		}
	}
	return warnings
}

// Memory is what a Redis server uses of its memory, in bytes.
type Memory struct {
	Used int64
	Max  int64 // 0: there is no limit
}

// Full is the used part, from 0 to 1; 0 without a limit.
func (m Memory) Full() float64 {
	if m.Max == 0 {
		return 0
	}
	return float64(m.Used) / float64(m.Max)
}

// Memory is that of the server that has, or would have, a campaign.
func (s *Store) Memory(ctx context.Context, name string) (Memory, error) {
	server, err := s.serverOf(ctx, keyCampaign(name))
	if err != nil {
		return Memory{}, wrap(err, "memory of redis")
	}
	return memoryOf(ctx, server)
}

// Fullest is the memory of the server with the least left; of those without a limit,
// of the one that uses the most.
func (s *Store) Fullest(ctx context.Context) (fullest Memory, err error) {
	var mu sync.Mutex
	err = eachServer(ctx, s.rdb, func(ctx context.Context, server redis.UniversalClient) error {
		m, err := memoryOf(ctx, server)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if m.Full() > fullest.Full() || (m.Full() == fullest.Full() && m.Used > fullest.Used) {
			fullest = m
		}
		return nil
	})
	return fullest, err
}

func memoryOf(ctx context.Context, server redis.UniversalClient) (Memory, error) {
	text, err := server.Info(ctx, "memory").Result()
	return Memory{Used: infoNumber(text, "used_memory"), Max: infoNumber(text, "maxmemory")}, wrap(err, "memory of redis")
}

// infoNumber is a field of Redis's INFO; 0 when it is missing.
func infoNumber(info, field string) int64 {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			return n
		}
	}
	return 0
}
