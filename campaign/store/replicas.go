package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// errNotReplicated: the change was made, but too few replicas have it.
var errNotReplicated = errors.New("too few replicas have the change")

// replicaPatience bounds the wait for replicas.
const replicaPatience = time.Second

// runReplicated runs the script and waits until enough replicas have what it wrote.
// WAIT counts the writes of its own connection, so both use one, to the server of
// the keys. In a cluster whose slots have just moved the change fails, as it does
// when a server is gone.
func (s *Store) runReplicated(ctx context.Context, keys []string, args []any) *redis.Cmd {
	change := redis.NewCmd(ctx)
	server, err := s.serverOf(ctx, keys[0])
	if err != nil {
		change.SetErr(err)
		return change
	}
	var replicas *redis.Cmd
	run := func() {
		_, _ = server.Pipelined(ctx, func(p redis.Pipeliner) error { // each command has its own error
			change = changeScript.EvalSha(ctx, p, keys, args...)
			replicas = p.Do(ctx, "WAIT", s.replicas, millis(replicaPatience))
			return nil
		})
	}
	run()
	if redis.HasErrorPrefix(change.Err(), "NOSCRIPT") {
		if err := changeScript.Load(ctx, server).Err(); err != nil {
			change.SetErr(err)
			return change
		}
		run()
	}
	if change.Err() == nil {
		if n, err := replicas.Int(); err != nil {
			change.SetErr(err)
		} else if n < s.replicas {
			change.SetErr(fmt.Errorf("%w: %d of %d", errNotReplicated, n, s.replicas))
		}
	}
	return change
}

// A call is one run of a script on one key.
type call struct {
	key  string
	args []any
}

// runEach runs a script once for each call, in one round trip; running it twice must
// do no harm. With replicated it waits until enough replicas of each server have the
// writes.
func (s *Store) runEach(ctx context.Context, script *redis.Script, calls []call, replicated bool) ([]*redis.Cmd, error) {
	done := make([]*redis.Cmd, len(calls))
	if len(calls) == 0 {
		return done, nil
	}
	all := make([]int, len(calls))
	for i := range all {
		all[i] = i
	}
	cluster, is := s.rdb.(*redis.ClusterClient)
	if !replicated || !is {
		// Without a cluster, replicas that have the begin have this too: it came before.
		return done, runSome(ctx, s.rdb, script, calls, done, all, 0)
	}
	byServer := make(map[*redis.Client][]int)
	for i, c := range calls {
		server, err := cluster.MasterForKey(ctx, c.key)
		if err != nil {
			return nil, err
		}
		byServer[server] = append(byServer[server], i)
	}
	for server, some := range byServer {
		if err := runSome(ctx, server, script, calls, done, some, s.replicas); err != nil {
			return nil, err
		}
	}
	return done, nil
}

// runSome runs some of the calls on a server and waits for that many replicas.
func runSome(ctx context.Context, rdb redis.UniversalClient, script *redis.Script, calls []call, done []*redis.Cmd, some []int, replicas int) error {
	for _, run := range []func(context.Context, redis.Scripter, []string, ...any) *redis.Cmd{script.EvalSha, script.Eval} {
		var waited *redis.Cmd
		_, _ = rdb.Pipelined(ctx, func(p redis.Pipeliner) error { // each command has its own error
			for _, i := range some {
				done[i] = run(ctx, p, []string{calls[i].key}, calls[i].args...)
			}
			if replicas > 0 {
				waited = p.Do(ctx, "WAIT", replicas, millis(replicaPatience))
			}
			return nil
		})
		unknown := false
		for _, i := range some {
			switch err := done[i].Err(); {
			case redis.HasErrorPrefix(err, "NOSCRIPT"):
				unknown = true
			case err != nil:
				return err
			}
		}
		if unknown {
			continue // with the script's text: calls that have run answer the same
		}
		if waited == nil {
			return nil
		}
		n, err := waited.Int()
		if err == nil && n < replicas {
			err = fmt.Errorf("%w: %d of %d", errNotReplicated, n, replicas)
		}
		return err
	}
	return errors.New("the script is not known")
}
