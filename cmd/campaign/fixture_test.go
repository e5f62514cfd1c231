package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/internal/redistest"
)

var update = flag.Bool("update", false, "rewrite testdata")

func TestMain(m *testing.M) {
	time.Local = time.FixedZone("AST", 3*60*60)
	os.Exit(m.Run())
}

// fixture is an empty Redis, the campaigns the tests make in it, and the command
// that works on it.
type fixture struct {
	*store.Store
	t   *testing.T
	url string
	env map[string]string // beside REDIS_URL
}

func newFixture(t *testing.T) fixture {
	rdb := redistest.Shared(t)
	return fixture{Store: store.New(rdb), t: t, url: fmt.Sprintf("redis://%s/%d", rdb.Options().Addr, rdb.Options().DB)}
}

// outcome is what a command printed and how it ended.
type outcome struct {
	stdout, stderr string
	code           int
}

// run runs the command; stderr ends with the line that main would print.
func (f fixture) run(args ...string) outcome {
	f.t.Helper()
	var stdout, stderr bytes.Buffer
	err := run(f.t.Context(), args, strings.NewReader(""), &stdout, &stderr, f.getenv)
	cli.Report(&stderr, "campaign", err)
	return outcome{stdout.String(), stderr.String(), cli.ExitCode(err)}
}

func (f fixture) getenv(key string) string {
	if key == "REDIS_URL" {
		return f.url
	}
	return f.env[key]
}

var at = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// load makes a running campaign of so many contacts, two to a chunk.
func (f fixture) load(name string, contacts int) {
	f.t.Helper()
	ctx := f.t.Context()
	l, err := f.BeginLoad(ctx, campaign.Campaign{Name: name, Settings: campaign.Settings{
		Agent: "default", Mode: campaign.Batch, ChannelID: 3, ChunkSize: 2, MaxAttempts: 5,
		Columns: []campaign.Column{{Name: "الاسم", Key: "name"}, {Name: "phone"}}, PhoneColumn: 1,
	}})
	if err != nil {
		f.t.Fatal(err)
	}
	chunks := 0
	for i := 0; i < contacts; i += 2 {
		var list []campaign.Contact
		for k := i; k < min(i+2, contacts); k++ {
			phone := campaign.Phone(966501000000 + k)
			list = append(list, campaign.Contact{Phone: phone, Line: k + 2, Fields: []string{fmt.Sprintf("فاطمة %d", k), phone.E164()}})
		}
		if err := l.Add(ctx, chunks, list); err != nil {
			f.t.Fatal(err)
		}
		chunks++
	}
	if err := l.AddRejects(ctx, []byte("الاسم,phone,line,reason,original\n,12,9,number too short,\n")); err != nil {
		f.t.Fatal(err)
	}
	counts := campaign.Counts{
		Rows: contacts + 3, Contacts: contacts, Invalid: 1, Duplicates: 2,
		Refused: map[string]int{"number too short": 1, "duplicate": 2},
	}
	if err := l.Finish(ctx, counts, chunks, campaign.Running); err != nil {
		f.t.Fatal(err)
	}
	f.Redis().HSet(ctx, "c:{"+name+"}", "created_at", at.UnixMilli())
	if contacts == 0 {
		f.Redis().HSet(ctx, "c:{"+name+"}", "ended_at", at.UnixMilli())
	}
}

// move makes things happen to the i-th contact. One that fails may have been reached.
func (f fixture) move(name string, i int, reason string, causes ...campaign.Cause) {
	f.t.Helper()
	ctx := f.t.Context()
	chunk, err := f.ReadLedger(ctx, store.Ref{Campaign: name, Chunk: i / 2})
	if err != nil {
		f.t.Fatal(err)
	}
	code, err := f.ReasonCode(ctx, name, campaign.Text(reason))
	if err != nil {
		f.t.Fatal(err)
	}
	for _, cause := range causes {
		done, err := f.Apply(ctx, chunk, store.Change{Act: store.Steer, Moves: []store.Move{{
			Index: i % 2, Move: campaign.Move{Cause: cause, Reason: code, At: at, InDoubt: cause == campaign.Fail},
		}}})
		if err != nil || len(done.Moved) != 1 {
			f.t.Fatalf("move contact %d: %v, %v", i, done, err)
		}
	}
	if key := "c:{" + name + "}"; f.Redis().HExists(ctx, key, "ended_at").Val() {
		f.Redis().HSet(ctx, key, "ended_at", at.UnixMilli())
	}
}

// sale is a campaign in the middle of everything.
func (f fixture) sale() {
	f.t.Helper()
	f.load("sale", 9)
	f.move("sale", 0, "رقم غير صالح: invalid number", campaign.Send, campaign.Reject)
	f.move("sale", 1, "", campaign.Send, campaign.Accept)
	f.move("sale", 2, "no answer: timeout", campaign.Send, campaign.Lose)
	f.move("sale", 3, "no answer: timeout", campaign.Send, campaign.Lose)
	f.move("sale", 4, "", campaign.Send, campaign.Accept)
	f.move("sale", 5, "500 from the platform", campaign.Send, campaign.Fail)
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
