package events

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/campaigntest"
	"campaign-runner/internal/redistest"
	"campaign-runner/jobs/webhook"
)

// over makes the campaign "c" one that is over, in each way in which it can be.
var over = map[string]func(s *stage){
	"finished long ago": func(s *stage) { s.EndedAt("c", time.Now().Add(-lateAfter-time.Hour)) },
	"purged": func(s *stage) {
		if err := s.store.Purge(s.t.Context(), "c"); err != nil {
			s.t.Fatal(err)
		}
	},
	"not there": func(s *stage) { s.rdb.FlushDB(s.t.Context()) },
}

// dump is all that Redis holds, except the do-not-contact list and what makes links wait.
func (s *stage) dump() map[string]string {
	s.t.Helper()
	all := make(map[string]string)
	for _, pattern := range []string{"c:*", "contacted:*", "reach", "asynq:*", "campaigns"} {
		for _, key := range s.rdb.Keys(s.t.Context(), pattern).Val() {
			all[key] = s.rdb.Dump(s.t.Context(), key).Val()
		}
	}
	return all
}

func TestEventsOfACampaignThatIsOverChangeNothing(t *testing.T) {
	for _, how := range []string{"finished long ago", "purged"} {
		for name, to := range map[string]webhook.Target{"the link of a batch": {Campaign: "c"}, "that of a contact": {Campaign: "c", Contact: 2}} {
			t.Run(how+", "+name, func(t *testing.T) {
				s := emptyStage(t)
				s.launchPeople("c", campaign.Dispatch, true)
				over[how](s)
				before := s.dump()
				s.deliver(to, says("x", `"+966501234567"`, "hello"), says("y", `"+966509999999"`, "I am a stranger"), says("z", ``, "hello"),
					eventOf("onEnded", 0, "x", `{"extraction":{"interested":true}}`))
				after := s.dump()
				delete(before, "c:{c}:events") // counts of events
				delete(after, "c:{c}:events")
				if diff := cmp.Diff(before, after); diff != "" {
					t.Errorf("Redis has changed (-before +after):\n%s", diff)
				}
				if len(s.stopped()) > 0 || len(s.open()) > 0 {
					t.Errorf("on the list %v, open %v", s.stopped(), s.open())
				}
			})
		}
	}
}

func TestALinkOfACampaignThatIsOverStopsOneNumberAMinute(t *testing.T) {
	for how, end := range over {
		t.Run(how, func(t *testing.T) {
			s := emptyStage(t)
			s.launchPeople("c", campaign.Batch, true)
			end(s)
			to := webhook.Target{Campaign: "c"}
			stop := func(i int) string { return says(people[i].E164(), `"`+people[i].E164()+`"`, "STOP") }
			s.deliver(to, stop(0), stop(0), stop(1), stop(2), stop(0))
			if diff := cmp.Diff([]int{0}, s.stopped()); diff != "" || len(s.open()) != 2 {
				t.Fatalf("open %v, on the list (-want +got):\n%s", s.open(), diff)
			}
			heed := func() {
				if err := s.heedLate(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			heed()
			if n := len(s.stopped()); n != 1 {
				t.Fatalf("%d are on the list within the minute", n)
			}
			// Another link has a turn of its own.
			s.deliver(webhook.Target{Campaign: "c", Contact: 4}, says("w", `"`+people[3].E164()+`"`, "STOP"))
			if diff := cmp.Diff([]int{0, 3}, s.stopped()); diff != "" {
				t.Errorf("on the list (-want +got):\n%s", diff)
			}
			for left := 1; left >= 0; left-- { // nobody's wish is lost
				if ttl := s.rdb.PTTL(t.Context(), "lease:stop:c:0").Val(); ttl <= 0 || ttl > lateEvery {
					t.Fatalf("a turn takes %v", ttl)
				}
				s.rdb.Del(t.Context(), "lease:stop:c:0") // a minute passes
				heed()
				heed()
				if n := len(s.open()); n != left {
					t.Errorf("%d are open, want %d", n, left)
				}
			}
			if diff := cmp.Diff([]int{0, 1, 2, 3}, s.stopped()); diff != "" {
				t.Errorf("on the list (-want +got):\n%s", diff)
			}
			if err := s.retry(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestACampaignThatIsNotOver(t *testing.T) {
	for name, prepare := range map[string]func(s *stage){
		"finished yesterday": func(s *stage) { s.EndedAt("c", time.Now().Add(-24*time.Hour)) },
		"sent again since": func(s *stage) {
			s.EndedAt("c", time.Now().Add(-lateAfter-time.Hour))
			s.Move("c", []int{7}, campaigntest.Step{At: noon}, campaign.End, campaign.Rerun)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := emptyStage(t)
			s.launchPeople("c", campaign.Batch, true)
			prepare(s)
			s.deliver(webhook.Target{Campaign: "c"}, says("x", `"`+people[0].E164()+`"`, "hello"))
			if got := s.State("c", 0); got != campaign.Started {
				t.Errorf("the contact is %s", got)
			}
		})
	}
}

// The link of one contact must not end the wish of another, whatever it says of its
// conversation.
func TestTheLinkOfAContactTellsOfThatContactAlone(t *testing.T) {
	s := emptyStage(t)
	s.launchPeople("c", campaign.Dispatch, true)
	s.deliver(webhook.Target{Campaign: "c", Contact: 9}, says("x", ``, "STOP")) // of somebody who is not in the list
	if n := len(s.open()); n != 1 {
		t.Fatalf("%d are open, want 1", n)
	}
	s.deliver(webhook.Target{Campaign: "c", Contact: 5}, says("x", `"`+people[4].E164()+`"`, "hello"))
	if len(s.open()) != 1 || len(s.stopped()) != 0 {
		t.Errorf("open %v, on the list %v", s.open(), s.stopped())
	}
	// Nor does it stop the number of another.
	s.deliver(webhook.Target{Campaign: "c", Contact: 5}, says("y", `"`+people[6].E164()+`"`, "STOP"))
	if diff := cmp.Diff([]int{4}, s.stopped()); diff != "" {
		t.Errorf("on the list (-want +got):\n%s", diff)
	}
	if o, err := s.store.Outcomes(t.Context(), store.Ref{Campaign: "c", Chunk: 2}); err != nil || len(o) > 0 {
		t.Errorf("contact 7 has an outcome: %v, %v", o, err)
	}
}

func TestTheLinkOfAnErasedContactStopsOneNumberAMinute(t *testing.T) {
	s := emptyStage(t)
	s.launchPeople("c", campaign.Dispatch, true)
	c, err := s.store.Campaign(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	at := store.Place{Ref: store.Ref{Campaign: "c"}, Index: 2}
	if err := s.store.EraseContact(t.Context(), c, at, people[2], "test"); err != nil {
		t.Fatal(err)
	}
	stop := func(i int) string { return says(people[i].E164(), `"`+people[i].E164()+`"`, "STOP") }
	s.deliver(webhook.Target{Campaign: "c", Contact: 3}, stop(0), stop(1), stop(3))
	if diff := cmp.Diff([]int{0}, s.stopped()); diff != "" || len(s.open()) != 2 {
		t.Errorf("open %v, on the list (-want +got):\n%s", s.open(), diff)
	}
}

// A text that reads as two numbers may be that of somebody who has not been heard.
func TestStopOfANumberThatReadsAsThatOfAnErasedPerson(t *testing.T) {
	s := emptyStage(t)
	s.launchPeople("c", campaign.Batch, true)
	c, err := s.store.Campaign(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.store.EraseContact(t.Context(), c, store.Place{Ref: store.Ref{Campaign: "c"}, Index: 2}, people[2], "test"); err != nil {
		t.Fatal(err)
	}
	told := NumbersTold(c.Settings, "508412345")
	if diff := cmp.Diff([]campaign.Phone{966508412345, 508412345}, told); diff != "" {
		t.Fatalf("read as (-want +got):\n%s", diff)
	}
	if _, err := s.store.Suppress(t.Context(), told[1:]); err != nil {
		t.Fatal(err)
	}
	s.deliver(webhook.Target{Campaign: "c"}, says("x", `"508412345"`, "STOP"))
	if listed, err := s.store.FindSuppressed(t.Context(), told[:1]); err != nil || !listed[0] {
		t.Errorf("on the list: %v, %v", listed, err)
	}
}

// A link that has leaked takes no more than its share of the open wishes.
func TestALinkOfACampaignThatIsOverKeepsFewWishes(t *testing.T) {
	const most = maxLate + 50
	for name, phone := range map[string]func(i int) string{
		"with numbers":    func(i int) string { return fmt.Sprintf("%q", phoneOf(i).E164()) },
		"without numbers": func(int) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			s := emptyStage(t)
			s.launchPeople("c", campaign.Batch, true)
			over["finished long ago"](s)
			var log bytes.Buffer
			s.log = slog.New(slog.NewTextHandler(&log, nil))
			post := func(from int) {
				t.Helper()
				for i := from; i < from+most; i++ {
					e := store.Event{Campaign: "c", Body: []byte(says(fmt.Sprint("conversation ", i), phone(i), "STOP"))}
					if err := s.store.AddEvent(t.Context(), e); err != nil {
						t.Fatal(err)
					}
				}
				s.applyAll()
				s.post("gone", says("x", "", "STOP"))
				s.applyAll()
				want := maxLate + 1 // that of another link
				if phone(0) != "" {
					want++ // that of the number that had its turn
				}
				if n := len(s.open()); n != want {
					t.Errorf("%d are open, want %d", n, want)
				}
			}
			post(0)
			if dropped := strings.Count(log.String(), "is dropped"); dropped < most-maxLate-1 || strings.Contains(log.String(), "9665000000") {
				t.Errorf("%d are told to be dropped:\n%s", dropped, &log)
			}
			s.Applier = New(Config{Store: s.store}) // another worker
			wishes, err := s.store.Wishes(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			s.countLate(wishes)
			post(0)
			post(most)
		})
	}
}

func TestALinkIsAskedForOnceAMinute(t *testing.T) {
	s := stageOn(t, redistest.Start(t).Client())
	s.launchPeople("c", campaign.Batch, true)
	over["finished long ago"](s)
	for i := range maxLate {
		s.post("c", says("x", fmt.Sprintf("%q", phoneOf(i).E164()), "STOP"))
	}
	s.applyAll()
	var count trips
	s.rdb.AddHook(&count)
	if err := s.heedLate(t.Context()); err != nil || len(s.stopped()) > 0 {
		t.Fatal(err)
	}
	if n := count.n.Load(); n > 10 {
		t.Errorf("%d round trips for %d wishes of one link", n, len(s.open()))
	}
}
