package report_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/redistest"
)

// fixture is an empty Redis with what the tests do to campaigns in it.
type fixture struct {
	*store.Store
	t testing.TB
}

func newFixture(t testing.TB) fixture { return fixture{store.New(redistest.Shared(t)), t} }

var settings = campaign.Settings{
	Agent: "default", Mode: campaign.Batch, ChannelID: 3, ChunkSize: 2, MaxAttempts: 5,
	Columns:     []campaign.Column{{Name: "name", Key: "name"}, {Name: "phone"}},
	PhoneColumn: 1,
}

// contact is the i-th contact of a list of the usual columns.
func contact(i int) campaign.Contact {
	phone := campaign.Phone(966501000000 + i)
	return campaign.Contact{Phone: phone, Line: i + 2, Fields: []string{fmt.Sprintf("Name %d", i), phone.E164()}}
}

func people(from, n int) []campaign.Contact {
	list := make([]campaign.Contact, n)
	for i := range list {
		list[i] = contact(from + i)
	}
	return list
}

func (f fixture) begin(name string, s campaign.Settings) *store.Load {
	f.t.Helper()
	l, err := f.BeginLoad(f.t.Context(), campaign.Campaign{Name: name, Settings: s})
	if err != nil {
		f.t.Fatal(err)
	}
	return l
}

// load makes a running campaign of the contacts.
func (f fixture) load(name string, s campaign.Settings, list []campaign.Contact, refused map[string]int) {
	f.t.Helper()
	ctx := f.t.Context()
	l := f.begin(name, s)
	counts := campaign.Counts{Rows: len(list), Contacts: len(list), Refused: refused}
	for _, n := range refused {
		counts.Invalid += n
		counts.Rows += n
	}
	chunks := 0
	for ; len(list) > 0; chunks++ {
		n := min(s.ChunkSize, len(list))
		if err := l.Add(ctx, chunks, list[:n]); err != nil {
			f.t.Fatal(err)
		}
		list = list[n:]
	}
	if err := l.AddRejects(ctx, []byte("name,phone,line,reason,original\n")); err != nil {
		f.t.Fatal(err)
	}
	if err := l.Finish(ctx, counts, chunks, campaign.Running); err != nil {
		f.t.Fatal(err)
	}
}

// at is when everything in these tests happens to contacts.
var at = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// move makes things happen to the contact with that ordinal. One that fails may have
// been reached.
func (f fixture) move(name string, ordinal int, reason string, causes ...campaign.Cause) {
	f.t.Helper()
	ctx := f.t.Context()
	size := settings.ChunkSize
	chunk, err := f.ReadLedger(ctx, store.Ref{Campaign: name, Chunk: ordinal / size})
	if err != nil {
		f.t.Fatal(err)
	}
	code, err := f.ReasonCode(ctx, name, campaign.Text(reason))
	if err != nil {
		f.t.Fatal(err)
	}
	for _, cause := range causes {
		done, err := f.Apply(ctx, chunk, store.Change{Act: store.Steer, Moves: []store.Move{{
			Index: ordinal % size, Move: campaign.Move{Cause: cause, Reason: code, At: at, InDoubt: cause == campaign.Fail},
		}}})
		if err != nil || len(done.Moved) != 1 {
			f.t.Fatalf("move contact %d by %v: %v, %v", ordinal, cause, done, err)
		}
	}
	if key := "c:{" + name + "}"; f.Redis().HExists(ctx, key, "ended_at").Val() {
		f.Redis().HSet(ctx, key, "ended_at", at.UnixMilli())
	}
}

func (f fixture) phase(name string, to campaign.Phase, reason string) {
	f.t.Helper()
	if _, ok, err := f.SetPhase(f.t.Context(), name, to, campaign.Text(reason), campaign.Running, campaign.Paused); !ok {
		f.t.Fatalf("set phase of %s: %v", name, err)
	}
}

func (f fixture) worker(id string, agents ...string) {
	f.t.Helper()
	if err := f.Heartbeat(f.t.Context(), store.Worker{ID: id, Agents: agents}); err != nil {
		f.t.Fatal(err)
	}
}

// fail lets the n-th and every later call of a Redis command fail.
func (f fixture) fail(command string, n int) error {
	gone := &outage{command: command, err: errors.New("redis is gone")}
	gone.left.Store(int64(n - 1))
	f.Redis().AddHook(gone)
	return gone.err
}

type outage struct {
	command string
	left    atomic.Int64 // calls that still succeed
	err     error
}

func (o *outage) hit(cmds ...redis.Cmder) error {
	for _, cmd := range cmds {
		if cmd.Name() == o.command && o.left.Add(-1) < 0 {
			cmd.SetErr(o.err)
			return o.err
		}
	}
	return nil
}

func (o *outage) DialHook(next redis.DialHook) redis.DialHook { return next }

func (o *outage) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := o.hit(cmd); err != nil {
			return err
		}
		return next(ctx, cmd)
	}
}

func (o *outage) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if err := o.hit(cmds...); err != nil {
			return err
		}
		return next(ctx, cmds)
	}
}

// golden compares got with a file of testdata; -update rewrites the file.
func golden(t *testing.T, file, got string) {
	t.Helper()
	path := "testdata/" + file
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
	}
}
