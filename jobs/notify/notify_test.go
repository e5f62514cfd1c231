package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/internal/campaigntest"
	"campaign-runner/internal/redistest"
	"campaign-runner/jobs"
)

// A stage is a Redis with a running campaign "c" of two contacts, an address that
// keeps what is posted to it, and two workers' notifiers.
type stage struct {
	campaigntest.Fixture
	a, b   *Notifier
	log    *bytes.Buffer
	url    string
	answer func(w http.ResponseWriter)

	mu    sync.Mutex
	texts []string
	last  Notice
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{Fixture: campaigntest.New(t, redistest.Shared(t)), log: new(bytes.Buffer), answer: func(http.ResponseWriter) {}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		var n Notice
		if body, _ := io.ReadAll(r.Body); json.Unmarshal(body, &n) != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s", r.Method, body)
		}
		s.last, s.texts = n, append(s.texts, n.Text)
		s.answer(w)
	}))
	t.Cleanup(server.Close)
	s.url = server.URL + "/secret-path"
	s.a, s.b = s.notifier(), s.notifier()
	s.load("c", 2)
	return s
}

func (s *stage) notifier() *Notifier {
	s.T.Helper()
	n, err := New(s.Store, s.url, slog.New(slog.NewTextHandler(s.log, nil)))
	if err != nil {
		s.T.Fatal(err)
	}
	return n
}

func (s *stage) load(name string, contacts int) {
	s.T.Helper()
	s.Load(campaigntest.List{
		Name: name, Settings: campaigntest.Settings(5, campaign.Column{Name: "phone"}), Contacts: campaigntest.People(966500000000, contacts, nil),
	})
}

// move makes things happen to all contacts of a campaign.
func (s *stage) move(name string, causes ...campaign.Cause) {
	s.T.Helper()
	s.Move(name, s.All(name), campaigntest.Step{At: time.Unix(1e9, 0)}, causes...)
}

// looked lets notifiers look, and returns what was posted meanwhile.
func (s *stage) looked(notifiers ...*Notifier) []string {
	s.T.Helper()
	s.mu.Lock()
	s.texts = nil
	s.mu.Unlock()
	for _, n := range notifiers {
		if err := n.look(s.T.Context()); err != nil {
			s.T.Fatal(err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.texts
}

func (s *stage) want(texts []string, want ...string) {
	s.T.Helper()
	if diff := cmp.Diff(want, texts); diff != "" {
		s.T.Errorf("told (-want +got):\n%s", diff)
	}
}

// soon lets the time pass after which a notice is tried again.
func (s *stage) soon() { s.Redis().HSet(s.T.Context(), "c:{c}", "notice_until", 1) }

func TestEachChangeIsToldOnce(t *testing.T) {
	s := newStage(t)
	s.want(s.looked(s.a, s.b))
	if err := jobs.NewQueue(s.Store, nil).Pause(s.T.Context(), "c", campaign.Text("call +966 50 123 4567 first")); err != nil {
		t.Fatal(err)
	}
	const paused = "Campaign c is paused: call … first. 2 contacts: 2 pending."
	s.want(s.looked(s.a, s.b, s.a), paused)
	if s.last.State != campaign.Paused || s.last.StateReason != "call … first" || s.last.States["pending"] != 2 || s.last.States["ended"] != 0 || len(s.last.States) != len(campaign.States()) {
		t.Errorf("posted %+v", s.last)
	}
	s.Pass("c", campaign.Paused, "the platform answers 401")
	s.want(s.looked(s.b, s.a), "Campaign c is paused: the platform answers 401. 2 contacts: 2 pending.")
	s.Pass("c", campaign.Running, "")
	s.want(s.looked(s.a))
	s.Pass("c", campaign.Paused, "the platform answers 401")
	s.want(s.looked(s.a, s.b), "Campaign c is paused: the platform answers 401. 2 contacts: 2 pending.")
	s.Pass("c", campaign.Running, "")
	s.move("c", campaign.Send, campaign.Fail)
	s.want(s.looked(s.b, s.a), "Campaign c has finished. 2 contacts: 2 failed.")
	s.move("c", campaign.Rerun, campaign.Send, campaign.Accept) // between two looks
	s.Redis().HSet(t.Context(), "c:{c}", "ended_at", time.Now().Add(time.Second).UnixMilli())
	s.want(s.looked(s.b, s.a), "Campaign c has finished. 2 contacts: 2 accepted.")
}

func TestACampaignThatWaitsForAPersonIsToldOf(t *testing.T) {
	s := newStage(t)
	s.Pass("c", campaign.Ready, "")
	s.want(s.looked(s.a, s.b))
	if _, ok, err := s.SetPhase(t.Context(), "c", campaign.Ready, campaign.Text("canary of 1: 1 accepted"), campaign.Ready); !ok {
		t.Fatal(err)
	}
	s.want(s.looked(s.a, s.b), "Campaign c waits to be started: canary of 1: 1 accepted. 2 contacts: 2 pending.")
	if s.last.State != campaign.Ready || s.last.StateReason != "canary of 1: 1 accepted" {
		t.Errorf("posted %+v", s.last)
	}
}

func TestACampaignThatWaitsForApprovalIsToldOf(t *testing.T) {
	s := newStage(t)
	s.ApproveAbove(1)
	load := campaigntest.List{Name: "big", Settings: campaigntest.Settings(5, campaign.Column{Name: "phone"}), Contacts: campaigntest.People(966500000000, 2, nil), By: "sara"}
	s.Load(load)
	s.want(s.looked(s.a, s.b, s.a), "Campaign big waits for approval by somebody else than sara. 2 contacts: 2 pending.")
	if s.last.State != campaign.Running || !s.last.Unapproved {
		t.Errorf("posted %+v", s.last)
	}
	c, err := s.Campaign(t.Context(), "big")
	if err != nil {
		t.Fatal(err)
	}
	to := c.Settings
	to.MaxAttempts++
	if err := s.ChangeSettings(t.Context(), c, to, "omar"); err != nil {
		t.Fatal(err)
	}
	s.want(s.looked(s.a, s.b), "Campaign big waits for approval by somebody else than sara, omar. 2 contacts: 2 pending.")
	s.Pass("big", campaign.Paused, "lunch")
	s.want(s.looked(s.a, s.b), "Campaign big is paused: lunch. 2 contacts: 2 pending.")
	if _, err := jobs.NewQueue(s.Store, nil).By("nora").Approve(t.Context(), "big", 0); err != nil {
		t.Fatal(err)
	}
	s.looked(s.a)
	s.Pass("big", campaign.Running, "")
	s.want(s.looked(s.a, s.b))
}

func TestACanceledCampaignIsToldOfOnceItIsOver(t *testing.T) {
	s := newStage(t)
	s.want(s.looked(s.a))
	s.move("c", campaign.Send)
	s.Pass("c", campaign.CanceledPhase, "")
	s.want(s.looked(s.a))
	s.move("c", campaign.Lose)
	s.want(s.looked(s.a, s.b), "Campaign c is canceled. 2 contacts: 2 unconfirmed.")
}

// What was over before anybody asked, or long ago, is no news.
func TestOldNews(t *testing.T) {
	s := newStage(t)
	s.move("c", campaign.Cancel)
	s.Redis().HSet(t.Context(), "c:{c}", "ended_at", time.Now().Add(-time.Hour).UnixMilli())
	s.want(s.looked(s.a))
	s.Redis().Set(t.Context(), "notices:since", 1, 0)
	s.load("old", 1)
	s.move("old", campaign.Cancel)
	s.Redis().HSet(t.Context(), "c:{old}", "ended_at", time.Now().Add(-oldest-time.Hour).UnixMilli())
	s.load("new", 1)
	s.move("new", campaign.Cancel)
	s.want(s.looked(s.notifier()), "Campaign new has finished. 1 contact: 1 canceled.")
}

func TestABrokenAddressIsTriedAgain(t *testing.T) {
	s := newStage(t)
	s.want(s.looked(s.a))
	s.Pass("c", campaign.Paused, "lunch")
	elsewhere := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	defer other.Close()
	const told = "Campaign c is paused: lunch. 2 contacts: 2 pending."
	for _, answer := range []func(http.ResponseWriter){
		func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) },
		func(w http.ResponseWriter) { w.Header().Set("Location", other.URL); w.WriteHeader(http.StatusFound) },
		func(w http.ResponseWriter) { panic(http.ErrAbortHandler) },
	} {
		s.answer = answer
		if got := s.looked(s.a, s.b); len(got) == 0 { // a reused connection that breaks is tried anew by the transport
			t.Error("not tried")
		}
		s.want(s.looked(s.a, s.b)) // not yet again
		s.soon()
	}
	s.answer = func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) }
	s.want(s.looked(s.a, s.b), told)
	s.soon()
	s.want(s.looked(s.a, s.b))
	if elsewhere > 0 {
		t.Error("a redirect was followed")
	}
	log := s.log.String()
	if strings.Contains(log, "secret-path") || strings.Count(log, "not delivered") != 1 || strings.Count(log, "delivered again") != 1 {
		t.Errorf("log:\n%s", log)
	}
}

func TestANoticeIsGivenUp(t *testing.T) {
	s := newStage(t)
	s.want(s.looked(s.a))
	s.answer = func(w http.ResponseWriter) { w.WriteHeader(http.StatusGone) }
	s.Pass("c", campaign.Paused, "lunch")
	for range maxTries {
		if got := s.looked(s.a); len(got) != 1 {
			t.Fatalf("told %q", got)
		}
		s.soon()
	}
	s.want(s.looked(s.a, s.b))
	if log := s.log.String(); strings.Count(log, "given up") != 1 {
		t.Errorf("log:\n%s", log)
	}
}

func TestAFailureLeavesTheOthersForTheNextLook(t *testing.T) {
	s := newStage(t)
	s.load("d", 1)
	s.want(s.looked(s.a))
	s.Pass("c", campaign.Paused, "lunch")
	s.Pass("d", campaign.Paused, "lunch")
	s.answer = func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) }
	s.want(s.looked(s.a), "Campaign c is paused: lunch. 2 contacts: 2 pending.")
	s.answer = func(http.ResponseWriter) {}
	s.want(s.looked(s.b), "Campaign d is paused: lunch. 1 contact: 1 pending.")
}

func TestARunEndsWithTheWorker(t *testing.T) {
	s := newStage(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.answer = func(http.ResponseWriter) { cancel() }
	s.Pass("c", campaign.Paused, "lunch")
	s.a.Run(ctx)
	if len(s.texts) != 1 {
		t.Errorf("told %q", s.texts)
	}
}

func TestWithoutRedis(t *testing.T) {
	s := newStage(t)
	s.Redis().ZAdd(t.Context(), "campaigns", redis.Z{Member: "gone"}, redis.Z{Member: "bad"})
	s.Redis().HSet(t.Context(), "c:{bad}", "phase", "running", "settings", "{")
	s.Pass("c", campaign.Paused, "lunch")
	if err := s.a.look(t.Context()); err == nil || !strings.Contains(err.Error(), "bad") || len(s.texts) != 1 {
		t.Errorf("got %v, told %q", err, s.texts)
	}
	s.Redis().Close()
	if err := s.a.look(t.Context()); err == nil {
		t.Error("no error")
	}
}

func TestAddresses(t *testing.T) {
	for _, address := range []string{"", "chat.example.org/hook", "ftp://chat.example.org", "https://", "http://[::1", "://x"} {
		if _, err := New(nil, address, nil); err == nil || strings.Contains(err.Error(), "example.org") {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// A notice names the zone of its times, which is the campaign's, and leads to its page.
func TestANoticeLeadsToThePageAndNamesItsZone(t *testing.T) {
	s := newStage(t)
	if err := s.a.Link("https://campaigns.example.org/admin/"); err != nil {
		t.Fatal(err)
	}
	settings := campaigntest.Settings(5, campaign.Column{Name: "phone"})
	settings.Hours.Zone = "Asia/Riyadh"
	s.Load(campaigntest.List{Name: "late", Settings: settings, Contacts: campaigntest.People(966500000000, 1, nil)})
	why := campaign.Say(campaign.MsgMissedStart, "start", time.Date(2026, 12, 1, 6, 0, 0, 0, time.UTC), "lateness", time.Hour)
	if _, _, err := s.SetPhase(t.Context(), "late", campaign.Paused, why, campaign.Running); err != nil {
		t.Fatal(err)
	}
	s.looked(s.a)
	if want := "it was to start at 2026-12-01 09:00 Asia/Riyadh, and"; !strings.Contains(s.last.Text, want) || !strings.Contains(s.last.StateReason, want) {
		t.Errorf("the notice is %q", s.last.Text)
	}
	if want := "https://campaigns.example.org/admin/campaigns/late"; s.last.URL != want || !strings.HasSuffix(s.last.Text, " "+want) {
		t.Errorf("it leads to %q: %q", s.last.URL, s.last.Text)
	}
	for _, wrong := range []string{"ftp://x", "campaigns", "https://user:secret@host", "https://host/?token=x"} {
		if s.a.Link(wrong) == nil {
			t.Errorf("%s is taken", wrong)
		}
	}
}
