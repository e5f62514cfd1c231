package jobs

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

func listening(edit func(*campaign.Settings)) func(*campaign.Settings) {
	return func(s *campaign.Settings) {
		s.WebhookURL = "https://example.org"
		edit(s)
	}
}

// told lets contacts of a chunk be told of, as events do after their request.
func (s *stage) told(chunk int, change func(o *campaign.Outcome), contacts ...int) {
	s.t.Helper()
	ref := store.Ref{Campaign: "c", Chunk: chunk}
	records, err := s.store.ReadLedger(s.t.Context(), ref)
	if err != nil {
		s.t.Fatal(err)
	}
	err = s.store.UpdateOutcomes(s.t.Context(), ref, contacts, func(i int, o campaign.Outcome) (campaign.Outcome, []campaign.Turn) {
		o.Started, o.Asked = time.Unix(int64(records.Record(i).Changed), 0), int64(records.Record(i).Changed)
		change(&o)
		return o, nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func ended(o *campaign.Outcome)    { o.Ended = o.Started }
func answered(o *campaign.Outcome) { o.Ended, o.Said = o.Started, true }
func optedOut(o *campaign.Outcome) { o.OptedOut = true }

func places(from, to int) (all []int) {
	for i := from; i < to; i++ {
		all = append(all, i)
	}
	return all
}

func TestACampaignPausesWhenTooManyOptOut(t *testing.T) {
	s := newStage(t, 500, batchOf(200), listening(func(s *campaign.Settings) { s.MaxOptOutShare = 200 }))
	s.send("w1", 0)
	s.told(0, optedOut, places(0, 4)...)
	s.send("w1", 1) // 4 of 200 are 2%
	s.told(1, optedOut, places(0, 27)...)
	s.send("w1", 2)
	s.want(map[campaign.State]int{campaign.Accepted: 400, campaign.Pending: 100})
	phase, reason := s.phase("c")
	const want = "31 of the latest 400 contacts opted out, 7.75%, allowed 2%; they are among its first, so there is nothing to compare them with"
	if phase != campaign.Paused || reason != want {
		t.Errorf("%s: %s", phase, reason)
	}
	if log := s.log(); !slices.ContainsFunc(log, func(line string) bool { return strings.Contains(line, "pause: 31 of the latest 400") }) {
		t.Errorf("log %q", log)
	}
	if got := s.quota.acquired - s.quota.returned; got != 2 {
		t.Errorf("%d permits were used", got)
	}
	if _, err := s.resume(s.queue, "c"); err != nil {
		t.Fatal(err)
	}
	s.send("w1", 2)
	s.want(map[campaign.State]int{campaign.Accepted: 500})
}

// The canary is judged too, and a guard that is changed or ended lets a campaign go on.
func TestGuardsOfACanaryAndTheirChange(t *testing.T) {
	s := newStage(t, 400, batchOf(100), canaryOf(300), listening(func(s *campaign.Settings) { s.MaxOptOutShare = 200 }))
	s.send("w1", 0)
	s.told(0, optedOut, places(0, 5)...)
	s.send("w1", 1)
	if phase, reason := s.phase("c"); phase != campaign.Paused || !strings.HasPrefix(reason, "5 of the latest 100 contacts opted out, 5%, allowed 2%") {
		t.Errorf("%s: %s", phase, reason)
	}
	set := func(edit func(*campaign.Settings)) string {
		changed, err := s.queue.Set(t.Context(), "c", func(s *campaign.Settings) error { edit(s); return nil })
		return fmt.Sprint(changed, err)
	}
	if got := set(func(s *campaign.Settings) { s.MaxOptOutShare = 600 }); got != "[{--max-optout-share 2% 6%}] <nil>" {
		t.Error(got)
	}
	if _, err := s.resume(s.queue, "c"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s.send("w1", 1)
		s.send("w1", 2)
		s.send("w1", 3)
		s.sweep()
	}
	if phase, _ := s.phase("c"); phase != campaign.Ready {
		t.Errorf("after its canary it is %s", phase)
	}
	if got := set(func(s *campaign.Settings) { s.MaxOptOutShare, s.WebhookURL = 0, "" }); got != "[{--max-optout-share 6% none}] <nil>" {
		t.Error(got)
	}
	const want = "max optout share, min answer share and max silence go by the platform's events: launch it with WEBHOOK_URL"
	if got := set(func(s *campaign.Settings) { s.MaxSilence = time.Minute }); !strings.Contains(got, want) {
		t.Error(got)
	}
}

// Answers are judged once all that will is told: not of contacts just accepted.
func TestACampaignPausesWhenTooFewAnswer(t *testing.T) {
	s := newStage(t, 1800, batchOf(200), listening(func(s *campaign.Settings) { s.MinAnswerShare = 1000 }))
	for chunk := range 5 {
		s.send("w1", chunk)
		s.told(chunk, answered, places(0, 40)...)
	}
	s.want(map[campaign.State]int{campaign.Accepted: 1000, campaign.Pending: 800})
	for chunk := range 5 {
		s.told(chunk, ended, places(40, 200)...)
	}
	s.send("w1", 5) // 200 of 1000 have answered
	s.want(map[campaign.State]int{campaign.Accepted: 1200, campaign.Pending: 600})
	// Contacts of another minute, whose hour is over.
	s.rdb.HSet(t.Context(), "c:{c}:cohorts", "full", 1000, "minutes", "1000 1000 200 1000 5;1100 900 190 880 20;1200 700 12 300 8;"+
		fmt.Sprintf("%d 200 0 0 0;", time.Now().Unix()/60))
	if _, err := s.queue.Set(t.Context(), "c", func(s *campaign.Settings) error { s.Lane = campaign.Bulk; return nil }); err != nil {
		t.Fatal(err)
	}
	s.send("w1", 6) // 202 of 1600 are 12.6%
	s.rdb.HSet(t.Context(), "c:{c}:cohorts", "minutes", "1000 1000 200 1000 5;1100 900 190 880 20;1200 1200 12 300 8;")
	s.send("w1", 7)
	s.want(map[campaign.State]int{campaign.Accepted: 1400, campaign.Pending: 400})
	phase, reason := s.phase("c")
	const want = "12 of the latest 1200 contacts answered, 1%, wanted 10%; 300 of their conversations have ended; " +
		"of the first 1200, 16.66% answered and 0% opted out; of these, 1% answered and 0.66% opted out; its settings have changed since: --priority: bulk, was none"
	if phase != campaign.Paused || reason != want {
		t.Errorf("%s:\n%s\n%s", phase, reason, want)
	}
}

// While events wait to be applied, it is not known what they tell.
func TestGuardsWaitForEventsThatAreNotApplied(t *testing.T) {
	s := newStage(t, 60, batchOf(20), listening(func(s *campaign.Settings) { s.MaxSilence = 30 * time.Minute }))
	s.send("w1", 0)
	if s.rdb.HGet(t.Context(), "c:{c}:cohorts", "quiet_at").Val() == "" {
		t.Fatal("20 contacts are not missed")
	}
	long := time.Now().Add(-31 * time.Minute).UnixMilli()
	s.rdb.HSet(t.Context(), "c:{c}:cohorts", "quiet_at", long)
	if err := s.store.AddEvent(t.Context(), store.Event{Campaign: "c", Body: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	if later := s.send("w1", 1); later == nil || later.After != guardAgain {
		t.Errorf("comes back %+v", later)
	}
	if phase, reason := s.phase("c"); phase != campaign.Running {
		t.Errorf("%s: %s", phase, reason)
	}
	if _, err := s.store.DropEvents(t.Context(), func(store.Event) bool { return true }); err != nil {
		t.Fatal(err)
	}
	s.send("w1", 1)
	s.want(map[campaign.State]int{campaign.Accepted: 20, campaign.Pending: 40})
	phase, reason := s.phase("c")
	const want = "20 contacts were accepted since the last event of a conversation, and none has come for 31m, allowed 30m; check WEBHOOK_URL"
	if phase != campaign.Paused || !strings.HasPrefix(strings.Replace(reason, "31m1s", "31m", 1), want) {
		t.Errorf("%s: %s", phase, reason)
	}
	if _, err := s.resume(s.queue, "c"); err != nil {
		t.Fatal(err)
	}
	s.send("w1", 1)
	s.want(map[campaign.State]int{campaign.Accepted: 40, campaign.Pending: 20})
}

// Nothing that was accepted, or nothing since the last event, is no silence.
func TestNoSilenceWhereNothingIsMissed(t *testing.T) {
	s := newStage(t, 60, batchOf(20), listening(func(s *campaign.Settings) { s.MaxSilence = time.Second }))
	s.platform.answer = refuseNamed(places(0, 12)...)
	s.send("w1", 0) // 8 were accepted
	if quiet := s.rdb.HGetAll(t.Context(), "c:{c}:cohorts").Val(); quiet["quiet"] != "8" || quiet["quiet_at"] != "" {
		t.Errorf("missed by 8: %v", quiet)
	}
	s.send("w1", 1)
	s.rdb.HSet(t.Context(), "c:{c}:cohorts", "quiet_at", 1) // the night passes
	if err := s.store.Hear(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	s.send("w1", 2)
	s.want(map[campaign.State]int{campaign.Accepted: 48, campaign.Rejected: 12})
}
