package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/campaigntest"
	"campaign-runner/internal/golden"
	"campaign-runner/internal/redistest"
)

func TestOverviewHoldsEverything(t *testing.T) {
	f := newFixture(t)
	f.load("sale", settings, people(9), map[string]int{"too short": 3})
	f.worker("w1", "default", "other")
	f.worker("w2", "other")
	f.move("sale", 0, "bad number", campaign.Send, campaign.Reject)
	f.move("sale", 1, "timeout", campaign.Send, campaign.Lose)
	f.move("sale", 2, "timeout", campaign.Send, campaign.Lose)
	f.move("sale", 3, "", campaign.Send, campaign.Accept)
	f.move("sale", 4, "", campaign.Send)
	f.move("sale", 5, "busy", campaign.Send, campaign.Fail)

	o, err := report.Find(t.Context(), f.Store, "sale")
	if err != nil {
		t.Fatal(err)
	}
	if age := time.Since(o.CreatedAt); age < 0 || age > time.Minute {
		t.Errorf("created %v ago", age)
	}
	o.CreatedAt = at
	text, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "overview.json", string(text)+"\n")
	if got := o.States.Problems(); got != 4 {
		t.Errorf("problems: %d, want 4", got)
	}
}

// A Redis that takes no writes is what all campaigns wait for; one that only this
// reader may not write to is not.
func TestRedisThatTakesNoWritesIsTold(t *testing.T) {
	for _, tt := range []struct {
		name, setting, value string
		phase                campaign.Phase
		want                 string
	}{
		{"no memory", "maxmemory", "1", campaign.Running, "Redis takes no writes: OOM command not allowed when used memory > 'maxmemory'; give it more memory (maxmemory), or purge campaigns that are over"},
		{"no memory, and paused by a person", "maxmemory", "1", campaign.Paused, "paused: by a person; go on with: campaign resume sale"},
		{"a replica, while workers live", "replicaof", "127.0.0.1 1", campaign.Running, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rdb := redistest.Start(t).Client()
			f := fixture{campaigntest.New(t, rdb)}
			f.load("sale", settings, people(1), nil)
			f.worker("w", "default")
			f.Pass("sale", tt.phase, "")
			if tt.setting == "replicaof" {
				if err := rdb.ReplicaOf(t.Context(), "127.0.0.1", "1").Err(); err != nil {
					t.Fatal(err)
				}
			} else if err := rdb.ConfigSet(t.Context(), tt.setting, tt.value).Err(); err != nil {
				t.Fatal(err)
			}
			o, err := report.Find(t.Context(), f.Store, "sale")
			if err != nil {
				t.Fatal(err)
			}
			if o.WaitingFor.String() != tt.want {
				t.Errorf("waiting for %q, want %q", o.WaitingFor, tt.want)
			}
		})
	}
}

func TestStateAndWhatItWaitsFor(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(f fixture)
		state   campaign.Phase
		reason  string
		waiting string
		over    bool
	}{
		{"a running campaign with a worker waits for nothing",
			func(f fixture) { f.worker("w", "default") },
			campaign.Running, "", "", false},
		{"without a worker of its agent it cannot move",
			func(f fixture) { f.worker("w", "other") },
			campaign.Running, "", "no live worker serves agent default (start one with: worker --agents default)", false},
		{"a paused one says why and how to go on",
			func(f fixture) { f.Pass("sale", campaign.Paused, "401 from the platform") },
			campaign.Paused, "401 from the platform", "paused: 401 from the platform; go on with: campaign resume sale", false},
		{"paused without a reason",
			func(f fixture) { f.Pass("sale", campaign.Paused, "") },
			campaign.Paused, "", "paused: by a person; go on with: campaign resume sale", false},
		{"a ready one waits for a person",
			func(f fixture) { f.Pass("sale", campaign.Ready, "") },
			campaign.Ready, "", "it waits for a person; start it with: campaign start sale", false},
		{"a ready one may have a reason to wait",
			func(f fixture) { f.Pass("sale", campaign.Ready, "canary of 1: 1 accepted") },
			campaign.Ready, "canary of 1: 1 accepted", "canary of 1: 1 accepted; start it with: campaign start sale", false},
		{"finished once nobody is left, and no longer paused",
			func(f fixture) {
				f.Pass("sale", campaign.Paused, "401 from the platform")
				f.move("sale", 0, "", campaign.Send, campaign.Accept)
			},
			campaign.Finished, "", "", true},
		{"canceled with a request on its way is not over",
			func(f fixture) {
				f.worker("w", "default")
				f.move("sale", 0, "", campaign.Send)
				f.Pass("sale", campaign.CanceledPhase, "")
			},
			campaign.CanceledPhase, "", "", false},
		{"canceled and everybody accounted for is over",
			func(f fixture) {
				f.move("sale", 0, "", campaign.Cancel)
				f.Pass("sale", campaign.CanceledPhase, "")
			},
			campaign.CanceledPhase, "", "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			f.load("sale", settings, people(1), nil)
			tt.prepare(f)
			o, err := report.Find(t.Context(), f.Store, "sale")
			if err != nil {
				t.Fatal(err)
			}
			if o.State != tt.state || o.StateReason.String() != tt.reason || o.WaitingFor.String() != tt.waiting || o.Over() != tt.over {
				t.Errorf("state %q (%q), waiting for %q, over: %v", o.State, o.StateReason, o.WaitingFor, o.Over())
			}
		})
	}
}

func TestLoadingIsNeverTakenForFinished(t *testing.T) {
	f := newFixture(t)
	f.begin("sale", settings)
	for _, tt := range []struct {
		name, waiting string
		prepare       func()
	}{
		{"alive", "its contact file is still being loaded", func() {}},
		{"its enqueue is dead", "its enqueue has stopped; run it again", func() {
			f.Redis().HSet(t.Context(), "c:{sale}", "load_until", 1)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.prepare()
			o, err := report.Find(t.Context(), f.Store, "sale")
			if err != nil {
				t.Fatal(err)
			}
			if o.State != campaign.Loading || o.WaitingFor.String() != tt.waiting || o.Over() || len(o.States) != len(campaign.States()) {
				t.Errorf("%+v", o)
			}
		})
	}
	const want = "campaign sale: its contact file is still being loaded"
	_, results := report.Results{}.Write(t.Context(), f.Store, "sale", &bytes.Buffer{})
	_, rejects := report.Rejects(t.Context(), f.Store, "sale", &bytes.Buffer{})
	_, unconfirmed := report.ListUnconfirmed(t.Context(), f.Store, "sale")
	for _, err := range []error{results, rejects, unconfirmed} {
		if err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestListHasTheNewestFirst(t *testing.T) {
	f := newFixture(t)
	if list, err := report.List(t.Context(), f.Store); err != nil || list == nil || len(list) != 0 {
		t.Errorf("without campaigns: %v, %v, want an empty list", list, err)
	}
	for i, name := range []string{"b", "c", "a"} {
		f.load(name, settings, people(i), nil)
		f.Redis().HSet(t.Context(), "c:{"+name+"}", "created_at", 1000+i)
	}
	f.Redis().ZAdd(t.Context(), "campaigns", redis.Z{Member: "purged"})
	list, err := report.List(t.Context(), f.Store)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range list {
		got = append(got, s.Campaign+" "+string(s.State))
	}
	if diff := cmp.Diff([]string{"a running", "c running", "b finished"}, got); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
}

func TestUnconfirmed(t *testing.T) {
	for _, tt := range []struct {
		name    string
		mode    campaign.Mode
		batches string
	}{
		{"a batch has a name to look for", campaign.Batch, "sale/1/"},
		{"a dispatch has none", campaign.Dispatch, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			s := settings
			s.Mode = tt.mode
			f.load("sale", s, people(7), nil)
			f.move("sale", 0, "", campaign.Send, campaign.Accept)
			f.move("sale", 2, "timeout", campaign.Send, campaign.Lose)
			f.move("sale", 3, "timeout", campaign.Send, campaign.Lose)
			got, err := report.ListUnconfirmed(t.Context(), f.Store, "sale")
			if err != nil {
				t.Fatal(err)
			}
			want := []report.Unconfirmed{{Chunk: 1, Contacts: 2, First: at, Last: at, Batches: tt.batches}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("unconfirmed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRejectsAreHandedOutAsStored(t *testing.T) {
	f := newFixture(t)
	f.load("sale", settings, people(1), map[string]int{"too short": 2})
	var out strings.Builder
	lines, err := report.Rejects(t.Context(), f.Store, "sale", &out)
	if err != nil || lines != 2 || out.String() != "name,phone,line,reason,original\n" {
		t.Errorf("%d lines, %q, %v", lines, out.String(), err)
	}
	if _, err := report.Rejects(t.Context(), f.Store, "sale", full{}); !errors.Is(err, errFull) {
		t.Errorf("to a full disk: %v", err)
	}
}

var errFull = errors.New("disk full")

// full is a disk with room for that many more writes.
type full struct{ room *int }

func (f full) Write(b []byte) (int, error) {
	if f.room == nil || *f.room == 0 {
		return 0, errFull
	}
	*f.room--
	return len(b), nil
}

func TestEveryFailureOfRedisIsTold(t *testing.T) {
	find := func(s *store.Store) error { _, err := report.Find(t.Context(), s, "sale"); return err }
	list := func(s *store.Store) error { _, err := report.List(t.Context(), s); return err }
	results := func(s *store.Store) error {
		_, err := report.Results{}.Write(t.Context(), s, "sale", &bytes.Buffer{})
		return err
	}
	for _, tt := range []struct {
		name    string
		do      func(*store.Store) error
		command string
		nth     int
	}{
		{"overview: clock", find, "time", 1},
		{"overview: workers", find, "smembers", 1},
		{"overview: campaign", find, "hgetall", 1},
		{"overview: tally", find, "hgetall", 2},
		{"overview: reasons", find, "hgetall", 3},
		{"list: clock", list, "time", 1},
		{"list: names", list, "zrevrange", 1},
		{"list: campaign", list, "hgetall", 1},
		{"results: campaign", results, "hgetall", 1},
		{"results: chunk", results, "get", 3},
		{"results: reasons", results, "hgetall", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			f.load("sale", settings, people(20), nil)
			f.move("sale", 0, "bad number", campaign.Send, campaign.Reject)
			want := f.fail(tt.command, tt.nth)
			if err := tt.do(f.Store); !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
		})
	}
}

func TestUnknownCampaign(t *testing.T) {
	f := newFixture(t)
	_, err := report.Find(t.Context(), f.Store, "nobody")
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("%v, want %v", err, store.ErrNotFound)
	}
}

func TestQuotaThatHoldsACampaignUp(t *testing.T) {
	now := time.Now()
	soon := now.Add(time.Minute)
	at := campaign.Clock(soon, now)
	for _, tt := range []struct {
		name    string
		quota   store.Quota
		waiting string
	}{
		{"until the next request", store.Quota{Limit: 30, Next: soon, Reason: campaign.Text("the quota is used up")},
			"waiting for the quota: the quota is used up; the next request leaves at " + at},
		{"for a day after a refusal", store.Quota{Limit: 30, Next: now.Add(24 * time.Hour), Reason: campaign.Text("refused with 429"), Blocked: true},
			"waiting for the quota: refused with 429; the next request leaves at " + campaign.Moment(now.Add(24*time.Hour)) + "; sooner with: campaign agents unblock default"},
		{"for a moment after a refusal", store.Quota{Limit: 30, Next: now.Add(20 * time.Second), Reason: campaign.Text("refused with 429"), Blocked: true},
			"waiting for the quota: refused with 429; the next request leaves at " + campaign.Clock(now.Add(20*time.Second), now)},
		{"for a moment only", store.Quota{Limit: 30, Next: now.Add(time.Second), Reason: campaign.Text("spread over the window")}, ""},
		{"no longer", store.Quota{Limit: 30, Remaining: 3}, ""},
		{"while one contact finds out", store.Quota{Limit: 30, Probing: true},
			"waiting for the quota: an answer was lost; one contact a request, one after another, until one succeeds"},
		{"until one contact may find out", store.Quota{Limit: 30, Next: soon, Reason: campaign.Text("an answer was lost; one contact will find out"), Blocked: true, Probing: true},
			"waiting for the quota: an answer was lost; one contact will find out; the next request leaves at " + at},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			f.load("sale", settings, people(1), nil)
			w := store.Worker{ID: "w", Agents: []string{settings.Agent}, Quotas: map[string]store.Quota{settings.Agent: tt.quota}}
			if err := f.Heartbeat(t.Context(), w); err != nil {
				t.Fatal(err)
			}
			o, err := report.Find(t.Context(), f.Store, "sale")
			if err != nil {
				t.Fatal(err)
			}
			if o.WaitingFor.String() != tt.waiting {
				t.Errorf("waiting for %q, want %q", o.WaitingFor, tt.waiting)
			}
			if o.Quota == nil || o.Quota.Limit != 30 {
				t.Errorf("quota %+v", o.Quota)
			}
		})
	}
}

func TestQuotaIsTheOneThatWasLookedAtLast(t *testing.T) {
	now := time.Now()
	for _, frozen := range []string{"a", "z"} { // whichever comes first in Redis
		f := newFixture(t)
		f.load("sale", settings, people(1), nil)
		for id, ago := range map[string]time.Duration{frozen: 6 * time.Second, "m": time.Second} {
			quota := store.Quota{Limit: 30, Remaining: 30}
			if id == "m" {
				quota = store.Quota{Limit: 30, Next: now.Add(20 * time.Second), Reason: campaign.Text("refused with 429"), Blocked: true}
			}
			w := store.Worker{ID: id, Agents: []string{settings.Agent}, Quotas: map[string]store.Quota{settings.Agent: quota}, Looked: now.Add(-ago)}
			if err := f.Heartbeat(t.Context(), w); err != nil {
				t.Fatal(err)
			}
		}
		if o, err := report.Find(t.Context(), f.Store, "sale"); err != nil || !o.Quota.Blocked {
			t.Errorf("beside a frozen worker %s the quota is %+v, %v; want the one that is blocked", frozen, o.Quota, err)
		}
	}
}

func TestQueueThatIsPausedHoldsACampaignUp(t *testing.T) {
	f := newFixture(t)
	f.load("sale", settings, people(1), nil)
	for lane, want := range map[campaign.Lane]string{
		campaign.Normal: "the normal queue of agent default is paused in the asynq UI; resume it there",
		campaign.Bulk:   "",
	} {
		w := store.Worker{ID: "w", Agents: []string{settings.Agent}, Paused: map[string][]campaign.Lane{settings.Agent: {lane}}}
		if err := f.Heartbeat(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		o, err := report.Find(t.Context(), f.Store, "sale")
		if err != nil {
			t.Fatal(err)
		}
		if o.WaitingFor.String() != want {
			t.Errorf("%s paused: waiting for %q, want %q", lane, o.WaitingFor, want)
		}
	}
}

// Answers and opt-outs get lost without a word where one side does not listen.
func TestHearing(t *testing.T) {
	linked := store.Worker{Agents: []string{"default"}, Listens: true}
	deaf := store.Worker{Agents: []string{"default"}}
	other := store.Worker{Agents: []string{"other"}}
	for _, tt := range []struct {
		name    string
		listens bool
		alive   []store.Worker
		want    campaign.Message
	}{
		{"both do", true, []store.Worker{linked}, campaign.Message{}},
		{"neither does", false, []store.Worker{deaf}, campaign.Message{}},
		{"no worker is alive", true, nil, campaign.Message{}},
		{"only the workers do", false, []store.Worker{linked}, campaign.Say(campaign.MsgDeaf)},
		{"only the campaign does", true, []store.Worker{deaf}, campaign.Say(campaign.MsgUnlinked)},
		{"one of its workers does not", true, []store.Worker{linked, deaf}, campaign.Say(campaign.MsgUnlinked)},
		{"a worker of another agent does not", true, []store.Worker{linked, other}, campaign.Message{}},
	} {
		if got := report.Hearing(tt.listens, "default", tt.alive); !got.Equal(tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
