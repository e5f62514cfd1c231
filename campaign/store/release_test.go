package store

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"campaign-runner/campaign"
	"campaign-runner/internal/redistest"
)

func TestRelease(t *testing.T) {
	for _, server := range []struct {
		name string
		make func(*testing.T) *Store
	}{
		{"redis", func(t *testing.T) *Store { return New(redistest.Shared(t)) }},
		{"miniredis", func(t *testing.T) *Store { return New(embedded(t, miniredis.RunT(t))) }},
	} {
		t.Run(server.name, func(t *testing.T) {
			s := server.make(t)
			launch(t, s, "sale", 2, 2, campaign.Running)
			for seq := range 3 {
				next, ok, err := s.Release(t.Context(), sale0, seq, time.Hour)
				if err != nil || !ok || next != seq+1 {
					t.Fatalf("release %d: %d, %v, %v", seq, next, ok, err)
				}
			}
			chunk := read(t, s, sale0)
			open, err := s.Open(t.Context(), "sale", time.Time{}, 1)
			if err != nil {
				t.Fatal(err)
			}
			if chunk.Seq != 3 || len(open) != 1 || open[0].At.Before(time.Now().Add(50*time.Minute)) {
				t.Errorf("seq %d, open %v", chunk.Seq, open)
			}
			// By somebody who read the chunk before that.
			if _, ok, err := s.Release(t.Context(), sale0, 1, time.Hour); ok || err != nil {
				t.Errorf("an old count: %v, %v", ok, err)
			}
			for _, phase := range []campaign.Phase{campaign.Paused, campaign.CanceledPhase} {
				if _, _, err := s.SetPhase(t.Context(), "sale", phase, "", campaign.Running, campaign.Paused); err != nil {
					t.Fatal(err)
				}
				if _, ok, err := s.Release(t.Context(), sale0, 3, time.Hour); ok || !errors.Is(err, ErrNotRunning) {
					t.Errorf("%s: %v, %v", phase, ok, err)
				}
			}
			if _, ok, err := s.Release(t.Context(), Ref{"nobody", 0}, 0, time.Hour); ok || !errors.Is(err, ErrNotRunning) {
				t.Errorf("no campaign: %v, %v", ok, err)
			}
		})
	}
}

func TestReleaseOfOneThatIsThrough(t *testing.T) {
	s := New(redistest.Shared(t))
	launch(t, s, "sale", 4, 2, campaign.Running)
	apply(t, s, read(t, s, sale0), Change{Act: Steer, Moves: moves(campaign.Cancel, 0, 1)})
	if _, ok, err := s.Release(t.Context(), sale0, 0, time.Hour); ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
	if _, ok, err := s.Release(t.Context(), Ref{"sale", 7}, 0, time.Hour); ok || err != nil {
		t.Errorf("a chunk that is not there: %v, %v", ok, err)
	}
	mustAddUp(t, s, "sale")
}

func TestOneReleaseWins(t *testing.T) {
	s := New(redistest.Shared(t))
	launch(t, s, "sale", 2, 2, campaign.Running)
	for seq := range 20 {
		var all sync.WaitGroup
		var won atomic.Int32
		for range 4 {
			all.Go(func() {
				next, ok, err := s.Release(t.Context(), sale0, seq, time.Hour)
				if err != nil || ok && next != seq+1 {
					t.Errorf("got %d, %v", next, err)
				}
				if ok {
					won.Add(1)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 {
			t.Fatalf("release %d was won by %d", seq+1, won.Load())
		}
	}
}

func TestHastenNeverDelays(t *testing.T) {
	for _, server := range []struct {
		name string
		make func(*testing.T) *Store
	}{
		{"redis", func(t *testing.T) *Store { return New(redistest.Shared(t)) }},
		{"miniredis", func(t *testing.T) *Store { return New(embedded(t, miniredis.RunT(t))) }},
	} {
		t.Run(server.name, func(t *testing.T) {
			s := server.make(t)
			launch(t, s, "sale", 2, 2, campaign.Running)
			due := func() time.Duration {
				t.Helper()
				open, err := s.Open(t.Context(), "sale", time.Time{}, 0)
				if err != nil || len(open) != 1 {
					t.Fatalf("open %v, %v", open, err)
				}
				return time.Until(open[0].At).Round(time.Hour)
			}
			for _, step := range []struct{ set, hasten, want time.Duration }{
				{9 * time.Hour, 2 * time.Hour, 2 * time.Hour},
				{2 * time.Hour, 9 * time.Hour, 2 * time.Hour},
			} {
				if err := errors.Join(s.SetDue(t.Context(), sale0, step.set), s.Hasten(t.Context(), sale0, step.hasten)); err != nil {
					t.Fatal(err)
				}
				if got := due(); got != step.want {
					t.Errorf("due in %v, hastened to %v: %v", step.set, step.hasten, got)
				}
			}
			if err := s.Hasten(t.Context(), Ref{"sale", 7}, time.Hour); err != nil {
				t.Error(err)
			}
			due() // still one: a chunk that is not open does not become so
		})
	}
}

func TestHastenWithoutRedis(t *testing.T) {
	if err := closedStore().Hasten(t.Context(), sale0, time.Hour); err == nil {
		t.Error("no error")
	}
}
