package launch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/hours"
	"campaign-runner/campaign/plan"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/redistest"
)

// appended is a campaign of people(25) with two lines refused, and a request to
// add its rejects, corrected, and more.
func appended(t *testing.T, rdb *redis.Client) (*Launcher, *releases, Request) {
	t.Helper()
	l, queue := newLauncher(rdb)
	l.Platform, l.Quota = &agent{keys: []string{"name"}}, free{}
	req := request(t, write(t, "list.csv", people(25)+"+96650,Short,x\n+966500000000,Again,=A1\n"))
	req.Settings.WebhookURL = "https://example.org"
	if _, err := l.Launch(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(req.RejectsFile)
	if err != nil {
		t.Fatal(err)
	}
	fixed := strings.Replace(string(text), "+96650,Short", "+966500000025,Person 25", 1)
	fixed += "+966500000026,Person 26,y,,,\n+966500000026,Twice,,,,\n+966500000027,,y,,,\n"
	l.Platform = nil
	more := Request{Name: "spring", File: write(t, "fixed.csv", fixed), RejectsFile: filepath.Join(t.TempDir(), "rejects.csv")}
	return l, queue, more
}

func checkAppended(t *testing.T, st *store.Store) {
	t.Helper()
	check(t, st, "spring", 27)
	c, err := st.Campaign(t.Context(), "spring")
	if err != nil {
		t.Fatal(err)
	}
	want := campaign.Counts{Rows: 32, Contacts: 27, Invalid: 2, Duplicates: 3, Refused: map[string]int{
		"number too short": 1, "duplicate": 3, `empty value "name"`: 1,
	}, Countries: map[string]int{"SA": 27}}
	if diff := cmp.Diff(want, c.Counts); diff != "" || c.Chunks != 4 {
		t.Errorf("%d chunks, counts (-want +got):\n%s", c.Chunks, diff)
	}
	for phone, want := range map[campaign.Phone]int{966500000024: 2, 966500000025: 3, 966500000026: 3} {
		if ref, _, err := st.Find(t.Context(), c, phone); err != nil || ref.Chunk != want {
			t.Errorf("index: chunk %d, %v, want %d", ref.Chunk, err, want)
		}
	}
	var text strings.Builder
	if err := st.Rejects(t.Context(), "spring", func(part []byte) error { text.Write(part); return nil }); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(text.String(), "phone,name,note,line"); n != 1 || strings.Count(text.String(), "\n") != 1+2+3 {
		t.Errorf("%d headers in the rejects:\n%s", n, text.String())
	}
}

func TestCorrectedRejectsAreAppended(t *testing.T) {
	l, queue, more := appended(t, redistest.Shared(t))
	got, err := l.Append(t.Context(), more)
	if err != nil {
		t.Fatal(err)
	}
	want := campaign.Counts{Rows: 5, Contacts: 2, Invalid: 1, Duplicates: 2, Refused: map[string]int{"duplicate": 2, `empty value "name"`: 1}, Countries: map[string]int{"SA": 2}}
	if diff := cmp.Diff(want, got.Counts); diff != "" || got.Chunks != 1 || got.State != campaign.Running || got.RejectsFile != more.RejectsFile {
		t.Errorf("%+v, counts (-want +got):\n%s", got, diff)
	}
	checkAppended(t, stored(l))
	text, err := os.ReadFile(more.RejectsFile)
	wantText := "\ufeffphone,name,note,line,reason,original\n" +
		"+966500000000,Again,'=A1,3,duplicate of a contact of the campaign,\n" +
		"+966500000026,Twice,,5,duplicate of line 4,\n" +
		"+966500000027,,y,6,\"empty value \"\"name\"\"\",\n"
	if diff := cmp.Diff(wantText, string(text)); diff != "" || err != nil {
		t.Errorf("%v, rejects (-want +got):\n%s", err, diff)
	}

	again, err := l.Append(t.Context(), more)
	again.RejectsFile = got.RejectsFile
	if diff := cmp.Diff(got, again); diff != "" || err != nil {
		t.Errorf("%v, again (-first +second):\n%s", err, diff)
	}
	checkAppended(t, stored(l))
	if len(queue.names) != 3 {
		t.Errorf("released %d times", len(queue.names))
	}
}

func TestColumnsOfAnAppendedFileMayStandElsewhere(t *testing.T) {
	l, _, more := appended(t, redistest.Shared(t))
	more.File = write(t, "more.csv", "Note;new;NAME;Phone\nn25;x;Person 25;+966500000025\n")
	got, err := l.Append(t.Context(), more)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{`the campaign has no column "new": left out`}, got.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	check(t, stored(l), "spring", 26)
	chunk, err := l.Store.ReadChunk(t.Context(), store.Ref{Campaign: "spring", Chunk: 3})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"+966500000025", "Person 25", "n25"}, chunk.Contacts[0].Fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

func TestAppendSetsRunning(t *testing.T) {
	for _, tt := range []struct{ before, after campaign.Phase }{
		{campaign.CanceledPhase, campaign.Running}, {campaign.Paused, campaign.Paused}, {campaign.Running, campaign.Running},
	} {
		t.Run(string(tt.before), func(t *testing.T) {
			l, _, more := appended(t, redistest.Shared(t))
			if _, _, err := stored(l).SetPhase(t.Context(), "spring", tt.before, campaign.Message{}, campaign.Running); err != nil {
				t.Fatal(err)
			}
			got, err := l.Append(t.Context(), more)
			if err != nil || got.State != tt.after {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestDryAppendStoresNothing(t *testing.T) {
	rdb := redistest.Shared(t)
	l, _, more := appended(t, rdb)
	before := dump(t, rdb)
	more.DryRun = true
	got, err := l.Append(t.Context(), more)
	if err != nil || got.Contacts != 2 || got.State != "" {
		t.Errorf("%+v, %v", got, err)
	}
	if diff := cmp.Diff(before, dump(t, rdb)); diff != "" {
		t.Errorf("Redis (-before +after):\n%s", diff)
	}
}

// A person has seen how many a list would add. What somebody has changed since adds no more.
func TestNoMoreAreAppendedThanWereSeen(t *testing.T) {
	l, _, more := appended(t, redistest.Shared(t))
	more.AtMost = 1
	if _, err := l.Append(t.Context(), more); !errors.Is(err, ErrMoreAdded) {
		t.Fatalf("2 were added in place of 1: %v", err)
	}
	check(t, stored(l), "spring", 25)
	more.AtMost = 2
	if _, err := l.Append(t.Context(), more); err != nil {
		t.Fatal(err)
	}
	checkAppended(t, stored(l))
}

// What is added is sent after what the campaign has to send already, which is told before it
// is added and after.
func TestAnAppendIsSentAfterTheRest(t *testing.T) {
	l, _, more := appended(t, redistest.Shared(t))
	l.Beside = func(_ context.Context, name, _ string) (own plan.Work, others []plan.Work, err error) {
		own = plan.Work{Rate: 1, Burst: 1}
		if name == "" {
			rest := plan.Work{PerCall: 10, Groups: []plan.Group{{Clock: &hours.Clock{}}}, Rate: 1, Burst: 1, Agent: "default", Lane: float64(campaign.LaneWeights[campaign.Normal])}
			for range 60 {
				rest.Chunks = append(rest.Chunks, []plan.Part{{Contacts: 10}})
			}
			others = append(others, rest)
		}
		return own, others, nil
	}
	for _, more.DryRun = range []bool{true, false} {
		if got, err := l.Append(t.Context(), more); err != nil || got.EstimatedSeconds < 50 {
			t.Errorf("dry run %t: after %d s, %v", more.DryRun, got.EstimatedSeconds, err)
		}
	}
}

func TestAppendsThatAreRefused(t *testing.T) {
	rdb := redistest.Shared(t)
	l, _, more := appended(t, rdb)
	rdb.HSet(t.Context(), "c:{loading}", "phase", "loading", "settings", "{}")
	if _, err := l.Launch(t.Context(), func() Request {
		r := request(t, write(t, "none.csv", "phone\nx\n"))
		r.Name = "nobody"
		return r
	}()); err != nil {
		t.Fatal(err)
	}
	tally := func() campaign.Tally {
		tally, err := l.Store.Tally(t.Context(), "spring")
		if err != nil {
			t.Fatal(err)
		}
		return tally
	}
	before := tally()
	for _, tt := range []struct{ name, campaign, file, want string }{
		{"a bad name", "a b", "phone\n", "campaign name: want"},
		{"no such campaign", "summer", "phone\n", "no such campaign"},
		{"one that is loading", "loading", "phone\n", "it is still loading"},
		{"one of nobody", "nobody", "phone\n", "it has no contacts"},
		{"a column is missing", "spring", "phone,name\n+966500000030,x\n", `the file lacks columns of the campaign: "note"; its columns are "phone", "name"`},
		{"no phone column", "spring", "name,note\nx,y\n", `no column "phone"`},
		{"a line without end", "spring", "phone,name,note\n+966500000030,سارة,\n" + strings.Repeat("x", 3<<20), "line 3: longer than"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			more.Name, more.File = tt.campaign, write(t, "more.csv", tt.file)
			_, err := l.Append(t.Context(), more)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %s", err, tt.want)
			}
			if left := rdb.Keys(t.Context(), "c:{spring}:[kl]:3").Val(); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
	if diff := cmp.Diff(before, tally()); diff != "" {
		t.Errorf("tally (-before +after):\n%s", diff)
	}
	check(t, stored(l), "spring", 25)
}

// Whichever command to Redis fails, carried out or not, the campaign is whole, and
// the same append, or another one, succeeds.
func TestWhateverRedisFailsTheNextAppendSucceeds(t *testing.T) {
	for _, after := range []bool{false, true} {
		failed := 0
		for at := int64(1); ; at++ {
			rdb := redistest.Shared(t)
			l, _, more := appended(t, rdb)
			broken := redis.NewClient(rdb.Options())
			f := &fault{at: at, after: after}
			broken.AddHook(f)
			l2, _ := newLauncher(broken)
			_, err := l2.Append(t.Context(), more)
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
			if found, err := stored(l).Verify(t.Context(), "spring"); err != nil || len(found.Problems) > 0 {
				t.Fatalf("after command %d failed (carried out: %v): %+v, %v", at, after, found, err)
			}
			if _, err := l.Append(t.Context(), more); err != nil {
				t.Fatalf("after command %d failed (carried out: %v): %v", at, after, err)
			}
			checkAppended(t, stored(l))
		}
		if failed < 8 {
			t.Errorf("only %d commands could fail an append", failed)
		}
	}
}

func TestInterruptedAppendIsTakenOverByAnother(t *testing.T) {
	rdb := redistest.Shared(t)
	l, queue, more := appended(t, rdb)
	first := more
	first.File = write(t, "long.csv", strings.ReplaceAll(people(5000), "+96650", "+96651"))
	ctx, interrupt := context.WithCancel(t.Context())
	l.Progress = func(_, _ int64, rows int) {
		if rows == 3000 {
			interrupt()
		}
	}
	_, err := l.Append(ctx, first)
	var unfinished *UnfinishedError
	if !errors.As(err, &unfinished) || !unfinished.Append || !strings.Contains(err.Error(), "nobody of the file is added to spring: the same command starts anew") {
		t.Fatalf("error %v", err)
	}
	if len(rdb.Keys(t.Context(), "c:{spring}:k:*").Val()) < 100 || len(queue.names) != 1 {
		t.Fatal("it was not interrupted in mid-append")
	}
	check(t, stored(l), "spring", 25)
	l.Progress = nil
	if _, err := l.Append(t.Context(), more); err != nil {
		t.Fatal(err)
	}
	checkAppended(t, stored(l))
	if left := rdb.Keys(t.Context(), "c:{spring}:k:*").Val(); len(left) != 4 {
		t.Errorf("%d chunks, want 4", len(left))
	}
}
