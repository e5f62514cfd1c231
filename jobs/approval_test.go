package jobs

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/redistest"
)

// newUnapproved is a stage whose campaign of 20 contacts in two chunks waits for approval,
// made by the user of this process.
func newUnapproved(t *testing.T, edit ...func(*campaign.Settings)) *stage {
	t.Helper()
	rdb := redistest.Shared(t)
	if err := store.New(rdb).SetPolicy(t.Context(), 10, ""); err != nil {
		t.Fatal(err)
	}
	return newStageOn(t, rdb, 20, append([]func(*campaign.Settings){batchOf(10)}, edit...)...)
}

// sendAll does what workers do until nothing more happens.
func (s *stage) sendAll() {
	s.t.Helper()
	for chunk := range 2 {
		if again := s.send("w1", chunk); again != nil {
			s.t.Errorf("the task of chunk %d comes back after %v: %s", chunk, again.After, again.Why)
		}
	}
	s.sweep()
}

func (s *stage) must(what any, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("%v: %v", what, err)
	}
}

// approved lets somebody else approve, and checks that all are sent then.
func (s *stage) approved() {
	s.t.Helper()
	s.must(s.queue.By("nora").Approve(s.t.Context(), "c", 0))
	s.allSent()
}

func (s *stage) allSent() {
	s.t.Helper()
	s.sendAll()
	s.want(map[campaign.State]int{campaign.Accepted: 20})
}

func TestNothingGoesAroundApproval(t *testing.T) {
	for _, tt := range []struct {
		name string
		way  func(*stage)
	}{
		{"its load", func(*stage) {}},
		{"a resume", func(s *stage) {
			s.must("pause", s.queue.Pause(s.t.Context(), "c", campaign.Message{}))
			s.must(s.resume(s.queue, "c"))
		}},
		{"a start", func(s *stage) {
			_, _, err := s.store.SetPhase(s.t.Context(), "c", campaign.Ready, campaign.Message{}, campaign.Running)
			s.must("ready", err)
			s.must(s.start("c"))
		}},
		{"a rerun of the canceled", func(s *stage) {
			s.must(s.queue.Cancel(s.t.Context(), "c"))
			s.must(s.queue.Rerun(s.t.Context(), "c", Selection{States: []campaign.State{campaign.Canceled}}))
		}},
		{"a setting", func(s *stage) {
			s.must(s.queue.Set(s.t.Context(), "c", func(to *campaign.Settings) error { to.MaxAttempts = 7; return nil }))
		}},
		{"a setting after an approval", func(s *stage) {
			s.must(s.queue.By("nora").Approve(s.t.Context(), "c", 0))
			s.must(s.queue.By("omar").Set(s.t.Context(), "c", func(to *campaign.Settings) error { to.MaxAttempts = 7; return nil }))
		}},
		{"the end of the policy", func(s *stage) {
			s.must("policy", s.store.SetPolicy(s.t.Context(), 0, ""))
			s.must(s.queue.Release(s.t.Context(), "c"))
		}},
		{"a worker that knows nothing of it", func(s *stage) {
			c := s.now()
			c.Approval = campaign.Approval{}
			for n := range 2 {
				_, err := s.runner("old").sender.Pass(s.t.Context(), c, s.chunk(n))
				s.must("pass", err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newUnapproved(t)
			tt.way(s)
			s.sendAll()
			if n := s.platform.count(); n > 0 {
				t.Errorf("%d requests were made", n)
			}
			tasks := s.rdb.LLen(t.Context(), asynqKey("default", campaign.Normal, "pending")).Val()
			if tasks > 0 && tt.name != "a setting after an approval" {
				t.Errorf("%d tasks wait for nothing", tasks)
			}
			s.approved()
		})
	}
}

func TestAnApprovalReleasesAsAResumeDoes(t *testing.T) {
	s := newUnapproved(t)
	s.sendAll()
	s.must("pause", s.queue.Pause(t.Context(), "c", campaign.Message{}))
	if _, err := s.queue.Approve(t.Context(), "c", 0); !errors.Is(err, store.ErrOwnWork) {
		t.Errorf("its maker approved it: %v", err)
	}
	if n, err := s.queue.By("nora").Approve(t.Context(), "c", 0); n != 0 || err != nil {
		t.Errorf("released %d of a paused campaign: %v", n, err)
	}
	if phase, _ := s.phase("c"); phase != campaign.Paused {
		t.Errorf("it is %s", phase)
	}
	s.must(s.resume(s.queue, "c"))
	if tasks := s.waitingTasks("default"); len(tasks) != 2 {
		t.Errorf("tasks %v, want one for each chunk", tasks)
	}
	log := s.log()
	if last := log[slices.IndexFunc(log, func(line string) bool { return line[:5] == "nora:" })]; last != "nora: approve: 20 contacts; it was made or changed by "+store.Who("") {
		t.Error(last)
	}
	s.allSent()
}

// A process that died right after the approval has released nothing.
func TestTheSweeperReleasesWhatIsApproved(t *testing.T) {
	s := newUnapproved(t)
	s.sendAll()
	s.must("approve", s.store.Approve(t.Context(), s.now(), "nora"))
	s.sweep()
	if tasks := s.waitingTasks("default"); len(tasks) != 2 {
		t.Errorf("tasks %v, want one for each chunk", tasks)
	}
}

func TestACanaryWaitsForApprovalToo(t *testing.T) {
	s := newUnapproved(t, canaryOf(5), goingOn(5000))
	s.must(s.queue.By("nora").Approve(t.Context(), "c", 0))
	if again := s.send("w1", 0); again != nil {
		t.Error(again)
	}
	s.want(map[campaign.State]int{campaign.Accepted: 5, campaign.Pending: 15})
	s.must(s.queue.By("omar").Set(t.Context(), "c", func(to *campaign.Settings) error { to.MaxAttempts = 7; return nil }))
	s.sendAll()
	s.want(map[campaign.State]int{campaign.Accepted: 5, campaign.Pending: 15})
	s.must(s.queue.By("nora").Approve(t.Context(), "c", 0))
	s.sweep() // it judges the canary
	s.allSent()
}

func TestAScheduledCampaignWaitsForApproval(t *testing.T) {
	start := time.Now().Add(-time.Minute).UTC().Truncate(time.Second)
	for _, tt := range []struct {
		name     string
		lateness time.Duration
		phase    campaign.Phase
		reason   string
	}{
		{"in time", time.Hour, campaign.Running, ""},
		{"too late", time.Second, campaign.Ready, "it was to start at " + start.Format(time.RFC3339) + ", and was approved more than 1s later"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newUnapproved(t, func(c *campaign.Settings) { c.StartAt, c.MaxLateness = start, tt.lateness })
			_, _, err := s.store.SetPhase(t.Context(), "c", campaign.Scheduled, campaign.Message{}, campaign.Running)
			s.must("scheduled", err)
			s.sweep()
			if phase, _ := s.phase("c"); phase != campaign.Scheduled {
				t.Fatalf("it is %s", phase)
			}
			s.must(s.queue.By("nora").Approve(t.Context(), "c", 0))
			s.sweep()
			if phase, reason := s.phase("c"); phase != tt.phase || reason != tt.reason {
				t.Errorf("it is %s: %q", phase, reason)
			}
		})
	}
}

// Those who were reached are reached again: nobody has approved that.
func TestARerunOfTheEndedNeedsApproval(t *testing.T) {
	s := newUnapproved(t)
	s.approved()
	s.talked(map[int]campaign.Outcome{0: {}})
	s.platform.forget()
	s.must(s.queue.By("omar").Rerun(t.Context(), "c", where(t, "ended.no_answer")))
	s.sendAll()
	if n := len(s.platform.contacted()); n > 0 {
		t.Errorf("%d were contacted again", n)
	}
	if _, err := s.queue.By("Omar").Approve(t.Context(), "c", 0); !errors.Is(err, store.ErrOwnWork) {
		t.Errorf("who asked for the rerun approved it: %v", err)
	}
	s.approved()
}

// Nobody approves what they make themselves by naming its revision before it is there.
func TestARevisionThatIsNotThereYetIsNotApproved(t *testing.T) {
	s := newUnapproved(t)
	before := s.now().Approval
	made := false
	s.rdb.AddHook(beforeScripts(func() {
		if !made {
			made = true
			s.must(s.queue.By("nora").Set(s.t.Context(), "c", func(to *campaign.Settings) error { to.MaxAttempts = 7; return nil }))
		}
	}))
	if _, err := s.queue.By("nora").Approve(t.Context(), "c", before.Revision+1); !errors.Is(err, store.ErrRemade) {
		t.Errorf("approved: %v", err)
	}
	if now := s.now().Approval; !now.Wanted {
		t.Errorf("%+v", now)
	}
}

// beforeScripts does something before each script runs.
type beforeScripts func()

func (b beforeScripts) DialHook(next redis.DialHook) redis.DialHook { return next }

func (b beforeScripts) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (b beforeScripts) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if strings.HasPrefix(cmd.Name(), "eval") {
			b()
		}
		return next(ctx, cmd)
	}
}
