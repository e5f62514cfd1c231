package jobs

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/sending"
	"campaign-runner/velents"
)

func TestAPersonWhoOptsOutMeanwhileIsNotContacted(t *testing.T) {
	for _, mode := range []campaign.Mode{campaign.Batch, campaign.Dispatch} {
		t.Run(string(mode), func(t *testing.T) {
			s := newStage(t, 5, func(c *campaign.Settings) { c.Mode = mode })
			if _, err := s.store.Suppress(t.Context(), []campaign.Phone{phoneOf(1), phoneOf(4), 966599999999}); err != nil {
				t.Fatal(err)
			}
			if later := s.send("w", 0); later != nil {
				t.Errorf("come back: %v", later)
			}
			s.want(map[campaign.State]int{campaign.Accepted: 3, campaign.Canceled: 2})
			if diff := cmp.Diff(map[string]int{"on the do-not-contact list": 2}, s.reasons(campaign.Canceled)); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
			for _, i := range []int{1, 4} {
				if s.platform.contacted()[phoneOf(i).E164()] > 0 {
					t.Errorf("contact %d was contacted", i)
				}
			}
		})
	}
}

func TestNoContactIsLeftToSend(t *testing.T) {
	s := newStage(t, 2)
	if _, err := s.store.Suppress(t.Context(), []campaign.Phone{phoneOf(0), phoneOf(1)}); err != nil {
		t.Fatal(err)
	}
	if later := s.send("w", 0); later != nil {
		t.Errorf("come back: %v", later)
	}
	s.want(map[campaign.State]int{campaign.Canceled: 2})
	if n := len(s.platform.contacted()); n != 0 {
		t.Errorf("%d were contacted", n)
	}
}

func TestCampaignsKnowWhatOthersContacted(t *testing.T) {
	recent := func(c *campaign.Settings) { c.SkipContactedDays = 7 }
	s := newStage(t, 4, recent)
	if err := s.store.RecordContacted(t.Context(), time.Now().AddDate(0, 0, -7), []campaign.Phone{phoneOf(0)}); err != nil {
		t.Fatal(err)
	}
	if err := s.store.RecordContacted(t.Context(), time.Now().AddDate(0, 0, -9), []campaign.Phone{phoneOf(1)}); err != nil {
		t.Fatal(err)
	}
	s.send("w", 0)
	s.want(map[campaign.State]int{campaign.Accepted: 3, campaign.Canceled: 1})
	if diff := cmp.Diff(map[string]int{"contacted within the last 7 days": 1}, s.reasons(campaign.Canceled)); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	// What it sends is known to others at once, unless it is not to be.
	if diff := cmp.Diff([]bool{false, true, true, true}, s.contacted(0, 1, 2, 3)); diff != "" {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}
	t.Run("not if it is not to be recorded", func(t *testing.T) {
		s := newStage(t, 1, func(c *campaign.Settings) { c.Unrecorded = true })
		s.send("w", 0)
		if n := s.rdb.Exists(t.Context(), "contacted:days").Val(); n != 0 {
			t.Error("it was recorded")
		}
	})
	t.Run("contacts that a dead sender had in hand", func(t *testing.T) {
		for name, recovers := range map[string]func(*stage){
			"by a task":    func(s *stage) { s.send("w", 0) },
			"by a sweeper": (*stage).sweep,
		} {
			s := newStage(t, 3)
			s.begin("dead/1", 2)
			recovers(s)
			if diff := cmp.Diff([]bool{true, true}, s.contacted(0, 1)); diff != "" {
				t.Errorf("recovered %s, recorded (-want +got):\n%s", name, diff)
			}
		}
	})
	t.Run("contacts whose answer came before the sender died", func(t *testing.T) {
		s := newStage(t, 2)
		s.platform.answer = func([]velents.Row) error {
			s.rdb.Del(t.Context(), "c:{c}:l:0") // nothing can be written down any more
			return nil
		}
		if err := s.runner("w").run(t.Context(), store.Ref{Campaign: "c"}); err != nil && !errors.Is(err, store.ErrGone) {
			t.Error(err)
		}
		if diff := cmp.Diff([]bool{true, true}, s.contacted(0, 1)); diff != "" {
			t.Errorf("recorded (-want +got):\n%s", diff)
		}
	})
	t.Run("a record that cannot be written holds up nobody", func(t *testing.T) {
		s := newStage(t, 2)
		s.rdb.Set(t.Context(), "contacted:days", "x", 0)
		s.send("w", 0)
		s.want(map[campaign.State]int{campaign.Accepted: 2})
	})
	t.Run("a dead sender's rows that cannot be read are recovered later", func(t *testing.T) {
		s := newStage(t, 2)
		s.begin("dead/1", 2)
		s.rdb.HSet(t.Context(), "c:{c}:k:0", "rows", "x")
		if _, err := s.queue.recoverClaim(t.Context(), s.now(), s.ledger(0), true); err == nil {
			t.Error("no error")
		}
		s.want(map[campaign.State]int{campaign.Sending: 2})
	})
	t.Run("a contact that it has tried itself it may send again", func(t *testing.T) {
		s := newStage(t, 1, recent)
		s.platform.answer = func([]velents.Row) error { return errLostAnswer }
		s.send("w", 0)
		s.platform.answer = func([]velents.Row) error { return nil }
		s.platform.forget()
		s.want(map[campaign.State]int{campaign.Unconfirmed: 1})
		if _, err := s.queue.Rerun(t.Context(), "c", Selection{States: []campaign.State{campaign.Unconfirmed}}); err != nil {
			t.Fatal(err)
		}
		if later := s.send("w", 0); later != nil {
			t.Errorf("come back: %v", later)
		}
		s.want(map[campaign.State]int{campaign.Accepted: 1})
	})
}

func TestWhoTheContactRecordIsToldOf(t *testing.T) {
	for _, tt := range []struct {
		name string
		move campaign.Move
		want bool
	}{
		{"accepted", campaign.Move{Cause: campaign.Accept}, true},
		{"whose answer was lost", campaign.Move{Cause: campaign.Lose}, true},
		{"the platform failed, so that it is in doubt", campaign.Move{Cause: campaign.Retry, InDoubt: true}, true},
		{"the same, with all attempts used up", campaign.Move{Cause: campaign.Fail, InDoubt: true}, true},
		{"not one that is surely not reached", campaign.Move{Cause: campaign.Retry}, false},
		{"not one that was never sent", campaign.Move{Cause: campaign.Unsent}, false},
		{"not one that was refused", campaign.Move{Cause: campaign.Reject}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			list := []campaign.Contact{{Phone: phoneOf(0)}}
			for _, unrecorded := range []bool{false, true} {
				moves := []store.Move{{Move: tt.move}}
				people := sending.Recorded(campaign.Campaign{Settings: campaign.Settings{Unrecorded: unrecorded}}, list, moves)
				if want := tt.want && !unrecorded; len(people) == 1 != want || moves[0].Recorded != want {
					t.Errorf("unrecorded %v: %d people, marked %v", unrecorded, len(people), moves[0].Recorded)
				}
			}
		})
	}
}

// contacted says of each contact whether other campaigns know of it.
func (s *stage) contacted(contacts ...int) []bool {
	s.t.Helper()
	phones := make([]campaign.Phone, len(contacts))
	for i, contact := range contacts {
		phones[i] = phoneOf(contact)
	}
	on, err := s.store.DaysContacted(s.t.Context(), time.Now(), 2, phones)
	if err != nil {
		s.t.Fatal(err)
	}
	found := make([]bool, len(on))
	for i := range on {
		found[i] = slices.Contains(on[i], true)
	}
	return found
}

func TestNobodyIsSentWhileTheListCannotBeRead(t *testing.T) {
	s := newStage(t, 2)
	s.rdb.HSet(t.Context(), "suppressed:used", "x", "y")
	if err := s.runner("w").run(t.Context(), store.Ref{Campaign: "c"}); err == nil {
		t.Error("no error")
	}
	s.want(map[campaign.State]int{campaign.Pending: 2})
}
