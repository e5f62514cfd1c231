package jobs

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/velents"
)

func TestWhoeverOptsOutMeanwhileIsNotContacted(t *testing.T) {
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

func TestNobodyIsLeftToSend(t *testing.T) {
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

func TestCampaignsKnowWhomOthersContacted(t *testing.T) {
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
	found, err := s.store.FindContacted(t.Context(), time.Now(), 1, []campaign.Phone{phoneOf(0), phoneOf(1), phoneOf(2), phoneOf(3)})
	if diff := cmp.Diff([]bool{false, true, true, true}, found); diff != "" || err != nil {
		t.Errorf("%v, recorded (-want +got):\n%s", err, diff)
	}
	t.Run("not if it is not to be recorded", func(t *testing.T) {
		s := newStage(t, 1, func(c *campaign.Settings) { c.Unrecorded = true })
		s.send("w", 0)
		if n := s.rdb.Exists(t.Context(), "contacted:days").Val(); n != 0 {
			t.Error("it was recorded")
		}
	})
	t.Run("whom it has tried itself it may send again", func(t *testing.T) {
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

func TestNobodyIsSentWhileTheListCannotBeRead(t *testing.T) {
	s := newStage(t, 2)
	s.rdb.HSet(t.Context(), "suppressed:used", "x", "y")
	if err := s.sender("w").send(t.Context(), store.Ref{Campaign: "c"}); err == nil {
		t.Error("no error")
	}
	s.want(map[campaign.State]int{campaign.Pending: 2})
}
