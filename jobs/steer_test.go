package jobs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
	"campaign-runner/campaign/hours"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/sending"
	"campaign-runner/velents"
)

func canaryOf(contacts int) func(*campaign.Settings) {
	return func(s *campaign.Settings) { s.Canary = contacts }
}

func goingOn(share campaign.Share) func(*campaign.Settings) {
	return func(s *campaign.Settings) { s.CanaryGoOn = &share }
}

func TestCanarySendsExactlyTheFirst(t *testing.T) {
	for _, tt := range []struct {
		name     string
		canary   int
		edit     func(*campaign.Settings)
		requests []int
	}{
		{"part of a chunk", 7, batchOf(10), []int{7}},
		{"a chunk", 10, batchOf(10), []int{10}},
		{"several chunks and a part", 23, batchOf(10), []int{10, 10, 3}},
		{"one by one", 7, func(s *campaign.Settings) { s.Mode, s.ChunkSize = campaign.Dispatch, 10 }, []int{1, 1, 1, 1, 1, 1, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, 40, tt.edit, canaryOf(tt.canary))
			for range 2 { // whatever is run, and however often
				for chunk := range 4 {
					s.send("w1", chunk)
				}
				s.sweep()
			}
			s.want(map[campaign.State]int{campaign.Accepted: tt.canary, campaign.Pending: 40 - tt.canary})
			if diff := cmp.Diff(tt.requests, s.platform.requests); diff != "" {
				t.Errorf("rows per request (-want +got):\n%s", diff)
			}
			for i := range tt.canary {
				if s.platform.contacted()[phoneOf(i).E164()] != 1 {
					t.Errorf("contact %d was not contacted", i)
				}
			}
			phase, reason := s.phase("c")
			if want := fmt.Sprintf("canary of %[1]d: %[1]d accepted", tt.canary); phase != campaign.Ready || reason != want {
				t.Errorf("%s: %q, want %q", phase, reason, want)
			}
			if _, err := s.start("c"); err != nil {
				t.Fatal(err)
			}
			for chunk := range 4 {
				s.send("w1", chunk)
			}
			s.want(map[campaign.State]int{campaign.Accepted: 40})
		})
	}
}

func TestCanaryGoesOnOrHoldsByItsShare(t *testing.T) {
	share := func(s campaign.Share) *campaign.Share { return &s }
	for _, tt := range []struct {
		name   string
		most   *campaign.Share
		bad    []int
		phase  campaign.Phase
		reason string
	}{
		{"without a share it holds", nil, nil, campaign.Ready, "canary of 20: 20 accepted"},
		{"as many as may be", share(1000), []int{3, 5}, campaign.Running, ""},
		{"one too many", share(1000), []int{3, 5, 19}, campaign.Ready, "canary of 20: 17 accepted, 3 rejected (The phone field is invalid.)"},
		{"nobody may be, and nobody is", share(0), nil, campaign.Running, ""},
		{"nobody may be, and somebody is", share(0), []int{0}, campaign.Ready, "canary of 20: 19 accepted, 1 rejected (The phone field is invalid.)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, 50, batchOf(25), canaryOf(20), func(s *campaign.Settings) { s.CanaryGoOn = tt.most })
			if n, err := s.queue.Release(t.Context(), "c"); n != 1 || err != nil {
				t.Errorf("%d chunks released for the canary, %v", n, err)
			}
			s.platform.answer = refuseNamed(tt.bad...)
			s.send("w1", 0)
			if phase, reason := s.phase("c"); phase != tt.phase || reason != tt.reason {
				t.Errorf("%s: %q", phase, reason)
			}
			if tt.phase == campaign.Running && len(s.waitingTasks("default")) != 2 {
				t.Errorf("tasks %v, want one for each chunk", s.waitingTasks("default"))
			}
		})
	}
}

func TestCanaryOfWhichNoneWasSentHolds(t *testing.T) {
	s := newStage(t, 20, batchOf(10), canaryOf(5), goingOn(1000))
	for i := range 5 {
		if _, err := s.store.Suppress(t.Context(), []campaign.Phone{phoneOf(i)}); err != nil {
			t.Fatal(err)
		}
	}
	s.send("w1", 0)
	if phase, reason := s.phase("c"); phase != campaign.Ready || reason != "canary of 5: 5 canceled (on the do-not-contact list)" {
		t.Errorf("%s: %q", phase, reason)
	}
}

// A contact that only a person can let go must not hold up the rest without a word.
func TestCanaryDoesNotWaitForContactsThatNeedAPerson(t *testing.T) {
	for _, tt := range []struct {
		name     string
		contacts int
		reason   string
		edit     func(*campaign.Settings)
		phase    campaign.Phase
		why      string
	}{
		{"the rest goes on by itself", 20, hours.NoZoneReason, goingOn(0), campaign.Running, ""},
		{"and holds where it was to hold", 20, hours.NoZoneReason, func(*campaign.Settings) {}, campaign.Ready,
			"canary of 10: 1 pending (no time zone is known for its number), 9 accepted"},
		{"zones that are never open together", 20, "the hours of Mars" + " never meet", goingOn(0), campaign.Running, ""},
		{"nobody else is left", 10, hours.NoZoneReason, func(*campaign.Settings) {}, campaign.Running, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, tt.contacts, batchOf(10), canaryOf(10), tt.edit)
			chunk := s.begin("w0/1", 9)
			reason, err := s.store.ReasonCode(t.Context(), "c", campaign.Text(tt.reason))
			if err != nil {
				t.Fatal(err)
			}
			judged := func() {
				t.Helper()
				if err := s.queue.judgeCanary(t.Context(), s.now()); err != nil {
					t.Fatal(err)
				}
			}
			judged()
			for _, change := range []store.Change{
				{Act: store.Commit, Token: "w0/1", Moves: sending.Moves(chunk.In(campaign.Sending), campaign.Accept, 0)},
				{Act: store.Steer, Moves: sending.Moves([]int{9}, campaign.Hold, reason)},
			} {
				if s.now().Canary == 0 {
					t.Fatal("it was judged too early")
				}
				if _, err := s.store.Apply(t.Context(), chunk, change); err != nil {
					t.Fatal(err)
				}
				judged()
			}
			if phase, why := s.phase("c"); phase != tt.phase || why != tt.why || s.now().Canary != 0 {
				t.Errorf("%s: %q, canary of %d", phase, why, s.now().Canary)
			}
		})
	}
}

func TestCanaryOfEverybodyHoldsNobody(t *testing.T) {
	s := newStage(t, 20, batchOf(10), canaryOf(500))
	s.send("w1", 0)
	s.send("w1", 1)
	s.want(map[campaign.State]int{campaign.Accepted: 20})
	if c, err := s.store.Campaign(t.Context(), "c"); err != nil || c.Phase != campaign.Running || c.Canary != 0 {
		t.Errorf("%s, canary of %d, %v", c.Phase, c.Canary, err)
	}
}

// A worker that dies between its last answer and its judgement leaves that to the
// sweeper; a pause in the midst of a canary leaves the canary in force.
func TestCanaryIsJudgedBySomebody(t *testing.T) {
	s := newStage(t, 20, batchOf(10), canaryOf(10))
	if err := s.queue.Pause(t.Context(), "c", campaign.Text("wait")); err != nil {
		t.Fatal(err)
	}
	if n, err := s.resume(s.queue, "c"); n != 1 || err != nil {
		t.Errorf("%d chunks released, %v", n, err)
	}
	chunk := s.chunk(0)
	all := chunk.In(campaign.Pending)
	for _, change := range []store.Change{
		{Act: store.Begin, Token: "w0/1", ClaimTTL: time.Hour, Moves: sending.Moves(all, campaign.Send, 0)},
		{Act: store.Commit, Token: "w0/1", Moves: sending.Moves(all, campaign.Accept, 0)},
	} {
		if _, err := s.store.Apply(t.Context(), chunk, change); err != nil {
			t.Fatal(err)
		}
	}
	s.sweep()
	if phase, reason := s.phase("c"); phase != campaign.Ready || reason != "canary of 10: 10 accepted" {
		t.Errorf("%s: %q", phase, reason)
	}
}

func guarded(share campaign.Share) func(*campaign.Settings) {
	return func(s *campaign.Settings) { s.MaxFailureShare = share }
}

func TestAHaltKeepsWhyAPersonPaused(t *testing.T) {
	s := newStage(t, 1)
	if err := s.queue.Pause(t.Context(), "c", campaign.Text("by hand")); err != nil {
		t.Fatal(err)
	}
	if err := s.queue.Halt(t.Context(), "c", campaign.Text("too many have failed")); err != nil {
		t.Fatal(err)
	}
	if phase, reason := s.phase("c"); phase != campaign.Paused || reason != "by hand" {
		t.Errorf("campaign is %s because %q", phase, reason)
	}
}

func TestGuardPausesWhenTooManyFail(t *testing.T) {
	s := newStage(t, 100, guarded(1500), dispatching)
	s.platform.answer = func(rows []velents.Row) error {
		if rows[0].Phone >= phoneOf(60).E164() {
			return &velents.Error{Status: 422, Message: "invalid", Fields: map[string][]string{"phone": {"The phone field is invalid."}}}
		}
		return nil
	}
	s.send("w1", 0)
	s.send("w1", 1)
	// 10 of 70 are not more than 15%, 11 of 71 are.
	rejected := s.reasons(campaign.Rejected)["The phone field is invalid."]
	if rejected < 11 || rejected >= 11+dispatchesInFlight {
		t.Errorf("%d were rejected", rejected)
	}
	phase, reason := s.phase("c")
	told := 0 // those whose answers came before the reason was written
	if _, err := fmt.Sscanf(reason, "more than 15%% of the latest %d", &told); err != nil {
		t.Fatalf("%v: %s", err, reason)
	}
	if told -= 60; phase != campaign.Paused || told < 11 || told > rejected || !strings.HasPrefix(reason, fmt.Sprintf("more than 15%% of the latest %d contacts were not accepted: 60 accepted, %d rejected", 60+told, told)) {
		t.Errorf("%s: %s", phase, reason)
	}
}

func TestGuardLooksAtWholeRequests(t *testing.T) {
	// A request's bad rows are known before its good ones are sent.
	bad := make([]int, 60)
	for i := range bad {
		bad[i] = i
	}
	s := newStage(t, 500, guarded(2000))
	s.platform.answer = refuseNamed(bad...)
	s.send("w1", 0)
	s.want(map[campaign.State]int{campaign.Accepted: 440, campaign.Rejected: 60})
	if phase, reason := s.phase("c"); phase != campaign.Running {
		t.Errorf("12%% are no more than 20%%: %s: %s", phase, reason)
	}
}

func TestGuardSaysWhichContactsItPausedFor(t *testing.T) {
	bad := make([]int, 20)
	for i := range bad {
		bad[i] = 50 + i
	}
	s := newStage(t, 150, batchOf(70), guarded(1000))
	s.platform.answer = refuseNamed(bad...)
	for chunk := range 3 {
		s.send("w1", chunk)
	}
	s.want(map[campaign.State]int{campaign.Accepted: 50, campaign.Rejected: 20, campaign.Pending: 80})
	phase, reason := s.phase("c")
	const want = "more than 10% of the latest 70 contacts were not accepted: 50 accepted, 20 rejected (The phone field is invalid.); chunk 0: lines 52, 53, 54, 55, 56 and 15 more"
	if phase != campaign.Paused || reason != want {
		t.Errorf("%s:\n got %q\nwant %q", phase, reason, want)
	}
	if strings.Contains(reason, phoneOf(50).E164()) {
		t.Error("a number is in the reason")
	}
	if _, err := s.resume(s.queue, "c"); err != nil {
		t.Fatal(err)
	}
	s.send("w1", 1)
	s.send("w1", 2)
	s.want(map[campaign.State]int{campaign.Accepted: 130, campaign.Rejected: 20})
}

// Contacts of a dead sender count for the guard. The worker that recovers its claim
// says why the campaign is paused.
func TestGuardSaysThatItPausedForADeadSender(t *testing.T) {
	s := newStage(t, 150, batchOf(70), guarded(1000))
	s.begin("dead/1", 70)
	s.rdb.HSet(t.Context(), "c:{c}:k:0", "claim_until", 1)
	s.overdue()
	s.sweep()
	phase, reason := s.phase("c")
	if phase != campaign.Paused || !strings.HasPrefix(reason, "more than 10% of the latest 70 contacts were not accepted: 70 unconfirmed (the sender died") {
		t.Errorf("%s: %s", phase, reason)
	}
	if log := s.log(); !slices.ContainsFunc(log, func(line string) bool { return strings.Contains(line, "pause: more than 10% of") }) {
		t.Errorf("log %q", log)
	}
}

func TestEverySenderKeepsTheDailyCap(t *testing.T) {
	for _, edit := range []func(*campaign.Settings){batchOf(10), dispatching} {
		s := newStage(t, 60, edit, func(s *campaign.Settings) { s.DailyCap = 25 })
		for _, worker := range []string{"w1", "w2"} {
			for chunk := range s.campaign.Chunks {
				s.send(worker, chunk)
			}
		}
		s.want(map[campaign.State]int{campaign.Accepted: 25, campaign.Pending: 35})
		requests := s.quota.acquired
		s.send("w1", s.campaign.Chunks-1)
		if s.quota.acquired != requests {
			t.Error("a permit was taken in vain")
		}
		changed, err := s.queue.Set(t.Context(), "c", func(s *campaign.Settings) error { s.DailyCap = 0; return nil })
		if err != nil || len(changed) != 1 || changed[0] != (campaign.Difference{Flag: "--daily-cap", Have: "25", Other: "none"}) {
			t.Errorf("changed %v, %v", changed, err)
		}
		for chunk := range s.campaign.Chunks {
			s.send("w1", chunk)
		}
		s.want(map[campaign.State]int{campaign.Accepted: 60})
	}
}

func TestDailyCapGivesBackWhoWasNotSent(t *testing.T) {
	s := newStage(t, 20, batchOf(10), func(s *campaign.Settings) { s.DailyCap = 10 })
	s.platform.answer = refuseAll(500, "oops")
	s.send("w1", 0)
	s.platform.answer = func([]velents.Row) error { return nil }
	s.send("w1", 1)
	s.want(map[campaign.State]int{campaign.Accepted: 10, campaign.Pending: 10})
}

func TestSettingsChangeInTheMidstOfAChunk(t *testing.T) {
	s := newStage(t, 50, dispatching, func(s *campaign.Settings) { s.MaxAttempts = 5 })
	var set atomic.Bool
	s.platform.answer = func([]velents.Row) error {
		if s.platform.count() >= 10 && set.CompareAndSwap(false, true) {
			if _, err := s.queue.Set(t.Context(), "c", func(s *campaign.Settings) error { s.MaxAttempts = 1; return nil }); err != nil {
				t.Error(err)
			}
		}
		return nil
	}
	later := s.send("w1", 0)
	if later == nil || later.After != 0 || s.platform.count() > 10+dispatchesInFlight {
		t.Errorf("%d requests by settings that are gone: %v", s.platform.count(), later)
	}
	accepted := s.platform.count()
	s.platform.answer = refuseAll(500, "oops")
	s.send("w1", 0)
	s.want(map[campaign.State]int{campaign.Accepted: accepted, campaign.Failed: 50 - accepted})
}

func TestRowsPerRequest(t *testing.T) {
	s := newStage(t, 50, batchOf(25))
	s.send("w1", 0)
	if _, err := s.queue.Set(t.Context(), "c", func(s *campaign.Settings) error { s.RowsPerRequest = 10; return nil }); err != nil {
		t.Fatal(err)
	}
	s.send("w1", 1)
	if diff := cmp.Diff([]int{25, 10, 10, 5}, s.platform.requests); diff != "" {
		t.Errorf("rows per request (-want +got):\n%s", diff)
	}
}

func TestSetMovesWhatIsNotSentToAnotherLane(t *testing.T) {
	s := newStage(t, 30, batchOf(10))
	if _, err := s.queue.Release(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := s.queue.Set(t.Context(), "c", func(s *campaign.Settings) error { s.Lane = campaign.Urgent; return nil }); err != nil {
			t.Fatal(err)
		}
		if left, moved := s.waitingTasks("default"), s.waitingTasks("default-urgent"); len(left) != 0 || len(moved) != 3 {
			t.Errorf("left %v, moved %v", left, moved)
		}
	}
}

func TestSetRefusesNonsense(t *testing.T) {
	s := newStage(t, 10)
	boom := errors.New("boom")
	for name, edit := range map[string]func(*campaign.Settings) error{
		"what cannot be":      func(s *campaign.Settings) error { s.MaxAttempts = -1; return nil },
		"what is not allowed": func(*campaign.Settings) error { return boom },
	} {
		if _, err := s.queue.Set(t.Context(), "c", edit); err == nil {
			t.Errorf("%s was set", name)
		}
	}
	if _, err := s.queue.Set(t.Context(), "nobody", func(*campaign.Settings) error { return nil }); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("set of nobody: %v", err)
	}
	if _, err := s.queue.Set(t.Context(), "c", func(to *campaign.Settings) error {
		other := *to
		other.MaxAttempts++
		to.DailyCap = 7
		return s.store.ChangeSettings(t.Context(), s.now(), other, "")
	}); err == nil || !strings.Contains(err.Error(), "20 times meanwhile") {
		t.Errorf("set against somebody faster: %v", err)
	}
}

// now is the campaign as it is in Redis.
func (s *stage) now() campaign.Campaign {
	s.t.Helper()
	c, err := s.store.Campaign(s.t.Context(), "c")
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func TestAttemptsOverAllRunsAreBounded(t *testing.T) {
	s := newStage(t, 10, func(s *campaign.Settings) { s.MaxAttempts, s.MaxContactAttempts = 2, 3 })
	s.platform.answer = refuseAll(500, "oops")
	for range 2 {
		s.send("w1", 0)
	}
	s.want(map[campaign.State]int{campaign.Failed: 10})
	if _, err := s.queue.Rerun(t.Context(), "c", Selection{States: []campaign.State{campaign.Failed}}); err != nil {
		t.Fatal(err)
	}
	s.send("w1", 0)
	s.want(map[campaign.State]int{campaign.Failed: 10})
	if r := s.record(0); r.Attempts != 3 || r.Tries != 1 {
		t.Errorf("%+v: want the third attempt to be the last", r)
	}
}

// talked lets conversations of chunk 0 end, each with an extraction and, or not,
// a word of the contact.
func (s *stage) talked(conversations map[int]campaign.Outcome) {
	s.t.Helper()
	chunk := s.ledger(0)
	var indexes []int
	for i := range conversations {
		indexes = append(indexes, i)
	}
	err := s.store.UpdateOutcomes(s.t.Context(), chunk.Ref, indexes, func(i int, _ campaign.Outcome) (campaign.Outcome, []campaign.Turn) {
		o := conversations[i]
		o.Run, o.Started, o.Conversation = chunk.Record(i).Run, time.Unix(1e9, 0), fmt.Sprint("conversation ", i)
		return o, nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.store.Apply(s.t.Context(), chunk, store.Change{Act: store.Commit, Moves: sending.Moves(indexes, campaign.End, 0)}); err != nil {
		s.t.Fatal(err)
	}
}

func where(t *testing.T, text string) Selection {
	t.Helper()
	c, err := campaign.ParseRule(text)
	if err != nil {
		t.Fatal(err)
	}
	return Selection{States: []campaign.State{campaign.Ended}, Where: campaign.Rules{c}}
}

func TestRerunByOutcome(t *testing.T) {
	s := newStage(t, 10, func(s *campaign.Settings) { s.MaxContactAttempts = 2 })
	s.send("w1", 0)
	s.talked(map[int]campaign.Outcome{
		0: {Said: true, Extraction: []byte(`{"intent":"callback"}`)},
		1: {Said: true, Extraction: []byte(`{"intent":"buy"}`)},
		2: {}, 3: {},
	})
	for _, tt := range []struct {
		sel  Selection
		want int
	}{
		{where(t, "extraction.intent=callback"), 1},
		{where(t, "ended.no_answer"), 2},
		{where(t, "ended.answered"), 2},
	} {
		if found, err := s.queue.Survey(t.Context(), "c", tt.sel); found != (Rerunning{Contacts: tt.want}) || err != nil {
			t.Errorf("%+v: %+v, %v", tt.sel, found, err)
		}
	}
	s.want(map[campaign.State]int{campaign.Accepted: 6, campaign.Ended: 4})
	s.platform.forget() // these are asked for
	if done, err := s.queue.Rerun(t.Context(), "c", where(t, "ended.no_answer")); done.Contacts != 2 || err != nil {
		t.Fatalf("%+v, %v", done, err)
	}
	s.send("w1", 0)
	if contacted := s.platform.contacted(); len(contacted) != 2 || contacted[phoneOf(2).E164()] != 1 {
		t.Errorf("contacted again: %v", contacted)
	}
	if r := s.record(2); r.Run != 1 || r.State != campaign.Accepted {
		t.Errorf("%+v", r)
	}
	// Their second conversations end without an answer, too. That was their last.
	s.talked(map[int]campaign.Outcome{2: {}, 3: {}})
	if done, err := s.queue.Rerun(t.Context(), "c", where(t, "ended.no_answer")); done != (Rerunning{UsedUp: 2}) || err != nil {
		t.Errorf("%+v, %v", done, err)
	}
	if _, err := s.queue.Set(t.Context(), "c", func(s *campaign.Settings) error { s.MaxContactAttempts = 1; return nil }); err != nil {
		t.Fatal(err)
	}
	if done, err := s.queue.Rerun(t.Context(), "c", where(t, "extraction.intent=callback")); done != (Rerunning{UsedUp: 1}) || err != nil {
		t.Errorf("%+v, %v", done, err)
	}
}

func TestEndedIsRerunOnlyByOutcome(t *testing.T) {
	s := newStage(t, 1)
	for _, state := range []campaign.State{campaign.Ended, campaign.Accepted} {
		if _, err := s.queue.Survey(t.Context(), "c", Selection{States: []campaign.State{state}}); err == nil {
			t.Errorf("contacts that are %s would be sent again", state)
		}
	}
}

func TestAContactWhoseAttemptsAreUsedUpIsNotSent(t *testing.T) {
	s := newStage(t, 10)
	s.platform.answer = refuseAll(500, "oops")
	s.send("w1", 0)
	if _, err := s.queue.Set(t.Context(), "c", func(s *campaign.Settings) error { s.MaxContactAttempts = 1; return nil }); err != nil {
		t.Fatal(err)
	}
	requests := s.platform.count()
	s.send("w1", 0)
	s.want(map[campaign.State]int{campaign.Canceled: 10})
	if got := s.reasons(campaign.Canceled)["its attempts over all runs are used up: 1"]; got != 10 || s.platform.count() != requests {
		t.Errorf("%v after %d more requests", s.reasons(campaign.Canceled), s.platform.count()-requests)
	}
}
