package store

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/internal/redistest"
)

func TestCheckWrites(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, rdb *redis.Client)
		want  string // the answer begins with it; empty: Redis takes writes
	}{
		{"a Redis that is well takes writes", func(*testing.T, *redis.Client) {}, ""},
		{"no memory is left", func(t *testing.T, rdb *redis.Client) {
			set(t, rdb, "maxmemory", "1")
		}, "Redis takes no writes: OOM command not allowed when used memory > 'maxmemory'; give it more memory"},
		{"it is a replica", func(t *testing.T, rdb *redis.Client) {
			if err := rdb.ReplicaOf(t.Context(), "127.0.0.1", "1").Err(); err != nil {
				t.Fatal(err)
			}
		}, "Redis takes no writes: READONLY You can't write against a read only replica; this server is a replica"},
		{"it has too few replicas", func(t *testing.T, rdb *redis.Client) {
			set(t, rdb, "min-replicas-to-write", "1")
		}, "Redis takes no writes: NOREPLICAS Not enough good replicas to write; too few"},
		{"its last save has failed", func(t *testing.T, rdb *redis.Client) {
			set(t, rdb, "save", "900 1")
			set(t, rdb, "dir", "/proc") // where nobody can make a file
			_ = rdb.BgSave(t.Context()).Err()
			for !strings.Contains(rdb.Info(t.Context(), "persistence").Val(), "rdb_last_bgsave_status:err") {
				if t.Context().Err() != nil {
					t.Fatal("the save did not fail")
				}
			}
		}, "Redis takes no writes: MISCONF Redis is configured to save RDB snapshots"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rdb := redistest.Start(t, "--enable-protected-configs", "yes").Client()
			tt.spoil(t, rdb)
			before := rdb.DBSize(t.Context()).Val()
			err := New(rdb).CheckWrites(t.Context())
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
			} else if err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("got %v, want %q…", err, tt.want)
			}
			if after := rdb.DBSize(t.Context()).Val(); after != before {
				t.Errorf("%d keys, %d before", after, before)
			}
			// What the runner writes by a script is refused in the same words.
			err = noWritesOr(New(rdb).Heartbeat(t.Context(), Worker{ID: "w"}))
			if (err == nil) != (tt.want == "") || err != nil && !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("a heartbeat: got %v, want %q…", err, tt.want)
			}
		})
	}
}

// noWritesOr is the refusal in an error, or else the error.
func noWritesOr(err error) error {
	if refused := NoWrites(err); refused != nil {
		return refused
	}
	return err
}

func set(t *testing.T, rdb *redis.Client, setting, value string) {
	t.Helper()
	if err := rdb.ConfigSet(t.Context(), setting, value).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestNoWritesReadsEveryForm(t *testing.T) {
	rdb := redistest.Shared(t)
	said := func(text string) error { // as Redis itself would say it
		return rdb.Eval(t.Context(), "return redis.error_reply(ARGV[1])", nil, text).Err()
	}
	for _, tt := range []struct {
		name string
		err  error
		want bool
	}{
		{"an old Redis, of a script", said("ERR Error running script (call to f_1): @user_script:1: @user_script: 1: -OOM command not allowed when used memory > 'maxmemory'."), true},
		{"a replica without its master", said("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."), true},
		{"another error of Redis", said("WRONGTYPE Operation against a key holding the wrong kind of value"), false},
		{"a word that only begins alike", said("OOMPH"), false},
		{"no answer at all", context.DeadlineExceeded, false},
		{"words of somebody else", errors.New("OOM command not allowed"), false},
		{"nothing", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := NoWrites(tt.err) != nil; got != tt.want {
				t.Errorf("%v: got %v", tt.err, got)
			}
		})
	}
}

func TestCheckWritesOfADeadRedis(t *testing.T) {
	server := redistest.Start(t)
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr, MaxRetries: -1, DialTimeout: time.Second})
	defer rdb.Close()
	server.Kill()
	if err := New(rdb).CheckWrites(t.Context()); err == nil || NoWrites(err) != nil {
		t.Errorf("got %v", err)
	}
}

// To go-redis a READONLY is a failover at hand, for which it waits half a minute.
func TestCheckWritesAsksOnce(t *testing.T) {
	server := redistest.Start(t)
	rdb, err := Connect(t.Context(), server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer rdb.Close()
	if err := server.Client().ReplicaOf(t.Context(), "127.0.0.1", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if err := New(rdb).CheckWrites(t.Context()); NoWrites(err) == nil {
		t.Fatalf("got %v", err)
	}
	if stats := rdb.Info(t.Context(), "commandstats").Val(); !strings.Contains(stats, "cmdstat_setrange:calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,") {
		t.Errorf("Redis was asked otherwise than once: %s", stats)
	}
}
