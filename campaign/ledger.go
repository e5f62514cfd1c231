package campaign

import (
	"encoding/binary"
	"fmt"
	"time"
)

// A Record is what the ledger holds of one contact.
type Record struct {
	State    State
	Attempts uint8  // requests made for this contact over all runs; stays at 255
	Tries    uint8  // requests made in this run; what --max-attempts bounds
	Run      uint8  // the run that last made it pending, from 0; stays at 255
	Rung     uint8  // the rung of that run that last made it pending; 0: none yet, at most MaxRung
	Reason   Reason // why it is in this state; 0 when there is nothing to say
	Changed  uint32 // Unix seconds of the last change; 0: never changed since it was loaded

	// InDoubt: the contact may have been reached by an earlier request, on which the
	// platform itself failed, or which lost its answer before a rerun. Evidence takes the
	// doubt away.
	InDoubt bool
	// Recorded: a request of this campaign stands in the contact record.
	Recorded bool
	// Erased: the contact's number and cells were erased. It is never sent again.
	Erased bool
}

// MayHaveBeenReached reports whether it is unknown if the platform has reached the
// contact.
func (r Record) MayHaveBeenReached() bool { return r.InDoubt || r.State == Unconfirmed }

// ChangedAt is the time of the last change, zero when there was none.
func (r Record) ChangedAt() time.Time {
	if r.Changed == 0 {
		return time.Time{}
	}
	return time.Unix(int64(r.Changed), 0).UTC()
}

// Erase is r without its person, and whether that is possible: an open contact must be
// canceled or answered first.
func (r Record) Erase() (Record, bool) {
	erased := r
	erased.Erased = true
	return erased, r.State.Valid() && !r.State.Open()
}

// A Reason is the code of a text in the campaign's reason dictionary.
type Reason uint16

const (
	NoReason    Reason = 0
	OtherReason Reason = 1<<16 - 1 // the dictionary was full
)

// RecordSize is the width of a Record in a ledger, in bytes: state, attempts,
// tries, run, then reason (2) and time of change (4), little-endian, and marks with the rung.
const RecordSize = 11

// MaxRung is the highest rung that a Record can hold.
const MaxRung = 1<<(8-markBits) - 1

// Bits of the marks.
const (
	markInDoubt = 1 << iota
	markRecorded
	markErased
	markBits = iota // the bits above hold the rung
)

// A Ledger holds the records of a chunk's contacts, in their order.
type Ledger []byte

// NewLedger is the ledger of n contacts that are all pending.
func NewLedger(n int) Ledger { return make(Ledger, n*RecordSize) }

// Len is the number of contacts.
func (l Ledger) Len() int { return len(l) / RecordSize }

// At is the record of contact i.
func (l Ledger) At(i int) Record { return DecodeRecord(l[i*RecordSize : (i+1)*RecordSize]) }

// Set replaces the record of contact i.
func (l Ledger) Set(i int, r Record) { r.encode(l[i*RecordSize : (i+1)*RecordSize]) }

// Check tells whether l can be a ledger of n contacts: bytes that came out of
// Redis may have been cut or written by something else.
func (l Ledger) Check(n int) error {
	if len(l) != n*RecordSize {
		return fmt.Errorf("ledger: want %d bytes for %d contacts, have %d", n*RecordSize, n, len(l))
	}
	for i := range n {
		if s := State(l[i*RecordSize]); !s.Valid() {
			return fmt.Errorf("ledger: contact %d: unknown %v", i, s)
		}
	}
	return nil
}

// DecodeRecord reads the first RecordSize bytes of b.
func DecodeRecord(b []byte) Record {
	return Record{
		State:    State(b[0]),
		Attempts: b[1],
		Tries:    b[2],
		Run:      b[3],
		Reason:   Reason(binary.LittleEndian.Uint16(b[4:])),
		Changed:  binary.LittleEndian.Uint32(b[6:]),
		Rung:     b[10] >> markBits,
		InDoubt:  b[10]&markInDoubt != 0,
		Recorded: b[10]&markRecorded != 0,
		Erased:   b[10]&markErased != 0,
	}
}

func (r Record) encode(b []byte) {
	_ = b[RecordSize-1]
	b[0], b[1], b[2], b[3] = byte(r.State), r.Attempts, r.Tries, r.Run
	binary.LittleEndian.PutUint16(b[4:], uint16(r.Reason))
	binary.LittleEndian.PutUint32(b[6:], r.Changed)
	b[10] = r.Rung << markBits
	if r.InDoubt {
		b[10] |= markInDoubt
	}
	if r.Recorded {
		b[10] |= markRecorded
	}
	if r.Erased {
		b[10] |= markErased
	}
}
