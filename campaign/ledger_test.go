package campaign

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestLedgerKeepsRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.Custom(drawRecord), 1, 20).Draw(t, "records")
		ledger := NewLedger(len(want))
		for i, r := range want {
			ledger.Set(i, r)
		}
		if err := ledger.Check(len(want)); err != nil {
			t.Fatal(err)
		}
		got := make([]Record, ledger.Len())
		for i := range got {
			got[i] = ledger.At(i)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("records (-want +got):\n%s", diff)
		}
	})
}

// Ledgers outlive the program that wrote them.
func TestRecordLayoutStays(t *testing.T) {
	got := NewLedger(1)
	got.Set(0, Record{State: Unconfirmed, Attempts: 2, Tries: 1, Run: 3, Rung: 10, Reason: 0x0405, Changed: 0x06070809, InDoubt: true, Recorded: true})
	want := Ledger{5, 2, 1, 3, 5, 4, 9, 8, 7, 6, 10<<3 | 3}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("bytes (-want +got):\n%s", diff)
	}
	if got.Set(0, Record{}); string(got) != string(NewLedger(1)) {
		t.Errorf("of the record before there is left %v", got)
	}
}

func TestNewLedgerIsPending(t *testing.T) {
	ledger := NewLedger(3)
	for i := range ledger.Len() {
		if got := ledger.At(i); got != (Record{}) || got.State != Pending {
			t.Errorf("contact %d is %+v", i, got)
		}
	}
}

func TestLedgerCheck(t *testing.T) {
	unknown := NewLedger(3)
	unknown.Set(2, Record{State: stateCount})
	for _, tt := range []struct {
		name   string
		ledger Ledger
		want   string
	}{
		{"whole", NewLedger(3), ""},
		{"empty", nil, "ledger: want 33 bytes for 3 contacts, have 0"},
		{"cut within a record", NewLedger(3)[:29], "ledger: want 33 bytes for 3 contacts, have 29"},
		{"one too many", NewLedger(4), "ledger: want 33 bytes for 3 contacts, have 44"},
		{"a state of a later version", unknown, "ledger: contact 2: unknown state 9"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if err := tt.ledger.Check(3); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestChangedAt(t *testing.T) {
	if got := (Record{}).ChangedAt(); !got.IsZero() {
		t.Errorf("never changed: got %v", got)
	}
	want := time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)
	if got := (Record{Changed: uint32(want.Unix())}).ChangedAt(); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
