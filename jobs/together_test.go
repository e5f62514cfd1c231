package jobs_test

import (
	"context"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/campaigntest"
	"campaign-runner/internal/redistest"
	"campaign-runner/jobs"
)

// several are running campaigns of two agents, and others in all the other phases.
func several(t *testing.T) (campaigntest.Fixture, *jobs.Queue) {
	t.Helper()
	f := campaigntest.New(t, redistest.Shared(t))
	for name, agent := range map[string]string{"a": "default", "b": "sales", "c": "default", "by-hand": "default", "by-rule": "default", "later": "default", "ready": "default", "over": "default"} {
		s := campaigntest.Settings(5, campaign.Column{Name: "phone"})
		s.Agent = agent
		f.Load(campaigntest.List{Name: name, Settings: s, Contacts: campaigntest.People(966500000000, 2, nil)})
	}
	q := jobs.NewQueue(f.Store, nil)
	if err := q.Pause(t.Context(), "by-hand", campaign.Say(campaign.MsgByPerson)); err != nil {
		t.Fatal(err)
	}
	if err := q.Halt(t.Context(), "by-rule", campaign.Say(campaign.MsgLostWrites)); err != nil {
		t.Fatal(err)
	}
	f.Pass("later", campaign.Scheduled, "")
	f.Pass("ready", campaign.Ready, "")
	f.Move("over", f.All("over"), campaigntest.Step{}, campaign.Cancel)
	return f, q
}

func names(list []jobs.Left) (names []string) {
	for _, l := range list {
		names = append(names, l.Campaign)
	}
	return names
}

func wantNames(t *testing.T, what string, want, got []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestAllArePausedAndResumed(t *testing.T) {
	f, q := several(t)
	phases := func() (phases map[string]campaign.Phase) {
		phases = make(map[string]campaign.Phase)
		for _, name := range []string{"a", "b", "c", "by-hand", "by-rule", "later", "ready", "over"} {
			c, err := f.Campaign(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			phases[name] = c.Phase
		}
		return phases
	}
	before := phases()
	found, err := q.ToPause(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	wantNames(t, "to pause", []string{"a", "b", "c"}, found.Campaigns)
	done, err := q.PauseAll(t.Context(), "", campaign.Text("call +966501234567"))
	if err != nil {
		t.Fatal(err)
	}
	wantNames(t, "paused", []string{"a", "b", "c"}, done.Campaigns)
	wantNames(t, "may start by itself", []string{"later"}, names(done.Left))
	paused := phases()
	for _, name := range done.Campaigns {
		c, err := f.Campaign(t.Context(), name)
		if want := "call …, together with other campaigns"; err != nil || c.Phase != campaign.Paused || c.PhaseReason.String() != want {
			t.Errorf("%s is %s: %q, %v", name, c.Phase, c.PhaseReason, err)
		}
	}
	for _, name := range []string{"by-hand", "by-rule"} {
		if c, _ := f.Campaign(t.Context(), name); c.PhaseReason.Is(campaign.MsgWithOthers) {
			t.Errorf("%s has lost its reason: %q", name, c.PhaseReason)
		}
	}
	if again, err := q.PauseAll(t.Context(), "", campaign.Text("again")); err != nil || len(again.Campaigns) > 0 {
		t.Errorf("paused again: %v, %v", again.Campaigns, err)
	}
	if diff := cmp.Diff(paused, phases()); diff != "" {
		t.Errorf("pausing again changed (-want +got):\n%s", diff)
	}
	done, err = q.ResumeAll(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	wantNames(t, "resumed", []string{"a", "b", "c"}, done.Campaigns)
	wantNames(t, "stay paused", []string{"by-hand", "by-rule"}, names(done.Left))
	if diff := cmp.Diff(before, phases()); diff != "" {
		t.Errorf("after pausing and resuming (-want +got):\n%s", diff)
	}
	if again, err := q.ResumeAll(t.Context(), ""); err != nil || len(again.Campaigns) > 0 {
		t.Errorf("resumed again: %v, %v", again.Campaigns, err)
	}
}

func TestAllOfAnAgent(t *testing.T) {
	f, q := several(t)
	done, err := q.PauseAll(t.Context(), "sales", campaign.Say(campaign.MsgByPerson))
	if err != nil {
		t.Fatal(err)
	}
	wantNames(t, "paused", []string{"b"}, done.Campaigns)
	if c, err := f.Campaign(t.Context(), "a"); err != nil || c.Phase != campaign.Running {
		t.Errorf("a is %s, %v", c.Phase, err)
	}
	if done, err = q.ResumeAll(t.Context(), "default"); err != nil || len(done.Campaigns) > 0 {
		t.Errorf("resumed %v, %v", done.Campaigns, err)
	}
	if done, err = q.ResumeAll(t.Context(), "sales"); err != nil {
		t.Error(err)
	}
	wantNames(t, "resumed", []string{"b"}, done.Campaigns)
}

// A campaign that cannot be read keeps no other from being paused.
func TestAllButADamagedOne(t *testing.T) {
	f, q := several(t)
	f.Redis().HSet(t.Context(), "c:{b}", "settings", "{")
	done, err := q.PauseAll(t.Context(), "", campaign.Say(campaign.MsgByPerson))
	if err == nil {
		t.Error("no error")
	}
	wantNames(t, "paused", []string{"a", "c"}, done.Campaigns)
	wantNames(t, "failed", []string{"b"}, done.Failed)
}

// Those that send now are paused even if the list of all cannot be read.
func TestAllThatAreLiveArePausedFirst(t *testing.T) {
	f, q := several(t)
	f.Redis().Set(t.Context(), "campaigns", "damaged", 0)
	done, err := q.PauseAll(t.Context(), "", campaign.Say(campaign.MsgByPerson))
	if err == nil {
		t.Error("no error, though others may run")
	}
	wantNames(t, "paused", []string{"a", "b", "c"}, done.Campaigns)
}

// One that the index of live campaigns lacks is paused, too.
func TestAllButNotOnlyThoseThatAreLive(t *testing.T) {
	f, q := several(t)
	f.Redis().Del(t.Context(), "live")
	done, err := q.PauseAll(t.Context(), "", campaign.Say(campaign.MsgByPerson))
	if err != nil {
		t.Fatal(err)
	}
	wantNames(t, "paused", []string{"a", "b", "c"}, done.Campaigns)
}

// Who pauses a campaign by name after all were paused keeps it from being resumed with all.
func TestAPauseByNameCountsAmongAll(t *testing.T) {
	_, q := several(t)
	if _, err := q.PauseAll(t.Context(), "", campaign.Say(campaign.MsgByPerson)); err != nil {
		t.Fatal(err)
	}
	if err := q.Pause(t.Context(), "a", campaign.Text("the list is wrong")); err != nil {
		t.Fatal(err)
	}
	done, err := q.ResumeAll(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	wantNames(t, "resumed", []string{"b", "c"}, done.Campaigns)
	wantNames(t, "stay paused", []string{"a", "by-hand", "by-rule"}, names(done.Left))
}

// The last answers may come after all were paused. What they tell is a reason of its own: the
// campaigns do not go on with the others.
func TestAHaltCountsAmongAll(t *testing.T) {
	for _, tt := range []struct {
		name   string
		halt   func(*testing.T, *jobs.Queue, campaign.Campaign) error
		stay   []string
		resume []string
	}{
		{"a campaign", func(t *testing.T, q *jobs.Queue, c campaign.Campaign) error {
			return q.Halt(t.Context(), c.Name, campaign.Text("its channel is gone"))
		}, []string{"a", "by-hand", "by-rule"}, []string{"b", "c"}},
		{"all of an agent", func(t *testing.T, q *jobs.Queue, c campaign.Campaign) error {
			return q.HaltAgent(t.Context(), c, campaign.Text("a stranger answers"))
		}, []string{"a", "by-hand", "by-rule", "c"}, []string{"b"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, q := several(t)
			if _, err := q.PauseAll(t.Context(), "", campaign.Say(campaign.MsgByPerson)); err != nil {
				t.Fatal(err)
			}
			f.Redis().Del(t.Context(), "live")
			c, err := f.Campaign(t.Context(), "a")
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := tt.halt(t, q, c); err != nil {
					t.Fatal(err)
				}
			}
			if err := q.Halt(t.Context(), "by-hand", campaign.Text("its channel is gone")); err != nil {
				t.Fatal(err)
			}
			if c, err = f.Campaign(t.Context(), "by-hand"); err != nil || !c.PhaseReason.Is(campaign.MsgByPerson) {
				t.Errorf("by-hand has another reason: %q, %v", c.PhaseReason, err)
			}
			done, err := q.ResumeAll(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			wantNames(t, "resumed", tt.resume, done.Campaigns)
			wantNames(t, "stay paused", tt.stay, names(done.Left))
			log, err := f.Decided(t.Context(), "a", store.ActionPause, campaigntest.At)
			if err != nil || len(log) != 2 {
				t.Errorf("log of a: %v, %v", log, err)
			}
		})
	}
}

// A pause by name that comes between the look of resume --all and its act is kept.
func TestAPauseByNameInTheMidstOfResumingAll(t *testing.T) {
	f, q := several(t)
	if _, err := q.PauseAll(t.Context(), "", campaign.Say(campaign.MsgByPerson)); err != nil {
		t.Fatal(err)
	}
	f.Redis().AddHook(beforeResume{func() {
		if err := jobs.NewQueue(f.Store, nil).Pause(context.Background(), "a", campaign.Text("the list is wrong")); err != nil {
			t.Error(err)
		}
	}, new(sync.Once)})
	done, err := q.ResumeAll(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	wantNames(t, "resumed", []string{"b", "c"}, done.Campaigns)
	if c, err := f.Campaign(t.Context(), "a"); err != nil || c.Phase != campaign.Paused || c.PhaseReason.String() != "the list is wrong" {
		t.Errorf("a is %s: %q, %v", c.Phase, c.PhaseReason, err)
	}
}

// beforeResume does something just before campaign a is set running.
type beforeResume struct {
	do   func()
	once *sync.Once
}

func (beforeResume) DialHook(next redis.DialHook) redis.DialHook { return next }

func (beforeResume) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h beforeResume) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		args := cmd.Args()
		if len(args) > 10 && args[0] == "evalsha" && args[3] == "c:{a}" && args[10] == "running" {
			h.once.Do(h.do)
		}
		return next(ctx, cmd)
	}
}
