package campaign

import (
	"testing"
	"time"
)

// Whatever happens to an erased contact, it is never pending or sending again; what the
// platform says of it still counts.
func TestErasedIsNeverSentAgain(t *testing.T) {
	for _, state := range States() {
		r, closed := Record{State: state, Attempts: 1, Changed: 9}.Erase()
		if closed == state.Open() {
			t.Errorf("%v may be erased: %v", state, closed)
		}
		if !closed {
			continue
		}
		for cause := range causeCount {
			next, allowed := r.Next(Move{Cause: cause, At: time.Unix(10, 0), Run: 1})
			if !next.Erased || next.State.Open() || !allowed && next != r {
				t.Errorf("%v, by cause %d: %+v", state, cause, next)
			}
		}
		if next, allowed := r.Next(Move{Cause: End, At: time.Unix(10, 0)}); state != Ended && (!allowed || next.State != Ended) {
			t.Errorf("%v, when it has ended: %+v, %v", state, next, allowed)
		}
	}
}

func TestErasedIsKeptInTheLedger(t *testing.T) {
	for _, r := range []Record{{State: Ended, Erased: true}, {State: Ended, Erased: true, InDoubt: true, Recorded: true}, {State: Ended, Recorded: true}} {
		l := NewLedger(1)
		l.Set(0, r)
		if got := l.At(0); got != r {
			t.Errorf("%+v becomes %+v", r, got)
		}
	}
}

func TestErasedHasNoTicketAndNoNumber(t *testing.T) {
	var s Settings
	s.TicketRules = []Rule{mustRule(t, "state=failed")}
	r := Record{State: Failed}
	if rule := s.TicketRuleFor(r, Outcome{}); rule.String() != "state=failed" {
		t.Errorf("rule %q", rule)
	}
	if r.Erased = true; s.TicketRuleFor(r, Outcome{}).String() != (Rule{}).String() {
		t.Error("an erased contact gets a ticket")
	}
	due, made := &Ticket{State: TicketDue, ID: "t"}, &Ticket{State: TicketMade, ID: "t", Reason: Text("Sara"), Tries: 2}
	if got := due.Erased(); got != nil {
		t.Errorf("a ticket that is due becomes %+v", got)
	}
	if got := made.Erased(); got.State != TicketMade || got.ID != "" || !got.Reason.IsZero() || got.Tries != 2 {
		t.Errorf("a ticket that was made becomes %+v", got)
	}
	if (Phone(0)).E164() != "" || (Phone(0)).String() != "" {
		t.Errorf("no number is %q and %q", Phone(0).E164(), Phone(0).String())
	}
}

func mustRule(t *testing.T, text string) Rule {
	t.Helper()
	rule, err := ParseTicketRule(text)
	if err != nil {
		t.Fatal(err)
	}
	return rule
}
