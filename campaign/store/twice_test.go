package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/internal/redistest"
)

// These scripts are in no test of onEveryRedis, which runs all others twice, too:
// go-redis repeats a call whose answer was lost.
func TestAScriptThatIsRepeatedActsOnce(t *testing.T) {
	for _, tt := range []struct {
		name string
		act  func(t *testing.T, s *Store) error
		want string // of what is there then
		show func(t *testing.T, s *Store) string
	}{
		{"refused lines of an append", func(t *testing.T, s *Store) error {
			a, err := s.BeginAppend(t.Context(), "sale", "more")
			if err != nil {
				return err
			}
			for _, part := range []string{"one\n", "two\n", "two\n"} {
				if err := a.AddRejects(t.Context(), []byte(part)); err != nil {
					return err
				}
			}
			_, err = a.Finish(t.Context(), Appended{Counts: campaign.Counts{Rows: 3, Invalid: 3, Refused: map[string]int{"bad": 3}}})
			return err
		}, `["one\n" "two\n" "two\n"]`, func(t *testing.T, s *Store) string {
			var parts []string
			err := s.Rejects(t.Context(), "sale", func(p []byte) error { parts = append(parts, string(p)); return nil })
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprintf("%q", parts)
		}},
		{"a release", func(t *testing.T, s *Store) error {
			_, err := s.Release(t.Context(), "sale", time.Hour, ChunkSeq{Ref: sale0})
			return err
		}, "1", func(t *testing.T, s *Store) string { return fmt.Sprint(read(t, s, sale0).Seq) }},
		{"a chunk that is hastened", func(t *testing.T, s *Store) error {
			if err := s.SetDue(t.Context(), sale0, time.Hour); err != nil {
				return err
			}
			return s.Hasten(t.Context(), "sale", dueAt(0, time.Minute))
		}, "1m0s", dueIn},
		{"a chunk at rest", func(t *testing.T, s *Store) error {
			return s.Defer(t.Context(), sale0, 0, 2*time.Minute)
		}, "2m0s", dueIn},
		{"a lease", func(t *testing.T, s *Store) error {
			held, err := s.Lease(t.Context(), "tickets", "me", time.Minute)
			if err == nil && !held {
				err = fmt.Errorf("it was lost when taken twice")
			}
			return err
		}, "me", func(t *testing.T, s *Store) string { return s.rdb.Get(t.Context(), "lease:tickets").Val() }},
		{"the right to tell", func(t *testing.T, s *Store) error {
			_, err := s.ClaimNotice(t.Context(), "sale", "paused", time.Minute, time.Hour)
			return err
		}, "1", func(t *testing.T, s *Store) string {
			return s.rdb.HGet(t.Context(), keyCampaign("sale"), "notice_tries").Val()
		}},
		{"what was told", func(t *testing.T, s *Store) error {
			if _, err := s.ClaimNotice(t.Context(), "sale", "paused", time.Minute, time.Hour); err != nil {
				return err
			}
			return s.EndNotice(t.Context(), "sale", "paused")
		}, "paused ", func(t *testing.T, s *Store) string {
			return s.rdb.HGet(t.Context(), keyCampaign("sale"), "notice_told").Val() + " " + s.rdb.HGet(t.Context(), keyCampaign("sale"), "notice_tries").Val()
		}},
		{"a decision on a contact, which may be logged twice and moves none", func(t *testing.T, s *Store) error {
			return s.LogContact(t.Context(), sale0, 1, Decision{By: "me", Action: ActionCancel, Text: campaign.Text("so")})
		}, "pending pending pending pending", func(t *testing.T, s *Store) string {
			var states []string
			chunk := read(t, s, sale0)
			for i := range chunk.Len() {
				states = append(states, chunk.Record(i).State.String())
			}
			return strings.Join(states, " ")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, twice := range []bool{false, true} {
				rdb := redistest.Shared(t)
				s := New(rdb)
				launch(t, s, "sale", 4, 4, campaign.Running)
				if twice {
					rdb.AddHook(&scripts{before: func(ctx context.Context, cmd redis.Cmder, run redis.ProcessHook) { _ = run(ctx, cmd) }})
				}
				if err := tt.act(t, s); err != nil {
					t.Fatal(err)
				}
				if got := tt.show(t, s); got != tt.want {
					t.Errorf("twice %v: %s, want %s", twice, got, tt.want)
				}
				mustAddUp(t, s, "sale")
			}
		})
	}
}

// dueIn is by when chunk 0 must have moved.
func dueIn(t *testing.T, s *Store) string {
	open, err := s.Open(t.Context(), "sale", time.Time{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	now, err := s.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(open, func(d Due) bool { return d.Chunk == 0 })
	return open[at].At.Sub(now).Round(time.Minute).String()
}
