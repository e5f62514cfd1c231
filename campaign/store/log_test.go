package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/internal/redistest"
)

// readLog is all of a campaign's log.
func readLog(t testing.TB, s *Store, name string) (all []Decision) {
	t.Helper()
	log := s.ReadLog(name)
	for {
		d, ok, err := log.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return all
		}
		all = append(all, d)
	}
}

var withoutTime = cmpopts.IgnoreFields(Decision{}, "At")

func TestLogTellsWhatWasWritten(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		launch(t, s, "sale", 14, 7, campaign.Running)
		ref := Ref{Campaign: "sale", Chunk: 1}
		chunk := begin(t, s, ref, "w/1", 0, 1, 2, 3, 5, 6)
		why, err := s.ReasonCode(t.Context(), "sale", campaign.Text("422: not a number"))
		if err != nil {
			t.Fatal(err)
		}
		answered := moves(campaign.Accept, 0, 1, 3, 5, 6)
		answered = append(answered, Move{Index: 2, Move: campaign.Move{Cause: campaign.Reject, Reason: why, At: noon}})
		apply(t, s, chunk, Change{
			Act: Commit, Token: "w/1", Moves: answered, Log: Decision{By: "worker w", Action: ActionRequest, Text: campaign.Text("422"), Request: "1-1"},
		})
		apply(t, s, chunk, Change{Act: Steer, Moves: moves(campaign.Cancel, 4), Log: Decision{By: "ops@desk", Action: ActionCancel}})
		apply(t, s, chunk, Change{Act: Steer, Moves: moves(campaign.Cancel, 4), Log: Decision{By: "late@desk", Action: ActionCancel}})

		sending, pending := campaign.Sending, campaign.Pending
		want := []Decision{
			{By: "worker w", Action: ActionRequest, Text: campaign.Text("422"), Chunk: 1, Request: "1-1", Moved: []Fate{
				{From: sending, To: campaign.Accepted, Contacts: []Span{{0, 1}, {3, 3}, {5, 6}}},
				{From: sending, To: campaign.Rejected, Reason: why, Contacts: []Span{{2, 2}}},
			}},
			{By: "ops@desk", Action: ActionCancel, Chunk: 1, Moved: []Fate{{From: pending, To: campaign.Canceled, Contacts: []Span{{4, 4}}}}},
		}
		got := readLog(t, s, "sale")
		if diff := cmp.Diff(want, got, withoutTime); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
		if f := got[0].Moved[0]; f.Count() != 5 || !f.Has(3) || f.Has(2) || f.Has(4) {
			t.Errorf("%+v: count %d", f, f.Count())
		}
	})
}

func TestLogIsReadInOrderOfTime(t *testing.T) {
	s := New(redistest.Shared(t))
	launch(t, s, "sale", 2, 2, campaign.Running)
	add := func(key, id, by string) {
		values := []any{"by", by, "action", "pause", "text", ""}
		if key == keyChunksLog("sale") {
			values = append(values, "chunk", 0, "moved", "0>1:0=0")
		}
		if err := s.rdb.XAdd(t.Context(), &redis.XAddArgs{Stream: key, ID: id, Values: values}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	add(keyChunksLog("sale"), "1000-0", "b")
	add(keyLog("sale"), "999-3", "a")
	add(keyLog("sale"), "2000-1", "c")
	for i := range logPage + 1 { // more than one page
		add(keyChunksLog("sale"), fmt.Sprintf("3000-%d", i), "d")
	}
	log := s.ReadLog("sale")
	var order strings.Builder
	next := func() bool {
		d, ok, err := log.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		order.WriteString(d.By)
		return ok
	}
	for next() {
	}
	add(keyLog("sale"), "4000-0", "e")
	next()
	if want := "abc" + strings.Repeat("d", logPage+1) + "e"; order.String() != want {
		t.Errorf("read %q", order.String())
	}
}

func TestLogOfTheWholeCampaign(t *testing.T) {
	s := New(redistest.Shared(t))
	launch(t, s, "sale", 2, 2, campaign.Running)
	before, err := s.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []Decision{
		{By: "dashboard", Action: ActionPause, Text: campaign.Text(strings.Repeat("م", maxLogText))},
		{Action: ActionResume},
	} {
		if err := s.Log(t.Context(), "sale", d); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Log(t.Context(), "gone", Decision{Action: ActionPause}); err != nil {
		t.Error(err)
	}
	if n := s.rdb.Exists(t.Context(), keyLog("gone")).Val(); n != 0 {
		t.Error("a campaign that is not there has a log")
	}
	got := readLog(t, s, "sale")
	if len(got) != 2 || got[0].By != "dashboard" || got[1].By != processUser() || got[1].By == "" {
		t.Fatalf("log %+v", got)
	}
	if text := got[0].Text.String(); text != strings.Repeat("م", maxLogText/2)+"…" {
		t.Errorf("text of %d bytes: %s", len(text), text)
	}
	if at := got[0].At; at.Before(before.Truncate(time.Millisecond)) {
		t.Errorf("written at %v, before %v", at, before)
	}
}

func TestLogOfAContactThatIsNotMoved(t *testing.T) {
	s := New(redistest.Shared(t))
	launch(t, s, "sale", 3, 2, campaign.Running)
	begin(t, s, Ref{Campaign: "sale"}, "w/1", 1)
	d := Decision{By: "stop word", Action: ActionOptOut}
	for _, at := range []Place{
		{Ref{Campaign: "sale"}, 1}, {Ref{Campaign: "sale", Chunk: 1}, 1}, {Ref{Campaign: "sale", Chunk: 2}, 0}, {Ref{Campaign: "gone"}, 0},
	} {
		if err := s.LogContact(t.Context(), at.Ref, at.Index, d); err != nil {
			t.Errorf("%v: %v", at, err)
		}
	}
	want := d
	want.Moved = []Fate{{From: campaign.Sending, To: campaign.Sending, Contacts: []Span{{1, 1}}}}
	if diff := cmp.Diff([]Decision{want}, readLog(t, s, "sale"), withoutTime); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	if n := s.rdb.Exists(t.Context(), keyChunksLog("gone")).Val(); n != 0 {
		t.Error("a campaign that is not there has a log")
	}
}

// What is written of contacts stands although the log is damaged.
func TestChangeStandsWithoutItsLog(t *testing.T) {
	s := New(redistest.Shared(t))
	launch(t, s, "sale", 2, 2, campaign.Running)
	s.rdb.Set(t.Context(), keyChunksLog("sale"), "no stream", 0)
	chunk := read(t, s, Ref{Campaign: "sale"})
	done := apply(t, s, chunk, Change{Act: Steer, Moves: moves(campaign.Cancel, 0), Log: Decision{Action: ActionCancel}})
	if len(done.Moved) != 1 {
		t.Errorf("moved %v", done.Moved)
	}
	mustAddUp(t, s, "sale")
}

func TestDamagedLog(t *testing.T) {
	for _, tt := range []struct{ name, field, value, want string }{
		{"a chunk that is no number", "chunk", "x", "chunk: "},
		{"a fate without states", "moved", "0=1", "moved: "},
		{"a contact that is no number", "moved", "0>1:0=x", "moved: "},
		{"a run without an end", "moved", "0>1:0=3-", "moved: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := New(redistest.Shared(t))
			values := map[string]any{"chunk": "0", "moved": "0>1:0=1"}
			values[tt.field] = tt.value
			s.rdb.XAdd(t.Context(), &redis.XAddArgs{Stream: keyChunksLog("sale"), ID: "5-1", Values: values})
			_, _, err := s.ReadLog("sale").Next(t.Context())
			if err == nil || !strings.HasPrefix(err.Error(), "read log: entry 5-1: "+tt.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	_, _, err := closedStore().ReadLog("sale").Next(t.Context())
	if !errors.Is(err, redis.ErrClosed) || !strings.HasPrefix(err.Error(), "read log: ") {
		t.Errorf("got %v", err)
	}
}
