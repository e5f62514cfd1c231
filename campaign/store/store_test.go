package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/internal/redistest"
)

// onEveryRedis runs a test on a real Redis, on the embedded one, and on a real
// one that runs every script twice: go-redis repeats a call whose answer was
// lost.
func onEveryRedis(t *testing.T, test func(*testing.T, *Store)) {
	t.Run("redis", func(t *testing.T) {
		test(t, New(redistest.Shared(t)))
	})
	t.Run("miniredis", func(t *testing.T) {
		test(t, New(embedded(t, miniredis.RunT(t))))
	})
	t.Run("redis, every script twice", func(t *testing.T) {
		rdb := redistest.Shared(t)
		rdb.AddHook(&scripts{before: func(ctx context.Context, cmd redis.Cmder, run redis.ProcessHook) {
			_ = run(ctx, cmd) // its answer is lost
		}})
		test(t, New(rdb))
	})
}

func embedded(t *testing.T, server *miniredis.Miniredis) *redis.Client {
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { rdb.Close() })
	return rdb
}

// scripts is a hook that does something before each script.
type scripts struct {
	before func(context.Context, redis.Cmder, redis.ProcessHook)
}

func (s *scripts) DialHook(next redis.DialHook) redis.DialHook { return next }
func (s *scripts) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if strings.HasPrefix(cmd.Name(), "eval") {
			s.before(ctx, cmd, next)
		}
		return next(ctx, cmd)
	}
}
func (s *scripts) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// closedStore is one whose every call fails.
func closedStore() *Store {
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	rdb.Close()
	return New(rdb)
}

var testColumns = []campaign.Column{{Name: "phone"}, {Name: "Name", Key: "name"}}

func testCampaign(name string, chunkSize int) campaign.Campaign {
	return campaign.Campaign{
		Name:        name,
		Fingerprint: "f1",
		Settings: campaign.Settings{
			Agent: "default", Mode: campaign.Batch, ChannelID: 7,
			ChunkSize: chunkSize, MaxAttempts: 5, Columns: testColumns,
		},
	}
}

// person is contact n of a test's list.
func person(n int) campaign.Contact {
	phone := campaign.Phone(966500000000 + uint64(n))
	return campaign.Contact{Phone: phone, Line: n + 2, Fields: []string{phone.E164(), fmt.Sprintf("Person %d", n)}}
}

func people(from, to int) []campaign.Contact {
	var all []campaign.Contact
	for n := from; n < to; n++ {
		all = append(all, person(n))
	}
	return all
}

// launch loads a campaign of that size and puts it into a phase.
func launch(t testing.TB, s *Store, name string, contacts, chunkSize int, phase campaign.Phase) campaign.Campaign {
	t.Helper()
	load, err := s.BeginLoad(t.Context(), testCampaign(name, chunkSize))
	if err != nil {
		t.Fatal(err)
	}
	chunks := 0
	for from := 0; from < contacts; from += chunkSize {
		if err := load.Add(t.Context(), chunks, people(from, min(from+chunkSize, contacts))); err != nil {
			t.Fatal(err)
		}
		chunks++
	}
	if err := load.Finish(t.Context(), campaign.Counts{Rows: contacts, Contacts: contacts}, chunks, phase); err != nil {
		t.Fatal(err)
	}
	c, err := s.Campaign(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// states are the states of a chunk's contacts, as Redis has them.
func states(t testing.TB, s *Store, ref Ref) string {
	t.Helper()
	chunk, err := s.ReadLedger(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range chunk.Len() {
		names = append(names, chunk.Record(i).State.String())
	}
	return strings.Join(names, " ")
}

// dump is all of a campaign's keys but for the release count and what tells the
// time, so that two moments can be compared.
func dump(t testing.TB, s *Store, name string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	keys, err := s.rdb.Keys(t.Context(), keyCampaign(name)+"*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		switch kind := s.rdb.Type(t.Context(), key).Val(); kind {
		case "hash":
			for field, value := range s.rdb.HGetAll(t.Context(), key).Val() {
				all[key+" "+field] = value
			}
		case "string":
			all[key] = s.rdb.Get(t.Context(), key).Val()
		case "zset":
			for _, z := range s.rdb.ZRangeWithScores(t.Context(), key, 0, -1).Val() {
				all[key+" "+fmt.Sprint(z.Member)] = strconv.FormatFloat(z.Score, 'f', 0, 64)
			}
		case "list":
			all[key] = strings.Join(s.rdb.LRange(t.Context(), key, 0, -1).Val(), "|")
		case "stream":
			all[key] = fmt.Sprint(s.rdb.XRange(t.Context(), key, "-", "+").Val())
		default:
			t.Fatalf("%s is a %s", key, kind)
		}
	}
	return all
}

// mustAddUp checks what must hold at every moment: the tally is what a recount
// of the ledgers gives, and the open set names the chunks that are not through.
func mustAddUp(t testing.TB, s *Store, name string) {
	t.Helper()
	v, err := s.Verify(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Problems) > 0 {
		t.Fatalf("campaign does not add up: %q", v.Problems)
	}
}

func TestNames(t *testing.T) {
	s := New(redistest.Shared(t))
	for _, name := range []string{"b", "a", "c"} {
		launch(t, s, name, 1, 1, campaign.Ready)
	}
	got, err := s.Names(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestNowIsRedisClock(t *testing.T) {
	server := miniredis.RunT(t)
	want := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	server.SetTime(want)
	got, err := New(embedded(t, server)).Now(t.Context())
	if err != nil || !got.Equal(want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

func TestRedisIsTheClient(t *testing.T) {
	rdb := redistest.Shared(t)
	if New(rdb).Redis() != redis.UniversalClient(rdb) {
		t.Error("another client")
	}
}

// Every call says what it was about when Redis does not answer.
func TestErrorsNameTheOperation(t *testing.T) {
	s := closedStore()
	ctx := t.Context()
	c := testCampaign("sale", 2)
	ref := Ref{Campaign: "sale", Chunk: 3}
	load := &Load{right{store: s, campaign: c, field: "load", id: "x"}}
	chunk := &Chunk{Ref: ref, ledger: campaign.NewLedger(2)}
	for want, call := range map[string]func() error{
		"list campaigns: ":                 func() error { _, err := s.Names(ctx); return err },
		"redis time: ":                     func() error { _, err := s.Now(ctx); return err },
		"read campaign sale: ":             func() error { _, err := s.Campaign(ctx, "sale"); return err },
		"read tally of sale: ":             func() error { _, err := s.Tally(ctx, "sale"); return err },
		"set phase of sale: ":              func() error { _, _, err := s.SetPhase(ctx, "sale", campaign.Paused, campaign.Message{}); return err },
		"begin run of sale: ":              func() error { _, err := s.NextRun(ctx, campaign.Campaign{Name: "sale"}, Run{}); return err },
		"lower rows per request of sale: ": func() error { return s.LowerRequestRows(ctx, "sale", 3) },
		"log of sale: ": func() error {
			return errors.Join(s.Log(ctx, "sale", Decision{}), s.LogContact(ctx, ref, 0, Decision{}))
		},
		"list open chunks of sale: ":  func() error { _, err := s.Open(ctx, "sale", time.Time{}, 1); return err },
		"load sale: ":                 func() error { _, err := s.BeginLoad(ctx, c); return err },
		"clear what a load ":          func() error { return load.clear(ctx) },
		"store chunk sale/3: ":        func() error { return load.Add(ctx, 3, people(0, 2)) },
		"store rejects: ":             func() error { return load.AddRejects(ctx, nil) },
		"store index: ":               func() error { return load.AddIndex(ctx, maps.All(map[campaign.Phone]int{1: 0})) },
		"finish load of sale: ":       func() error { return load.Finish(ctx, campaign.Counts{}, 0, campaign.Ready) },
		"read rejects of sale: ":      func() error { return s.Rejects(ctx, "sale", func([]byte) error { return nil }) },
		"find contact in sale: ":      func() error { _, _, err := s.Find(ctx, c, 1); return err },
		"release chunks of sale: ":    func() error { _, err := s.Release(ctx, "sale", time.Second, ChunkSeq{Ref: ref}); return err },
		"read releases of sale: ":     func() error { _, err := s.ChunkSeqs(ctx, "sale", []Due{{}}); return err },
		"set due of chunk sale/3: ":   func() error { return s.SetDue(ctx, ref, time.Second) },
		"reason code in sale: ":       func() error { _, err := s.ReasonCode(ctx, "sale", campaign.Text("x")); return err },
		"read reasons of sale: ":      func() error { _, err := s.Reasons(ctx, "sale"); return err },
		"change settings of sale: ":   func() error { return s.ChangeSettings(ctx, c, c.Settings, "") },
		"end canary of sale: ":        func() error { _, err := s.EndCanary(ctx, c, campaign.Ready, campaign.Message{}); return err },
		"explain the pause of sale: ": func() error { _, err := s.Explain(ctx, "sale", campaign.Message{}); return err },
		"contacts of sale today: ":    func() error { _, err := s.Begun(ctx, "sale", noon); return err },
		"read chunk sale/3: ":         func() error { _, err := s.ReadChunk(ctx, ref); return err },
		"change chunk sale/3: ":       func() error { _, err := s.Apply(ctx, chunk, Change{Act: Steer}); return err },
		"heartbeat: ":                 func() error { return s.Heartbeat(ctx, Worker{ID: "w"}) },
		"end heartbeat: ":             func() error { return s.Goodbye(ctx, "w") },
		"list workers: ":              func() error { _, err := s.Workers(ctx); return err },
		"look for worker w: ":         func() error { _, err := s.ClaimIsDead(ctx, NewClaim("w", "1")); return err },
	} {
		err := call()
		if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.Contains(err.Error(), redis.ErrClosed.Error()) {
			t.Errorf("got %v, want %q and the reason", err, want)
		}
	}
}

// Calls of several steps say so when a later one fails.
func TestLaterStepsFail(t *testing.T) {
	boom := errors.New("boom")
	for _, tt := range []struct {
		name, command string
		call          func(*Store) error
		want          string
	}{
		{"a load is not listed when it begins", "zadd", func(s *Store) error {
			_, err := s.BeginLoad(t.Context(), testCampaign("sale", 1))
			return err
		}, "load sale: boom"},
		{"a load that is given up stays listed", "zrem", func(s *Store) error {
			load, err := s.BeginLoad(t.Context(), testCampaign("sale", 1))
			if err != nil {
				return err
			}
			return load.Abandon(t.Context())
		}, "abandon load: boom"},
		{"a dead worker is not forgotten", "srem", func(s *Store) error {
			s.rdb.SAdd(t.Context(), keyWorkers, "w")
			return s.ForgetWorkers(t.Context())
		}, "forget dead workers: boom"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rdb := redistest.Shared(t)
			rdb.AddHook(failing{tt.command, boom})
			if err := tt.call(New(rdb)); err == nil || err.Error() != tt.want || !errors.Is(err, boom) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// failing is a hook that fails one command.
type failing struct {
	command string
	err     error
}

func (failing) DialHook(next redis.DialHook) redis.DialHook { return next }
func (f failing) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == f.command {
			cmd.SetErr(f.err)
			return f.err
		}
		return next(ctx, cmd)
	}
}
func (failing) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
