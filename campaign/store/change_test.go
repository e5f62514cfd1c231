package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/internal/redistest"
)

// noon is when the moves of these tests happen.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// moves moves contacts by one cause.
func moves(cause campaign.Cause, contacts ...int) []Move {
	var all []Move
	for _, i := range contacts {
		all = append(all, Move{Index: i, Move: campaign.Move{Cause: cause, At: noon}})
	}
	return all
}

func read(t testing.TB, s *Store, ref Ref) *Chunk {
	t.Helper()
	chunk, err := s.ReadChunk(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	return chunk
}

// apply makes a change that must not fail.
func apply(t testing.TB, s *Store, chunk *Chunk, c Change) Changed {
	t.Helper()
	done, err := s.Apply(t.Context(), chunk, c)
	if err != nil {
		t.Fatalf("%s: %v", c.Act, err)
	}
	return done
}

// begin has a sender with token send contacts.
func begin(t testing.TB, s *Store, ref Ref, token string, contacts ...int) *Chunk {
	t.Helper()
	chunk := read(t, s, ref)
	apply(t, s, chunk, Change{Act: Begin, Token: token, ClaimTTL: time.Hour, Due: time.Hour, Moves: moves(campaign.Send, contacts...)})
	return chunk
}

// expire ends a claim as if its time had passed.
func expire(t testing.TB, s *Store, ref Ref) {
	t.Helper()
	if err := s.rdb.HSet(t.Context(), keyChunk(ref), "claim_until", 1).Err(); err != nil {
		t.Fatal(err)
	}
}

var sale0 = Ref{Campaign: "sale", Chunk: 0}

// onSale runs a test on a running campaign of four contacts in one chunk.
func onSale(t *testing.T, test func(*testing.T, *Store)) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		launch(t, s, "sale", 4, 4, campaign.Running)
		test(t, s)
		mustAddUp(t, s, "sale")
	})
}

func TestSendAndCommit(t *testing.T) {
	onSale(t, func(t *testing.T, s *Store) {
		chunk := begin(t, s, sale0, "w/1", 0, 1, 2)
		held := read(t, s, sale0)
		if held.Claim != "w/1" || held.ClaimUntil.Before(time.Now().Add(50*time.Minute)) || held.Version != 1 {
			t.Errorf("claim %q until %v, version %d", held.Claim, held.ClaimUntil, held.Version)
		}
		reason, err := s.ReasonCode(t.Context(), "sale", campaign.Text("busy"))
		if err != nil {
			t.Fatal(err)
		}
		rejected := Move{Index: 1, Move: campaign.Move{Cause: campaign.Reject, Reason: reason, At: noon}}
		done := apply(t, s, chunk, Change{Act: Commit, Token: "w/1", Due: time.Hour,
			Moves: []Move{moves(campaign.Accept, 0)[0], rejected, moves(campaign.Retry, 2)[0]}})
		if len(done.Moved) != 3 || len(done.Refused) != 0 {
			t.Errorf("moved %v, refused %v", done.Moved, done.Refused)
		}
		after := read(t, s, sale0)
		if after.Claim != "" || !after.ClaimUntil.IsZero() || after.Version != 2 {
			t.Errorf("claim %q until %v, version %d, want none, and 2", after.Claim, after.ClaimUntil, after.Version)
		}
		at := uint32(noon.Unix())
		for i, want := range []campaign.Record{
			{State: campaign.Accepted, Attempts: 1, Tries: 1, Changed: at},
			{State: campaign.Rejected, Attempts: 1, Tries: 1, Reason: reason, Changed: at},
			{State: campaign.Pending, Attempts: 1, Tries: 1, Changed: at},
			{},
		} {
			if diff := cmp.Diff(want, after.Record(i)); diff != "" {
				t.Errorf("contact %d (-want +got):\n%s", i, diff)
			}
			if after.Record(i) != chunk.Record(i) {
				t.Errorf("the sender's chunk has contact %d as %+v", i, chunk.Record(i))
			}
		}
		tally, err := s.Tally(t.Context(), "sale")
		if err != nil {
			t.Fatal(err)
		}
		want := campaign.Tally{Reasons: map[campaign.StateReason]int{{State: campaign.Rejected, Reason: reason}: 1}}
		want.States[campaign.Accepted], want.States[campaign.Rejected], want.States[campaign.Pending] = 1, 1, 2
		if diff := cmp.Diff(want, tally); diff != "" {
			t.Errorf("tally (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]int{2, 3}, after.In(campaign.Pending, campaign.Sending)); diff != "" {
			t.Errorf("In (-want +got):\n%s", diff)
		}
	})
}

// Who may begin, by who holds the chunk.
func TestBeginByClaim(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(*testing.T, *Store)
		dead    string
		want    error
	}{
		{"it is free", func(*testing.T, *Store) {}, "", nil},
		{"the sender itself does", func(t *testing.T, s *Store) { begin(t, s, sale0, "me/1") }, "", nil},
		{"the sender itself does, with a request out", func(t *testing.T, s *Store) { begin(t, s, sale0, "me/1", 3) }, "", nil},
		{"the sender's own, not taken over since", func(t *testing.T, s *Store) {
			begin(t, s, sale0, "me/1", 3)
			expire(t, s, sale0)
		}, "", nil},
		{"another does", func(t *testing.T, s *Store) { begin(t, s, sale0, "other/1") }, "", ErrBusy},
		{"another does, with a request out", func(t *testing.T, s *Store) { begin(t, s, sale0, "other/1", 3) }, "", ErrBusy},
		{"the same worker does, for another task", func(t *testing.T, s *Store) { begin(t, s, sale0, "me/2") }, "", ErrBusy},
		{"another's has expired", func(t *testing.T, s *Store) {
			begin(t, s, sale0, "other/1")
			expire(t, s, sale0)
		}, "", nil},
		{"another's has expired with a request out", func(t *testing.T, s *Store) {
			begin(t, s, sale0, "other/1", 3)
			expire(t, s, sale0)
		}, "", ErrUnrecovered},
		{"one that is dead does", func(t *testing.T, s *Store) { begin(t, s, sale0, "other/1") }, "other/1", nil},
		{"one that is dead does, with a request out", func(t *testing.T, s *Store) { begin(t, s, sale0, "other/1", 3) }, "other/1", ErrUnrecovered},
		{"another does than the one that is dead", func(t *testing.T, s *Store) { begin(t, s, sale0, "other/2") }, "other/1", ErrBusy},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onSale(t, func(t *testing.T, s *Store) {
				tt.prepare(t, s)
				before := dump(t, s, "sale")
				chunk := read(t, s, sale0)
				done, err := s.Apply(t.Context(), chunk, Change{
					Act: Begin, Token: "me/1", Dead: tt.dead, ClaimTTL: time.Hour, Due: time.Hour, Moves: moves(campaign.Send, 0, 1),
				})
				if !errors.Is(err, tt.want) {
					t.Fatalf("got %v, want %v", err, tt.want)
				}
				if err == nil {
					if len(done.Moved) != 2 || read(t, s, sale0).Claim != "me/1" {
						t.Errorf("moved %v, claim %q", done.Moved, read(t, s, sale0).Claim)
					}
					return
				}
				if diff := cmp.Diff(before, dump(t, s, "sale")); diff != "" {
					t.Errorf("a refused begin changed (-before +after):\n%s", diff)
				}
				var busy *BusyError
				if errors.As(err, &busy) && (busy.Left <= 50*time.Minute || busy.Left > time.Hour) {
					t.Errorf("claim has %v left", busy.Left)
				}
			})
		})
	}
}

func TestBeginByPhase(t *testing.T) {
	onSale(t, func(t *testing.T, s *Store) {
		begin(t, s, sale0, "me/1")
		for _, phase := range []campaign.Phase{campaign.Loading, campaign.Ready, campaign.Scheduled, campaign.Paused, campaign.CanceledPhase} {
			if err := s.rdb.HSet(t.Context(), keyCampaign("sale"), "phase", string(phase)).Err(); err != nil {
				t.Fatal(err)
			}
			before := dump(t, s, "sale")
			_, err := s.Apply(t.Context(), read(t, s, sale0), Change{Act: Begin, Token: "me/1", ClaimTTL: time.Hour, Moves: moves(campaign.Send, 0)})
			if !errors.Is(err, ErrNotRunning) || !strings.Contains(err.Error(), "campaign is "+string(phase)) {
				t.Errorf("%s: got %v", phase, err)
			}
			if diff := cmp.Diff(before, dump(t, s, "sale")); diff != "" {
				t.Errorf("%s: changed (-before +after):\n%s", phase, diff)
			}
		}
		s.rdb.HSet(t.Context(), keyCampaign("sale"), "phase", string(campaign.Paused))
	})
}

// What is under way when a campaign is paused is written down all the same.
func TestCommitNeedsNoPhase(t *testing.T) {
	onSale(t, func(t *testing.T, s *Store) {
		chunk := begin(t, s, sale0, "me/1", 0, 1)
		if _, _, err := s.SetPhase(t.Context(), "sale", campaign.Paused, campaign.Text("lunch"), campaign.Running); err != nil {
			t.Fatal(err)
		}
		apply(t, s, chunk, Change{Act: Commit, Token: "me/1", Moves: append(moves(campaign.Accept, 0), moves(campaign.Retry, 1)...)})
		if got, want := states(t, s, sale0), "accepted pending pending pending"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestBeginIsAllOrNothing(t *testing.T) {
	onSale(t, func(t *testing.T, s *Store) {
		stale := read(t, s, sale0)
		apply(t, s, read(t, s, sale0), Change{Act: Steer, Moves: moves(campaign.Cancel, 2)})
		before := dump(t, s, "sale")
		want := Change{Act: Begin, Token: "me/1", ClaimTTL: time.Hour, Due: time.Hour, Moves: moves(campaign.Send, 0, 1, 2)}
		if _, err := s.Apply(t.Context(), stale, want); !errors.Is(err, ErrMoved) {
			t.Errorf("got %v, want ErrMoved", err)
		}
		if got := stale.Record(2).State; got != campaign.Canceled {
			t.Errorf("the sender still takes it for %s", got)
		}
		if got := stale.Record(0).State; got != campaign.Pending {
			t.Errorf("the sender takes one it may send for %s", got)
		}
		// Now that it knows, it is told without asking.
		if _, err := s.Apply(t.Context(), stale, want); !errors.Is(err, ErrMoved) {
			t.Errorf("again: got %v, want ErrMoved", err)
		}
		if diff := cmp.Diff(before, dump(t, s, "sale")); diff != "" {
			t.Errorf("changed (-before +after):\n%s", diff)
		}
		apply(t, s, stale, Change{Act: Begin, Token: "me/1", ClaimTTL: time.Hour, Due: time.Hour, Moves: moves(campaign.Send, stale.In(campaign.Pending)...)})
		if got, want := states(t, s, sale0), "sending sending canceled sending"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestRequestsAreNumbered(t *testing.T) {
	onSale(t, func(t *testing.T, s *Store) {
		for n, contact := range []int{2, 0, 3} {
			chunk := read(t, s, sale0)
			done := apply(t, s, chunk, Change{Act: Begin, Token: "me/1", ClaimTTL: time.Hour, Due: time.Hour, Moves: moves(campaign.Send, contact)})
			if done.Request != n+1 {
				t.Errorf("request %d has number %d", n+1, done.Request)
			}
			if d := time.Until(done.Now).Abs(); d > time.Minute {
				t.Errorf("Redis's clock is %v off", d)
			}
			apply(t, s, chunk, Change{Act: Commit, Token: "me/1", ClaimTTL: time.Hour, Moves: moves(campaign.Accept, contact)})
		}
	})
}

// What a sender may still change once it has lost its claim.
func TestCommitWithoutTheClaim(t *testing.T) {
	for _, tt := range []struct {
		name  string
		token string
		lost  func(*testing.T, *Store)
		claim string // afterwards
	}{
		{"after it was given up", "me/1", func(t *testing.T, s *Store) {
			apply(t, s, read(t, s, sale0), Change{Act: Commit, Token: "me/1"})
		}, ""},
		{"after another took it", "me/1", func(t *testing.T, s *Store) {
			s.rdb.HSet(t.Context(), keyChunk(sale0), "claim", "other/1")
		}, "other/1"},
		{"without ever having one", "", func(*testing.T, *Store) {}, "me/1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onSale(t, func(t *testing.T, s *Store) {
				chunk := begin(t, s, sale0, "me/1", 0, 1, 2, 3)
				tt.lost(t, s)
				until := read(t, s, sale0).ClaimUntil
				done := apply(t, s, chunk, Change{Act: Commit, Token: tt.token, ClaimTTL: 2 * time.Hour, Moves: []Move{
					moves(campaign.Accept, 0)[0], moves(campaign.Reject, 1)[0], moves(campaign.Retry, 2)[0], moves(campaign.End, 3)[0],
				}})
				if len(done.Moved) != 2 || len(done.Refused) != 2 || done.Refused[0].Index != 1 || done.Refused[1].Index != 2 {
					t.Errorf("moved %v, refused %v", done.Moved, done.Refused)
				}
				if got, want := states(t, s, sale0), "accepted sending sending ended"; got != want {
					t.Errorf("got %s, want %s", got, want)
				}
				after := read(t, s, sale0)
				if after.Claim != tt.claim || !after.ClaimUntil.Equal(until) {
					t.Errorf("claim is %q until %v, want %q until %v", after.Claim, after.ClaimUntil, tt.claim, until)
				}
			})
		})
	}
}

// An expired claim is still the sender's until another takes it.
func TestCommitUnderAnExpiredClaim(t *testing.T) {
	onSale(t, func(t *testing.T, s *Store) {
		chunk := begin(t, s, sale0, "me/1", 0)
		expire(t, s, sale0)
		apply(t, s, chunk, Change{Act: Commit, Token: "me/1", ClaimTTL: time.Hour, Moves: moves(campaign.Retry, 0)})
		if after := read(t, s, sale0); after.Claim != "me/1" || after.ClaimUntil.Before(time.Now()) || after.Record(0).State != campaign.Pending {
			t.Errorf("claim %q until %v, contact %+v", after.Claim, after.ClaimUntil, after.Record(0))
		}
	})
}

// A refused transition skips its contact alone.
func TestCommitSkipsSingleContacts(t *testing.T) {
	onSale(t, func(t *testing.T, s *Store) {
		chunk := begin(t, s, sale0, "me/1", 0, 1, 2)
		// An event overtakes the answer to the request.
		apply(t, s, read(t, s, sale0), Change{Act: Commit, Moves: moves(campaign.Start, 1)})
		done := apply(t, s, chunk, Change{Act: Commit, Token: "me/1", Moves: append(moves(campaign.Fail, 0, 1, 2), moves(campaign.Accept, 3)...)})
		if diff := cmp.Diff(append(moves(campaign.Accept, 3), moves(campaign.Fail, 1)...), done.Refused); diff != "" {
			t.Errorf("refused (-want +got):\n%s", diff)
		}
		if got, want := states(t, s, sale0), "failed started failed pending"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if chunk.Record(1).State != campaign.Started {
			t.Errorf("the sender's chunk has %+v", chunk.Record(1))
		}
	})
}

// A move that is still right after its contact has moved on is made again.
func TestCommitGoesOnFromWhereContactsAre(t *testing.T) {
	onSale(t, func(t *testing.T, s *Store) {
		chunk := begin(t, s, sale0, "me/1", 0)
		apply(t, s, read(t, s, sale0), Change{Act: Recover, Dead: "me/1", Moves: moves(campaign.Lose, 0)})
		done := apply(t, s, chunk, Change{Act: Commit, Token: "me/1", Moves: moves(campaign.Accept, 0)})
		if len(done.Moved) != 1 || states(t, s, sale0) != "accepted pending pending pending" {
			t.Errorf("moved %v, states %s", done.Moved, states(t, s, sale0))
		}
	})
}

// What a person decided of a contact in one state is not done to it in another.
// A run of neighbours of which some have moved is not refused as a whole, and is
// counted contact by contact.
func TestARunOfWhichSomeHaveMoved(t *testing.T) {
	onSale(t, func(t *testing.T, s *Store) {
		mine := begin(t, s, sale0, "me/1", 0, 1, 2, 3)
		apply(t, s, read(t, s, sale0), Change{Act: Commit, Moves: moves(campaign.Start, 1)})

		done := apply(t, s, mine, Change{Act: Commit, Token: "me/1", Moves: moves(campaign.Lose, 0, 1, 2, 3)})
		if len(done.Moved) != 3 || len(done.Refused) != 1 || done.Refused[0].Index != 1 {
			t.Errorf("moved %v, refused %v", done.Moved, done.Refused)
		}
		chunk := read(t, s, sale0)
		if lost, started := chunk.In(campaign.Unconfirmed), chunk.In(campaign.Started); len(lost) != 3 || len(started) != 1 {
			t.Errorf("%v are unconfirmed and %v started", lost, started)
		}
	})
}

func TestSteerLeavesAloneWhatMovedOn(t *testing.T) {
	onSale(t, func(t *testing.T, s *Store) {
		sender := begin(t, s, sale0, "me/1", 0, 1)
		apply(t, s, sender, Change{Act: Commit, Token: "me/1", Moves: moves(campaign.Fail, 0, 1)})
		person := read(t, s, sale0)
		apply(t, s, read(t, s, sale0), Change{Act: Commit, Moves: moves(campaign.End, 0)})
		done := apply(t, s, person, Change{Act: Steer, Moves: moves(campaign.Rerun, 0, 1)})
		if diff := cmp.Diff(moves(campaign.Rerun, 0), done.Refused); diff != "" {
			t.Errorf("refused (-want +got):\n%s", diff)
		}
		if got, want := states(t, s, sale0), "ended pending pending pending"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

// A contact that came back unsent is as pending as before.
func TestSteerOfOneThatCameBack(t *testing.T) {
	onSale(t, func(t *testing.T, s *Store) {
		person := read(t, s, sale0)
		sender := begin(t, s, sale0, "me/1", 0)
		apply(t, s, sender, Change{Act: Commit, Token: "me/1", Moves: moves(campaign.Unsent, 0)})
		done := apply(t, s, person, Change{Act: Steer, Moves: moves(campaign.Cancel, 0)})
		if len(done.Moved) != 1 || states(t, s, sale0) != "canceled pending pending pending" {
			t.Errorf("moved %v, states %s", done.Moved, states(t, s, sale0))
		}
	})
}

// The refusal of one request says nothing of the next, even under one token.
func TestLateRefusalSpeaksOfItsOwnRequest(t *testing.T) {
	onSale(t, func(t *testing.T, s *Store) {
		first := begin(t, s, sale0, "me/1", 0, 1)
		chunk := read(t, s, sale0)
		apply(t, s, chunk, Change{Act: Recover, Dead: "me/1", Moves: moves(campaign.Lose, 0, 1)})
		apply(t, s, chunk, Change{Act: Steer, Moves: moves(campaign.Rerun, 0, 1)})
		begin(t, s, sale0, "me/1", 0, 1)
		done := apply(t, s, first, Change{Act: Commit, Token: "me/1", ClaimTTL: time.Hour,
			Moves: append(moves(campaign.Retry, 0), moves(campaign.Accept, 1)...)})
		if diff := cmp.Diff(moves(campaign.Retry, 0), done.Refused); diff != "" {
			t.Errorf("refused (-want +got):\n%s", diff)
		}
		if got, want := states(t, s, sale0), "sending accepted pending pending"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

// Several moves of one contact in one change count as one after the other.
func TestSeveralMovesOfOneContact(t *testing.T) {
	onSale(t, func(t *testing.T, s *Store) {
		begin(t, s, sale0, "me/1", 0, 1)
		chunk := read(t, s, sale0)
		events := []Move{
			moves(campaign.Accept, 0)[0], moves(campaign.Start, 0)[0], moves(campaign.End, 1)[0],
			moves(campaign.End, 0)[0], moves(campaign.Start, 1)[0], // the last comes late
		}
		done := apply(t, s, chunk, Change{Act: Commit, Moves: events})
		if len(done.Moved) != 4 || len(done.Refused) != 1 || done.Refused[0] != events[4] {
			t.Errorf("moved %v, refused %v", done.Moved, done.Refused)
		}
		if got, want := states(t, s, sale0), "ended ended pending pending"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		// The same again, by a caller with an old copy.
		stale := &Chunk{Ref: sale0, ledger: campaign.NewLedger(4)}
		stale.ledger.Set(0, campaign.Record{State: campaign.Sending, Attempts: 1})
		if done := apply(t, s, stale, Change{Act: Commit, Moves: moves(campaign.End, 0, 0)}); len(done.Refused) != 2 {
			t.Errorf("late: moved %v, refused %v", done.Moved, done.Refused)
		}
		// Nobody is sent twice in one request.
		if _, err := s.Apply(t.Context(), chunk, Change{Act: Begin, Token: "me/1", ClaimTTL: time.Hour, Moves: moves(campaign.Send, 2, 2)}); !errors.Is(err, ErrMoved) {
			t.Errorf("sent twice: %v", err)
		}
	})
}

func TestRecover(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(*testing.T, *Store)
		dead    string
		want    error
	}{
		{"an expired claim", func(t *testing.T, s *Store) { expire(t, s, sale0) }, "", nil},
		{"a dead worker's", func(*testing.T, *Store) {}, "other/1", nil},
		{"a living one's", func(*testing.T, *Store) {}, "", ErrBusy},
		{"a living one's, taking another for dead", func(*testing.T, *Store) {}, "other/2", ErrBusy},
		{"none at all", func(t *testing.T, s *Store) { s.rdb.HDel(t.Context(), keyChunk(sale0), "claim", "claim_until") }, "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onSale(t, func(t *testing.T, s *Store) {
				begin(t, s, sale0, "other/1", 0, 1)
				tt.prepare(t, s)
				chunk := read(t, s, sale0)
				_, err := s.Apply(t.Context(), chunk, Change{Act: Recover, Dead: tt.dead, Moves: moves(campaign.Lose, chunk.In(campaign.Sending)...)})
				if !errors.Is(err, tt.want) {
					t.Fatalf("got %v, want %v", err, tt.want)
				}
				if err != nil {
					if got, want := states(t, s, sale0), "sending sending pending pending"; got != want {
						t.Errorf("got %s, want %s", got, want)
					}
					return
				}
				if got, want := states(t, s, sale0), "unconfirmed unconfirmed pending pending"; got != want {
					t.Errorf("got %s, want %s", got, want)
				}
				begin(t, s, sale0, "me/1", 2)
			})
		})
	}
}

func TestSteerAsksForNoClaim(t *testing.T) {
	onSale(t, func(t *testing.T, s *Store) {
		sender := begin(t, s, sale0, "me/1", 0, 1)
		apply(t, s, sender, Change{Act: Commit, Token: "me/1", ClaimTTL: time.Hour, Moves: append(moves(campaign.Lose, 0), moves(campaign.Fail, 1)...)})
		chunk := read(t, s, sale0)
		done := apply(t, s, chunk, Change{Act: Steer, Moves: []Move{
			moves(campaign.ConfirmSent, 0)[0],
			{Index: 1, Move: campaign.Move{Cause: campaign.Rerun, Run: 3, At: noon}},
			moves(campaign.Cancel, 2)[0],
			moves(campaign.Rerun, 3)[0],
		}})
		if len(done.Moved) != 3 || len(done.Refused) != 1 {
			t.Errorf("moved %v, refused %v", done.Moved, done.Refused)
		}
		if got, want := states(t, s, sale0), "accepted pending canceled pending"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got := read(t, s, sale0).Record(1); got.Run != 3 || got.Tries != 0 || got.Attempts != 1 {
			t.Errorf("rerun made %+v", got)
		}
		if got := read(t, s, sale0).Claim; got != "me/1" {
			t.Errorf("the claim is %q", got)
		}
	})
}

func TestDue(t *testing.T) {
	onSale(t, func(t *testing.T, s *Store) {
		due := func() string {
			t.Helper()
			open, err := s.Open(t.Context(), "sale", time.Time{}, 10)
			if err != nil {
				t.Fatal(err)
			}
			if len(open) == 0 {
				return "through"
			}
			now, err := s.Now(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if left := open[0].At.Sub(now); left > 0 {
				return left.Round(10 * time.Minute).String()
			}
			return "now"
		}
		expect := func(want string) {
			t.Helper()
			if got := due(); got != want {
				t.Errorf("due %s, want %s", got, want)
			}
		}
		chunk := read(t, s, sale0)
		expect("now") // as loaded
		apply(t, s, chunk, Change{Act: Begin, Token: "me/1", ClaimTTL: time.Hour, Due: time.Hour, Moves: moves(campaign.Send, 0, 1)})
		expect("1h0m0s")
		apply(t, s, chunk, Change{Act: Commit, Token: "me/1", Moves: moves(campaign.Fail, 0)})
		expect("1h0m0s")
		apply(t, s, chunk, Change{Act: Steer, Due: 2 * time.Hour, Moves: moves(campaign.Cancel, 2, 3)})
		expect("2h0m0s")
		apply(t, s, read(t, s, sale0), Change{Act: Commit, Moves: moves(campaign.End, 1)})
		expect("through")
		if err := s.SetDue(t.Context(), sale0, time.Hour); err != nil {
			t.Fatal(err)
		}
		expect("through")
		chunk = read(t, s, sale0)
		apply(t, s, chunk, Change{Act: Steer, Moves: moves(campaign.Rerun, 0)})
		expect("now")
		if err := s.SetDue(t.Context(), sale0, 3*time.Hour); err != nil {
			t.Fatal(err)
		}
		expect("3h0m0s")
		if soon, err := s.Open(t.Context(), "sale", time.Now().Add(time.Hour), 10); err != nil || len(soon) != 0 {
			t.Errorf("due within the hour: %v, %v", soon, err)
		}
		if later, err := s.Open(t.Context(), "sale", time.Now().Add(4*time.Hour), 10); err != nil || len(later) != 1 {
			t.Errorf("due within four hours: %v, %v", later, err)
		}
	})
}

// The end of a claim, to the millisecond, by Redis's clock.
func TestClaimsExpire(t *testing.T) {
	server := miniredis.RunT(t)
	s := New(embedded(t, server))
	server.SetTime(noon)
	launch(t, s, "sale", 2, 2, campaign.Running)
	apply(t, s, read(t, s, sale0), Change{Act: Begin, Token: "other/1", ClaimTTL: 1500 * time.Millisecond})
	try := func() error {
		_, err := s.Apply(t.Context(), read(t, s, sale0), Change{Act: Begin, Token: "me/1", ClaimTTL: time.Minute, Moves: moves(campaign.Send, 0)})
		return err
	}
	server.SetTime(noon.Add(1499 * time.Millisecond))
	var busy *BusyError
	if err := try(); !errors.As(err, &busy) || busy.Left != time.Millisecond {
		t.Errorf("a moment before: got %v", err)
	} else if want := "chunk sale/0: chunk is claimed for another 1ms"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	server.SetTime(noon.Add(1500 * time.Millisecond))
	if err := try(); err != nil {
		t.Errorf("at its end: %v", err)
	}
	if got := read(t, s, sale0).ClaimUntil; !got.Equal(noon.Add(61500 * time.Millisecond)) {
		t.Errorf("claimed until %v", got)
	}
}

// Contacts may move between any two rounds; there is an end to trying.
func TestApplyGivesUpInTheEnd(t *testing.T) {
	rdb := redistest.Shared(t)
	quiet := New(rdb)
	launch(t, quiet, "sale", 1, 1, campaign.Running)
	begin(t, quiet, sale0, "me/1", 0)
	second := uint32(0)
	restless := redis.NewClient(rdb.Options())
	defer restless.Close()
	restless.AddHook(&scripts{before: func(ctx context.Context, cmd redis.Cmder, run redis.ProcessHook) {
		second++
		ledger := campaign.NewLedger(1)
		ledger.Set(0, campaign.Record{State: campaign.Sending, Attempts: 1, Tries: 1, Changed: second})
		if err := rdb.Set(ctx, keyLedger(sale0), []byte(ledger), 0).Err(); err != nil {
			t.Error(err)
		}
	}})
	_, err := New(restless).Apply(t.Context(), read(t, quiet, sale0), Change{Act: Commit, Token: "me/1", Moves: moves(campaign.Accept, 0)})
	if rounds := second - 1; !errors.Is(err, ErrMoved) || rounds != maxRounds { // the first script raises the campaign
		t.Errorf("got %v after %d rounds, want ErrMoved after %d", err, rounds, maxRounds)
	}
}

func TestApplyRefusesUnknownContacts(t *testing.T) {
	s := New(redistest.Shared(t))
	launch(t, s, "sale", 2, 2, campaign.Running)
	for _, index := range []int{-1, 2} {
		_, err := s.Apply(t.Context(), read(t, s, sale0), Change{Act: Steer, Moves: moves(campaign.Cancel, index)})
		if want := fmt.Sprintf("change chunk sale/0: no contact %d", index); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestGone(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		launch(t, s, "sale", 3, 3, campaign.Running)
		chunk := read(t, s, sale0)
		s.rdb.Set(t.Context(), keyLedger(sale0), []byte(chunk.ledger[:2*campaign.RecordSize+1]), 0)
		before := dump(t, s, "sale")
		cut := Change{Act: Steer, Moves: moves(campaign.Cancel, 0, 1, 2)}
		if _, err := s.Apply(t.Context(), chunk, cut); !errors.Is(err, ErrGone) {
			t.Errorf("change of a cut ledger: %v", err)
		}
		if diff := cmp.Diff(before, dump(t, s, "sale")); diff != "" {
			t.Errorf("changed a cut ledger (-before +after):\n%s", diff)
		}
		for _, read := range []func(context.Context, Ref) (*Chunk, error){s.ReadChunk, s.ReadLedger} {
			if _, err := read(t.Context(), sale0); err == nil || !strings.Contains(err.Error(), "read chunk sale/0: ledger: want ") {
				t.Errorf("read of a cut ledger: %v", err)
			}
		}
		s.rdb.Set(t.Context(), keyLedger(sale0), []byte(campaign.NewLedger(3)), 0)
		s.rdb.HSet(t.Context(), keyChunk(sale0), "rows", "damaged")
		if _, err := s.ReadChunk(t.Context(), sale0); err == nil || !strings.Contains(err.Error(), "read chunk sale/0: decode rows: ") {
			t.Errorf("read of damaged rows: %v", err)
		}
		s.rdb.Del(t.Context(), keyLedger(sale0))
		if _, err := s.Apply(t.Context(), chunk, cut); !errors.Is(err, ErrGone) {
			t.Errorf("change: %v", err)
		}
		if _, err := s.ReadLedger(t.Context(), sale0); !errors.Is(err, ErrGone) {
			t.Errorf("read: %v", err)
		}
	})
}

// What no script of this version answers must not pass for success.
func TestAnswersAreChecked(t *testing.T) {
	for _, tt := range []struct {
		name  string
		reply any
		want  string
	}{
		{"no list", "ok", "change chunk sale/0: "},
		{"too short", []any{"ok", int64(1)}, "change chunk sale/0: unexpected answer of 2 parts"},
		{"an unknown status", []any{"maybe", int64(1), "", "", ""}, `chunk sale/0: unknown answer "maybe"`},
		{"a request number that is none", []any{"ok", int64(1), "x", "", ""}, "change chunk sale/0: request number: "},
		{"an end of a claim that is none", []any{"busy", int64(1), "x", "", ""}, "chunk sale/0: end of its claim: "},
		{"no number of contacts left", []any{"capped", int64(1), "x", "", ""}, "chunk sale/0: contacts left for the day: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := New(redis.NewClient(&redis.Options{}))
			s.rdb.AddHook(fake{tt.reply})
			_, err := s.Apply(t.Context(), &Chunk{Ref: sale0, ledger: campaign.NewLedger(1)}, Change{Act: Steer})
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// fake is a hook that answers every command itself.
type fake struct{ reply any }

func (fake) DialHook(next redis.DialHook) redis.DialHook { return next }
func (f fake) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(_ context.Context, cmd redis.Cmder) error {
		cmd.(*redis.Cmd).SetVal(f.reply)
		return nil
	}
}
func (fake) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
