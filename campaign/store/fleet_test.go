package store

import (
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
)

func TestWorkers(t *testing.T) {
	server := miniredis.RunT(t)
	s := New(embedded(t, server))
	a := Worker{ID: "host-a/1", Host: "host-a", PID: 1, Agents: []string{"default", "sales"}, Started: noon}
	b := Worker{ID: "host-b/2", Host: "host-b", PID: 2, Started: noon}
	alive := func() (workers []Worker) {
		t.Helper()
		workers, err := s.Workers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return workers
	}
	dead := func(token string) bool {
		t.Helper()
		dead, err := s.ClaimIsDead(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		return dead
	}
	for _, w := range []Worker{b, a, a} {
		if err := s.Heartbeat(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]Worker{a, b}, alive()); diff != "" {
		t.Errorf("two workers (-want +got):\n%s", diff)
	}
	claim := NewClaim(a.ID, "nonce")
	if dead(claim) {
		t.Error("the claim of a living worker passes for dead")
	}
	if dead("by hand") || dead("") {
		t.Error("a claim of no worker passes for dead")
	}

	server.FastForward(HeartbeatTTL - time.Millisecond)
	if err := s.Heartbeat(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if dead(claim) {
		t.Error("dead before its time")
	}
	server.FastForward(time.Millisecond)
	if !dead(claim) {
		t.Error("the claim of a worker without a heartbeat passes for alive")
	}
	if diff := cmp.Diff([]Worker{b}, alive()); diff != "" {
		t.Errorf("one of them died (-want +got):\n%s", diff)
	}
	if ids := s.rdb.SMembers(t.Context(), keyWorkers).Val(); len(ids) != 2 {
		t.Errorf("looking has changed what is remembered to %q", ids)
	}
	for range 2 {
		if err := s.ForgetWorkers(t.Context()); err != nil {
			t.Fatal(err)
		}
		if ids := s.rdb.SMembers(t.Context(), keyWorkers).Val(); len(ids) != 1 {
			t.Errorf("%q are remembered", ids)
		}
	}

	if err := s.Goodbye(t.Context(), b.ID); err != nil {
		t.Fatal(err)
	}
	if !dead(NewClaim(b.ID, "nonce")) || len(alive()) != 0 || len(s.rdb.Keys(t.Context(), "*").Val()) != 0 {
		t.Error("a worker that said goodbye is still there")
	}

	// One bad heartbeat does not hide the others.
	s.rdb.SAdd(t.Context(), keyWorkers, "w")
	s.rdb.Set(t.Context(), keyWorker("w"), "no JSON", 0)
	if err := s.Heartbeat(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Worker{b, {ID: "w"}}, alive()); diff != "" {
		t.Errorf("a damaged heartbeat (-want +got):\n%s", diff)
	}
	for what, err := range map[string]error{
		"list workers":        func() error { _, err := closedStore().Workers(t.Context()); return err }(),
		"forget dead workers": closedStore().ForgetWorkers(t.Context()),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), what+": ") {
			t.Errorf("%s without a Redis: %v", what, err)
		}
	}
}

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
