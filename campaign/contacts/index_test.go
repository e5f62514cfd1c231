package contacts

import (
	"testing"

	"pgregory.net/rapid"

	"campaign-runner/campaign"
)

func TestIndexIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := index{expected: rapid.IntRange(0, 20_000).Draw(t, "expected")}
		first := make(map[campaign.Phone]int)
		// Few different numbers, close together, so that many collide in the table.
		phones := rapid.SliceOfN(rapid.Uint64Range(1, 5000), 0, 5000).Draw(t, "phones")
		for i, n := range phones {
			p, line := campaign.Phone(n), i+1
			got, added := x.add(p, line)
			want, seen := first[p]
			if added == seen || got != want {
				t.Fatalf("add %d: line %d, added %v, want line %d, added %v", n, got, added, want, !seen)
			}
			if !seen {
				first[p] = line
			}
		}
		if x.len() != len(first) {
			t.Fatalf("%d numbers, want %d", x.len(), len(first))
		}
		for n := campaign.Phone(1); n <= 5001; n++ {
			if _, seen := first[n]; x.has(n) != seen {
				t.Fatalf("has %d: %v", uint64(n), x.has(n))
			}
		}
		for p, ordinal := range x.all() {
			if first[p] != int(x.lines[ordinal]) {
				t.Fatalf("%d is number %d, of line %d, want line %d", uint64(p), ordinal, x.lines[ordinal], first[p])
			}
			delete(first, p)
		}
		if len(first) > 0 {
			t.Fatalf("%d numbers are not handed out", len(first))
		}
	})
}

func TestIndexGoesOnAtItsBeginning(t *testing.T) {
	var x index
	x.room(1)
	var last []campaign.Phone
	for p := campaign.Phone(966500000000); len(last) < 3; p++ {
		if x.home(p) == len(x.slots)-1 {
			last = append(last, p)
		}
	}
	for i, p := range last {
		if _, added := x.add(p, i+1); !added {
			t.Errorf("number %d was there already", i)
		}
	}
	for i, p := range last {
		if line, added := x.add(p, 9); added || line != i+1 {
			t.Errorf("number %d is of line %d, added %v", i, line, added)
		}
	}
}

func TestTheTableGrowsByWhatIsExpectedWithinReason(t *testing.T) {
	for _, tt := range []struct {
		name                 string
		expected, add, slots int
	}{
		{"nothing is expected", 0, 1000, 2048},
		{"what is expected fits at once", 10_000, 1000, 16_384},
		{"fewer came than expected so far", 1 << 40, 1000, 131_072},
		{"more came than expected", 10, 1000, 2048},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := index{expected: tt.expected}
			x.room(tt.add)
			if len(x.slots) != tt.slots {
				t.Errorf("%d slots, want %d", len(x.slots), tt.slots)
			}
		})
	}
}
