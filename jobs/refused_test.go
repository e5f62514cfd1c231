package jobs

import (
	"testing"

	"campaign-runner/campaign"
	"campaign-runner/velents"
)

// A platform that refuses each contact alone does not mean the contacts.
func TestAPlatformThatRefusesEverybodyPausesTheCampaign(t *testing.T) {
	for name, answer := range map[string]error{
		"413": &velents.Error{Status: 413, Message: "Request Entity Too Large", Page: true},
		"422": &velents.Error{Status: 422, Message: "The rows field is not allowed on your plan.", JSON: true, Fields: map[string][]string{"rows": {"Your plan's messages for today are used up."}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, 64)
			s.platform.answer = func([]velents.Row) error { return answer }
			for range 3 {
				s.send("w1", 0)
			}
			s.want(map[campaign.State]int{campaign.Pending: 64})
			if phase, _ := s.phase("c"); phase != campaign.Paused {
				t.Errorf("it is %s", phase)
			}
		})
	}
	t.Run("400, in a rerun", func(t *testing.T) {
		s := newStage(t, 60, func(s *campaign.Settings) { s.MaxAttempts, s.Mode = 1, campaign.Dispatch })
		s.platform.answer = func(rows []velents.Row) error {
			if rows[0].Phone >= phoneOf(20).E164() {
				return &velents.Error{Status: 409, Message: "Conflict", JSON: true}
			}
			return nil
		}
		s.send("w1", 0)
		s.want(map[campaign.State]int{campaign.Accepted: 20, campaign.Failed: 40})
		if _, err := s.queue.Rerun(t.Context(), "c", failed); err != nil {
			t.Fatal(err)
		}
		s.platform.answer = refuseAll(400, "Bad Request")
		for range 3 {
			s.send("w1", 0)
		}
		if phase, _ := s.phase("c"); phase != campaign.Paused {
			t.Errorf("it is %s", phase)
		}
	})
}

// Halving finds the one contact that is too large; the platform takes all others as before.
func TestOneRowThatIsTooLargeLowersItsOwnRequests(t *testing.T) {
	s := newStage(t, 64, func(s *campaign.Settings) { s.ChunkSize = 32 })
	s.platform.answer = func(rows []velents.Row) error {
		for _, r := range rows {
			if r.Phone == phoneOf(5).E164() {
				return &velents.Error{Status: 413, Message: "Request Entity Too Large", Page: true}
			}
		}
		return nil
	}
	for range 3 {
		s.send("w1", 0)
	}
	s.want(map[campaign.State]int{campaign.Accepted: 31, campaign.Rejected: 1, campaign.Pending: 32})
	before := s.platform.count()
	s.send("w1", 1)
	s.want(map[campaign.State]int{campaign.Accepted: 63, campaign.Rejected: 1})
	if n := s.platform.count() - before; n > 2 {
		t.Errorf("%d requests for 32 contacts with which nothing is wrong; rows per request: %d", n, s.now().RowsPerCall)
	}
}
