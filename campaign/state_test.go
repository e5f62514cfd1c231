package campaign

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStates(t *testing.T) {
	// Their numbers stand in ledgers, their names in files and scripts.
	want := []string{"pending", "sending", "accepted", "rejected", "failed", "unconfirmed", "started", "ended", "canceled"}
	var got []string
	for i, s := range States() {
		if int(s) != i || !s.Valid() {
			t.Errorf("state %d is %d, valid %v", i, s, s.Valid())
		}
		parsed, err := ParseState(s.String())
		if err != nil || parsed != s {
			t.Errorf("ParseState(%q) = %v, %v", s, parsed, err)
		}
		got = append(got, s.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestUnknownStates(t *testing.T) {
	if s := State(9); s.Valid() || s.String() != "state 9" || s.Open() || s.Evidence() {
		t.Errorf("%v passes for a state", s)
	}
	_, err := ParseState("Pending")
	want := `state "Pending": want pending, sending, accepted, rejected, failed, unconfirmed, started, ended or canceled`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestOpenAndEvidence(t *testing.T) {
	for _, s := range States() {
		if got, want := s.Open(), s == Pending || s == Sending; got != want {
			t.Errorf("%s: open %v", s, got)
		}
		if got, want := s.Evidence(), s == Accepted || s == Started || s == Ended; got != want {
			t.Errorf("%s: evidence %v", s, got)
		}
	}
}

func TestTallyCounts(t *testing.T) {
	var tally Tally
	for _, r := range []Record{
		{State: Pending},
		{State: Sending},
		{State: Failed, Reason: 3},
		{State: Failed, Reason: 3},
		{State: Failed, Reason: 4, InDoubt: true},
		{State: Pending, InDoubt: true},
		{State: Unconfirmed, InDoubt: true},
		{State: Unconfirmed},
		{State: Rejected, Reason: 3},
		{State: Accepted},
	} {
		tally.Count(r)
	}
	want := Tally{Reasons: map[StateReason]int{{Failed, 3}: 2, {Failed, 4}: 1, {Rejected, 3}: 1}}
	want.States[Pending], want.States[Sending], want.States[Accepted], want.States[Unconfirmed] = 2, 1, 1, 2
	want.InDoubt[Pending], want.InDoubt[Failed], want.InDoubt[Unconfirmed] = 1, 1, 1
	want.States[Failed], want.States[Rejected] = 3, 1
	if diff := cmp.Diff(want, tally); diff != "" {
		t.Errorf("tally (-want +got):\n%s", diff)
	}
	if tally.Contacts() != 10 || tally.Open() != 3 || tally.MayHaveBeenReached() != 4 {
		t.Errorf("%d contacts, %d open, %d may have been reached, want 10, 3 and 4", tally.Contacts(), tally.Open(), tally.MayHaveBeenReached())
	}
}

func TestTallyPhase(t *testing.T) {
	of := func(states ...State) (tally Tally) {
		for _, s := range states {
			tally.Count(Record{State: s})
		}
		return tally
	}
	for _, tt := range []struct {
		name         string
		tally        Tally
		stored, want Phase
	}{
		{"a running campaign runs while somebody is pending", of(Accepted, Pending), Running, Running},
		{"and while somebody is sending", of(Accepted, Sending), Running, Running},
		{"it is finished when nobody is", of(Accepted, Failed, Unconfirmed, Canceled), Running, Finished},
		{"a paused one that is through is finished", of(Ended), Paused, Finished},
		{"a paused one with work left is paused", of(Pending), Paused, Paused},
		{"a canceled one stays canceled", of(Canceled), CanceledPhase, CanceledPhase},
		{"a canceled one with a request out stays canceled", of(Sending), CanceledPhase, CanceledPhase},
		{"a loading one is never finished", of(), Loading, Loading},
		{"a loaded one without contacts is finished", of(), Ready, Finished},
		{"a scheduled one waits", of(Pending), Scheduled, Scheduled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.tally.Phase(tt.stored); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
