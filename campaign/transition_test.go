package campaign

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// expected says what each cause makes of each state of a contact that was sent
// before; a dot: it is left alone. It is written by hand, apart from Next.
const expected = `
             pending  sending     accepted rejected failed   unconfirmed started ended   canceled
Send         sending  .           .        .        .        .           .       .       .
Unsent       .        pending     .        .        .        .           .       .       .
Retry        .        pending     .        .        .        .           .       .       .
Fail         .        failed      .        .        .        .           .       .       .
Reject       .        rejected    .        .        .        .           .       .       .
Withdraw     .        .           .        pending  .        .           .       .       .
Lose         .        unconfirmed .        .        .        .           .       .       .
Accept       accepted accepted    .        accepted accepted accepted    .       .       accepted
Start        started  started     started  started  started  started     .       .       started
End          ended    ended       ended    ended    ended    ended       ended   .       ended
Cancel       canceled .           .        .        .        .           .       .       .
Hold         pending  .           .        .        .        .           .       .       .
Rerun        .        .           .        pending  pending  pending     .       pending pending
Climb        .        .           pending  pending  pending  .           pending pending .
ConfirmSent  .        .           .        .        .        accepted    .       .       .
ConfirmNever .        .           .        .        .        pending     .       .       .
`

func TestNextFollowsTheTable(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(expected), "\n")
	header := strings.Fields(lines[0])
	if len(header) != len(States()) || len(lines)-1 != int(causeCount) {
		t.Fatalf("the table has %d states and %d causes, not %d and %d", len(header), len(lines)-1, len(States()), causeCount)
	}
	at := time.Date(2026, 3, 1, 9, 30, 0, 999, time.UTC)
	for c, line := range lines[1:] {
		cells := strings.Fields(line)
		cause := Cause(c)
		for s, cell := range cells[1:] {
			t.Run(fmt.Sprintf("%s of one that is %s", cells[0], header[s]), func(t *testing.T) {
				state := mustState(t, header[s])
				r := Record{State: state, Attempts: 7, Tries: 2, Run: 1, Rung: 2, Reason: 3, Changed: 44}
				m := Move{Cause: cause, Reason: 9, Run: 6, At: at}
				if cause == Climb {
					m.Rung = 3
				}
				got, ok := r.Next(m)
				if cell == "." {
					if ok || got != r {
						t.Errorf("got %+v, %v, want the record left alone", got, ok)
					}
					return
				}
				want := Record{State: mustState(t, cell), Attempts: 7, Tries: 2, Run: 1, Rung: 2, Reason: 9, Changed: uint32(at.Unix())}
				switch cause {
				case Send:
					want.Attempts, want.Tries = 8, 3
				case Unsent, Withdraw:
					want.Attempts, want.Tries = 6, 1
				case Rerun:
					want.Tries, want.Run, want.Rung = 0, 6, 0
					want.InDoubt = state == Unconfirmed // its first request may have reached it
				case Climb:
					want.Tries, want.Rung = 0, 3
				case ConfirmNever:
					want.Tries = 0
				}
				if diff := cmp.Diff(want, got); !ok || diff != "" {
					t.Errorf("allowed %v, record (-want +got):\n%s", ok, diff)
				}
			})
		}
	}
}

func mustState(t *testing.T, name string) State {
	t.Helper()
	s, err := ParseState(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEvidenceNeedsAnAttempt(t *testing.T) {
	for _, cause := range []Cause{Accept, Start, End} {
		for _, state := range States() {
			r := Record{State: state}
			if got, ok := r.Next(Move{Cause: cause}); ok || got != r {
				t.Errorf("cause %d on %s that was never sent: got %+v", cause, state, got)
			}
		}
	}
}

func TestNextRefusesWhatItDoesNotKnow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRecord(t)
		m := drawMove(t)
		if rapid.Bool().Draw(t, "unknown state") {
			r.State = State(rapid.IntRange(int(stateCount), 255).Draw(t, "state"))
		} else {
			m.Cause = Cause(rapid.IntRange(int(causeCount), 255).Draw(t, "cause"))
		}
		if got, ok := r.Next(m); ok || got != r {
			t.Fatalf("%+v by %+v became %+v", r, m, got)
		}
	})
}

func TestAContactIsHeldForAnotherReasonAlone(t *testing.T) {
	held, ok := (Record{}).Next(Move{Cause: Hold, Reason: 3})
	if !ok || held.Reason != 3 {
		t.Fatal(held, ok)
	}
	if _, ok := held.Next(Move{Cause: Hold, Reason: 3}); ok {
		t.Error("held again for the same reason")
	}
	if again, ok := held.Next(Move{Cause: Hold, Reason: 4}); !ok || again.Reason != 4 {
		t.Error(again, ok)
	}
}

// Whatever happens to a contact, in whatever order.
func TestContactsLife(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r Record
		requests, everSent := 0, false // requests as nobody takes them back
		ofRung := make(map[uint8]int)  // requests of this run
		for range rapid.IntRange(1, 60).Draw(t, "moves") {
			m := drawMove(t)
			next, ok := r.Next(m)
			if !ok {
				if next != r {
					t.Fatalf("a refused move changed %+v to %+v", r, next)
				}
				continue
			}
			if next.State == r.State && (m.Cause != Hold || next.Reason == r.Reason) {
				t.Fatalf("%+v by %+v is allowed and goes nowhere", r, m)
			}
			if r.State.Evidence() && (!next.State.Evidence() || next.State < r.State) && !(m.Cause == Rerun && r.State == Ended || m.Cause == Climb) {
				t.Fatalf("evidence moved back: %+v by %+v became %+v", r, m, next)
			}
			if next.State == Sending && r.State != Pending {
				t.Fatalf("sent from %s", r.State)
			}
			switch m.Cause {
			case Send:
				requests, everSent = requests+1, true
			case Unsent, Withdraw:
				requests--
			}
			if !everSent && (next.State.Evidence() || next.Attempts != 0) {
				t.Fatalf("never sent, but %+v", next)
			}
			if next.State.Evidence() && next.Attempts == 0 {
				t.Fatalf("no attempt, but %+v", next)
			}
			if int(next.Attempts) != requests || next.Tries > next.Attempts {
				t.Fatalf("%d requests, but %+v", requests, next)
			}
			if next.InDoubt && next.State.Evidence() {
				t.Fatalf("evidence leaves %+v in doubt", next)
			}
			if r.InDoubt && !next.InDoubt && !m.Cause.Evidence() && m.Cause != ConfirmSent && m.Cause != ConfirmNever {
				t.Fatalf("%+v took the doubt away", m)
			}
			if m.Cause == Cancel && next.InDoubt != (r.InDoubt || r.WaitsForRung()) {
				t.Fatalf("%+v canceled is %+v", r, next)
			}
			if next.Rung > r.Rung && (m.Cause != Climb || next.Rung != r.Rung+1 || r.InDoubt || r.Attempts == 0) {
				t.Fatalf("%+v by %+v became %+v", r, m, next)
			}
			if next.Rung < r.Rung && m.Cause != Rerun && !((m.Cause.Evidence() || m.Cause == Cancel) && r.WaitsForRung() && next.Rung == r.Rung-1) {
				t.Fatalf("%+v by %+v became %+v", r, m, next)
			}
			switch m.Cause {
			case Send:
				ofRung[next.Rung]++
			case Unsent, Withdraw:
				ofRung[next.Rung]--
			case ConfirmNever: // a person says that it never left
				ofRung[next.Rung] = 0
			case Rerun:
				clear(ofRung)
			case Climb:
				if ofRung[next.Rung] > 0 {
					t.Fatalf("%+v by %+v: rung %d was sent before", r, m, next.Rung)
				}
			}
			if r.Recorded && !next.Recorded {
				t.Fatalf("%+v forgot that it is recorded", m)
			}
			r = next
		}
	})
}

func TestCountsOfAttemptsStayAtTheirEnd(t *testing.T) {
	for _, tt := range []struct {
		name       string
		state      State
		cause      Cause
		have, want uint8
	}{
		{"the last countable request is counted", Pending, Send, 254, 255},
		{"later ones are not", Pending, Send, 255, 255},
		{"a full count is not known well enough to take one back", Sending, Unsent, 255, 255},
		{"nor by a withdrawn refusal", Rejected, Withdraw, 255, 255},
		{"no count goes below zero", Sending, Unsent, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := Record{State: tt.state, Attempts: tt.have, Tries: tt.have}.Next(Move{Cause: tt.cause})
			if !ok || got.Attempts != tt.want || got.Tries != tt.want {
				t.Errorf("got %d attempts, %d tries, want %d", got.Attempts, got.Tries, tt.want)
			}
		})
	}
}

func TestCausesThatAreEvidence(t *testing.T) {
	for cause := range causeCount {
		want := cause == Accept || cause == Start || cause == End
		if got := cause.Evidence(); got != want {
			t.Errorf("cause %d: got %v, want %v", cause, got, want)
		}
	}
}

func TestDoubtOutlastsTheNextAnswer(t *testing.T) {
	for _, cause := range []Cause{Retry, Fail, Reject, Lose, Unsent} {
		for _, said := range []bool{false, true} {
			r := Record{State: Sending, Attempts: 2, Tries: 2, InDoubt: true}
			if next, ok := r.Next(Move{Cause: cause, InDoubt: said}); !ok || !next.InDoubt {
				t.Errorf("by cause %d, in doubt itself %v: %+v, %v", cause, said, next, ok)
			}
		}
	}
}

func TestWhatMayHaveReachedAContact(t *testing.T) {
	for cause := range causeCount {
		want := cause.Evidence() || cause == Lose
		if got := (Move{Cause: cause}).MayReach(); got != want {
			t.Errorf("cause %d: got %v, want %v", cause, got, want)
		}
		if !(Move{Cause: cause, InDoubt: true}).MayReach() {
			t.Errorf("cause %d in doubt reaches nobody", cause)
		}
	}
	for state := range stateCount {
		if got := (Record{State: state}).MayHaveBeenReached(); got != (state == Unconfirmed) {
			t.Errorf("%s may have been reached: %v", state, got)
		}
		if !(Record{State: state, InDoubt: true}).MayHaveBeenReached() {
			t.Errorf("%s in doubt was not reached", state)
		}
	}
}

func drawRecord(t *rapid.T) Record {
	return Record{
		State:    State(rapid.IntRange(0, int(stateCount)-1).Draw(t, "state")),
		Attempts: rapid.Uint8().Draw(t, "attempts"),
		Tries:    rapid.Uint8().Draw(t, "tries"),
		Run:      rapid.Uint8().Draw(t, "run"),
		Rung:     uint8(rapid.IntRange(0, MaxRung).Draw(t, "rung")),
		Reason:   Reason(rapid.Uint16().Draw(t, "reason")),
		Changed:  rapid.Uint32().Draw(t, "changed"),
		InDoubt:  rapid.Bool().Draw(t, "in doubt"),
		Recorded: rapid.Bool().Draw(t, "recorded"),
	}
}

func drawMove(t *rapid.T) Move {
	return Move{
		Cause:  Cause(rapid.IntRange(0, int(causeCount)-1).Draw(t, "cause")),
		Reason: Reason(rapid.Uint16().Draw(t, "reason")),
		Run:    rapid.Uint8().Draw(t, "run"),
		At:     time.Unix(int64(rapid.Uint32().Draw(t, "at")), 0),
		Rung:   uint8(rapid.IntRange(0, 3).Draw(t, "rung")),

		InDoubt:  rapid.Bool().Draw(t, "leaves in doubt"),
		Recorded: rapid.Bool().Draw(t, "is recorded"),
	}
}

// A trace of proof/claim.pml: "failed" without doubt means surely not reached.
func TestFailedAfterALostAnswerIsInDoubt(t *testing.T) {
	r := Record{}
	for _, cause := range []Cause{Send, Lose, Rerun, Send, Fail} {
		var ok bool
		if r, ok = r.Next(Move{Cause: cause}); !ok {
			t.Fatalf("cause %d is not allowed", cause)
		}
	}
	if r.State != Failed || !r.MayHaveBeenReached() {
		t.Errorf("got %+v, want failed, and that it may have been reached", r)
	}
}

// A trace of proof/claim.pml: a request that is taken back and made again within a
// second must not be changed by what was late about the first.
func TestNoSendingRecordComesAgain(t *testing.T) {
	at := time.Unix(1_772_357_400, 0)
	seen := make(map[Record]bool)
	r := Record{}
	for range 5 {
		for _, cause := range []Cause{Send, Unsent, Send, Reject, Withdraw} {
			r, _ = r.Next(Move{Cause: cause, At: at})
			if r.State != Sending {
				continue
			}
			if seen[r] {
				t.Fatalf("%+v comes again", r)
			}
			seen[r] = true
		}
	}
}
