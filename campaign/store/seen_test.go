package store

import (
	"testing"

	"campaign-runner/campaign"
)

func TestWhatWasSeenOfAnAgentStays(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		for _, step := range []struct {
			name string
			add  campaign.Seen
			want campaign.Seen
		}{
			{"nothing", campaign.Seen{}, campaign.Seen{}},
			{"headers", campaign.Seen{RateHeaders: true}, campaign.Seen{RateHeaders: true}},
			{"nothing more", campaign.Seen{}, campaign.Seen{RateHeaders: true}},
			{"a success", campaign.Seen{Accepted: true}, campaign.Seen{RateHeaders: true, Accepted: true}},
		} {
			if err := s.AddSeen(t.Context(), "sales", step.add); err != nil {
				t.Fatal(err)
			}
			if got, err := s.Seen(t.Context(), "sales"); err != nil || got != step.want {
				t.Errorf("after %s: %+v, %v, want %+v", step.name, got, err, step.want)
			}
		}
		if got, err := s.Seen(t.Context(), "other"); err != nil || got != (campaign.Seen{}) {
			t.Errorf("of another agent: %+v, %v", got, err)
		}
		s.rdb.Close()
		if _, err := s.Seen(t.Context(), "sales"); err == nil {
			t.Error("read without Redis")
		}
		if err := s.AddSeen(t.Context(), "sales", campaign.Seen{Accepted: true}); err == nil {
			t.Error("kept without Redis")
		}
	})
}
