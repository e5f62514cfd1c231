package launch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/redistest"
	"campaign-runner/ratelimit"
	"campaign-runner/velents"
)

// write makes a file and returns its path.
func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// people is a contact file of n contacts.
func people(n int) string {
	var b strings.Builder
	b.WriteString("phone,name,note\n")
	for i := range n {
		fmt.Fprintf(&b, "+96650%07d,Person %d,n%d\n", i, i, i)
	}
	return b.String()
}

func request(t testing.TB, file string) Request {
	return Request{
		Name:        "spring",
		File:        file,
		RejectsFile: filepath.Join(t.TempDir(), "rejects.csv"),
		Settings: campaign.Settings{
			Agent: "default", Mode: campaign.Batch, ChannelID: 3, ChunkSize: 10, MaxAttempts: 5,
		},
	}
}

// releases stands in for the queue.
type releases struct {
	mu    sync.Mutex
	names []string
	err   error
}

func (r *releases) Release(_ context.Context, name string) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names = append(r.names, name)
	return 1, r.err
}

func (r *releases) CancelLeftovers(context.Context, campaign.Campaign) error { return r.err }

func newLauncher(rdb redis.UniversalClient) (*Launcher, *releases) {
	queue := new(releases)
	return &Launcher{Store: store.New(rdb), Queue: queue}, queue
}

// check holds a loaded campaign against the n contacts of people(n).
func check(t *testing.T, st *store.Store, name string, n int) {
	t.Helper()
	found, err := st.Verify(t.Context(), name)
	if err != nil || found.Contacts != n || len(found.Problems) > 0 {
		t.Fatalf("verify: %+v, %v, want %d contacts", found, err, n)
	}
	c, err := st.Campaign(t.Context(), name)
	if err != nil || c.Phase != campaign.Running {
		t.Fatalf("campaign: %+v, %v", c, err)
	}
	at := 0
	for i := range c.Chunks {
		chunk, err := st.ReadChunk(t.Context(), store.Ref{Campaign: name, Chunk: i})
		if err != nil {
			t.Fatal(err)
		}
		for _, contact := range chunk.Contacts {
			if want := fmt.Sprintf("Person %d", at); contact.Fields[1] != want {
				t.Fatalf("contact %d is %q, want %q: not in the order of the file", at, contact.Fields[1], want)
			}
			at++
		}
	}
}

func TestLaunchStoresTheListAndReleasesIt(t *testing.T) {
	l, queue := newLauncher(redistest.Shared(t))
	l.Platform, l.Quota = &agent{keys: []string{"name"}}, free{}
	req := request(t, write(t, "list.csv", people(25)+"0501234567,Bad,\n+966500000003,Again,\n+966599999999,Stop,\n"))
	req.Suppress = []string{write(t, "stop.csv", "+966599999999\n")}
	var shown string
	l.Progress = func(read, size int64, rows int) { shown = fmt.Sprintf("%d of %d bytes, %d rows", read, size, rows) }

	got, err := l.Launch(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	want := Summary{
		Campaign: "spring", State: campaign.Running, Agent: "default", Mode: campaign.Batch, ChannelID: 3,
		File: contacts.Format{Container: "csv", Encoding: contacts.UTF8, Delimiter: ",", LineEnds: contacts.LF},
		Counts: campaign.Counts{
			Rows: 28, Contacts: 25, Invalid: 1, Duplicates: 1, Suppressed: 1,
			Refused:   map[string]int{"no country code (give --region)": 1, "duplicate": 1, "on a suppression list": 1},
			Countries: map[string]int{"SA": 25},
		},
		Chunks: 3, Calls: 3, RejectsFile: req.RejectsFile, Sent: []string{"name"}, NotSent: []string{"note"},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	check(t, stored(l), "spring", 25)
	if diff := cmp.Diff([]string{"spring"}, queue.names); diff != "" {
		t.Errorf("released (-want +got):\n%s", diff)
	}
	if info, _ := os.Stat(req.File); shown != fmt.Sprintf("%d of %[1]d bytes, 28 rows", info.Size()) {
		t.Errorf("last progress: %s", shown)
	}

	local, err := os.ReadFile(req.RejectsFile)
	if err != nil || strings.Count(string(local), "\n") != 4 {
		t.Errorf("rejects file: %q, %v", local, err)
	}
	var stored strings.Builder
	err = l.Store.Rejects(t.Context(), "spring", func(part []byte) error { stored.Write(part); return nil })
	if err != nil || stored.String() != string(local) {
		t.Errorf("stored rejects differ from the file: %q, %v", stored.String(), err)
	}
}

func TestLaunchAgainChangesNothing(t *testing.T) {
	rdb := redistest.Shared(t)
	l, queue := newLauncher(rdb)
	l.Platform, l.Quota = &agent{limit: 2, keys: []string{"name"}}, free{}
	req := request(t, write(t, "list.csv", people(25)+",,\n"))
	first, err := l.Launch(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	before := dump(t, rdb)
	if err := os.Remove(req.RejectsFile); err != nil {
		t.Fatal(err)
	}
	second, err := l.Launch(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("summary (-first +second):\n%s", diff)
	}
	if diff := cmp.Diff(before, dump(t, rdb)); diff != "" {
		t.Errorf("Redis (-before +after):\n%s", diff)
	}
	if len(queue.names) != 2 {
		t.Errorf("released %d times, want twice: the first may have been cut off", len(queue.names))
	}
	if _, err := os.Stat(req.RejectsFile); err != nil {
		t.Errorf("the rejects file is not restored: %v", err)
	}

	t.Run("when the rejects file cannot be restored, it warns", func(t *testing.T) {
		req.RejectsFile = filepath.Join(t.TempDir(), "gone", "rejects.csv")
		got, err := l.Launch(t.Context(), req)
		if err != nil || got.RejectsFile != "" || len(got.Warnings) != 1 {
			t.Errorf("%+v, %v", got, err)
		}
	})
	t.Run("paused meanwhile, it is not released", func(t *testing.T) {
		if _, _, err := stored(l).SetPhase(t.Context(), "spring", campaign.Paused, campaign.Message{}, campaign.Running); err != nil {
			t.Fatal(err)
		}
		released := len(queue.names)
		got, err := l.Launch(t.Context(), req)
		if err != nil || got.State != campaign.Paused || len(queue.names) != released {
			t.Errorf("%+v, %v, released %v", got, err, queue.names)
		}
	})
}

// dump is all of a database.
func dump(t *testing.T, rdb *redis.Client) map[string]string {
	t.Helper()
	ctx, all := t.Context(), make(map[string]string)
	for _, key := range rdb.Keys(ctx, "*").Val() {
		// Not DUMP: it has hashes and sets in the order they happen to lie in.
		switch kind := rdb.Type(ctx, key).Val(); kind {
		case "string":
			all[key] = rdb.Get(ctx, key).Val()
		case "hash":
			all[key] = fmt.Sprint(rdb.HGetAll(ctx, key).Val()) // fmt sorts the keys
		case "set":
			members := rdb.SMembers(ctx, key).Val()
			slices.Sort(members)
			all[key] = fmt.Sprint(members)
		case "zset":
			all[key] = fmt.Sprint(rdb.ZRangeWithScores(ctx, key, 0, -1).Val())
		case "list":
			all[key] = fmt.Sprint(rdb.LRange(ctx, key, 0, -1).Val())
		case "stream":
			all[key] = fmt.Sprint(rdb.XRange(ctx, key, "-", "+").Val())
		default:
			t.Fatalf("%s is a %s", key, kind)
		}
	}
	return all
}

func TestTheSameNameForSomethingElse(t *testing.T) {
	rdb := redistest.Shared(t)
	l, _ := newLauncher(rdb)
	file := write(t, "list.csv", people(5))
	if _, err := l.Launch(t.Context(), request(t, file)); err != nil {
		t.Fatal(err)
	}
	before := dump(t, rdb)
	for _, tt := range []struct {
		name   string
		change func(*Request)
		want   string
	}{
		{"another file", func(r *Request) { r.File = write(t, "other.csv", people(6)) }, "another file, suppression list, mapping or choice"},
		{"a suppression list", func(r *Request) { r.Suppress = []string{write(t, "s", "+966500000000\n")} }, "another file, suppression list, mapping or choice"},
		{"another phone column", func(r *Request) { r.Settings.Reading.PhoneColumns = []string{"phone"} }, "--phone-column none, not phone"},
		{"another channel", func(r *Request) { r.Settings.ChannelID = 7 }, "--channel 3, not 7"},
		{"another mode", func(r *Request) { r.Settings.Mode = campaign.Dispatch }, "--mode batch, not dispatch"},
		{"another chunk size", func(r *Request) { r.Settings.ChunkSize = 0 }, "--chunk-size 10, not 500"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := request(t, file)
			tt.change(&req)
			_, err := l.Launch(t.Context(), req)
			want := "campaign spring exists: it was loaded with " + tt.want + "; nothing was changed, choose another --name"
			if !errors.Is(err, store.ErrExists) || err.Error() != want {
				t.Errorf("error %v, want %s", err, want)
			}
		})
	}
	if diff := cmp.Diff(before, dump(t, rdb)); diff != "" {
		t.Errorf("Redis (-before +after):\n%s", diff)
	}
	t.Run("a copy of the file and lists in another order are the same", func(t *testing.T) {
		a, b := write(t, "a", "+966500000000\n"), write(t, "b", "+966500000001\n")
		req := request(t, file)
		req.Name, req.Suppress = "summer", []string{a, b}
		first, err := l.Launch(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		req.File, req.Suppress = write(t, "copy.csv", people(5)), []string{b, a}
		second, err := l.Launch(t.Context(), req)
		second.RejectsFile = first.RejectsFile
		if diff := cmp.Diff(first, second); err != nil || diff != "" {
			t.Errorf("%v, summary (-first +second):\n%s", err, diff)
		}
	})
}

func TestInterruptedLoadStartsAnew(t *testing.T) {
	l, queue := newLauncher(redistest.Shared(t))
	req := request(t, write(t, "list.csv", people(5000)))
	ctx, interrupt := context.WithCancel(t.Context())
	l.Progress = func(_, _ int64, rows int) {
		if rows == 3000 {
			interrupt()
		}
	}
	_, err := l.Launch(ctx, req)
	var unfinished *UnfinishedError
	if !errors.As(err, &unfinished) || !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	if c, err := l.Store.Campaign(t.Context(), "spring"); err != nil || c.Phase != campaign.Loading {
		t.Fatalf("campaign: %+v, %v", c, err)
	}
	if len(queue.names) != 0 {
		t.Fatal("somebody may be contacted")
	}

	// Anew, and from a shorter file: nothing of the first one may be left.
	var notes []string
	l.Note, l.Progress = func(text string) { notes = append(notes, text) }, nil
	req.File = write(t, "list.csv", people(1234))
	if _, err := l.Launch(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	check(t, stored(l), "spring", 1234)
	if diff := cmp.Diff([]string{"another enqueue was loading spring until just now; this one takes over"}, notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
}

func TestDeadLoadIsTakenOver(t *testing.T) {
	rdb := redistest.Shared(t)
	l, _ := newLauncher(rdb)
	req := request(t, write(t, "list.csv", people(3)))
	rdb.HSet(t.Context(), "c:{spring}", "phase", "loading", "load_until", 1, "settings", "{}")
	var notes []string
	l.Note = func(text string) { notes = append(notes, text) }
	if _, err := l.Launch(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	check(t, stored(l), "spring", 3)
	if diff := cmp.Diff([]string{"an earlier load of spring was not finished; it starts anew"}, notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
}

func TestInterruptedBeforeLoadingLeavesNothing(t *testing.T) {
	rdb := redistest.Shared(t)
	l, _ := newLauncher(rdb)
	ctx, interrupt := context.WithCancel(t.Context())
	l.Platform, l.Quota = &agent{asked: interrupt}, free{}
	req := request(t, write(t, "list.csv", people(3)))
	for _, when := range []string{"between the readings", "before the first"} {
		if _, err := l.Launch(ctx, req); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", when, err)
		}
	}
	if n := rdb.DBSize(t.Context()).Val(); n != 0 {
		t.Errorf("%d keys", n)
	}
}

func TestLaunchesAtOnceLoadOnce(t *testing.T) {
	l, _ := newLauncher(redistest.Shared(t))
	req := request(t, write(t, "list.csv", people(2000)))
	var done atomic.Int64
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			switch _, err := l.Launch(t.Context(), req); {
			case err == nil:
				done.Add(1)
			case !errors.Is(err, store.ErrLoadLost):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if done.Load() == 0 {
		t.Error("nobody loaded it")
	}
	check(t, stored(l), "spring", 2000)
}

// A fault breaks one of the commands that a client sends.
type fault struct {
	at    int64 // counted from 1; 0: none
	after bool  // the command is carried out, its answer lost
	sent  atomic.Int64
}

var errFault = errors.New("connection lost")

func (*fault) DialHook(next redis.DialHook) redis.DialHook { return next }

func (f *fault) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		hit := f.sent.Add(1) == f.at
		if hit && !f.after {
			cmd.SetErr(errFault)
			return errFault
		}
		err := next(ctx, cmd)
		if hit {
			cmd.SetErr(errFault)
			return errFault
		}
		return err
	}
}

func (*fault) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func TestWhateverRedisFailsTheNextLaunchSucceeds(t *testing.T) {
	text := people(35) + ",,\n"
	for _, after := range []bool{false, true} {
		failed := 0
		for at := int64(1); ; at++ {
			rdb := redistest.Shared(t)
			broken := redis.NewClient(rdb.Options())
			f := &fault{at: at, after: after}
			broken.AddHook(f)
			l, _ := newLauncher(broken)
			req := request(t, write(t, "list.csv", text))
			req.Settings.WebhookURL = "https://example.org"
			_, err := l.Launch(t.Context(), req)
			broken.Close()
			if f.sent.Load() < at {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
			if err != nil {
				failed++
			}

			l, queue := newLauncher(rdb)
			if _, err := l.Launch(t.Context(), req); err != nil {
				t.Fatalf("after command %d failed (carried out: %v): %v", at, after, err)
			}
			check(t, stored(l), "spring", 35)
			if len(queue.names) == 0 {
				t.Errorf("after command %d failed (carried out: %v): not released", at, after)
			}
			c, err := l.Store.Campaign(t.Context(), "spring")
			if err != nil {
				t.Fatal(err)
			}
			if ref, i, err := stored(l).Find(t.Context(), c, 966500000034); err != nil || ref.Chunk != 3 || i != 4 {
				t.Errorf("after command %d failed (carried out: %v): index: %v, %d, %v", at, after, ref, i, err)
			}
		}
		if failed < 8 {
			t.Errorf("only %d commands could fail a launch", failed)
		}
	}
}

func TestReleaseThatFailsIsTold(t *testing.T) {
	l, queue := newLauncher(redistest.Shared(t))
	req := request(t, write(t, "list.csv", people(5)))
	queue.err = errFault
	for range 2 { // loading, and loaded
		_, err := l.Launch(t.Context(), req)
		if !errors.Is(err, errFault) || !strings.HasPrefix(err.Error(), "campaign spring is loaded and runs, but not all of it is in the queue") {
			t.Errorf("error %v", err)
		}
	}
	queue.err = store.ErrNotRunning // a person was faster
	if _, err := l.Launch(t.Context(), req); err != nil {
		t.Error(err)
	}
}

func TestDryRunStoresNothing(t *testing.T) {
	rdb := redistest.Shared(t)
	l, queue := newLauncher(rdb)
	req := request(t, write(t, "list.csv", people(100)+"+9665,Short,\n"))
	req.DryRun = true
	req.Settings.Mode, req.Settings.ChunkSize = campaign.Dispatch, 0
	got, err := l.Launch(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if got.Contacts != 100 || got.Chunks != 2 || got.Calls != 100 || got.EstimatedSeconds != 176 || got.State != "" {
		t.Errorf("summary %+v", got)
	}
	if text, err := os.ReadFile(got.RejectsFile); err != nil || !strings.Contains(string(text), "number too short") {
		t.Errorf("rejects %q, %v", text, err)
	}
	if rdb.DBSize(t.Context()).Val() != 0 || len(queue.names) != 0 {
		t.Error("it stored something")
	}
}

func TestListOfNobodyIsFinished(t *testing.T) {
	for name, text := range map[string]string{"header only": "phone\n", "all refused": "phone\nnobody\n"} {
		t.Run(name, func(t *testing.T) {
			l, _ := newLauncher(redistest.Shared(t))
			req := request(t, write(t, "list.csv", text))
			for range 2 {
				got, err := l.Launch(t.Context(), req)
				if err != nil || got.State != campaign.Finished || got.Contacts != 0 {
					t.Errorf("%+v, %v", got, err)
				}
				if diff := cmp.Diff([]string{"there is nobody to contact in this file"}, got.Warnings); diff != "" {
					t.Errorf("warnings (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestBadInputLeavesNothing(t *testing.T) {
	rdb := redistest.Shared(t)
	l, _ := newLauncher(rdb)
	l.Platform, l.Quota = &agent{keys: []string{"name"}}, free{}
	good := write(t, "list.csv", people(3))
	for _, tt := range []struct {
		name   string
		change func(*Request)
		want   string // in the error
	}{
		{"bad campaign name", func(r *Request) { r.Name = "a b" }, "campaign name: want"},
		{"bad channel", func(r *Request) { r.Settings.ChannelID = 0 }, "channel 0: want"},
		{"bad region", func(r *Request) { r.Settings.Region = "XX" }, `region "XX"`},
		{"bad webhook URL", func(r *Request) { r.Settings.WebhookURL = "example.org" }, "webhook URL: want"},
		{"webhook URL without a host", func(r *Request) { r.Settings.WebhookURL = "https:///events" }, "webhook URL: want"},
		{"missing file", func(r *Request) { r.File = "nope.csv" }, "contact file nope.csv: no such file or directory"},
		{"a directory", func(r *Request) { r.File = "." }, "contact file .: it is a directory"},
		{"a device", func(r *Request) { r.File = os.DevNull }, "not a regular file"},
		{"an empty file", func(r *Request) { r.File = write(t, "empty.csv", "") }, "the file is empty"},
		{"nothing but spaces", func(r *Request) { r.File = write(t, "empty.csv", " \n") }, "the file is empty"},
		{"a binary file", func(r *Request) { r.File = write(t, "b.csv", "phone\x00\x01\n") }, "binary"},
		{"no phone column", func(r *Request) { r.File = write(t, "n.csv", "name\nAli\n") }, "no phone column"},
		{"a missing value column", func(r *Request) { r.File = write(t, "v.csv", "phone,Title\n+966500000000,x\n") }, `missing "name"; the columns are "phone", "Title"`},
		{"a missing suppression list", func(r *Request) { r.Suppress = []string{"nope"} }, "suppression list nope: no such file"},
		{"a bad suppression list", func(r *Request) { r.Suppress = []string{write(t, "s", "a,b\n1,2\n")} }, "no phone column"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := request(t, good)
			tt.change(&req)
			_, err := l.Launch(t.Context(), req)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one with %s", err, tt.want)
			}
			if n := rdb.DBSize(t.Context()).Val(); n != 0 {
				t.Errorf("%d keys are left in Redis", n)
			}
		})
	}
}

func TestStandardInputIsLaunchedOnce(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	l, _ := newLauncher(redistest.Shared(t))
	req := request(t, "-")
	for range 2 { // the second hears of the first
		req.Stdin = strings.NewReader(people(25))
		got, err := l.Launch(t.Context(), req)
		if err != nil || got.Contacts != 25 {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	check(t, stored(l), "spring", 25)
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestRowsWithoutAValueAreRefused(t *testing.T) {
	l, _ := newLauncher(redistest.Shared(t))
	l.Platform, l.Quota = &agent{keys: []string{"name", "city"}}, free{}
	req := request(t, write(t, "list.csv", "phone,Full,note\n+966500000001,Ali,\n+966500000002, ,x\n+966500000001,,x\n12,,\n"))
	req.Mapping = Mapping{Columns: map[string]string{"full": "name"}, Constants: map[string]string{"city": "Riyadh"}}
	got, err := l.Launch(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	want := campaign.Counts{Rows: 4, Contacts: 1, Invalid: 3, Refused: map[string]int{`empty value "name"`: 2, "number too short": 1}, Countries: map[string]int{"SA": 1}}
	if diff := cmp.Diff(want, got.Counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	c, err := l.Store.Campaign(t.Context(), "spring")
	if err != nil {
		t.Fatal(err)
	}
	chunk, err := l.Store.ReadChunk(t.Context(), store.Ref{Campaign: "spring"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"name": "Ali", "city": "Riyadh"}, c.Settings.Values(chunk.Contacts[0])); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

func TestLastingListsAreAskedAtTheLoad(t *testing.T) {
	l, _ := newLauncher(redistest.Shared(t))
	ctx := t.Context()
	if _, err := stored(l).Suppress(ctx, []campaign.Phone{966500000001, 966500000002}); err != nil {
		t.Fatal(err)
	}
	if err := stored(l).RecordContacted(ctx, time.Now().AddDate(0, 0, -2), []campaign.Phone{966500000002, 966500000003}); err != nil {
		t.Fatal(err)
	}
	req := request(t, write(t, "list.csv", people(5)))
	for days, want := range map[int]map[string]int{
		0: {"on the do-not-contact list": 2},
		1: {"on the do-not-contact list": 2},
		2: {"on the do-not-contact list": 2, "contacted recently": 1},
	} {
		req.Name, req.Settings.SkipContactedDays = fmt.Sprint("skip-", days), days
		got, err := l.Launch(ctx, req)
		if diff := cmp.Diff(want, got.Refused); diff != "" || err != nil || got.Contacts+got.Suppressed != 5 {
			t.Errorf("%d days: %v, %+v, refused (-want +got):\n%s", days, err, got, diff)
		}
	}
	req.Name, req.Settings.SkipContactedDays = "skip", 91
	if _, err := l.Launch(ctx, req); err == nil || !strings.Contains(err.Error(), "at most 90") {
		t.Errorf("error %v", err)
	}
}

func TestFileThatChangesIsNotLaunched(t *testing.T) {
	for _, tt := range []struct {
		name  string
		which func(Request) string
	}{
		{"the contact file, when its load has begun", func(r Request) string { return r.File }},
		{"a suppression list", func(r Request) string { return r.Suppress[0] }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rdb := redistest.Shared(t)
			l, queue := newLauncher(rdb)
			req := request(t, write(t, "list.csv", people(3)))
			req.Suppress = []string{write(t, "stop.csv", "+966500000000\n")}
			// The platform is asked between the two readings.
			l.Platform, l.Quota = &agent{asked: func() {
				f, err := os.OpenFile(tt.which(req), os.O_APPEND|os.O_WRONLY, 0)
				if err != nil {
					t.Error(err)
					return
				}
				defer f.Close()
				if _, err := f.WriteString("+966500000002,x,y\n"); err != nil {
					t.Error(err)
				}
			}}, free{}
			_, err := l.Launch(t.Context(), req)
			if err == nil || !strings.HasSuffix(err.Error(), "the file changed while it was read") {
				t.Errorf("error %v", err)
			}
			if n := rdb.DBSize(t.Context()).Val(); n != 0 {
				t.Errorf("%d keys are left in Redis", n)
			}
			if len(queue.names) != 0 {
				t.Error("somebody may be contacted")
			}
		})
	}
}

func TestFileThatWasAnotherOnlyWhileItWasReadIsNotLaunched(t *testing.T) {
	l, queue := newLauncher(redistest.Shared(t))
	was := people(progressRows)
	req := request(t, write(t, "list.csv", was))
	put := func(text string) {
		if err := os.WriteFile(req.File, []byte(text), 0o600); err != nil {
			t.Error(err)
		}
	}
	l.Platform, l.Quota = &agent{asked: func() { put(strings.Replace(was, "Person 7,", "Nobody 7,", 1)) }}, free{}
	l.Progress = func(int64, int64, int) { put(was) } // all is read before the first row counts
	if _, err := l.Launch(t.Context(), req); err == nil || !strings.HasSuffix(err.Error(), "the file changed while it was read") {
		t.Errorf("error %v", err)
	}
	if len(queue.names) != 0 {
		t.Error("somebody may be contacted")
	}
}

func TestUnreadableSuppressionLinesAreTold(t *testing.T) {
	l, _ := newLauncher(redistest.Shared(t))
	req := request(t, write(t, "list.csv", people(3)))
	req.Suppress = []string{write(t, "stop.csv", "phone\n+966500000001\n12\n\n")}
	got, err := l.Launch(t.Context(), req)
	if err != nil || got.Suppressed != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	want := []string{"suppression list " + req.Suppress[0] + ": 1 of its lines have no usable number, so they leave nobody out"}
	if diff := cmp.Diff(want, got.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestRejectsThatCannotBeWrittenAreKeptInRedis(t *testing.T) {
	l, _ := newLauncher(redistest.Shared(t))
	req := request(t, write(t, "list.csv", people(3)+"12,x,y\n"))
	req.RejectsFile = filepath.Join(t.TempDir(), "gone", "rejects.csv")
	got, err := l.Launch(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"the rejects file could not be written (no such file or directory); 'campaign rejects spring' prints it"}
	if diff := cmp.Diff(want, got.Warnings); diff != "" || got.RejectsFile != "" {
		t.Errorf("file %q, warnings (-want +got):\n%s", got.RejectsFile, diff)
	}
	req.DryRun, req.Name = true, "another"
	got, err = l.Launch(t.Context(), req)
	want = []string{"the rejects file could not be written (no such file or directory); name another with --rejects"}
	if diff := cmp.Diff(want, got.Warnings); err != nil || diff != "" {
		t.Errorf("%v, of a dry run (-want +got):\n%s", err, diff)
	}
}

func TestManyRejectsComeInParts(t *testing.T) {
	rdb := redistest.Shared(t)
	l, _ := newLauncher(rdb)
	note := strings.Repeat("x", 1000)
	req := request(t, write(t, "list.csv", "phone,note\n"+strings.Repeat("nobody,"+note+"\n", 2500)))
	got, err := l.Launch(t.Context(), req)
	if err != nil || got.Invalid != 2500 {
		t.Fatalf("%+v, %v", got, err)
	}
	if n := rdb.LLen(t.Context(), "c:{spring}:rejects").Val(); n != 3 {
		t.Errorf("%d parts, want 3 of a megabyte", n)
	}
	if text, err := os.ReadFile(req.RejectsFile); err != nil || strings.Count(string(text), note) != 2500 {
		t.Errorf("rejects file of %d bytes, %v", len(text), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(req.RejectsFile), ".rejects-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestFullRedisIsToldBeforeLoading(t *testing.T) {
	server := redistest.Start(t, "--maxmemory", "3mb", "--maxmemory-policy", "noeviction")
	rdb := server.Client()
	l, _ := newLauncher(rdb)
	req := request(t, write(t, "list.csv", people(100_000)))
	_, err := l.Launch(t.Context(), req)
	if err == nil || !strings.Contains(err.Error(), "free below its maxmemory of 3.0 MB") {
		t.Errorf("error %v", err)
	}
	if n := rdb.DBSize(t.Context()).Val(); n != 0 {
		t.Errorf("%d keys", n)
	}
}

// agent stands in for the platform.
type agent struct {
	keys  []string
	limit int
	asked func()
}

func (a *agent) answer() velents.Answer {
	return velents.Answer{Status: 200, Rate: velents.Rate{Known: a.limit > 0, Limit: a.limit, Remaining: a.limit}}
}

func (a *agent) Agent(context.Context) (velents.Agent, velents.Answer, error) {
	if a.asked != nil {
		a.asked()
	}
	return velents.Agent{}, a.answer(), nil
}

func (a *agent) ValueKeys(context.Context) ([]string, velents.Answer, error) {
	return a.keys, a.answer(), nil
}

func (a *agent) CSVTemplate(context.Context) ([]byte, velents.Answer, error) {
	return []byte("phone\n"), a.answer(), nil
}

func (a *agent) Dispatch(context.Context, velents.Dispatch) (velents.Answer, error) {
	return a.answer(), nil
}

func TestThePreflightKeepsThatThePlatformShowsItsLimit(t *testing.T) {
	for _, shows := range []bool{false, true} {
		t.Run(fmt.Sprint(shows), func(t *testing.T) {
			l, _ := newLauncher(redistest.Shared(t))
			l.Platform, l.Quota = &showing{shows: shows}, free{}
			if _, err := l.Launch(t.Context(), request(t, write(t, "list.csv", people(1)))); err != nil {
				t.Fatal(err)
			}
			if seen, err := stored(l).Seen(t.Context(), "default"); err != nil || seen != (campaign.Seen{RateHeaders: shows}) {
				t.Errorf("%+v, %v", seen, err)
			}
		})
	}
}

// showing answers with the headers of its limit, or without.
type showing struct {
	agent
	shows bool
}

func (s *showing) ValueKeys(context.Context) ([]string, velents.Answer, error) {
	return nil, velents.Answer{Status: 200, RateHeaders: s.shows}, nil
}

func TestACampaignOfNobodyIsLoadedAnew(t *testing.T) {
	l, queue := newLauncher(redistest.Shared(t))
	if _, err := l.Launch(t.Context(), request(t, write(t, "nobody.csv", "phone,name,note\n12,x,y\n"))); err != nil {
		t.Fatal(err)
	}
	sum, err := l.Launch(t.Context(), request(t, write(t, "list.csv", people(3))))
	if err != nil || sum.Contacts != 3 {
		t.Fatalf("%+v, %v", sum, err)
	}
	check(t, stored(l), "spring", 3)
	if len(queue.names) != 2 {
		t.Errorf("released %v", queue.names)
	}
	var exists *ExistsError
	if _, err := l.Launch(t.Context(), request(t, write(t, "other.csv", people(4)))); !errors.As(err, &exists) {
		t.Errorf("loaded over somebody: %v", err)
	}
}

func TestPreflightSaysThatItWaitsForTheQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		notes := make(chan string, 10)
		l := &Launcher{Platform: &agent{}, Quota: usedUp{}, Note: func(text string) { notes <- text }}
		_, err := l.preflight(t.Context())
		if err == nil || !strings.Contains(err.Error(), "the platform allows no request for more than 1m30s") {
			t.Errorf("error %v", err)
		}
		if note := <-notes; len(notes) > 0 || !strings.Contains(note, "waiting for the quota of the token (the quota is used up), 1m30s at the most") {
			t.Errorf("%q, and %d notes more", note, len(notes))
		}
	})
}

func TestABlockOfHoursIsToldAtOnceAndPartOfTheEstimate(t *testing.T) {
	l, _ := newLauncher(redistest.Shared(t))
	until := time.Now().Add(24 * time.Hour).UTC().Truncate(time.Second)
	blocked := store.Quota{Limit: 30, Window: 60, Next: until, Reason: campaign.Text("refused with 429"), Blocked: true}
	if err := stored(l).Heartbeat(t.Context(), store.Worker{ID: "w", Agents: []string{"default"}, Quotas: map[string]store.Quota{"default": blocked}}); err != nil {
		t.Fatal(err)
	}
	sum, err := l.Launch(t.Context(), request(t, write(t, "list.csv", people(3))))
	if err != nil || sum.EstimatedSeconds < 23*60*60 || !strings.Contains(strings.Join(sum.Warnings, "\n"), until.Format(time.RFC3339)) {
		t.Errorf("%d seconds, warnings %q, %v", sum.EstimatedSeconds, sum.Warnings, err)
	}
	l = &Launcher{Platform: &agent{}, Quota: untilTomorrow{}}
	if _, err := l.preflight(t.Context()); err == nil || !strings.Contains(err.Error(), "allows no request for more than 1m30s: none before 2") {
		t.Errorf("preflight: %v", err)
	}
}

// untilTomorrow is a quota that the platform has blocked.
type untilTomorrow struct{ usedUp }

func (untilTomorrow) Status(context.Context) (ratelimit.Status, error) {
	return ratelimit.Status{Wait: 24 * time.Hour, Blocked: true}, nil
}

// usedUp is a quota that allows nothing.
type usedUp struct{ free }

func (usedUp) Acquire(ctx context.Context) (ratelimit.Permit, error) {
	<-ctx.Done()
	return ratelimit.Permit{}, context.Cause(ctx)
}

func (usedUp) Status(context.Context) (ratelimit.Status, error) {
	return ratelimit.Status{Reason: ratelimit.Full}, nil
}

// TestChunksShareTripsToRedis counts what a load asks of Redis.
func TestChunksShareTripsToRedis(t *testing.T) {
	rdb := redistest.Shared(t)
	l, _ := newLauncher(rdb)
	trips := new(tripCounter)
	rdb.AddHook(trips)
	const chunks = 400
	out, err := l.Launch(t.Context(), request(t, write(t, "list.csv", people(10*chunks))))
	if err != nil || out.Chunks != chunks {
		t.Fatalf("%d chunks, %v", out.Chunks, err)
	}
	if most := int64(chunks/partChunks + 40); trips.Load() > most {
		t.Errorf("%d trips to Redis for %d chunks, want at most %d", trips.Load(), chunks, most)
	}
}

type tripCounter struct{ atomic.Int64 }

func (c *tripCounter) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *tripCounter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { c.Add(1); return next(ctx, cmd) }
}

func (c *tripCounter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { c.Add(1); return next(ctx, cmds) }
}
