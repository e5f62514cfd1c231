package store

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/internal/numberscan"
	"campaign-runner/internal/redistest"
)

// lived is a campaign of 5 contacts, two to a chunk, of which everything has been
// kept that can be, and which is over: one accepted and ended, one rejected, three
// canceled.
func lived(t *testing.T, s *Store) campaign.Campaign {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	with := testCampaign("sale", 2)
	with.Settings.WebhookURL = "https://events.example.org"
	load, err := s.BeginLoad(ctx, with)
	must(err)
	must(load.Add(ctx, 0, people(0, 2)))
	must(load.Add(ctx, 1, people(2, 3)))
	must(load.AddRejects(ctx, []byte("phone,line,reason,original\n"+person(90).Phone.E164()+",9,bad,\n")))
	must(load.AddIndex(ctx, indexOf(3)))
	counts := campaign.Counts{Rows: 4, Contacts: 3, Invalid: 1, Refused: map[string]int{"bad": 1}}
	must(load.Finish(ctx, counts, 2, campaign.Running))
	more, err := s.BeginAppend(ctx, "sale", "more")
	must(err)
	must(more.Add(ctx, 0, people(3, 5)))
	must(more.AddIndex(ctx, maps.All(map[campaign.Phone]int{person(3).Phone: 0, person(4).Phone: 1})))
	_, err = more.Finish(ctx, Appended{Counts: campaign.Counts{Rows: 2, Contacts: 2}, Chunks: 1})
	must(err)

	ref := Ref{Campaign: "sale"}
	chunk := begin(t, s, ref, "w/1", 0, 1)
	why, err := s.ReasonCode(ctx, "sale", campaign.Text("422: no such subscriber"))
	must(err)
	answered := moves(campaign.Accept, 0)
	answered = append(answered, Move{Index: 1, Move: campaign.Move{Cause: campaign.Reject, Reason: why, At: noon}})
	apply(t, s, chunk, Change{Act: Commit, Token: "w/1", Moves: answered, Log: Decision{By: "w", Action: ActionRequest}})
	must(s.UpdateOutcomes(ctx, ref, []int{0}, func(int, campaign.Outcome) (campaign.Outcome, []campaign.Turn) {
		o := campaign.Outcome{Started: noon, Extraction: []byte(`{"call_me":"` + person(0).Phone.E164() + `"}`)}
		return o, []campaign.Turn{{Role: "customer", Text: "it is " + person(0).Phone.E164()}}
	}))
	apply(t, s, chunk, Change{Act: Commit, Moves: moves(campaign.End, 0)})
	_, err = s.SetTicket(ctx, Place{ref, 0}, nil, &campaign.Ticket{State: campaign.TicketDue, Reason: campaign.Text("call " + person(0).Phone.E164())}, time.Hour, 5)
	must(err)
	must(s.UpdateFollow(ctx, Place{ref, 0}, 5, func(f *campaign.Follow) (FollowDue, bool) {
		f.Hear("my number is "+person(0).Phone.E164(), noon)
		f.Read("open", []campaign.Turn{{Role: "agent", Text: "we call " + person(0).Phone.E164()}}, noon)
		return FollowDue{}, true
	}))
	event := []byte(`{"phone":"` + person(0).Phone.E164() + `"}`)
	_, err = s.KeepUnmatched(ctx, "sale", []Unmatched{{Event: Event{At: time.Now(), Body: event}, Why: campaign.Text("no such number")}})
	must(err)
	for _, name := range []string{"sale", "other", "sale"} {
		body := event
		if name == "other" {
			body = []byte("of somebody else")
		}
		must(s.AddEvent(ctx, Event{Campaign: name, Body: body}))
	}
	now, err := s.Now(ctx)
	must(err)
	_, err = s.TakeSample(ctx, "sale", now)
	must(err)
	must(s.Log(ctx, "sale", Decision{By: "ops", Action: ActionPause}))
	_, _, err = s.SetPhase(ctx, "sale", campaign.CanceledPhase, campaign.Message{}, campaign.Running)
	must(err)
	for n := 1; n < 3; n++ {
		rest := read(t, s, Ref{Campaign: "sale", Chunk: n})
		apply(t, s, rest, Change{Act: Steer, Moves: moves(campaign.Cancel, rest.In(campaign.Pending)...), Log: Decision{By: "ops", Action: ActionCancel}})
	}
	c, err := s.Campaign(ctx, "sale")
	must(err)
	return c
}

// numbersIn are the keys of Redis in which the number of one of the people stands.
func numbersIn(t *testing.T, s *Store, people ...int) []string {
	t.Helper()
	var numbers []numberscan.Number
	for _, n := range people {
		international := strings.TrimPrefix(person(n).Phone.E164(), "+")
		numbers = append(numbers, numberscan.Number{International: international, National: international[len("966"):]})
	}
	return numberscan.Find(t, s.rdb, numbers...)
}

// everybody are the people of lived, those of its refused lines too.
var everybody = []int{0, 1, 2, 3, 4, 90}

// onlyKept checks that no key is left but those that a purge is to keep.
func onlyKept(t *testing.T, s *Store) {
	t.Helper()
	kept := keysOf("sale", keptKeys)
	for _, key := range s.rdb.Keys(t.Context(), keyCampaign("sale")+"*").Val() {
		if !slices.Contains(kept, key) {
			t.Errorf("%s is left", key)
		}
	}
}

func TestPurgeLeavesNoNumber(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		before := lived(t, s)
		wantBefore := []string{"c:{sale}:follows:0", "c:{sale}:hist:0", "c:{sale}:idx", "c:{sale}:k:0", "c:{sale}:k:1", "c:{sale}:k:2", "c:{sale}:out:0", "c:{sale}:rejects", "c:{sale}:tickets:0", "c:{sale}:unmatched", "events"}
		if diff := cmp.Diff(wantBefore, numbersIn(t, s, everybody...)); diff != "" {
			t.Errorf("numbers before (-want +got):\n%s", diff)
		}
		tally, err := s.Tally(ctx, "sale")
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // a second one changes nothing
			if err := s.Purge(ctx, "sale"); err != nil {
				t.Fatal(err)
			}
			if keys := numbersIn(t, s, everybody...); len(keys) > 0 {
				t.Errorf("numbers are left in %q", keys)
			}
		}
		onlyKept(t, s)
		if waiting, err := s.WaitingEvents(ctx); err != nil || waiting < 1 || waiting > 2 { // every script twice stores it twice
			t.Errorf("%d events wait, %v", waiting, err)
		}
		after, err := s.Campaign(ctx, "sale")
		if err != nil || after.PurgedAt.IsZero() || after.Kept() == nil || after.PurgeBegan.After(after.PurgedAt) {
			t.Fatalf("%+v, %v", after, err)
		}
		after.PurgeBegan, after.PurgedAt = time.Time{}, time.Time{}
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("campaign (-before +after):\n%s", diff)
		}
		if still, err := s.Tally(ctx, "sale"); err != nil || !cmp.Equal(tally, still) {
			t.Errorf("tally %+v, %v, was %+v", still, err, tally)
		}
		if v, err := s.Verify(ctx, "sale"); err != nil || !v.Purged || v.Contacts != 5 || len(v.Problems) > 0 {
			t.Errorf("verified %+v, %v", v, err)
		}
	})
}

// A write that began before the purge is refused after it.
func TestNothingIsWrittenAfterAPurge(t *testing.T) {
	s := New(redistest.Shared(t))
	ctx := t.Context()
	lived(t, s)
	ref := Ref{Campaign: "sale"}
	chunk := read(t, s, ref)
	more, err := s.BeginAppend(ctx, "sale", "late")
	if err != nil {
		t.Fatal(err)
	}
	if err := more.Add(ctx, 0, people(5, 6)); err != nil {
		t.Fatal(err)
	}
	if err := s.Purge(ctx, "sale"); err != nil {
		t.Fatal(err)
	}
	// As if the purge had only begun.
	s.rdb.HDel(ctx, keyCampaign("sale"), "purged_at")
	s.rdb.Set(ctx, keyLedger(ref), []byte(chunk.ledger), 0)

	if _, err := s.Apply(ctx, chunk, Change{Act: Steer, Moves: moves(campaign.Rerun, 1)}); !errors.Is(err, ErrGone) {
		t.Errorf("rerun: %v", err)
	}
	if err := more.Add(ctx, 1, people(6, 7)); !errors.Is(err, ErrLoadLost) {
		t.Errorf("append: %v", err)
	}
	if _, err := s.BeginAppend(ctx, "sale", "again"); err == nil || !strings.Contains(err.Error(), "purged on") {
		t.Errorf("begin append: %v", err)
	}
	if _, err := s.KeepUnmatched(ctx, "sale", []Unmatched{{Event: Event{At: time.Now(), Body: []byte("x")}}}); err != nil {
		t.Error(err)
	}
	err = s.UpdateOutcomes(ctx, ref, []int{1}, func(int, campaign.Outcome) (campaign.Outcome, []campaign.Turn) {
		return campaign.Outcome{Started: noon}, nil
	})
	if !errors.Is(err, ErrMoved) {
		t.Errorf("outcomes: %v", err)
	}
	if _, err := s.BeginLoad(ctx, testCampaign("sale", 2)); !errors.Is(err, ErrExists) {
		t.Errorf("load: %v", err)
	}
	if v, err := s.Verify(ctx, "sale"); err != nil || len(v.Problems) != 1 {
		t.Errorf("verified %+v, %v", v, err)
	}
	if err := s.Purge(ctx, "sale"); err != nil {
		t.Fatal(err)
	}
	onlyKept(t, s)
}

func TestPurgeOnlyWhatIsOver(t *testing.T) {
	s := New(redistest.Shared(t))
	ctx := t.Context()
	launch(t, s, "sale", 2, 2, campaign.Running)
	begin(t, s, Ref{Campaign: "sale"}, "w/1", 0, 1)
	if _, err := s.BeginLoad(ctx, testCampaign("loading", 2)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{"sale": ErrNotOver, "loading": ErrNotFound, "gone": ErrNotFound} {
		if err := s.Purge(ctx, name); !errors.Is(err, want) || !strings.HasPrefix(err.Error(), "purge "+name+": ") {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
	if got := states(t, s, Ref{Campaign: "sale"}); got != "sending sending" {
		t.Errorf("contacts are %s", got)
	}
}

// An empty campaign can be loaded anew, and then has personal data again.
func TestLoadAfterAPurgeOfNobody(t *testing.T) {
	s := New(redistest.Shared(t))
	if c := launch(t, s, "sale", 0, 2, campaign.Running); c.EndedAt.IsZero() {
		t.Error("an empty campaign is not over")
	}
	if err := s.Purge(t.Context(), "sale"); err != nil {
		t.Fatal(err)
	}
	c := launch(t, s, "sale", 2, 2, campaign.Running)
	if err := c.Kept(); err != nil || !c.EndedAt.IsZero() {
		t.Errorf("%v, ended at %v", err, c.EndedAt)
	}
}

func TestWhenACampaignIsOver(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		launch(t, s, "sale", 3, 2, campaign.Running)
		ended := func() time.Time {
			c, err := s.Campaign(t.Context(), "sale")
			if err != nil {
				t.Fatal(err)
			}
			return c.EndedAt
		}
		for n, contacts := range [][]int{{0, 1}, {0}} {
			if at := ended(); !at.IsZero() {
				t.Errorf("over at %v, before chunk %d", at, n)
			}
			apply(t, s, read(t, s, Ref{Campaign: "sale", Chunk: n}), Change{Act: Steer, Moves: moves(campaign.Cancel, contacts...)})
		}
		first := ended()
		if first.IsZero() {
			t.Fatal("never over")
		}
		s.rdb.HSet(t.Context(), keyCampaign("sale"), "ended_at", 1)
		chunk := read(t, s, Ref{Campaign: "sale"})
		apply(t, s, chunk, Change{Act: Steer, Moves: moves(campaign.Rerun, 0)})
		apply(t, s, chunk, Change{Act: Steer, Moves: moves(campaign.Cancel, 0)})
		if again := ended(); again.Before(first) {
			t.Errorf("over at %v after a rerun, at %v before", again, first)
		}
	})
}

func TestPurgeWithoutRedis(t *testing.T) {
	boom := errors.New("boom")
	for _, command := range []string{"unlink", "xrange"} {
		rdb := redistest.Shared(t)
		s := New(rdb)
		lived(t, s)
		rdb.AddHook(failing{command, boom})
		if err := s.Purge(t.Context(), "sale"); !errors.Is(err, boom) || !strings.HasPrefix(err.Error(), "purge sale: ") {
			t.Errorf("%s: %v", command, err)
		}
		if c, err := s.Campaign(t.Context(), "sale"); err != nil || c.Kept() == nil || !c.PurgedAt.IsZero() {
			t.Errorf("%s: purged at %v, %v", command, c.PurgedAt, err)
		}
	}
	if err := closedStore().Purge(t.Context(), "sale"); !errors.Is(err, redis.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// Every key of a campaign is on one of the lists, so that no purge forgets one.
func TestEveryKeyIsListed(t *testing.T) {
	listed := make(map[string]bool)
	for _, key := range slices.Concat(keptKeys, personalKeys) {
		listed[key("sale")] = true
	}
	for _, key := range personalChunkKeys {
		listed[strings.TrimSuffix(key(Ref{Campaign: "sale"}), "0")+"%d"] = true
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	suffix := regexp.MustCompile(`(?:keyCampaign\(name\) \+ |r\.key\()"(:?[a-z_:]+)"`)
	found := 0
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, match := range suffix.FindAllSubmatch(source, -1) {
			found++
			suffix := string(match[1])
			if suffix[0] != ':' { // a chunk's
				suffix = ":" + suffix + ":%d"
			}
			if key := keyCampaign("sale") + suffix; !listed[key] {
				t.Errorf("%s: %s is on no list of keys.go", file, key)
			}
		}
	}
	if found < len(listed)-2 { // the campaign itself and the appended rejects are named otherwise
		t.Errorf("found %d keys in the source, %d are listed", found, len(listed))
	}
}
