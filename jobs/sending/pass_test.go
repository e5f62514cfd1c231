package sending

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign/verdict"
	"campaign-runner/jobs/timings"
)

func TestContactsThatWereTriedEquallyOftenGoTogether(t *testing.T) {
	tries := []int{1, 1, 1, 1, 2, 2, 2, 2, 0, 0, 0, 0}
	contacts := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	got := cut(contacts, 12, func(i int) int { return tries[i] })
	if diff := cmp.Diff([][]int{{0, 1, 2, 3}, {4, 5, 6}, {7}, {8, 9, 10, 11}}, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestStillOurs(t *testing.T) {
	alive := true
	p := &pass{Sender: &Sender{Worker: Worker{Alive: func(time.Time) bool { return alive }}}}
	if err := p.stillOurs(time.Now()); err != nil {
		t.Errorf("a fresh claim: %v", err)
	}
	if err := p.stillOurs(time.Now().Add(-timings.ClaimMargin)); !errors.Is(err, verdict.ErrNotOurs) {
		t.Errorf("an old claim: %v", err)
	}
	alive = false
	if err := p.stillOurs(time.Now()); !errors.Is(err, verdict.ErrNotOurs) {
		t.Errorf("a worker that others take for dead: %v", err)
	}
}

func TestHowManyContactsAreUnderWay(t *testing.T) {
	var w width
	if got := w.now(); got != dispatchesAtFirst {
		t.Errorf("%d at first, want %d", got, dispatchesAtFirst)
	}
	for range 3 {
		w.learn(true)
	}
	if got := w.now(); got != dispatchesAtFirst+3 {
		t.Errorf("%d after three that were accepted, want %d", got, dispatchesAtFirst+3)
	}
	for range 2 * dispatchesInFlight {
		w.learn(true)
	}
	if got := w.now(); got != dispatchesInFlight {
		t.Errorf("%d at most, want %d", got, dispatchesInFlight)
	}
	if w.learn(false); w.now() != dispatchesAtFirst {
		t.Errorf("%d after one that was not, want %d", w.now(), dispatchesAtFirst)
	}
}
