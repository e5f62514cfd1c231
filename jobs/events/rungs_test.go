package events

import (
	"context"
	"errors"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// rungs is a stage with one contact whose conversation a has ended without an answer.
func rungs(t *testing.T, texts ...string) *stage {
	t.Helper()
	s := newStage(t, 1)
	s.edit(func(to *campaign.Settings) { to.Then = laddersOf(t, texts...) })
	s.does(store.Steer, campaign.Move{Cause: campaign.Send}, campaign.Move{Cause: campaign.Accept})
	s.post("c", eventOf("onEnded", 0, "a", `{}`))
	s.applyAll()
	return s
}

func laddersOf(t *testing.T, texts ...string) (list []campaign.Ladder) {
	t.Helper()
	for _, text := range texts {
		l, err := campaign.ParseLadder(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, l)
	}
	return list
}

var sale0 = store.Ref{Campaign: "c"}

// does makes things happen to contact 0, now.
func (s *stage) does(act store.Act, moves ...campaign.Move) {
	s.t.Helper()
	for _, move := range moves {
		move.At = time.Now()
		chunk, err := s.store.ReadChunk(s.t.Context(), sale0)
		if err != nil {
			s.t.Fatal(err)
		}
		done, err := s.store.Apply(s.t.Context(), chunk, store.Change{Act: act, Moves: []store.Move{{Move: move}}})
		if err != nil || len(done.Moved) == 0 {
			s.t.Fatalf("%+v: %+v, %v", move, done, err)
		}
	}
}

func (s *stage) record() campaign.Record {
	s.t.Helper()
	chunk, err := s.store.ReadLedger(s.t.Context(), sale0)
	if err != nil {
		s.t.Fatal(err)
	}
	return chunk.Record(0)
}

const spoke = `{"message":{"customer":"yes","agent":"good","timestamp":"2026-03-01T09:00:00Z"}}`

var firstRung = campaign.Move{Cause: campaign.Climb, Rung: 1}

func TestALateEventTakesAContactOffItsRung(t *testing.T) {
	for _, tt := range []struct {
		name  string
		then  []string
		event string
		state campaign.State
		rung  uint8
	}{
		{"an answer", []string{"ended.no_answer:2h"}, eventOf("onMessage", 0, "a", spoke), campaign.Ended, 0},
		{"an answer in a conversation without a name", []string{"ended.no_answer:2h"}, eventOf("onMessage", 0, "", spoke), campaign.Ended, 0},
		{"the end again", []string{"ended.no_answer:2h"}, eventOf("onEnded", 0, "a", `{}`), campaign.Pending, 1},
		{"a start that comes late", []string{"ended.no_answer:2h"}, eventOf("onStarted", 0, "a", `{}`), campaign.Pending, 1},
		{"an answer, and another rule that asks", []string{"ended.no_answer:2h", "state=ended:1d"}, eventOf("onMessage", 0, "a", spoke), campaign.Pending, 1},
		{"an answer, and a rule about a cell", []string{"ended.no_answer:2h", "column.phone!=x:1d"}, eventOf("onMessage", 0, "a", spoke), campaign.Pending, 1},
		{"an opt-out, whatever the rule", []string{"state=ended:2h"}, eventOf("onMessage", 0, "a", `{"message":{"customer":"STOP","agent":"","timestamp":"2026-03-01T09:00:00Z"}}`), campaign.Ended, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := rungs(t, tt.then...)
			s.does(store.Steer, firstRung)
			sender, err := s.store.ReadChunk(t.Context(), sale0) // which prepares its request
			if err != nil {
				t.Fatal(err)
			}
			s.post("c", tt.event)
			s.applyAll()
			r := s.record()
			if r.State != tt.state || r.Rung != tt.rung || s.outcome(0).Rung != 0 {
				t.Errorf("%+v, %+v", r, s.outcome(0))
			}
			_, err = s.store.Apply(t.Context(), sender, store.Change{
				Act: store.Begin, Token: "w/1", ClaimTTL: time.Minute, Moves: []store.Move{{Move: campaign.Move{Cause: campaign.Send, At: time.Now()}}},
			})
			if off := tt.state != campaign.Pending; off != errors.Is(err, store.ErrMoved) {
				t.Errorf("off %v, and its begin: %v", off, err)
			}
			s.verify()
		})
	}
}

// An answer takes a contact off its rung also when there are no rules any more.
func TestALateAnswerWhenThereAreNoRulesAnyMore(t *testing.T) {
	s := rungs(t, "ended.no_answer:2h")
	s.does(store.Steer, firstRung)
	s.edit(func(to *campaign.Settings) { to.Then = nil })
	s.post("c", eventOf("onMessage", 0, "a", spoke))
	s.applyAll()
	if r := s.record(); r.State != campaign.Ended || r.Rung != 0 {
		t.Errorf("%+v", r)
	}
}

// An event of a conversation before the one before, told once more, takes nobody off a rung.
func TestAnOldEventOnceMore(t *testing.T) {
	s := rungs(t, "ended.no_answer:1h,1h,1h", "state=failed:1h,1h,1h")
	s.does(store.Steer, firstRung, campaign.Move{Cause: campaign.Send}, campaign.Move{Cause: campaign.Fail}, campaign.Move{Cause: campaign.Climb, Rung: 2})
	s.post("c", eventOf("onEnded", 0, "a", `{}`))
	s.applyAll()
	if r := s.record(); !r.WaitsForRung() || r.Rung != 2 {
		t.Errorf("%+v", r)
	}
}

// An answer counts also when the rung that its contact waited for was canceled.
func TestAnAnswerAfterItsRungWasCanceled(t *testing.T) {
	s := rungs(t, "ended.no_answer:2h")
	s.does(store.Steer, firstRung, campaign.Move{Cause: campaign.Cancel})
	if r := s.record(); !r.MayHaveBeenReached() {
		t.Errorf("canceled: %+v", r)
	}
	s.post("c", eventOf("onMessage", 0, "a", spoke))
	s.applyAll()
	if r := s.record(); !r.State.Evidence() || r.InDoubt {
		t.Errorf("%+v", r)
	}
	s.verify()
}

// After a try of the rung an event counts as one of the conversation before only by its name.
func TestALateEventAfterATryOfTheRung(t *testing.T) {
	for conversation, want := range map[string]campaign.State{"a": campaign.Ended, "b": campaign.Started} {
		s := rungs(t, "ended.no_answer:2h")
		s.does(store.Steer, firstRung, campaign.Move{Cause: campaign.Send}, campaign.Move{Cause: campaign.Retry, InDoubt: true})
		s.post("c", eventOf("onMessage", 0, conversation, spoke))
		s.applyAll()
		if r := s.record(); r.State != want || r.Rung != 1 {
			t.Errorf("%s: %+v", conversation, r)
		}
	}
}

// A request that is under way is not mistaken for the conversation before.
func TestALateEventWhileTheRungIsSent(t *testing.T) {
	s := rungs(t, "ended.no_answer:2h")
	s.does(store.Steer, firstRung, campaign.Move{Cause: campaign.Send})
	s.post("c", eventOf("onMessage", 0, "a", spoke))
	s.applyAll()
	if r := s.record(); r.State != campaign.Sending {
		t.Errorf("%+v", r)
	}
	s.does(store.Steer, campaign.Move{Cause: campaign.Accept})
	s.post("c", eventOf("onEnded", 0, "b", `{}`))
	s.applyAll()
	if r, o := s.record(), s.outcome(0); r.State != campaign.Ended || o.Conversation != "b" || o.Rung != 1 || o.Said {
		t.Errorf("%+v, %+v", r, o)
	}
}

// climbing lets the contact climb while its outcome is being written.
type climbing struct {
	keeper
	climb func()
}

func (k climbing) UpdateOutcomes(ctx context.Context, ref store.Ref, contacts []int, change func(int, campaign.Outcome) (campaign.Outcome, []campaign.Turn)) error {
	k.climb()
	return k.keeper.UpdateOutcomes(ctx, ref, contacts, change)
}

func TestAContactThatClimbsWhileItsEventIsApplied(t *testing.T) {
	s := rungs(t, "ended.no_answer:2h")
	s.Applier.store = climbing{s.Applier.store, func() { s.does(store.Steer, firstRung) }}
	s.post("c", eventOf("onMessage", 0, "a", spoke))
	s.applyAll()
	if r := s.record(); r.State != campaign.Ended || r.Rung != 0 {
		t.Errorf("%+v", r)
	}
}

func TestWhatIsToldTooLateForARung(t *testing.T) {
	for days, want := range map[int]bool{0: false, 2: false, 4: true} {
		s := newStage(t, 1)
		s.edit(func(to *campaign.Settings) {
			l, _ := campaign.ParseLadder("ended.no_answer:2h")
			to.Then = []campaign.Ladder{l}
		})
		chunk, err := s.store.ReadChunk(t.Context(), sale0)
		if err != nil {
			t.Fatal(err)
		}
		for _, cause := range []campaign.Cause{campaign.Send, campaign.Accept} {
			move := campaign.Move{Cause: cause, At: time.Now().Add(-time.Duration(days) * 24 * time.Hour)}
			if _, err := s.store.Apply(t.Context(), chunk, store.Change{Act: store.Steer, Moves: []store.Move{{Move: move}}}); err != nil {
				t.Fatal(err)
			}
		}
		s.post("c", eventOf("onEnded", 0, "a", `{}`))
		s.applyAll()
		if got := s.outcome(0).Late; got != want {
			t.Errorf("after %d days: late %v", days, got)
		}
	}
}
