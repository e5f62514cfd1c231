package jobs

import (
	"strings"
	"testing"

	"campaign-runner/campaign"
)

// The log of the do-not-contact list says who changed it and why, and holds no number.
func TestTheDoNotContactListHasALog(t *testing.T) {
	s := newStage(t, 1)
	q := s.queue.By("sara")
	phones := []campaign.Phone{966501234567, 966501234568}
	change := func(what string, n int, err error, want int) {
		t.Helper()
		if n != want || err != nil {
			t.Errorf("%s: %d, %v, want %d", what, n, err, want)
		}
	}
	n, err := q.Suppress(t.Context(), phones, "asked from +966501234567")
	change("added", n, err, 2)
	n, err = q.Suppress(t.Context(), phones, "again")
	change("added again", n, err, 0)
	n, err = s.queue.By("omar").Unsuppress(t.Context(), phones[:1], "a mistake")
	change("removed", n, err, 1)
	if _, err := q.Suppress(t.Context(), phones, strings.Repeat("x", 301)); err == nil {
		t.Error("a long reason is taken")
	}
	log, err := s.store.SuppressionLog(t.Context(), 10)
	if err != nil || len(log) != 2 {
		t.Fatalf("%+v, %v", log, err)
	}
	if l := log[0]; l.By != "omar" || l.Added || l.Numbers != 1 || l.Reason != "a mistake" || l.At.IsZero() {
		t.Errorf("the latest is %+v", l)
	}
	if l := log[1]; l.By != "sara" || !l.Added || l.Numbers != 2 || l.Reason != "asked from …" {
		t.Errorf("the first is %+v", l)
	}
}
