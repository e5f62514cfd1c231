package jobs

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hibiken/asynq"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/velents"
)

func (s *stage) waitingTasks(queue string) []string {
	s.t.Helper()
	tasks, err := s.queue.inspector.ListPendingTasks(queue, asynq.PageSize(1000))
	if err != nil {
		s.t.Fatal(err)
	}
	var ids []string
	for _, task := range tasks {
		ids = append(ids, task.ID)
	}
	return ids
}

func TestReleasePutsEachChunkIntoTheQueueOnce(t *testing.T) {
	s := newStage(t, 25, batchOf(10))
	for i, want := range []int{3, 0, 0} {
		if n, err := s.queue.Release(t.Context(), "c"); n != want || err != nil {
			t.Errorf("release %d: %d chunks, %v; want %d", i+1, n, err, want)
		}
	}
	if ids := s.waitingTasks("default"); len(ids) != 3 {
		t.Errorf("tasks %v, want three", ids)
	}
}

func TestReleaseReplacesALostTask(t *testing.T) {
	s := newStage(t, 5)
	for range 2 {
		if n, err := s.queue.Release(t.Context(), "c"); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		if _, err := s.queue.inspector.DeleteAllPendingTasks("default"); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.queue.Release(t.Context(), "c"); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if diff := cmp.Diff([]string{"c:0:3"}, s.waitingTasks("default")); diff != "" {
		t.Errorf("tasks (-want +got):\n%s", diff)
	}
}

func TestTasksHoldNoPersonalData(t *testing.T) {
	s := newStage(t, 5)
	if _, err := s.queue.Release(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	info, err := s.queue.inspector.GetTaskInfo("default", "c:0:1")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(info.Payload); got != `{"campaign":"c","chunk":0}` {
		t.Errorf("payload %s", got)
	}
	if ref, err := decodeTask(asynq.NewTask(TypeSend, info.Payload)); ref != (store.Ref{Campaign: "c"}) || err != nil {
		t.Errorf("decoded %v, %v", ref, err)
	}
}

func TestDecodeTaskRefusesWhatIsNotOurs(t *testing.T) {
	for _, payload := range []string{"", "[]", `{"campaign":"a b"}`, `{"campaign":"a","chunk":-1}`} {
		if _, err := decodeTask(asynq.NewTask(TypeSend, []byte(payload))); err == nil {
			t.Errorf("payload %q was taken", payload)
		}
	}
}

func TestLongListsGoToTheBulkLane(t *testing.T) {
	s := newStage(t, 51, batchOf(1))
	if _, err := s.queue.Release(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	if ids := s.waitingTasks("default-bulk"); len(ids) != 51 {
		t.Errorf("%d tasks in the bulk lane", len(ids))
	}
}

func TestPauseAndResume(t *testing.T) {
	s := newStage(t, 20, batchOf(10))
	ctx := t.Context()
	for _, reason := range []string{"lunch", "a long lunch"} {
		if err := s.queue.Pause(ctx, "c", campaign.Text(reason)); err != nil {
			t.Fatal(err)
		}
		if phase, got := s.phase("c"); phase != campaign.Paused || got != reason {
			t.Errorf("campaign is %s because %q", phase, got)
		}
	}
	if _, err := s.queue.Release(ctx, "c"); err == nil {
		t.Error("released a paused campaign")
	}
	for i, want := range []int{2, 0} {
		if n, err := s.resume(s.queue, "c"); n != want || err != nil {
			t.Errorf("resume %d: %d chunks, %v; want %d", i+1, n, err, want)
		}
	}
	if phase, reason := s.phase("c"); phase != campaign.Running || reason != "" {
		t.Errorf("campaign is %s because %q", phase, reason)
	}
}

// Who resumes a campaign has seen why it is paused. A pause that came since then, such as because
// Redis has lost writes, is not passed over; nor is it hidden by another one.
func TestAResumeGoesByThePauseThatWasSeen(t *testing.T) {
	ctx := t.Context()
	for name, begin := range map[string]func(s *stage) error{
		"paused":  func(s *stage) error { return s.queue.Pause(ctx, "c", campaign.Text("check the texts")) },
		"running": func(*stage) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, 20, batchOf(10))
			if err := begin(s); err != nil {
				t.Fatal(err)
			}
			seen, err := s.store.Campaign(ctx, "c")
			if err != nil {
				t.Fatal(err)
			}
			chunk := s.chunk(1)
			lost := campaign.Say(campaign.MsgLostWrites, "chunk", 1, "worker", "w1", "campaign", "c")
			if _, err := s.store.HaltLost(ctx, chunk, lost, 3, 1); err != nil {
				t.Fatal(err)
			}
			if _, err := s.queue.Resume(ctx, seen); err == nil || !strings.Contains(err.Error(), "Redis has lost writes: chunk 1") {
				t.Errorf("resumed: %v", err)
			}
			if phase, reason := s.phase("c"); phase != campaign.Paused || reason != lost.String() {
				t.Errorf("it is %s because %q", phase, reason)
			}
			if err := s.queue.Pause(ctx, "c", campaign.Text("wait")); err != nil {
				t.Fatal(err)
			}
			if _, reason := s.phase("c"); reason != lost.String() {
				t.Errorf("who pauses it once more hides why: %q", reason)
			}
			if n, err := s.resume(s.queue, "c"); n != 2 || err != nil {
				t.Errorf("resumed by one who knows: %d chunks, %v", n, err)
			}
		})
	}
}

// Who starts a campaign has seen what its canary came to: not that it was still to start.
func TestAStartGoesByWhatWasSeen(t *testing.T) {
	ctx := t.Context()
	s := newStage(t, 20, batchOf(10), canaryOf(5))
	if _, _, err := s.store.SetPhase(ctx, "c", campaign.Scheduled, campaign.Message{}, campaign.Running); err != nil {
		t.Fatal(err)
	}
	seen, err := s.store.Campaign(ctx, "c")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.start("c"); err != nil {
		t.Fatal(err)
	}
	s.send("w1", 0)
	s.overdue()
	s.sweep()
	const came = "canary of 5: 5 accepted"
	if _, err := s.queue.Start(ctx, seen); err == nil || !strings.Contains(err.Error(), came) {
		t.Errorf("started: %v", err)
	}
	if phase, reason := s.phase("c"); phase != campaign.Ready || reason != came {
		t.Errorf("it is %s because %q", phase, reason)
	}
	if n, err := s.start("c"); n == 0 || err != nil {
		t.Errorf("started by one who knows: %d chunks, %v", n, err)
	}
}

func TestStartSetsAWaitingCampaignRunning(t *testing.T) {
	for _, from := range []campaign.Phase{campaign.Ready, campaign.Scheduled} {
		s := newStage(t, 20, batchOf(10))
		if _, _, err := s.store.SetPhase(t.Context(), "c", from, campaign.Message{}, campaign.Running); err != nil {
			t.Fatal(err)
		}
		if _, err := s.resume(s.queue, "c"); err == nil || !strings.Contains(err.Error(), "campaign start c") {
			t.Errorf("resumed while %s: %v", from, err)
		}
		for i, want := range []int{2, 0} {
			if n, err := s.start("c"); n != want || err != nil {
				t.Errorf("start %d: %d chunks, %v; want %d", i+1, n, err, want)
			}
		}
		if phase, _ := s.phase("c"); phase != campaign.Running {
			t.Errorf("campaign is %s", phase)
		}
	}
}

func TestCancelStopsPendingContacts(t *testing.T) {
	s := newStage(t, 20, batchOf(10))
	s.send("w1", 0)
	for i, want := range []int{10, 0} {
		if n, err := s.queue.Cancel(t.Context(), "c"); n != want || err != nil {
			t.Errorf("cancel %d: %d contacts, %v; want %d", i+1, n, err, want)
		}
	}
	s.want(map[campaign.State]int{campaign.Accepted: 10, campaign.Canceled: 10})
	if _, err := s.resume(s.queue, "c"); err == nil {
		t.Error("resumed a canceled campaign")
	}
}

func TestCancelTakesADeadLoadBack(t *testing.T) {
	s := newStage(t, 1)
	c := campaign.Campaign{Name: "half", Settings: s.campaign.Settings}
	load, err := s.store.BeginLoad(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := load.Add(t.Context(), 0, s.chunk(0).Contacts); err != nil {
		t.Fatal(err)
	}
	if _, err := s.queue.Cancel(t.Context(), "half"); err == nil || !strings.Contains(err.Error(), "loading") {
		t.Errorf("cancel of a living load: %v", err)
	}
	if err := s.rdb.HSet(t.Context(), "c:{half}", "load_until", 1).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.queue.Cancel(t.Context(), "half"); err != nil {
		t.Fatal(err)
	}
	if keys := s.rdb.Keys(t.Context(), "c:{half}*").Val(); len(keys) != 0 {
		t.Errorf("left: %v", keys)
	}
}

func TestSteeringWhatCannotBeSteered(t *testing.T) {
	ctx := t.Context()
	steer := map[string]func(s *stage, name string) error{
		"pause":  func(s *stage, name string) error { return s.queue.Pause(ctx, name, campaign.Message{}) },
		"resume": func(s *stage, name string) error { _, err := s.resume(s.queue, name); return err },
		"cancel": func(s *stage, name string) error { _, err := s.queue.Cancel(ctx, name); return err },
	}
	for name, do := range steer {
		s := newStage(t, 5)
		if err := do(s, "nobody"); err == nil || !strings.Contains(err.Error(), "no such campaign") {
			t.Errorf("%s of a campaign that is not there: %v", name, err)
		}
		s.send("w1", 0)
		if err := do(s, "c"); err == nil || !strings.Contains(err.Error(), "finished") {
			t.Errorf("%s of a finished campaign: %v", name, err)
		}
		if err := s.rdb.HSet(ctx, "c:{c}", "phase", "loading", "load_until", time.Now().Add(time.Hour).UnixMilli()).Err(); err != nil {
			t.Fatal(err)
		}
		if err := do(s, "c"); err == nil || !strings.Contains(err.Error(), "loading") {
			t.Errorf("%s of a loading campaign: %v", name, err)
		}
	}
}

func TestRerun(t *testing.T) {
	ctx := t.Context()
	failed := Selection{States: []campaign.State{campaign.Failed}}
	newFailed := func(t *testing.T) *stage {
		s := newStage(t, 10, func(c *campaign.Settings) { c.MaxAttempts = 1 })
		s.platform.answer = refuseAll(500, "Server Error")
		s.send("w1", 0)
		s.want(map[campaign.State]int{campaign.Failed: 10})
		s.platform.answer = refuseNamed()
		return s
	}
	t.Run("sends the selected again, once", func(t *testing.T) {
		s := newFailed(t)
		for i, want := range []int{10, 0} {
			if done, err := s.queue.Rerun(ctx, "c", failed); done.Contacts != want || err != nil {
				t.Errorf("rerun %d: %+v, %v; want %d", i+1, done, err, want)
			}
		}
		s.send("w1", 0)
		s.want(map[campaign.State]int{campaign.Accepted: 10})
	})
	t.Run("selects by a part of the reason in any case", func(t *testing.T) {
		s := newFailed(t)
		if done, err := s.queue.Rerun(ctx, "c", Selection{States: failed.States, Reason: "no such"}); done.Contacts != 0 || err != nil {
			t.Errorf("%+v, %v", done, err)
		}
		if done, err := s.queue.Rerun(ctx, "c", Selection{States: failed.States, Reason: "server error"}); done.Contacts != 10 || err != nil {
			t.Errorf("%+v, %v", done, err)
		}
	})
	t.Run("leaves a paused campaign paused", func(t *testing.T) {
		s := newFailed(t)
		if _, _, err := s.store.SetPhase(ctx, "c", campaign.Paused, campaign.Text("lunch"), campaign.Running); err != nil {
			t.Fatal(err)
		}
		if done, err := s.queue.Rerun(ctx, "c", failed); done.Contacts != 10 || err != nil {
			t.Errorf("%+v, %v", done, err)
		}
		if phase, reason := s.phase("c"); phase != campaign.Paused || reason != "lunch" {
			t.Errorf("campaign is %s because %q", phase, reason)
		}
	})
	t.Run("revives a canceled campaign for the selected alone", func(t *testing.T) {
		s := newStage(t, 20, batchOf(10), func(c *campaign.Settings) { c.MaxAttempts = 1 })
		s.platform.answer = refuseAll(500, "oops")
		s.send("w1", 0)
		// Canceled, but cut off before it had canceled anybody.
		if _, _, err := s.store.SetPhase(ctx, "c", campaign.CanceledPhase, campaign.Message{}, campaign.Running); err != nil {
			t.Fatal(err)
		}
		if done, err := s.queue.Rerun(ctx, "c", Selection{States: failed.States, Reason: "no such"}); done.Contacts != 0 || err != nil {
			t.Errorf("%+v, %v", done, err)
		}
		if phase, _ := s.phase("c"); phase != campaign.CanceledPhase {
			t.Errorf("a rerun of no contact left it %s", phase)
		}
		if done, err := s.queue.Rerun(ctx, "c", failed); done.Contacts != 10 || err != nil {
			t.Errorf("%+v, %v", done, err)
		}
		s.want(map[campaign.State]int{campaign.Pending: 10, campaign.Canceled: 10})
		if phase, _ := s.phase("c"); phase != campaign.Running {
			t.Errorf("campaign is %s", phase)
		}
	})
	t.Run("refuses states that are not sent again", func(t *testing.T) {
		s := newFailed(t)
		for _, state := range []campaign.State{campaign.Pending, campaign.Sending, campaign.Accepted, campaign.Started, campaign.Ended} {
			if _, err := s.queue.Rerun(ctx, "c", Selection{States: []campaign.State{state}}); err == nil {
				t.Errorf("reran %s", state)
			}
		}
	})
	t.Run("refuses what is not there or not loaded", func(t *testing.T) {
		s := newFailed(t)
		if _, err := s.queue.Rerun(ctx, "nobody", failed); err == nil {
			t.Error("reran nobody")
		}
		if err := s.rdb.HSet(ctx, "c:{c}", "phase", "loading").Err(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.queue.Rerun(ctx, "c", failed); err == nil {
			t.Error("reran a campaign that is loading")
		}
	})
}

func TestResolve(t *testing.T) {
	ctx := t.Context()
	newLost := func(t *testing.T) *stage {
		s := newStage(t, 20, batchOf(10))
		s.platform.answer = func(rows []velents.Row) error { return errLostAnswer }
		s.send("w1", 0)
		s.send("w1", 1)
		s.want(map[campaign.State]int{campaign.Unconfirmed: 20})
		return s
	}
	t.Run("accepted: the platform has them", func(t *testing.T) {
		s := newLost(t)
		for i, want := range []int{20, 0} {
			if n, err := s.queue.Resolve(ctx, "c", Resolution{Accepted: true}); n != want || err != nil {
				t.Errorf("resolve %d: %d contacts, %v; want %d", i+1, n, err, want)
			}
		}
		s.want(map[campaign.State]int{campaign.Accepted: 20})
		if diff := cmp.Diff(map[string]int{"confirmed by hand": 20}, s.reasons(campaign.Accepted)); diff != "" {
			t.Errorf("reasons (-want +got):\n%s", diff)
		}
	})
	t.Run("not sent: one chunk alone is sent", func(t *testing.T) {
		s := newLost(t)
		chunk := 1
		if n, err := s.queue.Resolve(ctx, "c", Resolution{Chunk: &chunk}); n != 10 || err != nil {
			t.Errorf("%d contacts, %v", n, err)
		}
		s.want(map[campaign.State]int{campaign.Unconfirmed: 10, campaign.Pending: 10})
		if diff := cmp.Diff([]string{"c:1:1"}, s.waitingTasks("default")); diff != "" {
			t.Errorf("tasks (-want +got):\n%s", diff)
		}
	})
	t.Run("a chunk that is not there", func(t *testing.T) {
		s := newLost(t)
		for _, chunk := range []int{-1, 2} {
			if _, err := s.queue.Resolve(ctx, "c", Resolution{Chunk: &chunk}); err == nil {
				t.Errorf("resolved chunk %d of two", chunk)
			}
		}
	})
}
