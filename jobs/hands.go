package jobs

import (
	"fmt"
	"sync"
	"time"
)

// hands are what a worker has in hand: tasks, and the requests of theirs whose
// answers must be written down. asynq has no such list: it forgets a handler whose
// lease has run out. A nil one lets everything be done and keeps nothing.
type hands struct {
	mu      sync.Mutex
	tasks   int
	held    map[*held]bool
	closed  bool // no further task
	left    bool // no further request either: the worker is about to end
	changed chan struct{}
}

func newHands() *hands { return &hands{held: make(map[*held]bool), changed: make(chan struct{}, 1)} }

// A held is a request, from before Redis is told of it until its answer is written.
type held struct {
	hands    *hands
	progress progress
	until    time.Time // by when the answer is given up, if Redis does not take it
}

type progress int

const (
	beginning progress = iota // not known yet whether Redis has written it down
	requested                 // on its way to the platform, or its answer from there
	answered                  // to be written down
)

// take takes a task in hand; not when the worker is stopping.
func (h *hands) take() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.tasks++
	return true
}

// put puts a task down again.
func (h *hands) put() { h.change(func() { h.tasks-- }) }

// hold takes a request in hand that is about to begin. It must not begin when the
// worker is about to end.
func (h *hands) hold() (r *held, ok bool) {
	if h == nil {
		return nil, true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.left {
		return nil, false
	}
	r = &held{hands: h}
	h.held[r] = true
	return r, true
}

// close lets no further task be taken.
func (h *hands) close() { h.change(func() { h.closed = true }) }

// leave reports whether nothing is in hand that must be waited for, tasks included
// unless they are let be. If so, no further request begins.
func (h *hands) leave(letTasksBe bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.left = len(h.held) == 0 && (h.tasks == 0 || letTasksBe)
	return h.left
}

// inHand is how many tasks are in hand, and what they wait for.
func (h *hands) inHand() (tasks int, w waiting) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for r := range h.held {
		switch r.progress {
		case beginning:
			w.begins++
		case requested:
			w.requests++
		case answered:
			w.answers++
			if r.until.After(w.until) {
				w.until = r.until
			}
		}
	}
	return h.tasks, w
}

func (h *hands) change(do func()) {
	h.mu.Lock()
	do()
	h.mu.Unlock()
	select {
	case h.changed <- struct{}{}:
	default:
	}
}

// sent says that the request is on its way.
func (r *held) sent() {
	if r != nil {
		r.hands.change(func() { r.progress = requested })
	}
}

// answered says that its answer is there, to be written down by then.
func (r *held) answered(until time.Time) {
	if r != nil {
		r.hands.change(func() { r.progress, r.until = answered, until })
	}
}

// drop says that all is written down.
func (r *held) drop() {
	if r != nil {
		r.hands.change(func() { delete(r.hands.held, r) })
	}
}

// A waiting is what keeps a worker from stopping.
type waiting struct {
	begins, requests, answers int
	until                     time.Time // by when the last of the answers is given up
}

// texts say what it waits for, nothing when it is nothing.
func (w waiting) texts(now time.Time) (texts []string) {
	if w.requests > 0 {
		texts = append(texts, "waiting for the "+counted(w.requests, "answer of 1 request", "answers of %d requests"))
	}
	if w.answers > 0 {
		left := max(w.until.Sub(now), 0).Round(time.Second)
		texts = append(texts, fmt.Sprintf("waiting for Redis to take %s, up to %v", counted(w.answers, "1 answer", "%d answers"), left))
	}
	if w.begins > 0 {
		texts = append(texts, "waiting for Redis to say whether "+counted(w.begins, "1 request has", "%d requests have")+" begun")
	}
	return texts
}

// counted is the text for one, or that for n.
func counted(n int, one, several string) string {
	if n == 1 {
		return one
	}
	return fmt.Sprintf(several, n)
}
