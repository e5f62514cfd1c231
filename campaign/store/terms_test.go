package store

import (
	"errors"
	"testing"
	"time"

	"campaign-runner/campaign"
)

// today is the day on which it is now, for the terms of a campaign.
func today(t *testing.T, s *Store) campaign.Day {
	t.Helper()
	now, err := s.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return campaign.Day{From: now.Add(-time.Hour), Until: now.Add(time.Hour)}
}

func beginBy(t *testing.T, s *Store, terms Terms, contacts ...int) error {
	t.Helper()
	_, err := s.Apply(t.Context(), read(t, s, sale0),
		Change{Act: Begin, Token: "w/1", ClaimTTL: time.Hour, Due: time.Hour, Terms: &terms, Moves: moves(campaign.Send, contacts...)})
	return err
}

func mustBegun(t *testing.T, s *Store, at time.Time, want int) {
	t.Helper()
	if got, err := s.Begun(t.Context(), "sale", at); got != want || err != nil {
		t.Errorf("%d contacts have begun, %v; want %d", got, err, want)
	}
}

func TestNoMoreThanTheCapBeginOnADay(t *testing.T) {
	onSale(t, func(t *testing.T, s *Store) {
		terms := Terms{Cap: 3, Day: today(t, s)}
		if err := beginBy(t, s, terms, 0, 1); err != nil {
			t.Fatal(err)
		}
		var capped *CappedError
		if err := beginBy(t, s, terms, 2, 3); !errors.Is(err, ErrCapped) || !errors.As(err, &capped) || capped.Left != 1 {
			t.Errorf("a fourth has begun: %v", err)
		}
		mustBegun(t, s, time.Now(), 2)

		// Who turns out not to have been sent is no longer among them, who was is.
		apply(t, s, read(t, s, sale0), Change{Act: Commit, Token: "w/1", ClaimTTL: time.Hour, Terms: &terms,
			Moves: append(moves(campaign.Unsent, 0), moves(campaign.Reject, 1)...)})
		mustBegun(t, s, time.Now(), 1)
		if err := beginBy(t, s, terms, 2, 3); err != nil {
			t.Error(err)
		}
		terms.Cap = 1
		if err := beginBy(t, s, terms, 0); !errors.As(err, &capped) || capped.Left != 0 {
			t.Errorf("more than a lower cap: %v", err)
		}
		mustBegun(t, s, time.Now(), 3)
		mustBegun(t, s, terms.Day.Until, 0)
	})
}

func TestADaysCountEndsWithIt(t *testing.T) {
	onSale(t, func(t *testing.T, s *Store) {
		day := today(t, s)
		for name, over := range map[string]campaign.Day{
			"yesterday": {From: day.From.AddDate(0, 0, -1), Until: day.From},
			"tomorrow":  {From: day.Until, Until: day.Until.AddDate(0, 0, 1)},
		} {
			if err := beginBy(t, s, Terms{Day: over}, 0); !errors.Is(err, ErrOutdated) {
				t.Errorf("begun on %s: %v", name, err)
			}
		}
		terms := Terms{Cap: 2, Day: day}
		if err := beginBy(t, s, terms, 0, 1); err != nil {
			t.Fatal(err)
		}
		// Cut anew, in another time zone, the day goes on with its count.
		terms.Day.From = day.From.Add(time.Minute)
		if err := beginBy(t, s, terms, 2); !errors.Is(err, ErrCapped) {
			t.Errorf("a third has begun: %v", err)
		}
		s.rdb.HSet(t.Context(), keyDay("sale"), "until", day.From.UnixMilli())
		if err := beginBy(t, s, terms, 2); err != nil {
			t.Errorf("on the next day: %v", err)
		}
		mustBegun(t, s, time.Now(), 1)
		// What began before counts on its own day alone.
		apply(t, s, read(t, s, sale0), Change{Act: Commit, Token: "w/1", Terms: &Terms{Day: day}, Moves: moves(campaign.Unsent, 0, 1)})
		mustBegun(t, s, time.Now(), 1)
	})
}

func TestTermsOf(t *testing.T) {
	c := testCampaign("sale", 2)
	c.Version, c.Settings.DailyCap = 7, 100
	at := time.Date(2026, 3, 1, 22, 30, 0, 0, time.UTC)
	want := Terms{Version: 7, Cap: 100, Day: campaign.Day{From: at.Truncate(24 * time.Hour), Until: at.Truncate(24*time.Hour).AddDate(0, 0, 1)}}
	if got := *TermsOf(c, at); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
