package ratelimit

import "sync"

// Together lets one of several goroutines act for all of them. One that comes while nobody
// acts does so at once; those that come meanwhile are acted for together, right after. No
// time is spent waiting for others to come. A quota hears of answers so, and package
// sending writes them down so. The zero value is ready.
type Together[T any] struct {
	mu     sync.Mutex // guards the others
	acting bool
	next   *round[T] // to be acted for when the present act is over
}

type round[T any] struct {
	items []T
	turn  chan struct{} // closed when it may be acted for
	done  chan struct{}
}

// Do returns once act was called with item and those of others. The first of them calls
// its act, so all must bring the same.
func (g *Together[T]) Do(item T, act func([]T)) {
	g.mu.Lock()
	r := g.next
	first := r == nil
	if first {
		r = &round[T]{turn: make(chan struct{}), done: make(chan struct{})}
		g.next = r
		g.begin()
	}
	r.items = append(r.items, item)
	g.mu.Unlock()
	if !first {
		<-r.done
		return
	}
	<-r.turn
	g.mu.Lock()
	g.next = nil // who comes from now on is acted for in the next round
	g.mu.Unlock()
	defer close(r.done)
	defer g.end()
	act(r.items)
}

// begin gives the next round its turn, if nobody acts. mu is held.
func (g *Together[T]) begin() {
	if g.next != nil && !g.acting {
		g.acting = true
		close(g.next.turn)
	}
}

// end gives the turn to the next round.
func (g *Together[T]) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.acting = false
	g.begin()
}
