package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// then are settings with rungs.
func then(texts ...string) func(*campaign.Settings) {
	return func(s *campaign.Settings) {
		s.WebhookURL = "https://example.org"
		for _, text := range texts {
			l, err := campaign.ParseLadder(text)
			if err != nil {
				panic(err)
			}
			s.Then = append(s.Then, l)
		}
	}
}

// ends lets the conversations of contacts of chunk 0 end, as their events do.
func (s *stage) ends(how func(*campaign.Outcome), contacts ...int) {
	s.t.Helper()
	ref := store.Ref{Campaign: "c"}
	chunk := s.chunk(0)
	err := s.store.UpdateOutcomes(s.t.Context(), ref, contacts, func(i int, o campaign.Outcome) (campaign.Outcome, []campaign.Turn) {
		r := chunk.Record(i)
		o = campaign.Outcome{Started: time.Now(), Run: r.Run, Rung: r.Rung, Conversation: fmt.Sprint("conv", i, r.Rung)}
		how(&o)
		return o, nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.moved(store.Commit, campaign.Move{Cause: campaign.End, At: time.Now()}, contacts...)
}

func (s *stage) moved(act store.Act, move campaign.Move, contacts ...int) {
	s.t.Helper()
	change := store.Change{Act: act}
	for _, i := range contacts {
		change.Moves = append(change.Moves, store.Move{Index: i, Move: move})
	}
	if _, err := s.store.Apply(s.t.Context(), s.chunk(0), change); err != nil {
		s.t.Fatal(err)
	}
}

// passes lets time pass: all that has happened to the contacts of chunk 0 happened so much
// earlier.
func (s *stage) passes(d time.Duration) {
	s.t.Helper()
	chunk := s.chunk(0)
	ledger := campaign.NewLedger(chunk.Len())
	for i := range chunk.Len() {
		r := chunk.Record(i)
		r.Changed -= uint32(d / time.Second)
		ledger.Set(i, r)
	}
	s.rdb.Set(s.t.Context(), "c:{c}:l:0", []byte(ledger), 0)
}

// climb looks at all chunks that may have rungs, whenever they are due, and sends.
func (s *stage) climb() {
	s.t.Helper()
	if err := s.queue.climb(s.t.Context(), "c", time.Now().Add(365*24*time.Hour)); err != nil {
		s.t.Fatal(err)
	}
	if err := s.runner("w1").run(s.t.Context(), store.Ref{Campaign: "c"}); err != nil {
		s.t.Fatal(err)
	}
	s.verify()
}

// verify is check, where people may be contacted again.
func (s *stage) verify() {
	s.t.Helper()
	v, err := s.store.Verify(context.WithoutCancel(s.t.Context()), "c")
	if err != nil || len(v.Problems) > 0 {
		s.t.Error(v.Problems, err)
	}
}

// times are how often the platform has contacted the first contacts.
func (s *stage) times(contacts int) (times []int) {
	all := s.platform.contacted()
	for i := range contacts {
		times = append(times, all[phoneOf(i).E164()])
	}
	return times
}

func (s *stage) wantTimes(want ...int) {
	s.t.Helper()
	if got := s.times(len(want)); !slices.Equal(got, want) {
		s.t.Errorf("contacted %v times, want %v", got, want)
	}
}

// An outcome that cannot be read keeps its own contact from its rung, and no other of its chunk.
func TestADamagedOutcomeDelaysItsOwnRungAlone(t *testing.T) {
	s := newStage(t, 3, then("ended.no_answer:1h"))
	s.send("w1", 0)
	s.ends(silent, 0, 1, 2)
	s.passes(2 * time.Hour)
	whole := s.rdb.HGet(t.Context(), "c:{c}:out:0", "1").Val()
	s.rdb.HSet(t.Context(), "c:{c}:out:0", "1", "{")
	if err := s.queue.climb(t.Context(), "c", time.Now().Add(24*time.Hour)); !store.Damaged(err, 1) || store.Damaged(err, 0) {
		t.Errorf("the look says %v", err)
	}
	chunk := s.chunk(0)
	if got := []campaign.State{chunk.Record(0).State, chunk.Record(1).State, chunk.Record(2).State}; !slices.Equal(got, []campaign.State{campaign.Pending, campaign.Ended, campaign.Pending}) {
		t.Errorf("contacts are %v", got)
	}
	if phase := s.seenPhase(); phase != campaign.Running {
		t.Errorf("the campaign is %s", phase)
	}
	if err := s.runner("w1").run(t.Context(), store.Ref{Campaign: "c"}); err != nil {
		t.Fatal(err)
	}
	if phase := s.seenPhase(); phase != campaign.Running {
		t.Errorf("the campaign is %s, and nobody knows what becomes of contact 1", phase)
	}
	s.rdb.HSet(t.Context(), "c:{c}:out:0", "1", whole)
	s.climb()
	s.wantTimes(2, 2, 2)
}

// seenPhase is the phase as people see it.
func (s *stage) seenPhase() campaign.Phase {
	s.t.Helper()
	tally, err := s.store.Tally(s.t.Context(), "c")
	if err != nil {
		s.t.Fatal(err)
	}
	return tally.Phase(s.now().Phase)
}

func silent(*campaign.Outcome) {}
func said(o *campaign.Outcome) { o.Said = true }

func TestContactsAreContactedAgainByThemselves(t *testing.T) {
	s := newStage(t, 4, then("ended.no_answer:2h,1d"))
	s.send("w1", 0)
	s.ends(silent, 0, 1)
	s.ends(said, 2)
	s.climb()
	s.wantTimes(1, 1, 1, 1) // nothing is due yet
	rungs, err := s.store.Rungs(t.Context(), "c")
	if err != nil || rungs.Waiting != 2 || rungs.Open != 1 || time.Until(rungs.Next).Round(time.Hour) != 2*time.Hour {
		t.Errorf("%+v, %v", rungs, err)
	}
	if phase := s.seenPhase(); phase != campaign.Running {
		t.Errorf("it is %s with rungs to come", phase)
	}

	s.passes(2 * time.Hour)
	s.climb()
	s.wantTimes(2, 2, 1, 1)
	s.climb()
	s.wantTimes(2, 2, 1, 1) // nobody twice for one rung
	if r := s.record(0); r.Rung != 1 || r.State != campaign.Accepted || r.Tries != 1 || r.Attempts != 2 || r.Run != 0 {
		t.Errorf("%+v", r)
	}

	s.ends(silent, 0)
	s.ends(said, 1)
	s.passes(2 * time.Hour)
	s.climb()
	s.wantTimes(2, 2, 1, 1) // the second rung is a day later
	s.passes(22 * time.Hour)
	s.climb()
	s.wantTimes(3, 2, 1, 1)
	s.ends(silent, 0)
	s.passes(100 * 24 * time.Hour) // the last has no event at all
	s.climb()
	s.wantTimes(3, 2, 1, 1)
	if phase := s.seenPhase(); phase != campaign.Finished {
		t.Errorf("it is %s and nothing is to come", phase)
	}
	if c := s.now(); c.EndedAt.IsZero() {
		t.Error("it has no end")
	}
}

// What an event tells between the look and the climb makes the look void.
func TestAnEventBetweenTheLookAndTheClimb(t *testing.T) {
	s := newStage(t, 2, then("ended.no_answer:2h"))
	s.send("w1", 0)
	s.ends(silent, 0, 1)
	s.passes(2 * time.Hour)
	looked := s.chunk(0)
	s.ends(said, 1) // its record stays as it is
	done, err := s.store.Apply(t.Context(), looked, store.Change{
		Act: store.Climb, Terms: &store.Terms{Version: s.now().Version}, Looked: &store.Look{},
		Moves: []store.Move{{Index: 0, Move: campaign.Move{Cause: campaign.Climb, Rung: 1}}, {Index: 1, Move: campaign.Move{Cause: campaign.Climb, Rung: 1}}},
	})
	if err != nil || len(done.Moved) != 0 {
		t.Errorf("%+v, %v", done, err)
	}
	s.climb() // the next look goes by it
	s.wantTimes(2, 1)
}

func TestWhatEndsRungs(t *testing.T) {
	for _, tt := range []struct {
		name  string
		do    func(s *stage) error
		want  []int
		phase campaign.Phase
	}{
		{"nothing", func(*stage) error { return nil }, []int{2, 2, 1}, campaign.Finished},
		{"cancel", func(s *stage) error { _, err := s.queue.Cancel(t.Context(), "c"); return err }, []int{1, 1, 1}, campaign.CanceledPhase},
		{"cancel, and a rerun of another", func(s *stage) error {
			_, err := s.queue.Cancel(t.Context(), "c")
			s.moved(store.Steer, campaign.Move{Cause: campaign.Rerun, Run: 1}, 2)
			_, _, err2 := s.store.SetPhase(t.Context(), "c", campaign.Running, campaign.Message{}, campaign.CanceledPhase)
			return errors.Join(err, err2)
		}, []int{1, 1, 2}, campaign.Running},
		{"pause", func(s *stage) error { return s.queue.Pause(t.Context(), "c", campaign.Message{}) }, []int{1, 1, 1}, campaign.Paused},
		{"pause and resume", func(s *stage) error {
			err := s.queue.Pause(t.Context(), "c", campaign.Message{})
			s.queue.climb(t.Context(), "c", time.Now().Add(24*time.Hour))
			_, err2 := s.resume(s.queue, "c")
			return errors.Join(err, err2)
		}, []int{2, 2, 1}, campaign.Finished},
		{"no more rungs", func(s *stage) error {
			_, err := s.queue.Set(t.Context(), "c", func(to *campaign.Settings) error { to.Then = nil; return nil })
			return err
		}, []int{1, 1, 1}, campaign.Finished},
		{"other rungs", func(s *stage) error {
			_, err := s.queue.Set(t.Context(), "c", func(to *campaign.Settings) error { to.Then = nil; then("ended.answered:1h")(to); return nil })
			return err
		}, []int{1, 1, 2}, campaign.Running},
		{"rungs again", func(s *stage) error {
			edit := func(f func(*campaign.Settings)) error {
				_, err := s.queue.Set(t.Context(), "c", func(to *campaign.Settings) error { to.Then = nil; f(to); return nil })
				return err
			}
			return errors.Join(edit(func(*campaign.Settings) {}), edit(then("ended.no_answer:1h")))
		}, []int{2, 2, 1}, campaign.Finished},
		{"an end before", func(s *stage) error {
			_, err := s.queue.Set(t.Context(), "c", func(to *campaign.Settings) error { to.FinishBy = time.Now().Add(-time.Minute); return nil })
			return err
		}, []int{1, 1, 1}, campaign.Finished},
		{"as many attempts as there may be", func(s *stage) error {
			_, err := s.queue.Set(t.Context(), "c", func(to *campaign.Settings) error { to.MaxContactAttempts = 1; return nil })
			return err
		}, []int{1, 1, 1}, campaign.Finished},
		{"an opt-out", func(s *stage) error {
			return s.store.UpdateOutcomes(t.Context(), store.Ref{Campaign: "c"}, []int{1}, func(_ int, o campaign.Outcome) (campaign.Outcome, []campaign.Turn) {
				o.OptedOut = true
				return o, nil
			})
		}, []int{2, 1, 1}, campaign.Finished},
		{"the do-not-contact list", func(s *stage) error {
			_, err := s.store.Suppress(t.Context(), []campaign.Phone{phoneOf(0)})
			return err
		}, []int{1, 2, 1}, campaign.Finished},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, 3, then("ended.no_answer:2h"))
			s.send("w1", 0)
			s.ends(silent, 0, 1)
			s.ends(said, 2)
			s.passes(2*time.Hour + time.Minute)
			if err := tt.do(s); err != nil {
				t.Fatal(err)
			}
			s.climb()
			s.wantTimes(tt.want...)
			if phase := s.seenPhase(); phase != tt.phase {
				t.Errorf("%s, want %s", phase, tt.phase)
			}
		})
	}
}

// A contact whose request failed is contacted again only when nobody can have reached it.
func TestOnlyContactsThatWereSurelyNotReachedFailed(t *testing.T) {
	for status, want := range map[int]int{418: 2, 500: 1} {
		s := newStage(t, 1, then("state=failed:1h"), func(s *campaign.Settings) { s.MaxAttempts, s.MaxContactAttempts = 1, 5 })
		s.platform.answer = refuseAll(status, "oops")
		s.send("w1", 0)
		s.want(map[campaign.State]int{campaign.Failed: 1})
		s.passes(time.Hour)
		s.climb()
		if got := s.platform.count(); got != want {
			t.Errorf("%d: %d requests, want %d", status, got, want)
		}
	}
}

// The cap counts retries, too, and a rerun wins over a rung.
func TestOneCapForAll(t *testing.T) {
	s := newStage(t, 2, then("ended.no_answer:1h,1h,1h"), func(s *campaign.Settings) { s.MaxContactAttempts = 3 })
	s.send("w1", 0)
	s.ends(silent, 0, 1)
	rule, _ := campaign.ParseRule("ended.no_answer")
	sel := Selection{States: []campaign.State{campaign.Ended}, Where: campaign.Rules{rule}, Limit: 1}
	if _, err := s.queue.Rerun(t.Context(), "c", sel); err != nil {
		t.Fatal(err)
	}
	s.passes(time.Hour)
	s.climb()
	s.wantTimes(2, 2)
	if a, b := s.record(0), s.record(1); a.Run != 1 || a.Rung != 0 || b.Run != 0 || b.Rung != 1 {
		t.Errorf("%+v, %+v", a, b)
	}
	for range 5 {
		s.ends(silent, 0, 1)
		s.passes(time.Hour)
		s.climb()
	}
	s.wantTimes(3, 3)
	if phase := s.seenPhase(); phase != campaign.Finished {
		t.Errorf("it is %s", phase)
	}
}

// Another campaign's contact in the days before a rung leaves the person out; our own does not.
func TestARungSkipsWhomAnotherCampaignHasContacted(t *testing.T) {
	for _, days := range []int{0, 7} {
		s := newStage(t, 2, then("ended.no_answer:2h"), func(to *campaign.Settings) { to.SkipContactedDays = days })
		s.send("w1", 0)
		s.ends(silent, 0, 1)
		s.load("other", 1)
		if err := s.runner("w1").run(t.Context(), store.Ref{Campaign: "other"}); err != nil {
			t.Fatal(err)
		}
		s.wantTimes(2, 1)
		s.passes(2 * time.Hour)
		s.climb()
		if days == 0 {
			s.wantTimes(3, 2)
			continue
		}
		s.wantTimes(2, 2)
		s.want(map[campaign.State]int{campaign.Canceled: 1, campaign.Accepted: 1})
	}
}

// A contact that waits for its rung is told apart from those that wait for their first request.
func TestPendingForARung(t *testing.T) {
	s := newStage(t, 2, then("ended.no_answer:1h"))
	s.send("w1", 0)
	s.ends(silent, 0)
	s.passes(time.Hour)
	if firsts, err := s.store.FirstDues(t.Context(), []string{"c"}); err != nil || firsts[0].IsZero() {
		t.Errorf("%v, %v: nothing says when its rungs are due", firsts, err)
	}
	if err := s.queue.climb(t.Context(), "c", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	s.verify()
	tally, err := s.store.Tally(t.Context(), "c")
	if err != nil || tally.States[campaign.Pending] != 1 || tally.ForRung != 1 || tally.Rungs != 1 {
		t.Errorf("%+v, %v", tally, err)
	}
	if tasks := s.waitingTasks(queueOf(s.now())); len(tasks) != 1 {
		t.Errorf("tasks %v", tasks)
	}
	if err := s.queue.Purge(t.Context(), "c", false); err == nil {
		t.Error("purged with rungs to come")
	}
}
