package jobs

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/sending"
	"campaign-runner/jobs/timings"
	"campaign-runner/velents"
)

// log is the campaign's log, an entry on each line: who, what, why, which contacts.
func (s *stage) log() (lines []string) {
	s.t.Helper()
	texts, err := s.store.Reasons(s.t.Context(), "c")
	if err != nil {
		s.t.Fatal(err)
	}
	log := s.store.ReadLog("c")
	for {
		d, ok, err := log.Next(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		if !ok {
			return lines
		}
		line := fmt.Sprintf("%s: %s", d.By, d.Action)
		if !d.Text.IsZero() {
			line += ": " + d.Text.String()
		}
		if d.Request != "" {
			line += " in " + d.Request
		}
		for _, f := range d.Moved {
			line += fmt.Sprintf("; %d from %v to %v", f.Count(), f.From, f.To)
			if f.Reason != campaign.NoReason {
				line += " for " + texts[f.Reason].String()
			}
		}
		lines = append(lines, line)
	}
}

func TestDecisionsAreLogged(t *testing.T) {
	s := newStage(t, 6)
	s.queue.By("worker w")
	ops := NewQueue(s.store, nil).By("ops@desk")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	must(ops.Pause(ctx, "c", campaign.Text("lunch")))
	_, err := s.resume(ops, "c")
	must(err)
	_, err = s.store.Suppress(ctx, []campaign.Phone{phoneOf(5)})
	must(err)
	s.platform.answer = refuseNamed(1)
	s.send("w", 0)
	s.platform.answer = refuseAll(401, "Unauthenticated.")
	_, err = ops.Rerun(ctx, "c", Selection{States: []campaign.State{campaign.Rejected}, Reason: "phone"})
	must(err)
	s.send("w", 0)
	_, err = s.resume(ops, "c")
	must(err)
	s.platform.answer = func([]velents.Row) error { return errLostAnswer }
	s.send("w", 0)
	_, err = ops.Resolve(ctx, "c", Resolution{Accepted: true})
	must(err)
	_, err = ops.Rerun(ctx, "c", Selection{States: []campaign.State{campaign.Canceled}})
	must(err)
	_, err = ops.Cancel(ctx, "c")
	must(err)

	// The two streams tell the time by milliseconds: what is in the same one stands
	// in no order of its own.
	var decided, moved []string
	for _, line := range s.log() {
		if strings.Contains(line, "; ") && strings.Contains(line, " from ") {
			moved = append(moved, line)
		} else {
			decided = append(decided, line)
		}
	}
	if diff := cmp.Diff([]string{
		"ops@desk: pause: lunch",
		"ops@desk: resume",
		`ops@desk: rerun: rejected with "phone" in their reason`,
		"worker w: pause: the platform answers 401: Unauthenticated.; check the agent's token",
		"ops@desk: resume",
		"ops@desk: resolve: the platform has them",
		"ops@desk: rerun: canceled",
		"ops@desk: cancel",
	}, decided); diff != "" {
		t.Errorf("of the campaign (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{
		"worker w: withhold; 1 from pending to canceled for on the do-not-contact list",
		"worker w: request: 422 in 1-1; 4 from sending to pending; 1 from sending to rejected for The phone field is invalid.",
		"worker w: request: 2xx in 1-2; 4 from sending to accepted",
		"ops@desk: rerun; 1 from rejected to pending",
		"worker w: request: 4xx in 1-3; 1 from sending to pending",
		"worker w: request: lost in 1-4; 1 from sending to unconfirmed for no answer: the request may have been carried out",
		"ops@desk: resolve; 1 from unconfirmed to accepted for confirmed by hand",
		"ops@desk: rerun; 1 from canceled to pending",
		"ops@desk: cancel; 1 from pending to canceled",
	}, moved); diff != "" {
		t.Errorf("of its chunks (-want +got):\n%s", diff)
	}
}

// What a person writes outlives a purge: no number may be in it.
func TestReasonsHoldNoNumber(t *testing.T) {
	s := newStage(t, 1)
	if err := s.queue.By("ops").Pause(t.Context(), "c", campaign.Text("call +966 50 123 4567 first")); err != nil {
		t.Fatal(err)
	}
	if _, why := s.phase("c"); why != "call … first" {
		t.Errorf("paused: %s", why)
	}
	if diff := cmp.Diff([]string{"ops: pause: call … first"}, s.log()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

// A decision that cannot be logged stands.
func TestDecisionsStandWithoutTheLog(t *testing.T) {
	s := newStage(t, 1)
	s.rdb.Set(t.Context(), "c:{c}:log", "no stream", 0)
	if err := s.queue.Pause(t.Context(), "c", campaign.Text("lunch")); err != nil {
		t.Error(err)
	}
	if phase, why := s.phase("c"); phase != campaign.Paused || why != "lunch" {
		t.Errorf("%s: %s", phase, why)
	}
}

func TestASenderThatDiedIsLogged(t *testing.T) {
	s := newStage(t, 2)
	chunk := s.chunk(0)
	if _, err := s.store.Apply(t.Context(), chunk, store.Change{
		Act: store.Begin, Token: store.NewClaim("gone", "1"), ClaimTTL: timings.KeepDue, Moves: sending.Moves([]int{0}, campaign.Send, campaign.NoReason),
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := NewQueue(s.store, nil).By("worker w").recoverClaim(t.Context(), s.now(), s.chunk(0), true); err != nil {
		t.Fatal(err)
	}
	want := []string{"worker w: settle; 1 from sending to unconfirmed for the sender died: the request may have been carried out"}
	if diff := cmp.Diff(want, s.log()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}
