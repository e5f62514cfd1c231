package ratelimit

import "sync"

// Together lets one of several goroutines act for all of them. Whoever comes while nobody
// acts does so at once; those who come meanwhile are acted for together, right after. No
// time is spent waiting for others to come. A quota is told of answers so, and package
// sending writes answers down so. The zero value is ready.
type Together[T any] struct {
	acting sync.Mutex
	mu     sync.Mutex // guards next
	next   *round[T]  // to be acted for when the present act is over
}

type round[T any] struct {
	items []T
	done  chan struct{}
}

// Do returns once act was called with item and those of others. The first of them calls
// its act, so all must bring the same.
func (g *Together[T]) Do(item T, act func([]T)) {
	g.mu.Lock()
	r := g.next
	first := r == nil
	if first {
		r = &round[T]{done: make(chan struct{})}
		g.next = r
	}
	r.items = append(r.items, item)
	g.mu.Unlock()
	if !first {
		<-r.done
		return
	}
	g.acting.Lock()
	defer g.acting.Unlock()
	g.mu.Lock()
	g.next = nil
	g.mu.Unlock()
	defer close(r.done)
	act(r.items)
}
