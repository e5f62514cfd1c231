package jobs

import (
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"campaign-runner/campaign"
	"campaign-runner/campaign/hours"
	"campaign-runner/campaign/store"
)

// finished waits until a task is over, and returns its result.
func (s *stage) finished(id string) string {
	s.t.Helper()
	for range 2000 {
		info, err := s.queue.inspector.GetTaskInfo("default", id)
		if err == nil && info.State == asynq.TaskStateCompleted {
			if left := info.Retention; left != retainFor {
				s.t.Errorf("%s stays %v", id, left)
			}
			return string(info.Result)
		}
		time.Sleep(5 * time.Millisecond)
	}
	s.t.Fatalf("task %s is not over", id)
	return ""
}

func TestTheQueueTellsWhatBecameOfATask(t *testing.T) {
	closed := func(c *campaign.Settings) {
		week, err := hours.ParseWeek("sun-sat 00:00-00:01")
		if err != nil {
			t.Fatal(err)
		}
		zone := "Etc/GMT-1" // an hour ahead
		if time.Now().UTC().Hour() == 23 {
			zone = "UTC"
		}
		c.Hours = hours.Schedule{Week: week, Zone: zone}
	}
	for _, tt := range []struct {
		name string
		set  func(*campaign.Settings)
		act  func(s *stage)
		want string
	}{
		{"contacts that are sent", func(*campaign.Settings) {}, func(s *stage) { s.platform.answer = refuseNamed(1, 2) }, "3 accepted, 2 rejected"},
		{"contacts that wait for the hours", closed, func(*stage) {}, "5 pending until 20"},
		{"a campaign that was canceled", func(*campaign.Settings) {}, func(s *stage) {
			if _, _, err := s.store.SetPhase(t.Context(), "c", campaign.CanceledPhase, campaign.Message{}, campaign.Running); err != nil {
				t.Fatal(err)
			}
		}, "5 canceled"},
		{"a campaign that is paused", func(*campaign.Settings) {}, func(s *stage) {
			if err := s.queue.Pause(t.Context(), "c", campaign.Text("ask +966500000001")); err != nil {
				t.Fatal(err)
			}
		}, "5 pending: the campaign is paused"},
		{"a campaign that is gone", func(*campaign.Settings) {}, func(s *stage) { s.rdb.Del(t.Context(), "c:{c}") }, "the campaign is gone"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, 5, tt.set)
			if n, err := s.queue.Release(t.Context(), "c"); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			tt.act(s)
			s.startWorker(Agent{"default", s.platform, s.quota})
			if got := s.finished("c:0:1"); !strings.HasPrefix(got, tt.want) || strings.Contains(got, "966") {
				t.Errorf("result %q, want %q", got, tt.want)
			}
		})
	}
}

// A task that stays must never be taken for one that waits.
func TestAChunkWhoseTaskStaysRunsAgainAtOnce(t *testing.T) {
	ctx := t.Context()
	s := newStage(t, 5, func(c *campaign.Settings) { c.MaxAttempts = 1 })
	s.platform.answer = refuseAll(500, "oops")
	if n, err := s.queue.Release(ctx, "c"); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	stop := s.startWorker(Agent{"default", s.platform, s.quota})
	if got := s.finished("c:0:1"); got != "5 failed" {
		t.Errorf("the launch: %q", got)
	}
	s.platform.answer = refuseNamed(0)
	if done, err := s.queue.Rerun(ctx, "c", Selection{States: []campaign.State{campaign.Failed}}); done.Contacts != 5 || err != nil {
		t.Fatal(done, err)
	}
	if got := s.finished("c:0:2"); got != "4 accepted, 1 rejected" {
		t.Errorf("the rerun: %q", got)
	}
	// Paused, and met by its task: the resume releases it beside that one.
	if _, err := s.queue.Rerun(ctx, "c", Selection{States: []campaign.State{campaign.Rejected}}); err != nil {
		t.Fatal(err)
	}
	if got := s.finished("c:0:3"); got != "4 accepted, 1 rejected" {
		t.Errorf("the second rerun: %q", got)
	}
	stop()
	s.check()

	// The same name again: its ids begin anew, while the old tasks still stay.
	if err := s.queue.Purge(ctx, "c", false); err != nil {
		t.Fatal(err)
	}
	for _, key := range s.rdb.Keys(ctx, "c:{c}*").Val() {
		s.rdb.Del(ctx, key)
	}
	s.platform.forget()
	s.platform.answer = refuseNamed()
	s.campaign = s.load("c", 5)
	if n, err := s.queue.Release(ctx, "c"); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if info, err := s.queue.inspector.GetTaskInfo("default", "c:0:1"); err != nil || info.State != asynq.TaskStatePending {
		t.Errorf("the task of an earlier campaign is in the way: %+v, %v", info, err)
	}
	s.startWorker(Agent{"default", s.platform, s.quota})
	if got := s.finished("c:0:1"); got != "5 accepted" {
		t.Errorf("the campaign of the same name: %q", got)
	}
}

// The sweeper releases a chunk that has been put off although its task stays.
func TestTheSweeperReleasesAChunkWhoseTaskStays(t *testing.T) {
	s := newStage(t, 5)
	task := newTask(s.campaign, 0, 1)
	seqs, err := s.store.Release(t.Context(), "c", time.Hour, store.ChunkSeq{Ref: store.Ref{Campaign: "c"}})
	if err != nil || seqs[0] != 1 {
		t.Fatal(seqs, err)
	}
	if _, err := s.queue.client.Enqueue(task); err != nil {
		t.Fatal(err)
	}
	if err := s.queue.Pause(t.Context(), "c", campaign.Message{}); err != nil {
		t.Fatal(err)
	}
	stop := s.startWorker(Agent{"default", s.platform, s.quota})
	if got := s.finished("c:0:1"); got != "5 pending: the campaign is paused" {
		t.Errorf("result %q", got)
	}
	stop()
	if _, _, err := s.store.SetPhase(t.Context(), "c", campaign.Running, campaign.Message{}, campaign.Paused); err != nil {
		t.Fatal(err)
	}
	if err := s.store.SetDue(t.Context(), store.Ref{Campaign: "c"}, 0); err != nil {
		t.Fatal(err)
	}
	if err := s.sweeper().sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if ids := s.waitingTasks("default"); len(ids) != 1 || ids[0] != "c:0:2" {
		t.Errorf("tasks %v", ids)
	}
}

func TestFinishedTasksAreBoundedInNumber(t *testing.T) {
	s := newStage(t, 1)
	const tasks = 1300
	for i := range tasks {
		if _, err := s.queue.client.Enqueue(newTask(campaign.Campaign{Name: "gone", Settings: s.campaign.Settings}, i, 1)); err != nil {
			t.Fatal(err)
		}
	}
	stop := s.startWorker(Agent{"default", s.platform, s.quota})
	for range 2000 { // the last to finish need not be the last that was put in
		info, err := s.queue.inspector.GetQueueInfo("default")
		if err == nil && info.Pending+info.Active+info.Scheduled+info.Retry == 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	stop()
	for _, most := range []int{retainMost, 7} {
		if err := s.queue.trim(t.Context(), "default", campaign.Normal, most); err != nil {
			t.Fatal(err)
		}
		if n := s.rdb.ZCard(t.Context(), "asynq:{default}:completed").Val(); int(n) != most {
			t.Errorf("%d finished tasks, want %d", n, most)
		}
		if keys := s.rdb.Keys(t.Context(), "asynq:{default}:t:*").Val(); len(keys) != most {
			t.Errorf("%d tasks in Redis, want %d", len(keys), most)
		}
	}
	info, err := s.queue.inspector.GetQueueInfo("default") // it fails on a listed task that is gone
	if err != nil || info.Completed != 7 {
		t.Errorf("%+v, %v", info, err)
	}
}

// A Redis that fails over has lost a task that runs. What its worker writes down is all that
// is left of it: a task without a state, which asynq can neither read nor delete.
func TestWhatIsLeftOfATaskBlocksNobody(t *testing.T) {
	for name, seq := range map[string]int{"the last one": 1, "the next one": 2} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, 10)
			ctx := t.Context()
			if n, err := s.queue.Release(ctx, "c"); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			ref := store.Ref{Campaign: "c"}
			if err := s.queue.inspector.DeleteTask("default", taskID(ref, 1)); err != nil {
				t.Fatal(err)
			}
			left := "asynq:{default}:t:" + taskID(ref, seq)
			if err := s.rdb.HSet(ctx, left, "result", "10 accepted").Err(); err != nil {
				t.Fatal(err)
			}
			if n, err := s.queue.Release(ctx, "c"); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			info, err := s.queue.inspector.GetTaskInfo("default", taskID(ref, 2))
			if err != nil || info.State != asynq.TaskStatePending {
				t.Errorf("%+v, %v", info, err)
			}
			if seq == 1 && s.rdb.Exists(ctx, left).Val() == 1 {
				t.Error("it lies there for ever")
			}
		})
	}
}
