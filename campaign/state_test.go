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
	want := `state "Pending": want one of [pending sending accepted rejected failed unconfirmed started ended canceled]`
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
