package store

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

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
				next, ok, err := release(t, s, sale0, seq)
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
			// By a process that read the chunk before that.
			if _, ok, err := release(t, s, sale0, 1); ok || err != nil {
				t.Errorf("an old count: %v, %v", ok, err)
			}
			for _, phase := range []campaign.Phase{campaign.Paused, campaign.CanceledPhase} {
				if _, _, err := s.SetPhase(t.Context(), "sale", phase, campaign.Message{}, campaign.Running, campaign.Paused); err != nil {
					t.Fatal(err)
				}
				if _, ok, err := release(t, s, sale0, 3); ok || !errors.Is(err, ErrNotRunning) {
					t.Errorf("%s: %v, %v", phase, ok, err)
				}
			}
			if _, ok, err := release(t, s, Ref{"nobody", 0}, 0); ok || !errors.Is(err, ErrNotRunning) {
				t.Errorf("no campaign: %v, %v", ok, err)
			}
		})
	}
}

// release releases one chunk for an hour.
func release(t *testing.T, s *Store, ref Ref, seq int) (next int, ok bool, err error) {
	counts, err := s.Release(t.Context(), ref.Campaign, time.Hour, ChunkSeq{Ref: ref, Seq: seq})
	if err != nil {
		return 0, false, err
	}
	return counts[0], counts[0] > 0, nil
}

func TestChunksAreReleasedTogether(t *testing.T) {
	s := New(redistest.Shared(t))
	launch(t, s, "sale", 7, 2, campaign.Running)
	if _, ok, err := release(t, s, Ref{"sale", 2}, 0); !ok || err != nil {
		t.Fatal(ok, err)
	}
	open := []Due{{Chunk: 3}, {Chunk: 2}, {Chunk: 9}, {Chunk: 0}}
	turns, err := s.ChunkSeqs(t.Context(), "sale", open)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]ChunkSeq{{Ref: Ref{"sale", 3}}, {Ref: Ref{"sale", 2}, Seq: 1}, {Ref: Ref{"sale", 9}}, {Ref: Ref{"sale", 0}}}, turns); diff != "" {
		t.Errorf("turns (-want +got):\n%s", diff)
	}
	turns[0].Seq = 5 // another process was faster
	next, err := s.Release(t.Context(), "sale", time.Hour, turns...)
	if diff := cmp.Diff([]int{0, 2, 0, 1}, next); diff != "" || err != nil {
		t.Errorf("%v, counts (-want +got):\n%s", err, diff)
	}
	if next, err := s.Release(t.Context(), "sale", time.Hour); len(next) > 0 || err != nil {
		t.Errorf("none: %v, %v", next, err)
	}
	if n := s.rdb.Exists(t.Context(), keyChunk(Ref{"sale", 9})).Val(); n != 0 {
		t.Error("a chunk that is not there has been made")
	}
}

// A chunk whose hash is lost stays so: a count alone would look like a chunk.
func TestReleaseOfOneThatIsLost(t *testing.T) {
	s := New(redistest.Shared(t))
	launch(t, s, "sale", 2, 2, campaign.Running)
	s.rdb.Del(t.Context(), keyChunk(sale0))
	if _, ok, err := release(t, s, sale0, 0); ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
	if n := s.rdb.Exists(t.Context(), keyChunk(sale0)).Val(); n != 0 {
		t.Error("it is there again")
	}
}

func TestReleaseOfOneThatIsThrough(t *testing.T) {
	s := New(redistest.Shared(t))
	launch(t, s, "sale", 4, 2, campaign.Running)
	apply(t, s, read(t, s, sale0), Change{Act: Steer, Moves: moves(campaign.Cancel, 0, 1)})
	if _, ok, err := release(t, s, sale0, 0); ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
	if _, ok, err := release(t, s, Ref{"sale", 7}, 0); ok || err != nil {
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
				next, ok, err := release(t, s, sale0, seq)
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
				if err := errors.Join(s.SetDue(t.Context(), sale0, step.set), s.Hasten(t.Context(), "sale", dueAt(0, step.hasten))); err != nil {
					t.Fatal(err)
				}
				if got := due(); got != step.want {
					t.Errorf("due in %v, hastened to %v: %v", step.set, step.hasten, got)
				}
			}
			if err := s.Hasten(t.Context(), "sale", dueAt(7, time.Hour)); err != nil {
				t.Error(err)
			}
			due() // still one: a chunk that is not open does not become so
		})
	}
}

// dueAt is a chunk due in some time.
func dueAt(chunk int, in time.Duration) []Due {
	return []Due{{Chunk: chunk, At: time.Now().Add(in)}}
}

func TestHastenWithoutRedis(t *testing.T) {
	if err := closedStore().Hasten(t.Context(), "sale", dueAt(0, time.Hour)); err == nil {
		t.Error("no error")
	}
}

func TestPostponeLeavesWhoeverRestsLonger(t *testing.T) {
	onSale(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		s.rdb.ZAdd(ctx, keyOpen("sale"), redis.Z{Score: 1, Member: "0"}, redis.Z{Score: 1e15, Member: "1"})
		if err := s.Postpone(ctx, "sale", time.Hour); err != nil {
			t.Fatal(err)
		}
		now, err := s.Now(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if due := s.rdb.ZScore(ctx, keyOpen("sale"), "0").Val(); due <= float64(now.UnixMilli()) || due >= 1e15 {
			t.Errorf("an overdue chunk is due at %v", due)
		}
		if due := s.rdb.ZScore(ctx, keyOpen("sale"), "1").Val(); due != 1e15 {
			t.Errorf("one that rests longer is due at %v", due)
		}
	})
}
