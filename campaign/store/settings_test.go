package store

import (
	"errors"
	"strings"
	"testing"

	"campaign-runner/campaign"
)

func TestChangeSettings(t *testing.T) {
	onSale(t, func(t *testing.T, s *Store) {
		read := func() campaign.Campaign {
			c, err := s.Campaign(t.Context(), "sale")
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		first := read()
		to := first.Settings
		to.MaxAttempts, to.MaxFailureShare = 9, 2000
		for range 2 { // again, it changes nothing
			if err := s.ChangeSettings(t.Context(), first, to, ""); err != nil {
				t.Fatal(err)
			}
		}
		c := read()
		if c.Settings.MaxAttempts != 9 || c.Version != first.Version+1 {
			t.Errorf("%d attempts, version %d after %d", c.Settings.MaxAttempts, c.Version, first.Version)
		}
		if guard := s.rdb.HGet(t.Context(), keyCampaign("sale"), "guard").Val(); guard != "2000 50 200" {
			t.Errorf("guard %q", guard)
		}
		to.MaxAttempts = 3
		if err := s.ChangeSettings(t.Context(), first, to, ""); !errors.Is(err, ErrOutdated) {
			t.Errorf("changed what others have changed meanwhile: %v", err)
		}
		if err := beginBy(t, s, *TermsOf(first, noon), 0); !errors.Is(err, ErrOutdated) {
			t.Errorf("begun by settings of before: %v", err)
		}
		to.MaxAttempts = 0
		if err := s.ChangeSettings(t.Context(), c, to, ""); err == nil || !strings.Contains(err.Error(), "max attempts 0") {
			t.Errorf("changed to nonsense: %v", err)
		}
	})
}

func TestChangeSettingsNeedsALoadedCampaign(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		c := testCampaign("sale", 2)
		const want = "change settings of sale: it is not loaded"
		if err := s.ChangeSettings(t.Context(), c, c.Settings, ""); err == nil || err.Error() != want {
			t.Errorf("nobody's: %v", err)
		}
		if _, err := s.BeginLoad(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if err := s.ChangeSettings(t.Context(), c, c.Settings, ""); err == nil || err.Error() != want {
			t.Errorf("while it loads: %v", err)
		}
	})
}

func TestEndCanary(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		canary := testCampaign("sale", 4)
		canary.Settings.Canary = 2
		load, err := s.BeginLoad(t.Context(), canary)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(load.Add(t.Context(), 0, people(0, 4)),
			load.Finish(t.Context(), campaign.Counts{Rows: 4, Contacts: 4}, 1, campaign.Running)); err != nil {
			t.Fatal(err)
		}
		c, err := s.Campaign(t.Context(), "sale")
		if err != nil || c.Canary != 2 {
			t.Fatalf("canary of %d, %v", c.Canary, err)
		}
		if done, err := s.EndCanary(t.Context(), c, campaign.Ready, campaign.Text("seen")); !done || err != nil {
			t.Errorf("not ended: %v", err)
		}
		after, err := s.Campaign(t.Context(), "sale")
		if err != nil || after.Canary != 0 || after.Phase != campaign.Ready || after.PhaseReason.String() != "seen" || after.Version <= c.Version {
			t.Errorf("%+v, %v", after, err)
		}
		stale := after
		stale.Canary = 2
		if done, err := s.EndCanary(t.Context(), stale, campaign.Running, campaign.Message{}); done || err != nil {
			t.Errorf("ended again: %v, %v", done, err)
		}
	})
}
