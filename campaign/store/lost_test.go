package store

import (
	"testing"

	"campaign-runner/campaign"
)

func TestAHaltOnLostWritesRaisesWhatWasSeen(t *testing.T) {
	onSale(t, func(t *testing.T, s *Store) {
		chunk := begin(t, s, sale0, "w/1", 0, 1) // the first change, and the first request
		reason := campaign.Say(campaign.MsgLostWrites, "chunk", 0, "worker", "w", "campaign", "sale")
		halt := func(changes, requests int, want bool) {
			t.Helper()
			if halted, err := s.HaltLost(t.Context(), chunk, reason, changes, requests); halted != want || err != nil {
				t.Errorf("halted: %v, %v", halted, err)
			}
		}
		check := func(phase campaign.Phase, told bool, changes, requests int) {
			t.Helper()
			c, err := s.Campaign(t.Context(), "sale")
			if now := read(t, s, sale0); err != nil || c.Phase != phase || c.PhaseReason.Is(campaign.MsgLostWrites) != told || now.Version != changes || now.Requests != requests {
				t.Errorf("%s because of %v, %d changes, %d requests: %v", c.Phase, c.PhaseReason, now.Version, now.Requests, err)
			}
		}
		set := func(phase campaign.Phase) {
			t.Helper()
			if _, _, err := s.SetPhase(t.Context(), "sale", phase, campaign.Message{}, campaign.Running, campaign.Ready, campaign.Paused); err != nil {
				t.Fatal(err)
			}
		}
		set(campaign.Ready)
		halt(7, 3, false)
		check(campaign.Ready, false, 1, 1)
		set(campaign.Running)
		halt(7, 3, true)
		check(campaign.Paused, true, 8, 3)
		set(campaign.Paused) // for another reason
		halt(4, 2, true)
		check(campaign.Paused, true, 8, 3)
		if halted, err := s.HaltLost(t.Context(), &Chunk{Ref: Ref{Campaign: "sale", Chunk: 9}}, reason, 1, 1); halted || err != nil {
			t.Errorf("by a chunk that is gone: %v, %v", halted, err)
		}
	})
}
