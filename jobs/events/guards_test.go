package events

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/internal/campaigntest"
)

// cohorts is what the guards of the answers know of the campaign c.
func (s *stage) cohorts() map[string]string {
	s.t.Helper()
	kept := s.rdb.HGetAll(s.t.Context(), "c:{c}:cohorts").Val()
	delete(kept, "quiet_at")
	return kept
}

// Events are counted for the minute in which their contacts were reached, each kind once a
// conversation, however often and in whatever order they come.
func TestWhatEventsTellTheGuards(t *testing.T) {
	s := newStage(t, 50)
	s.rdb.HSet(t.Context(), "c:{c}", "guards", "200 1000 60000")
	s.edit(func(s *campaign.Settings) {
		s.WebhookURL, s.MaxOptOutShare, s.MinAnswerShare, s.MaxSilence = "https://example.org", 200, 1000, time.Minute
		s.OptOutWhen = rulesOf("extraction.stop=yes")
	})
	step := campaigntest.Step{At: noon}
	s.Move("c", []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, step, campaign.Send, campaign.Accept)
	s.Move("c", []int{12}, step, campaign.Send) // its answer is late
	const first = "29539440"                    // noon, in minutes
	want := map[string]string{"since": "1772366400", "last": "1772366400", "first": "1772366400", "first_reached": "12", "minutes": first + " 12 0 0 0;", "quiet": "12"}
	if diff := cmp.Diff(want, s.cohorts()); diff != "" {
		t.Fatalf("accepted (-want +got):\n%s", diff)
	}
	said := `{"message":{"customer":"hello","timestamp":"2026-03-01T12:01:00Z"}}`
	for range 2 { // they come twice
		s.post("c",
			eventOf("onEnded", 0, "a", `{}`),
			eventOf("onMessage", 0, "a", said),
			eventOf("onStarted", 0, "a", `{}`),
			eventOf("onMessage", 1, "b", `{"message":{"customer":"STOP","timestamp":"2026-03-01T12:01:00Z"}}`),
			eventOf("onEnded", 2, "c", `{"extraction":{"stop":"yes"}}`),
		)
		s.applyAll()
	}
	want["minutes"], want["first_answered"], want["first_opted"] = first+" 12 2 2 2;", "2", "2"
	delete(want, "quiet")
	if diff := cmp.Diff(want, s.cohorts()); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if o := s.outcome(2); o.Asked != noon.Unix() || !o.OptedOut || o.Said {
		t.Errorf("%+v", o)
	}

	// A rerun is asked anew: what the earlier conversation tells late stays with its minute.
	s.Move("c", []int{0}, campaigntest.Step{At: noon}, campaign.Rerun)
	again := time.Now().Add(10 * time.Minute)
	s.Move("c", []int{0}, campaigntest.Step{At: again}, campaign.Send, campaign.Accept)
	s.post("c", eventOf("onUpdate", 0, "a", said), eventOf("onStarted", 0, "z", `{}`), eventOf("onEnded", 0, "z", `{}`))
	s.applyAll()
	if got, want := s.cohorts()["minutes"], fmt.Sprintf("%s 12 2 2 2;%d 1 0 1 0;", first, again.Unix()/60); got != want {
		t.Errorf("after a rerun %s, want %s", got, want)
	}

	// An event that comes before the answer to its request is the evidence, at its own time.
	s.post("c", eventOf("onMessage", 12, "y", said))
	before := time.Now().Unix()
	s.applyAll()
	if o := s.outcome(12); o.Asked < before || !o.Said || s.cohorts()["first_reached"] != "14" || s.cohorts()["quiet"] != "" {
		t.Errorf("%+v, %v", o, s.cohorts())
	}
	s.verify()
}

// An event ends a silence whichever guard there is: that of silence may be set later.
func TestAnEventEndsTheSilence(t *testing.T) {
	s := newStage(t, 20)
	s.rdb.HSet(t.Context(), "c:{c}", "guards", "200 0 0")
	s.edit(func(s *campaign.Settings) { s.WebhookURL, s.MaxOptOutShare = "https://example.org", 200 })
	s.move(20, campaign.Send, campaign.Accept)
	if quiet := s.rdb.HExists(t.Context(), "c:{c}:cohorts", "quiet_at").Val(); quiet {
		t.Fatal("with no contact left to send they start anew")
	}
	s.rdb.HSet(t.Context(), "c:{c}:cohorts", "quiet", 20, "quiet_at", 1)
	s.post("c", eventOf("onStarted", 99, "a", `{}`)) // of nobody in the list
	s.applyAll()
	if got := s.rdb.HMGet(t.Context(), "c:{c}:cohorts", "quiet", "quiet_at").Val(); got[0] != nil || got[1] != nil {
		t.Errorf("quiet %v", got)
	}
}

// Without a guard nothing is kept for one.
func TestEventsOfACampaignWithoutGuards(t *testing.T) {
	s := newStage(t, 1)
	s.move(1, campaign.Send, campaign.Accept)
	s.post("c", eventOf("onMessage", 0, "a", `{"message":{"customer":"STOP","timestamp":"2026-03-01T12:01:00Z"}}`))
	s.applyAll()
	if o := s.outcome(0); o.Asked != 0 || len(s.cohorts()) > 0 {
		t.Errorf("%+v, %v", o, s.cohorts())
	}
	// What was known before a guard stays out of what it goes by.
	s.edit(func(s *campaign.Settings) { s.WebhookURL, s.MinAnswerShare = "https://example.org", 1000 })
	s.post("c", eventOf("onEnded", 0, "a", `{}`))
	s.applyAll()
	if o := s.outcome(0); o.Asked != 0 || o.Ended.IsZero() {
		t.Errorf("%+v", o)
	}
}

// A contact that an answer takes off the rung for which it waits was reached before: it is no
// second contact, in whose silence the campaign would be paused.
func TestAContactThatIsTakenOffItsRungCountsOnce(t *testing.T) {
	s := newStage(t, 3)
	s.rdb.HSet(t.Context(), "c:{c}", "guards", "200 1000 60000")
	s.edit(func(s *campaign.Settings) {
		s.WebhookURL, s.MaxOptOutShare, s.MinAnswerShare, s.MaxSilence = "https://example.org", 200, 1000, time.Minute
		s.Then = laddersOf(t, "ended.no_answer:2h")
	})
	s.Move("c", []int{0, 1}, campaigntest.Step{At: noon}, campaign.Send, campaign.Accept)
	s.post("c", eventOf("onEnded", 0, "a", `{}`), eventOf("onEnded", 1, "b", `{}`))
	s.applyAll()
	s.does(store.Steer, firstRung)
	if r := s.record(); !r.WaitsForRung() {
		t.Fatalf("%+v", r)
	}
	s.post("c", eventOf("onMessage", 0, "a", spoke))
	s.applyAll()
	if r := s.record(); r.State != campaign.Ended || r.Rung != 0 {
		t.Fatalf("%+v", r)
	}
	const first = "29539440" // noon, in minutes
	if got := s.cohorts(); got["minutes"] != first+" 2 1 2 0;" || got["first_reached"] != "2" {
		t.Errorf("%v", got)
	}

	// The request of a rung is another one, and counts.
	s.does(store.Steer, campaign.Move{Cause: campaign.Rerun})
	again := time.Now().Add(10 * time.Minute)
	s.Move("c", []int{0}, campaigntest.Step{At: again}, campaign.Send, campaign.Accept)
	if got, want := s.cohorts()["minutes"], fmt.Sprintf("%s 2 1 2 0;%d 1 0 0 0;", first, again.Unix()/60); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
