package sending

import (
	"fmt"
	"sync"
	"time"
)

// InHand is what a worker has in hand: tasks, and the requests of theirs whose
// answers must be written down. asynq has no such list: it forgets a handler whose
// lease has run out. A nil InHand lets every request begin and counts none.
type InHand struct {
	mu       sync.Mutex
	tasks    int
	requests map[*openRequest]bool
	closed   bool // no further task
	left     bool // no further request either: the worker is about to end
	changed  chan struct{}
}

func NewInHand() *InHand {
	return &InHand{requests: make(map[*openRequest]bool), changed: make(chan struct{}, 1)}
}

// An openRequest is a request, from before its begin is written until its answer is
// written. A nil one is not counted.
type openRequest struct {
	in       *InHand
	progress progress
	until    time.Time // by when the answer is given up, if Redis does not take it
}

type progress int

const (
	beginning progress = iota // not known yet whether Redis has written it down
	requested                 // on its way to the platform, or its answer from there
	answered                  // to be written down
)

// TakeTask takes a task in hand, unless the worker is stopping.
func (h *InHand) TakeTask() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.tasks++
	return true
}

// PutTask puts a task down again.
func (h *InHand) PutTask() { h.change(func() { h.tasks-- }) }

// begin takes a request in hand that is about to begin. When ok is false the worker
// is about to end, and the request must not begin.
func (h *InHand) begin() (r *openRequest, ok bool) {
	if h == nil {
		return nil, true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.left {
		return nil, false
	}
	r = &openRequest{in: h}
	h.requests[r] = true
	return r, true
}

// Close lets no further task be taken.
func (h *InHand) Close() { h.change(func() { h.closed = true }) }

// Leave reports whether the worker may end: no request is in hand, and no task unless
// tasks may be left. If so, no further request begins.
func (h *InHand) Leave(tasksMayBeLeft bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.left = len(h.requests) == 0 && (h.tasks == 0 || tasksMayBeLeft)
	return h.left
}

// Changed receives after a change that may let the worker end.
func (h *InHand) Changed() <-chan struct{} { return h.changed }

// Count is how many tasks are in hand, and what their requests wait for.
func (h *InHand) Count() (tasks int, w Waiting) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for r := range h.requests {
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

func (h *InHand) change(do func()) {
	h.mu.Lock()
	do()
	h.mu.Unlock()
	select {
	case h.changed <- struct{}{}:
	default:
	}
}

// sent says that the request is on its way.
func (r *openRequest) sent() {
	if r != nil {
		r.in.change(func() { r.progress = requested })
	}
}

// answered says that the answer has come, to be written down by then.
func (r *openRequest) answered(until time.Time) {
	if r != nil {
		r.in.change(func() { r.progress, r.until = answered, until })
	}
}

// done says that all is written down.
func (r *openRequest) done() {
	if r != nil {
		r.in.change(func() { delete(r.in.requests, r) })
	}
}

// Waiting is what keeps a worker from stopping.
type Waiting struct {
	begins, requests, answers int
	until                     time.Time // by when the last of the answers is given up
}

// Texts say what it waits for; none when it waits for nothing.
func (w Waiting) Texts(now time.Time) (texts []string) {
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
