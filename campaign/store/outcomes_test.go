package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
	"campaign-runner/internal/redistest"
)

var told = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestOutcomes(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		launch(t, s, "sale", 4, 2, campaign.Running)
		ref := Ref{Campaign: "sale", Chunk: 1}
		want := campaign.Outcome{Conversation: "a", Started: told, Exchanges: []uint32{1}, Extraction: json.RawMessage(`{"b":"<1>","a":{}}`), Turns: 2}
		turns := []campaign.Turn{{Role: "customer", Text: "مرحبا", At: told}, {Role: "agent", Text: "hello", At: told}}
		for range 2 { // the second changes nothing
			err := s.UpdateOutcomes(t.Context(), ref, []int{0, 1}, func(index int, o campaign.Outcome) (campaign.Outcome, []campaign.Turn) {
				if index == 0 {
					return o, nil // nothing was told
				}
				return want, turns
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.Outcomes(t.Context(), ref)
		want.Extraction = json.RawMessage(`{"b":"\u003c1\u003e","a":{}}`)
		if diff := cmp.Diff(map[int]campaign.Outcome{1: want}, got); err != nil || diff != "" {
			t.Errorf("%v, outcomes (-want +got):\n%s", err, diff)
		}
		history, err := s.History(t.Context(), ref, 1)
		if diff := cmp.Diff(turns, history); err != nil || diff != "" {
			t.Errorf("%v, history (-want +got):\n%s", err, diff)
		}
		if history, err := s.History(t.Context(), ref, 0); err != nil || history != nil {
			t.Errorf("history of a contact nothing was told of: %v, %v", history, err)
		}
		keys, err := s.ExtractionKeys(t.Context(), "sale")
		if diff := cmp.Diff([]string{"a", "b"}, keys); err != nil || diff != "" {
			t.Errorf("%v, keys (-want +got):\n%s", err, diff)
		}
	})
}

// TestOutcomesOfSeveralAtOnce lets several count exchanges of the same contacts.
func TestOutcomesOfSeveralAtOnce(t *testing.T) {
	s := New(redistest.Shared(t))
	launch(t, s, "sale", 2, 2, campaign.Running)
	ref := Ref{Campaign: "sale"}
	var g sync.WaitGroup
	const writers, each = 3, 5
	for w := range writers {
		g.Go(func() {
			for n := range each {
				err := s.UpdateOutcomes(t.Context(), ref, []int{0, 1}, func(_ int, o campaign.Outcome) (campaign.Outcome, []campaign.Turn) {
					o.Started = told
					return o.WithExchange(uint32(w*each + n)), nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	g.Wait()
	got, err := s.Outcomes(t.Context(), ref)
	if err != nil || len(got[0].Exchanges) != writers*each || len(got[1].Exchanges) != writers*each {
		t.Errorf("%v, %v", got, err)
	}
}

func TestOutcomesOfACampaignThatIsGone(t *testing.T) {
	s := New(redistest.Shared(t))
	err := s.UpdateOutcomes(t.Context(), Ref{Campaign: "gone"}, []int{0}, func(_ int, o campaign.Outcome) (campaign.Outcome, []campaign.Turn) {
		return campaign.Outcome{Started: told, Extraction: json.RawMessage(`{"a":1}`)}, []campaign.Turn{{Text: "hello"}}
	})
	if !errors.Is(err, ErrMoved) {
		t.Errorf("got %v, want ErrMoved", err)
	}
	if keys := s.rdb.Keys(t.Context(), "*").Val(); !slices.Equal(keys, []string{keyLive}) { // a name, for a while
		t.Errorf("left behind: %v", keys)
	}
}

func TestExtractionKeysAreBounded(t *testing.T) {
	s := New(redistest.Shared(t))
	launch(t, s, "sale", 1, 1, campaign.Running)
	fields := map[string]int{"": 1, strings.Repeat("k", maxKeyBytes+1): 1}
	for n := range 2 * maxExtractionKeys {
		fields[fmt.Sprint("key", n)] = n
	}
	extraction, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	err = s.UpdateOutcomes(t.Context(), Ref{Campaign: "sale"}, []int{0}, func(int, campaign.Outcome) (campaign.Outcome, []campaign.Turn) {
		return campaign.Outcome{Started: told, Extraction: extraction}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := s.ExtractionKeys(t.Context(), "sale")
	if err != nil || len(keys) != maxExtractionKeys || !strings.HasPrefix(keys[0], "key") {
		t.Errorf("%d keys, %v", len(keys), err)
	}
}

func TestDamagedOutcomes(t *testing.T) {
	s := New(redistest.Shared(t))
	launch(t, s, "sale", 2, 2, campaign.Running)
	ctx, ref := t.Context(), Ref{Campaign: "sale"}
	s.rdb.HSet(ctx, keyOutcomes(ref), "1", "damaged")
	s.rdb.HSet(ctx, keyHistories(ref), "1", "damaged")
	same := func(_ int, o campaign.Outcome) (campaign.Outcome, []campaign.Turn) { return o, nil }
	if err := s.UpdateOutcomes(ctx, ref, []int{1}, same); err == nil {
		t.Error("update: no error")
	}
	if _, err := s.Outcomes(ctx, ref); err == nil {
		t.Error("read: no error")
	}
	if _, err := s.History(ctx, ref, 1); err == nil {
		t.Error("history: no error")
	}
	s.rdb.HSet(ctx, keyOutcomes(ref), "x", "{}")
	if _, err := s.Outcomes(ctx, ref); err == nil {
		t.Error("a bad index: no error")
	}
}

func TestEventsErrorsNameTheOperation(t *testing.T) {
	s, ctx, ref := closedStore(), t.Context(), Ref{Campaign: "sale"}
	same := func(_ int, o campaign.Outcome) (campaign.Outcome, []campaign.Turn) { return o, nil }
	for want, do := range map[string]func() error{
		"read outcomes of chunk sale/0: ":        func() error { _, err := s.Outcomes(ctx, ref); return err },
		"read outcomes of chunk sale/0: redis":   func() error { return s.UpdateOutcomes(ctx, ref, []int{0}, same) },
		"history of contact 0 of chunk sale/0: ": func() error { _, err := s.History(ctx, ref, 0); return err },
		"read extraction keys of sale: ":         func() error { _, err := s.ExtractionKeys(ctx, "sale"); return err },
		"store event of sale: ":                  func() error { return s.AddEvent(ctx, Event{Campaign: "sale"}) },
		"read events: ":                          func() error { _, err := s.NextEvents(ctx, 1, 1); return err },
		"take over events: ":                     func() error { _, err := s.StaleEvents(ctx, 1, 1); return err },
		"make group of events: ":                 func() error { return s.makeEventGroup(ctx) },
		"end events of sale: ":                   func() error { return s.EndEvents(ctx, "sale", nil, make([]Event, 1)) },
		"count events: ":                         func() error { _, err := s.WaitingEvents(ctx); return err },
		"keep unmatched events of sale: ":        func() error { _, err := s.KeepUnmatched(ctx, "sale", make([]Unmatched, 1)); return err },
		"look for unmatched events: ":            func() error { _, err := s.HaveUnmatched(ctx, []string{"sale"}); return err },
		"read unmatched events of sale: ":        func() error { _, err := s.Unmatched(ctx, "sale", 0, 1); return err },
		"drop unmatched events of sale: ":        func() error { return s.Matched(ctx, "sale", []string{"a"}) },
		"read event counts of sale: ":            func() error { _, err := s.EventCounts(ctx, "sale"); return err },
	} {
		if err := do(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %q and the reason", err, want)
		}
	}
}

func TestEvents(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		for range 2 {
			if _, err := s.NextEvents(ctx, 1, time.Millisecond); err != nil { // the first makes the group
				t.Fatal(err)
			}
		}
		if err := s.AddEvent(ctx, Event{Campaign: "sale", Contact: 7, Body: []byte("a\x00b")}); err != nil {
			t.Fatal(err)
		}
		taken, err := s.NextEvents(ctx, 10, time.Millisecond)
		if err != nil || len(taken) == 0 || taken[0].Contact != 7 || taken[0].Campaign != "sale" || string(taken[0].Body) != "a\x00b" ||
			time.Since(taken[0].At).Abs() > time.Minute {
			t.Fatalf("%+v, %v", taken, err)
		}
		again, err := s.StaleEvents(ctx, 10, 0)
		if diff := cmp.Diff(taken, again); err != nil || diff != "" {
			t.Errorf("%v, taken over (-want +got):\n%s", err, diff)
		}
		for range 2 {
			if err := s.EndEvents(ctx, "sale", taken, nil); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := s.WaitingEvents(ctx); n != 0 || err != nil {
			t.Errorf("%d wait, %v", n, err)
		}
		if counts, err := s.EventCounts(ctx, "sale"); err != nil || counts.Applied != len(taken) {
			t.Errorf("%+v, %v, want %d applied", counts, err, len(taken))
		}
	})
}

// Events that always fail keep nobody from those behind them.
func TestStaleEventsAreTakenInTurn(t *testing.T) {
	s := New(redistest.Shared(t))
	ctx := t.Context()
	if err := s.makeEventGroup(ctx); err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for range 5 {
		if err := s.AddEvent(ctx, Event{Campaign: "sale"}); err != nil {
			t.Fatal(err)
		}
	}
	added, err := s.NextEvents(ctx, 10, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range append(added, added...) { // and again from the first
		want = append(want, e.ID)
	}
	for range 6 {
		events, err := s.StaleEvents(ctx, 2, 0) // none of which is ended
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			got = append(got, e.ID)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("taken over (-want +got):\n%s", diff)
	}
}
