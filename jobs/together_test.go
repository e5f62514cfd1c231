package jobs_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
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
