package store

import (
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/internal/redistest"
)

// A worker's clock may be an hour wrong: contacts move by Redis's, by which rungs and cohorts
// are counted. A change that is applied again does not move later.
func TestContactsMoveByTheClockOfRedis(t *testing.T) {
	s := New(redistest.Shared(t))
	launch(t, s, "sale", 1, 1, campaign.Running)
	ahead := time.Now().Add(time.Hour)
	s.clock.Store(&clock{asked: time.Now(), said: ahead})
	change := Change{Act: Begin, Token: "w/1", ClaimTTL: time.Minute, Moves: []Move{{Move: campaign.Move{Cause: campaign.Send}}}}
	for _, chunk := range []*Chunk{read(t, s, sale0), read(t, s, sale0)} {
		apply(t, s, chunk, change)
		if at := read(t, s, sale0).Record(0).ChangedAt(); at.Before(ahead.Truncate(time.Second)) {
			t.Errorf("it changed %v before the time by Redis", ahead.Sub(at))
		}
		if change.Moves[0].At.IsZero() {
			t.Error("a change that is applied again gets another time")
		}
		s.clock.Store(&clock{asked: time.Now(), said: ahead.Add(time.Hour)})
	}
	if at := read(t, s, sale0).Record(0).ChangedAt(); at.After(ahead.Add(time.Minute)) {
		t.Errorf("applied again it changed at %v", at)
	}
}
