package jobs

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

var failed = Selection{States: []campaign.State{campaign.Failed}}

// failedStage is a campaign all of whose contacts have failed. From then on the platform
// accepts.
func failedStage(t *testing.T, contacts, chunkSize int) *stage {
	t.Helper()
	s := newStage(t, contacts, func(s *campaign.Settings) { s.ChunkSize, s.MaxAttempts = chunkSize, 1 })
	chunks := (contacts + chunkSize - 1) / chunkSize
	s.platform.answer = refuseAll(500, "oops")
	for n := range chunks {
		s.send("w1", n)
	}
	s.want(map[campaign.State]int{campaign.Failed: contacts})
	s.platform.answer = refuseNamed()
	return s
}

func TestARerunHasALimit(t *testing.T) {
	s := failedStage(t, 25, 10)
	sel := failed
	sel.Limit = 13
	want := Rerunning{Contacts: 13, MayHaveBeenReached: 13}
	if found, err := s.queue.Survey(t.Context(), "c", sel); found != want || err != nil {
		t.Errorf("would be %+v, %v", found, err)
	}
	if done, err := s.queue.Rerun(t.Context(), "c", sel); done != want || err != nil {
		t.Fatalf("%+v, %v", done, err)
	}
	for n := range 3 {
		s.send("w1", n)
	}
	s.want(map[campaign.State]int{campaign.Accepted: 13, campaign.Failed: 12})
	for i := range 13 { // the first of the list
		if contacted := s.platform.contacted(); contacted[phoneOf(i).E164()] != 1 {
			t.Errorf("contact %d: %d times", i, contacted[phoneOf(i).E164()])
		}
	}
	sel.Limit = -1
	if _, err := s.queue.Rerun(t.Context(), "c", sel); err == nil {
		t.Error("a limit below nothing is none")
	}
	if log := fmt.Sprint(s.log()); !strings.Contains(log, "at most 13 contacts") {
		t.Errorf("log: %s", log)
	}
}

func TestARerunHasACanary(t *testing.T) {
	s := failedStage(t, 25, 10)
	sel := failed
	sel.Canary = 13
	if done, err := s.queue.Rerun(t.Context(), "c", sel); done.Contacts != 25 || err != nil {
		t.Fatalf("%+v, %v", done, err)
	}
	if _, err := s.queue.Rerun(t.Context(), "c", sel); err == nil {
		t.Error("a second canary begins before the first is over")
	}
	for n := range 3 {
		s.send("w1", n)
	}
	s.want(map[campaign.State]int{campaign.Accepted: 13, campaign.Pending: 12})
	s.overdue()
	s.sweep()
	if phase, reason := s.phase("c"); phase != campaign.Ready || reason != "canary of 13: 13 accepted" {
		t.Errorf("%s: %s", phase, reason)
	}
	if _, err := s.start("c"); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		s.send("w1", n)
	}
	s.want(map[campaign.State]int{campaign.Accepted: 25})
}

func TestTheCanaryOfARerunIsJudgedByItsOwnContacts(t *testing.T) {
	none := campaign.Share(0)
	s := newStage(t, 20, func(s *campaign.Settings) { s.ChunkSize, s.MaxAttempts, s.Canary, s.CanaryGoOn = 10, 1, 5, &none })
	s.platform.answer = refuseNamed(0, 1, 2, 3, 4) // the first canary
	s.send("w1", 0)
	s.overdue()
	s.sweep()
	if _, err := s.start("c"); err != nil {
		t.Fatal(err)
	}
	s.platform.answer = refuseAll(500, "oops")
	s.send("w1", 0)
	s.send("w1", 1)
	s.want(map[campaign.State]int{campaign.Rejected: 5, campaign.Failed: 15})
	s.platform.answer = refuseNamed()
	sel := failed
	sel.Canary = 5
	if _, err := s.queue.Rerun(t.Context(), "c", sel); err != nil {
		t.Fatal(err)
	}
	s.send("w1", 0)
	s.want(map[campaign.State]int{campaign.Rejected: 5, campaign.Accepted: 5, campaign.Pending: 10})
	s.overdue()
	s.sweep()
	if phase, reason := s.phase("c"); phase != campaign.Running {
		t.Errorf("the rest does not go on by itself: %s, %s", phase, reason)
	}
}

func TestTheCanaryOfARerunIsNotOverBeforeItsContactsCome(t *testing.T) {
	s := failedStage(t, 25, 10)
	if _, err := s.store.NextRun(t.Context(), s.now(), store.Run{Canary: 13}); err != nil { // as a rerun begins
		t.Fatal(err)
	}
	if err := s.queue.judgeCanary(t.Context(), s.now()); err != nil {
		t.Fatal(err)
	}
	if c := s.now(); c.Canary != 13 {
		t.Errorf("the canary is over: %d", c.Canary)
	}
	// A second rerun that was surveyed before may not take its place.
	stale := s.now()
	stale.Version--
	if _, err := s.store.NextRun(t.Context(), stale, store.Run{Canary: 20}); !errors.Is(err, store.ErrOutdated) {
		t.Errorf("a second canary: %v", err)
	}
	// One that a person asks for after the first was cut off may.
	sel := failed
	sel.Canary = 5
	if _, err := s.queue.Rerun(t.Context(), "c", sel); err != nil || s.now().Canary != 5 {
		t.Errorf("a canary of %d, %v", s.now().Canary, err)
	}
}

func TestACanaryOfMoreThanThereAreHoldsNobodyBack(t *testing.T) {
	s := failedStage(t, 5, 10)
	sel := failed
	sel.Canary = 5
	if _, err := s.queue.Rerun(t.Context(), "c", sel); err != nil {
		t.Fatal(err)
	}
	if c := s.now(); c.Canary != 0 {
		t.Errorf("a canary of %d", c.Canary)
	}
}

func TestARerunStartsLater(t *testing.T) {
	s := failedStage(t, 25, 10)
	now, err := s.store.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sel := failed
	sel.StartAt = now.Add(time.Hour).Truncate(time.Second)
	if done, err := s.queue.Rerun(t.Context(), "c", sel); done.Contacts != 25 || err != nil {
		t.Fatalf("%+v, %v", done, err)
	}
	if phase, _ := s.phase("c"); phase != campaign.Scheduled || !s.now().Settings.StartAt.Equal(sel.StartAt) {
		t.Errorf("%s, to start %v", phase, s.now().Settings.StartAt)
	}
	s.overdue()
	s.sweep()
	if phase, _ := s.phase("c"); phase != campaign.Scheduled {
		t.Errorf("%s before its time", phase)
	}
	if _, err := s.queue.Rerun(t.Context(), "c", sel); err == nil || !strings.Contains(err.Error(), "it is scheduled: a start is for a campaign that is over") {
		t.Errorf("a second one: %v", err)
	}
	if err := s.queue.startDue(t.Context(), s.now(), sel.StartAt.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		s.send("w1", n)
	}
	s.want(map[campaign.State]int{campaign.Accepted: 25})
}

func TestCanaryAndStartAreForCampaignsThatAreOver(t *testing.T) {
	s := newStage(t, 10)
	for _, sel := range []Selection{{States: failed.States, Canary: 1}, {States: failed.States, StartAt: time.Now().Add(time.Hour)}} {
		_, err := s.queue.Survey(t.Context(), "c", sel)
		if err == nil || !strings.Contains(err.Error(), "10 contacts are pending or sending") {
			t.Errorf("%+v: %v", sel, err)
		}
	}
}
