package ratelimit

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// gather returns once that many wait to be acted for.
func gather[T any](line *Together[T], want int) {
	for waiting := 0; waiting < want; runtime.Gosched() {
		line.mu.Lock()
		if waiting = 0; line.next != nil {
			waiting = len(line.next.items)
		}
		line.mu.Unlock()
	}
}

func TestThoseWhoComeMeanwhileAreActedForTogether(t *testing.T) {
	var line Together[int]
	var acts [][]int
	begun, release := make(chan struct{}, 2), make(chan struct{})
	act := func(items []int) {
		acts = append(acts, slices.Sorted(slices.Values(items)))
		begun <- struct{}{}
		<-release
	}
	var all sync.WaitGroup
	all.Go(func() { line.Do(0, act) })
	<-begun // at once, for itself alone
	for i := 1; i < 9; i++ {
		all.Go(func() { line.Do(i, act) })
	}
	gather(&line, 8)
	close(release)
	all.Wait()
	if len(acts) != 2 || !slices.Equal(acts[0], []int{0}) || !slices.Equal(acts[1], []int{1, 2, 3, 4, 5, 6, 7, 8}) {
		t.Errorf("acts for %v, want one for the first and one for the eight that came meanwhile", acts)
	}
}

func TestEachIsActedForOnce(t *testing.T) {
	var line Together[int]
	var mu sync.Mutex
	times := make(map[int]int)
	var all sync.WaitGroup
	for i := range 2000 {
		all.Go(func() {
			line.Do(i, func(items []int) {
				mu.Lock()
				defer mu.Unlock()
				for _, item := range items {
					times[item]++
				}
			})
			mu.Lock()
			defer mu.Unlock()
			if times[i] != 1 {
				t.Errorf("%d was acted for %d times by the time it was told", i, times[i])
			}
		})
	}
	all.Wait()
}

// A slowBook takes its first answers only when it is let.
type slowBook struct {
	*localBook
	begun, let chan struct{}
	calls      []int // answers told by each
}

func (b *slowBook) report(ctx context.Context, peer int64, all []told) reply {
	if b.calls = append(b.calls, len(all)); len(b.calls) == 1 {
		close(b.begun)
		<-b.let
	}
	return b.localBook.report(ctx, peer, all)
}

func TestAnswersThatComeMeanwhileAreToldTogether(t *testing.T) {
	q := newTest(t, Config{Rate: Rate{Unlimited: true}})
	send(t, q, Answer{Status: 200})
	permits, err := q.AcquireUpTo(t.Context(), 250)
	if err != nil || len(permits) != 250 {
		t.Fatalf("%d permits, %v", len(permits), err)
	}
	book := &slowBook{localBook: q.book.(*localBook), begun: make(chan struct{}), let: make(chan struct{})}
	q.book = book
	var all sync.WaitGroup
	all.Go(func() { q.Report(t.Context(), permits[0], Answer{Status: 200}) })
	<-book.begun // those that come until then are told with the first
	for _, p := range permits[1:] {
		all.Go(func() { q.Report(t.Context(), p, Answer{Status: 200}) })
	}
	gather(&q.reports, len(permits)-1)
	close(book.let)
	all.Wait()
	if want := []int{1, maxReports, maxReports, 49}; !slices.Equal(book.calls, want) {
		t.Errorf("told %v at once, want %v", book.calls, want)
	}
	if s, _, _ := book.look(t.Context()); len(s.Flight) != 0 || s.used() != 251 {
		t.Errorf("%d in flight, %d used", len(s.Flight), s.used())
	}
}

func TestHowManyPermitsACallerGets(t *testing.T) {
	for _, tt := range []struct {
		name string
		rate Rate
		most int
		want int
	}{
		{"all that it wants, without a limit", Rate{Unlimited: true}, 32, 32},
		{"one of a small quota", Rate{Limit: 30, Window: time.Minute}, 32, 1},
		{"a hundredth of a large one", Rate{Limit: 1000, Window: time.Minute}, 32, 10},
		{"one, if it wants no more", Rate{Unlimited: true}, 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newTest(t, Config{Rate: tt.rate})
				for range 3 {
					send(t, q, Answer{Status: 200})
				}
				permits, err := q.AcquireUpTo(t.Context(), tt.most)
				if err != nil || len(permits) != tt.want {
					t.Errorf("%d permits, %v, want %d", len(permits), err, tt.want)
				}
			})
		})
	}
}

func TestALongListLeavesItsShareToAShortOne(t *testing.T) {
	for _, tt := range []struct {
		name                     string
		permits, callers, wanted int
		want                     int
	}{
		{"enough for all", 17, 2, 17, 17},
		{"half each", 10, 2, 33, 5},
		{"the odd one to the first", 3, 2, 33, 2},
		{"one", 1, 4, 70, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := share(tt.permits, tt.callers, tt.wanted); got != tt.want {
				t.Errorf("share %d, want %d", got, tt.want)
			}
		})
	}
}
