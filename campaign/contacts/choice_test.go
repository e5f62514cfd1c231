package contacts

import (
	"slices"
	"testing"

	"campaign-runner/campaign"
)

func TestASampleTakesAsManyAsWereAskedForByTheLowestRanks(t *testing.T) {
	var all []campaign.Phone
	for i := range campaign.Phone(1000) {
		all = append(all, 966500000000+i)
	}
	for _, size := range []int{1, 10, 999, 1000} {
		s := NewSampler(size)
		for _, p := range all {
			s.Add(p)
		}
		choice := Choice{Sample: s.Sample()}
		var taken, left []uint64
		for _, p := range all {
			if choice.takes(p) {
				taken = append(taken, rank(p))
			} else {
				left = append(left, rank(p))
			}
		}
		if len(taken) != size || len(left) > 0 && slices.Max(taken) > slices.Min(left) {
			t.Errorf("of %d numbers %d were taken, want the %d of the lowest ranks", len(all), len(taken), size)
		}
	}
	few := NewSampler(5)
	few.Add(all[0])
	if few.Sample() != 0 {
		t.Error("with fewer numbers than asked for, some are left out")
	}
}
