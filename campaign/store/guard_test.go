package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
)

func TestGuardOf(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*campaign.Settings)
		want string
	}{
		{"none", func(*campaign.Settings) {}, ""},
		{"small requests", func(s *campaign.Settings) { s.MaxFailureShare = 500 }, "500 50 200"},
		{"large requests", func(s *campaign.Settings) { s.MaxFailureShare, s.ChunkSize = 500, 300 }, "500 50 600"},
		{"one contact a request", func(s *campaign.Settings) { s.MaxFailureShare, s.ChunkSize, s.Mode = 500, 300, campaign.Dispatch }, "500 50 200"},
	} {
		s := testCampaign("sale", 10).Settings
		tt.edit(&s)
		if got := guardOf(s); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestGuardTellsWhatItHasPausedFor(t *testing.T) {
	onSale(t, func(t *testing.T, s *Store) {
		s.rdb.HSet(t.Context(), keyCampaign("sale"), "guard", "2500 3 4")
		reason, err := s.ReasonCode(t.Context(), "sale", campaign.Text("bad number"))
		if err != nil {
			t.Fatal(err)
		}
		chunk := begin(t, s, sale0, "w/1", 0, 1, 2, 3)
		rejected := Move{Index: 2, Move: campaign.Move{Cause: campaign.Reject, Reason: reason, At: noon}}
		commit := func(judge bool, moves ...Move) Changed {
			return apply(t, s, chunk, Change{Act: Commit, Token: "w/1", ClaimTTL: time.Hour, Judge: judge, Moves: moves})
		}
		if done := commit(true, append(moves(campaign.Accept, 0), rejected)...); done.Tripped != nil {
			t.Errorf("tripped by two: %+v", done.Tripped)
		}
		if done := commit(false, moves(campaign.Lose, 1)...); done.Tripped != nil {
			t.Errorf("tripped unasked: %+v", done.Tripped)
		}
		want := []Verdict{
			{Index: 0, State: campaign.Accepted}, {Index: 2, State: campaign.Rejected, Reason: reason},
			{Index: 1, State: campaign.Unconfirmed},
		}
		if diff := cmp.Diff(want, commit(true).Tripped); diff != "" {
			t.Errorf("verdicts (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want, commit(true).Tripped); diff != "" {
			t.Errorf("not explained yet (-want +got):\n%s", diff)
		}
		phase := func() (campaign.Phase, string) {
			c, err := s.Campaign(t.Context(), "sale")
			if err != nil {
				t.Fatal(err)
			}
			return c.Phase, c.PhaseReason.String()
		}
		if phase, why := phase(); phase != campaign.Paused || why != guardTripped.String() {
			t.Errorf("%s: %s", phase, why)
		}
		if ok, err := s.Explain(t.Context(), "sale", campaign.Text("two of three")); err != nil || !ok {
			t.Errorf("explained: %v, %v", ok, err)
		}
		if _, why := phase(); why != "two of three" {
			t.Errorf("paused: %s", why)
		}
		if ok, err := s.Explain(t.Context(), "sale", campaign.Text("something else")); ok || err != nil {
			t.Errorf("explained again: %v, %v", ok, err)
		}
		if done := commit(true); done.Tripped != nil {
			t.Errorf("told again: %+v", done.Tripped)
		}
		if _, _, err := s.SetPhase(t.Context(), "sale", campaign.Running, campaign.Message{}, campaign.Paused); err != nil {
			t.Fatal(err)
		}
		if done := commit(true); done.Tripped != nil || s.rdb.Exists(t.Context(), keyWindow("sale")).Val() != 0 {
			t.Errorf("a campaign that goes on is judged by what was before: %+v", done.Tripped)
		}
	})
}

func TestGuardDoesNotPauseWhatIsOver(t *testing.T) {
	onSale(t, func(t *testing.T, s *Store) {
		s.rdb.HSet(t.Context(), keyCampaign("sale"), "guard", "2500 3 4")
		chunk := begin(t, s, sale0, "w/1", 0, 1, 2, 3)
		done := apply(t, s, chunk, Change{Act: Commit, Token: "w/1", Judge: true, Moves: moves(campaign.Lose, 0, 1, 2, 3)})
		if done.Tripped != nil {
			t.Errorf("tripped with no contact left to send: %+v", done.Tripped)
		}
		if c, err := s.Campaign(t.Context(), "sale"); err != nil || c.Phase != campaign.Running {
			t.Errorf("%s, %v", c.Phase, err)
		}
		if s.rdb.Exists(t.Context(), keyWindow("sale")).Val() != 0 {
			t.Error("contacts of a rerun are judged by what was before")
		}
	})
}

func TestGuardSparesWhatHasJustItsShare(t *testing.T) {
	for lost, want := range map[int]campaign.Phase{2: campaign.Running, 3: campaign.Paused} {
		onEveryRedis(t, func(t *testing.T, s *Store) {
			launch(t, s, "sale", 5, 5, campaign.Running)
			s.rdb.HSet(t.Context(), keyCampaign("sale"), "guard", "5000 4 4") // more than half of four
			chunk := begin(t, s, sale0, "w/1", 0, 1, 2, 3)
			answers := append(moves(campaign.Lose, []int{0, 1, 2, 3}[:lost]...), moves(campaign.Accept, []int{0, 1, 2, 3}[lost:]...)...)
			apply(t, s, chunk, Change{Act: Commit, Token: "w/1", ClaimTTL: time.Hour, Judge: true, Moves: answers})
			if c, err := s.Campaign(t.Context(), "sale"); err != nil || c.Phase != want {
				t.Errorf("with %d of 4 lost it is %s, %v, want %s", lost, c.Phase, err, want)
			}
		})
	}
}

// A campaign that was paused together with others is judged by its last answers, so that it
// does not go on with them.
func TestGuardJudgesTheLastAnswersOfAPauseWithOthers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		paused campaign.Message
		trips  bool
	}{
		{"with others", campaign.Say(campaign.MsgWithOthers, "reason", campaign.Text("fire")), true},
		{"for a reason of its own", campaign.Text("lunch"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onSale(t, func(t *testing.T, s *Store) {
				s.rdb.HSet(t.Context(), keyCampaign("sale"), "guard", "2500 2 4")
				chunk := begin(t, s, sale0, "w/1", 0, 1)
				if _, ok, err := s.SetPhase(t.Context(), "sale", campaign.Paused, tt.paused, campaign.Running); err != nil || !ok {
					t.Fatal(ok, err)
				}
				done := apply(t, s, chunk, Change{Act: Commit, Token: "w/1", ClaimTTL: time.Hour, Judge: true, Moves: moves(campaign.Lose, 0, 1)})
				if is := done.Tripped != nil; is != tt.trips {
					t.Errorf("tripped: %v", done.Tripped)
				}
				if _, resumed, err := s.SetPhase(t.Context(), "sale", campaign.Running, campaign.Message{}, PausedWithOthers); err != nil || resumed {
					t.Errorf("it goes on with the others: %v, %v", resumed, err)
				}
			})
		})
	}
}

func TestAPauseWithOthersEndsWithThem(t *testing.T) {
	onSale(t, func(t *testing.T, s *Store) {
		why := campaign.Say(campaign.MsgWithOthers, "reason", campaign.Text("fire"))
		if _, ok, err := s.SetPhase(t.Context(), "sale", campaign.Paused, why, campaign.Running); err != nil || !ok {
			t.Fatal(ok, err)
		}
		if was, ok, err := s.SetPhase(t.Context(), "sale", campaign.Paused, why, PausedWithOthers); err != nil || !ok || was != campaign.Paused {
			t.Error(was, ok, err)
		}
		if _, _, err := s.SetPhase(t.Context(), "sale", campaign.Running, campaign.Message{}, PausedWithOthers); err != nil {
			t.Fatal(err)
		}
		if c, err := s.Campaign(t.Context(), "sale"); err != nil || c.Phase != campaign.Running {
			t.Error(c.Phase, err)
		}
	})
}
