package contacts

import (
	"iter"
	"math/bits"

	"campaign-runner/campaign"
)

// An index holds numbers in the order in which they were added, each with its line. Two
// spellings of the same number are one; the first is kept. It is an open-addressing
// table of 12 bytes a slot, at most three quarters full, and four bytes a number. Ten
// million numbers take 240 MB, and one lookup where a map takes two.
type index struct {
	slots    []slot
	lines    []uint32 // by ordinal
	expected int      // numbers in the end, as a guess: the table grows to it at once
}

// A slot holds a number and its ordinal, without padding.
type slot struct{ low, high, ordinal uint32 }

func (s *slot) phone() campaign.Phone { return campaign.Phone(s.high)<<32 | campaign.Phone(s.low) }
func (s *slot) free() bool            { return s.low|s.high == 0 }

// home is where the search for a number begins. Fibonacci hashing spreads neighbouring
// numbers, which lists are full of.
func (x *index) home(p campaign.Phone) int {
	return int(uint64(p.Person()) * 0x9e3779b97f4a7c15 >> (64 - bits.Len(uint(len(x.slots)-1))))
}

// slot is where the number is, or where it belongs.
func (x *index) slot(p campaign.Phone) *slot {
	i, person := x.home(p), p.Person()
	for !x.slots[i].free() && x.slots[i].phone() != p && x.slots[i].phone().Person() != person {
		if i++; i == len(x.slots) {
			i = 0
		}
	}
	return &x.slots[i]
}

func (x *index) has(p campaign.Phone) bool { return len(x.slots) > 0 && !x.slot(p).free() }

// add adds a number, unless it is there: then it returns the line of the first.
func (x *index) add(p campaign.Phone, line int) (first int, added bool) {
	x.room(1)
	s := x.slot(p)
	if !s.free() {
		return int(x.lines[s.ordinal]), false
	}
	*s = slot{uint32(p), uint32(p >> 32), uint32(len(x.lines))}
	x.lines = append(x.lines, uint32(line))
	return 0, true
}

func (x *index) len() int { return len(x.lines) }

// all returns the numbers with their ordinals, in an arbitrary order.
func (x *index) all() iter.Seq2[campaign.Phone, int] {
	return func(yield func(campaign.Phone, int) bool) {
		for i := range x.slots {
			if s := &x.slots[i]; !s.free() && !yield(s.phone(), int(s.ordinal)) {
				return
			}
		}
	}
}

// fetchRows is how many rows are fetched at once: what they need of the table fits into
// the nearest cache.
const fetchRows = 256

// fetch makes the processor load what adding these rows will look at, all at once: in a
// large table each lookup waits for memory, and add would wait for one after the other.
// It returns something of what it saw so that the compiler keeps it.
func (x *index) fetch(rows []Row) (seen uint32) {
	x.room(len(rows))
	for i := range rows {
		seen |= x.slots[x.home(rows[i].Phone)].low
	}
	return seen
}

// maxGrowth bounds by how much the table may grow beyond its numbers because more are
// expected: the beginning of a file may be unlike the rest.
const maxGrowth = 64

func (x *index) room(n int) {
	need := len(x.lines) + n
	if 4*need <= 3*len(x.slots) {
		return
	}
	need = max(need, min(x.expected+x.expected/32, maxGrowth*need))
	size := max(1024, len(x.slots))
	for 4*need > 3*size {
		size *= 2
	}
	old := x.slots
	x.slots = make([]slot, size)
	for i := range old {
		if !old[i].free() {
			*x.slot(old[i].phone()) = old[i]
		}
	}
}
