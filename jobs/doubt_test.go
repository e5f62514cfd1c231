package jobs

import (
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/velents"
)

func fatalError() error { return &velents.Error{Status: 500, Message: "Server Error", JSON: true} }

func TestContactsAfterThePlatformsOwnFailureAreInDoubt(t *testing.T) {
	s := newStage(t, 8, func(s *campaign.Settings) { s.MaxAttempts = 2 })
	s.platform.answer = func([]velents.Row) error {
		return &velents.Error{Status: 500, Message: "Server Error", JSON: true, RateHeaders: true}
	}
	s.send("w1", 0)
	s.want(map[campaign.State]int{campaign.Pending: 8})
	s.wantInDoubt(map[campaign.State]int{campaign.Pending: 8})
	s.send("w1", 0)
	s.want(map[campaign.State]int{campaign.Failed: 8})
	s.wantInDoubt(map[campaign.State]int{campaign.Failed: 8})

	sel := Selection{States: []campaign.State{campaign.Failed}}
	if found, err := s.queue.Survey(t.Context(), "c", sel); err != nil || found != (Rerunning{Contacts: 8, MayHaveBeenReached: 8}) {
		t.Errorf("%+v, %v", found, err)
	}
	if _, err := s.queue.Rerun(t.Context(), "c", sel); err != nil {
		t.Fatal(err)
	}
	s.wantInDoubt(map[campaign.State]int{campaign.Pending: 8})
	s.platform.answer = newFakePlatform().answer
	s.send("w1", 0)
	s.want(map[campaign.State]int{campaign.Accepted: 8})
	s.wantInDoubt(nil)
}

func TestOtherRefusalsLeaveNoDoubt(t *testing.T) {
	s := newStage(t, 4, func(s *campaign.Settings) { s.MaxAttempts = 1 })
	s.platform.answer = refuseAll(409, "Conflict")
	s.send("w1", 0)
	s.want(map[campaign.State]int{campaign.Failed: 4})
	s.wantInDoubt(nil)
}

func TestWhatIsRetriedIsTheCampaignsChoice(t *testing.T) {
	gateway := &velents.Error{Status: 502, Message: "Bad Gateway", Page: true}
	for _, tt := range []struct {
		name   string
		retry  campaign.Retry5xx
		answer error
		want   campaign.State
	}{
		{"a gateway's word is lost work", campaign.RetryOwn, gateway, campaign.Unconfirmed},
		{"unless the vendor is trusted for it, too", campaign.RetryAll, gateway, campaign.Pending},
		{"the platform's own is retried", campaign.RetryOwn, fatalError(), campaign.Pending},
		{"unless nothing is", campaign.RetryNone, fatalError(), campaign.Unconfirmed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, 4, func(s *campaign.Settings) { s.Retry5xx = tt.retry })
			s.platform.answer = func([]velents.Row) error { return tt.answer }
			s.send("w1", 0)
			s.want(map[campaign.State]int{tt.want: 4})
		})
	}
}

// A failure without the headers that the platform shows is not its own, no matter who has
// seen them: this worker, one before it, or the launch.
func TestAFreshWorkerKnowsThatTheHeadersAreMissing(t *testing.T) {
	for _, tt := range []struct {
		name string
		seen func(*stage)
		want campaign.State
	}{
		{"nobody has ever seen them", func(*stage) {}, campaign.Pending},
		{"the launch has", func(s *stage) {
			if err := s.store.AddSeen(s.t.Context(), "default", campaign.Seen{RateHeaders: true}); err != nil {
				s.t.Fatal(err)
			}
		}, campaign.Unconfirmed},
		{"a worker before it has, on a good answer", func(s *stage) {
			s.load("earlier", 1)
			s.platform.headers = true
			if err := s.runner("w0").run(s.t.Context(), store.Ref{Campaign: "earlier"}); err != nil {
				s.t.Fatal(err)
			}
			s.platform.headers = false
		}, campaign.Unconfirmed},
		{"Redis cannot say", func(s *stage) { s.rdb.Set(s.t.Context(), "seen:default", "damaged", 0) }, campaign.Unconfirmed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, 4)
			tt.seen(s)
			s.platform.answer = func([]velents.Row) error { return fatalError() }
			s.send("w1", 0)
			s.want(map[campaign.State]int{tt.want: 4})
		})
	}
}

func TestAPageInThePlatformsPlacePausesTheAgent(t *testing.T) {
	s := newStage(t, 4)
	s.load("beside", 2)
	s.load("elsewhere", 2, func(s *campaign.Settings) { s.Agent = "other" })
	s.platform.answer = func([]velents.Row) error {
		return &velents.Error{Status: 200, Page: true, Message: "a web page where the platform's answer is due (Sign in)"}
	}
	s.send("w1", 0)
	s.want(map[campaign.State]int{campaign.Unconfirmed: 4})
	const why = "the platform answers 200: a web page where the platform's answer is due (Sign in); check VELENTS_URL"
	for name, want := range map[string]campaign.Phase{"c": campaign.Paused, "beside": campaign.Paused, "elsewhere": campaign.Running} {
		if phase, reason := s.phase(name); phase != want || (want == campaign.Paused) != (reason == why) {
			t.Errorf("%s is %s: %s", name, phase, reason)
		}
	}
}

func TestAFirewallsPageIsAboutARowOnlyAfterSuccesses(t *testing.T) {
	firewall := &velents.Error{Status: 403, Message: "Blocked", Page: true}
	bad := func(rows []velents.Row) error {
		for _, r := range rows {
			if isOneOf(r, []int{2}) {
				return firewall
			}
		}
		return nil
	}
	t.Run("before any", func(t *testing.T) {
		s := newStage(t, 4)
		s.platform.answer = bad
		s.send("w1", 0)
		s.want(map[campaign.State]int{campaign.Pending: 4})
		if phase, _ := s.phase("c"); phase != campaign.Paused {
			t.Errorf("it is %s", phase)
		}
	})
	t.Run("after some, by another worker", func(t *testing.T) {
		s := newStage(t, 4)
		if err := s.store.AddSeen(t.Context(), "default", campaign.Seen{Accepted: true}); err != nil {
			t.Fatal(err)
		}
		s.platform.answer = bad
		s.send("w1", 0)
		s.want(map[campaign.State]int{campaign.Accepted: 3, campaign.Rejected: 1})
	})
	t.Run("all are refused from some time on: they are not at fault, whatever was accepted before", func(t *testing.T) {
		const before = 4
		s := newStage(t, before+2*vagueLimit, dispatching)
		s.platform.answer = func([]velents.Row) error {
			if s.platform.count() <= before {
				return nil
			}
			return firewall
		}
		s.send("w1", 0)
		// Those in flight beside the eighth may be refused after it.
		accepted, rejected := len(s.chunk(0).In(campaign.Accepted)), len(s.chunk(0).In(campaign.Rejected))
		if phase, _ := s.phase("c"); phase != campaign.Paused || accepted < before || rejected >= vagueLimit {
			t.Errorf("it is %s, %d accepted and %d rejected", phase, accepted, rejected)
		}
	})
	t.Run("all of them are refused: they are not at fault", func(t *testing.T) {
		s := newStage(t, 2*vagueLimit)
		if err := s.store.AddSeen(t.Context(), "default", campaign.Seen{Accepted: true}); err != nil {
			t.Fatal(err)
		}
		s.platform.answer = func([]velents.Row) error { return firewall }
		s.send("w1", 0)
		s.want(map[campaign.State]int{campaign.Pending: 2 * vagueLimit})
		if phase, _ := s.phase("c"); phase != campaign.Paused {
			t.Errorf("it is %s", phase)
		}
	})
}

func TestWhyNothingWasSentIsToldOfTheContacts(t *testing.T) {
	for obstacle, want := range map[velents.Obstacle]string{
		velents.BadCertificate: "not sent: no connection to the platform: its certificate is not trusted, or has expired",
		velents.NoName:         "not sent: no connection to the platform: DNS does not know its name; check VELENTS_URL",
		velents.Refused:        "not sent: no connection to the platform: connection refused; check VELENTS_URL",
		velents.BadProxy:       "not sent: no connection to the platform: the proxy is not reached, or lets nothing through; check HTTPS_PROXY",
		velents.TooSlow:        "not sent: no connection to the platform: timeout while connecting",
		velents.NoTLS:          "not sent: no connection to the platform: it does not speak TLS there; check VELENTS_URL",
		velents.Closed:         "not sent: no connection to the platform: the connection had ended before",
		velents.Unreachable:    "not sent: no connection to the platform: it is not reached",
	} {
		t.Run(string(obstacle), func(t *testing.T) {
			s := newStage(t, 3)
			s.platform.answer = func([]velents.Row) error { return &velents.Unanswered{Obstacle: obstacle, Err: errRedisGone} }
			if later := s.send("w1", 0); later == nil {
				t.Error("it does not come back")
			}
			s.want(map[campaign.State]int{campaign.Pending: 3})
			if reasons := s.reasons(campaign.Pending); reasons[want] != 3 {
				t.Errorf("reasons %v, want %q", reasons, want)
			}
			if r := s.record(0); r.Attempts != 0 || r.MayHaveBeenReached() {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestMaintenanceIsNoAttempt(t *testing.T) {
	s := newStage(t, 3)
	s.platform.answer = func([]velents.Row) error {
		return &velents.Error{Status: 503, Message: "Service Unavailable", JSON: true, RetryAfter: time.Hour, HasRetryAfter: true}
	}
	if later := s.send("w1", 0); later == nil || later.After > time.Minute { // the agent's quota waits, until a person lifts that
		t.Errorf("comes back after %+v", later)
	}
	s.want(map[campaign.State]int{campaign.Pending: 3})
	if reasons := s.reasons(campaign.Pending); reasons["503: Service Unavailable"] != 3 {
		t.Errorf("reasons %v", reasons)
	}
	if r := s.record(0); r.Attempts != 0 || r.InDoubt {
		t.Errorf("%+v", r)
	}
}

// wantInDoubt checks how many contacts of each state are in doubt.
func (s *stage) wantInDoubt(want map[campaign.State]int) {
	s.t.Helper()
	tally, err := s.store.Tally(s.t.Context(), "c")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, state := range campaign.States() {
		if got := tally.InDoubt[state]; got != want[state] {
			s.t.Errorf("%d contacts that are %s are in doubt, want %d", got, state, want[state])
		}
	}
}
