package sending

import (
	"strings"
	"testing"
	"time"
)

func TestWaitingIsTold(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		name string
		w    Waiting
		want string
	}{
		{"for nothing", Waiting{}, ""},
		{"for one answer of the platform", Waiting{requests: 1}, "waiting for the answer of 1 request"},
		{"for several", Waiting{requests: 3}, "waiting for the answers of 3 requests"},
		{"for Redis to take an answer", Waiting{answers: 1, until: now.Add(170 * time.Second)}, "waiting for Redis to take 1 answer, up to 2m50s"},
		{"for Redis to take answers, overdue", Waiting{answers: 2, until: now.Add(-time.Second)}, "waiting for Redis to take 2 answers, up to 0s"},
		{"for everything", Waiting{begins: 2, requests: 1, answers: 1, until: now.Add(time.Second)},
			"waiting for the answer of 1 request|waiting for Redis to take 1 answer, up to 1s|waiting for Redis to say whether 2 requests have begun"},
		{"for a begin", Waiting{begins: 1}, "waiting for Redis to say whether 1 request has begun"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := strings.Join(tt.w.Texts(now), "|"); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestNoRequestBeginsInAWorkerThatLeaves(t *testing.T) {
	h := NewInHand()
	if !h.TakeTask() || h.Leave(false) {
		t.Fatal("a task in hand is left")
	}
	r, ok := h.begin()
	h.Close()
	if !ok || h.TakeTask() {
		t.Fatal("a task is taken by a worker that is stopping, or a request of one in hand refused")
	}
	if h.Leave(true) {
		t.Fatal("left with a request in hand")
	}
	r.done()
	if _, ok := h.begin(); !ok {
		t.Fatal("a request is refused though the worker has not left")
	}
	for r := range h.requests {
		r.done()
	}
	if !h.Leave(true) {
		t.Fatal("not left")
	}
	if _, ok := h.begin(); ok {
		t.Error("a request begins in a worker that has left")
	}
	var none *InHand
	if r, ok := none.begin(); !ok || r != nil {
		t.Error("without a count all may begin")
	}
}
