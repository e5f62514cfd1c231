package store

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"

	"campaign-runner/campaign"
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

// Beside a campaign that was purged nobody can tell whom it has contacted. Others are asked
// only about those of whom the answer still matters.
func TestBesideAPurgedCampaignOthersAreAskedAboutFew(t *testing.T) {
	s := New(redistest.Shared(t))
	ctx := t.Context()
	contacted := func(name string) {
		launch(t, s, name, 4, 2, campaign.Running)
		for n := range 2 {
			ref := Ref{Campaign: name, Chunk: n}
			chunk := begin(t, s, ref, "w/1", 0, 1)
			accepted := moves(campaign.Accept, 0, 1)
			for i := range accepted {
				accepted[i].Recorded = true
			}
			apply(t, s, chunk, Change{Act: Commit, Token: "w/1", Moves: accepted})
		}
	}
	contacted("a")
	contacted("b")
	if err := s.Purge(ctx, "b"); err != nil {
		t.Fatal(err)
	}
	phones := []campaign.Phone{person(0).Phone, person(3).Phone}
	asked := func(even func(int) bool) (by []bool, ledgers int) {
		before := calls(t, s.rdb, "getrange")
		by, purged, err := s.ContactedElsewhere(ctx, noon.Add(-time.Hour), phones, even)
		if err != nil || purged != "b" {
			t.Fatal(purged, err)
		}
		return by, calls(t, s.rdb, "getrange") - before
	}
	if by, ledgers := asked(nil); ledgers != 0 || slices.Contains(by, true) {
		t.Errorf("about nobody: %v, %d records read", by, ledgers)
	}
	if by, ledgers := asked(func(i int) bool { return i == 1 }); ledgers != 1 || by[0] || !by[1] {
		t.Errorf("about one: %v, %d records read", by, ledgers)
	}
}
