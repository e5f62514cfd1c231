package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/internal/redistest"
)

func TestVerifyFindsDamage(t *testing.T) {
	ctx := t.Context()
	set := func(s *Store, key string, fields ...any) { s.rdb.HSet(ctx, key, fields...) }
	for _, tt := range []struct {
		name   string
		damage func(*Store)
		want   []string
	}{
		{"none", func(*Store) {}, nil},
		{"a ledger is missing", func(s *Store) { s.rdb.Del(ctx, keyLedger(Ref{"sale", 1})) }, []string{
			"chunk 1: its ledger is missing",
			"ledgers hold 3 contacts, the file had 5",
			"pending: the ledgers count 1, the tally says 3",
		}},
		{"a ledger is empty", func(s *Store) { s.rdb.Set(ctx, keyLedger(Ref{"sale", 2}), "", 0) }, []string{
			"chunk 2: its ledger is missing",
			"ledgers hold 4 contacts, the file had 5",
			"pending: the ledgers count 2, the tally says 3",
		}},
		{"a ledger was cut within a record", func(s *Store) {
			s.rdb.Set(ctx, keyLedger(Ref{"sale", 1}), make([]byte, campaign.RecordSize+1), 0)
		}, []string{
			"chunk 1: ledger: want 11 bytes for 1 contacts, have 12",
			"ledgers hold 3 contacts, the file had 5",
			"pending: the ledgers count 1, the tally says 3",
		}},
		{"a ledger was cut between records", func(s *Store) {
			s.rdb.Set(ctx, keyLedger(Ref{"sale", 1}), make([]byte, campaign.RecordSize), 0)
		}, []string{
			"chunk 1: holds 1 contacts, not 2",
			"ledgers hold 4 contacts, the file had 5",
			"pending: the ledgers count 2, the tally says 3",
		}},
		{"the last ledger is too long", func(s *Store) {
			s.rdb.Append(ctx, keyLedger(Ref{"sale", 2}), strings.Repeat("\x00", 2*campaign.RecordSize))
		}, []string{
			"chunk 2: holds 3 contacts, not 2",
			"ledgers hold 7 contacts, the file had 5",
			"pending: the ledgers count 5, the tally says 3",
		}},
		{"an unknown state", func(s *Store) { s.rdb.SetRange(ctx, keyLedger(Ref{"sale", 1}), campaign.RecordSize, "\x09") }, []string{
			"chunk 1: ledger: contact 1: unknown state 9",
			"ledgers hold 3 contacts, the file had 5",
			"pending: the ledgers count 1, the tally says 3",
		}},
		{"a contact's state was changed past the tally", func(s *Store) { s.rdb.SetRange(ctx, keyLedger(Ref{"sale", 1}), 0, "\x02") }, []string{
			"pending: the ledgers count 2, the tally says 3",
			"accepted: the ledgers count 1, the tally says 0",
		}},
		{"the tally is off", func(s *Store) { s.rdb.HIncrBy(ctx, keyTally("sale"), "3", 1) }, []string{
			"rejected: the ledgers count 2, the tally says 3",
		}},
		{"the tally is missing", func(s *Store) { s.rdb.Del(ctx, keyTally("sale")) }, []string{
			"pending: the ledgers count 3, the tally says 0",
			"rejected: the ledgers count 2, the tally says 0",
			"rejected for reason 1: the ledgers count 1, the tally says 0",
		}},
		{"doubt is off", func(s *Store) { set(s, keyTally("sale"), "3:doubt", 1) }, []string{
			"rejected and in doubt: the ledgers count 0, the tally says 1",
		}},
		{"doubt was forgotten", func(s *Store) { s.rdb.SetRange(ctx, keyLedger(Ref{"sale", 1}), campaign.RecordSize-1, "\x01") }, []string{
			"pending and in doubt: the ledgers count 1, the tally says 0",
		}},
		{"a reason's count is off", func(s *Store) { set(s, keyTally("sale"), "3:1", 5) }, []string{
			"rejected for reason 1: the ledgers count 1, the tally says 5",
		}},
		{"a reason that no contact has", func(s *Store) { set(s, keyTally("sale"), "4:2", 1) }, []string{
			"failed for reason 2: the ledgers count none, the tally says 1",
		}},
		{"the file's counts do not add up", func(s *Store) { set(s, keyCampaign("sale"), "counts", `{"rows":6,"contacts":5}`) }, []string{
			"counts: 6 rows, but 5 contacts and refused lines",
		}},
		{"the file had more contacts", func(s *Store) { set(s, keyCampaign("sale"), "counts", `{"rows":6,"contacts":6}`) }, []string{
			"ledgers hold 5 contacts, the file had 6",
		}},
		{"rows are missing", func(s *Store) { s.rdb.HDel(ctx, keyChunk(Ref{"sale", 2}), "rows") }, []string{
			"chunk 2: its rows are missing",
		}},
		{"a chunk with work left is not listed as open", func(s *Store) { s.rdb.ZRem(ctx, keyOpen("sale"), 1) }, []string{
			"chunk 1: has 2 contacts pending or sending, listed as open: false",
		}},
		{"a chunk that is through is listed as open", func(s *Store) { s.rdb.ZAdd(ctx, keyOpen("sale"), redis.Z{Member: 0}) }, []string{
			"chunk 0: has 0 contacts pending or sending, listed as open: true",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := New(redistest.Shared(t))
			launch(t, s, "sale", 5, 2, campaign.Running)
			reason, err := s.ReasonCode(ctx, "sale", campaign.Text("busy"))
			if err != nil {
				t.Fatal(err)
			}
			chunk := begin(t, s, sale0, "me/1", 0, 1)
			rejected := moves(campaign.Reject, 0, 1)
			rejected[0].Reason = reason
			apply(t, s, chunk, Change{Act: Commit, Token: "me/1", Moves: rejected})
			tt.damage(s)
			v, err := s.Verify(ctx, "sale")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, v.Problems); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if len(tt.want) == 0 && v.Contacts != 5 {
				t.Errorf("%d contacts", v.Contacts)
			}
		})
	}
}

func TestVerifyRefuses(t *testing.T) {
	s := New(redistest.Shared(t))
	if _, err := s.Verify(t.Context(), "sale"); !errors.Is(err, ErrNotFound) {
		t.Errorf("no campaign: %v", err)
	}
	load, err := s.BeginLoad(t.Context(), testCampaign("sale", 2))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Verify(t.Context(), "sale"); err == nil || err.Error() != "verify sale: it is still loading" {
		t.Errorf("while loading: %v", err)
	}
	if err := load.Add(t.Context(), 0, people(0, 1)); err != nil {
		t.Fatal(err)
	}
	if err := load.Finish(t.Context(), campaign.Counts{Rows: 1, Contacts: 1}, 1, campaign.Running); err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"9", "0:x", "x", "0:70000", "-1"} {
		s.rdb.HSet(t.Context(), keyTally("sale"), field, 1)
		if _, err := s.Verify(t.Context(), "sale"); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("verify sale: field %q: ", field)) {
			t.Errorf("tally field %s: %v", field, err)
		}
		s.rdb.HDel(t.Context(), keyTally("sale"), field)
	}
	s.rdb.Del(t.Context(), keyOpen("sale"))
	s.rdb.HSet(t.Context(), keyOpen("sale"), "of another", "type")
	if _, err := s.Verify(t.Context(), "sale"); err == nil || !strings.Contains(err.Error(), "verify sale: WRONGTYPE") {
		t.Errorf("open chunks of a wrong type: %v", err)
	}
	s.rdb.Del(t.Context(), keyOpen("sale"), keyLedger(sale0))
	s.rdb.HSet(t.Context(), keyLedger(sale0), "of another", "type")
	if found, err := s.Verify(t.Context(), "sale"); err != nil || !strings.Contains(strings.Join(found.Problems, "\n"), "chunk 0: it is of another type: WRONGTYPE") {
		t.Errorf("a ledger of a wrong type: %+v, %v", found, err)
	}
}

// While four senders change a campaign, verify finds nothing wrong with it.
func TestVerifyWhileItRuns(t *testing.T) {
	const chunks, chunkSize, verifications = 40, 25, 25
	s := New(redistest.Shared(t))
	launch(t, s, "sale", chunks*chunkSize, chunkSize, campaign.Running)
	var senders sync.WaitGroup
	done := make(chan struct{})
	for n := range 4 {
		senders.Go(func() {
			contact := make([]int, chunkSize)
			for i := range contact {
				contact[i] = i
			}
			for round := 0; ; round++ {
				select {
				case <-done:
					return
				default:
				}
				chunk, err := s.ReadChunk(t.Context(), Ref{"sale", (4*round + n) % chunks})
				if err != nil {
					t.Error(err)
					return
				}
				token := fmt.Sprintf("w%d/%d", n, round)
				for _, change := range []Change{
					{Act: Begin, Token: token, ClaimTTL: time.Hour, Due: time.Hour, Moves: moves(campaign.Send, contact...)},
					{Act: Commit, Token: token, Due: time.Hour, Moves: moves(campaign.Fail, contact...)},
					{Act: Steer, Due: time.Hour, Moves: moves(campaign.Rerun, contact...)},
				} {
					if _, err := s.Apply(t.Context(), chunk, change); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	for range verifications {
		v, err := s.Verify(t.Context(), "sale")
		if err != nil || len(v.Problems) > 0 || v.Contacts != chunks*chunkSize {
			t.Errorf("%d contacts, problems %q, %v", v.Contacts, v.Problems, err)
		}
	}
	close(done)
	senders.Wait()
	mustAddUp(t, s, "sale")
}

// A few chunks that never stand still are counted all the same; where it is
// always another one, that is told from damage.
func TestVerifyOfOneThatNeverStandsStill(t *testing.T) {
	s := New(redistest.Shared(t))
	launch(t, s, "sale", verifyRounds+10, 1, campaign.Running)
	round, chunks := 0, 3
	s.rdb.AddHook(pipelines(func() {
		s.rdb.HIncrBy(t.Context(), keyChunk(Ref{"sale", round % chunks}), "version", 1)
		round++
	}))
	mustAddUp(t, s, "sale")
	chunks = verifyRounds + 10
	_, err := s.Verify(t.Context(), "sale")
	if want := "verify sale: it changes faster than it can be counted; pause it or try again"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// pipelines is a hook that does something before each pipeline.
type pipelines func()

func (pipelines) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (pipelines) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (before pipelines) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		before()
		return next(ctx, cmds)
	}
}
