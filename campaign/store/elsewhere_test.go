package store

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"campaign-runner/internal/redistest"
)

// Who asks which campaigns contacted somebody lately keeps nobody else longer than they want
// to wait: Redis may be frozen meanwhile.
func TestALookUpOfOthersEndsWithItsContext(t *testing.T) {
	server := redistest.Start(t)
	s := New(server.Client())
	server.Freeze()
	first, leave := context.WithCancel(t.Context())
	asked := make(chan error, 1)
	go func() {
		_, err := s.recentNames(first, time.Now())
		asked <- err
	}()
	for len(s.recent.turn) == 0 { // until it asks
		runtime.Gosched()
	}
	second, tired := context.WithCancel(t.Context())
	tired()
	if _, err := s.recentNames(second, time.Now()); !errors.Is(err, context.Canceled) {
		t.Errorf("the second: %v", err)
	}
	server.Thaw()
	if err := <-asked; err != nil {
		t.Errorf("the first: %v", err)
	}
	leave()
	if _, err := s.recentNames(t.Context(), time.Now()); err != nil {
		t.Errorf("the third: %v", err)
	}
}
