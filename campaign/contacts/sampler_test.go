package contacts

import (
	"slices"
	"testing"

	"campaign-runner/campaign"
)

func TestASampleIsTheContactsOfTheLowestRanks(t *testing.T) {
	for _, size := range []int{1, 300, 5000, 9999, 10_000, 10_001} {
		s := NewSampler(size)
		var ranks []uint64
		for n := range 10_000 {
			p := campaign.Phone(966500000000 + n)
			s.Add(p)
			ranks = append(ranks, rank(p))
		}
		slices.Sort(ranks)
		want := uint64(0) // all
		if size <= len(ranks) {
			want = ranks[size-1] + 1
		}
		if got := s.Sample(); got != want {
			t.Errorf("a sample of %d: ranks below %d, want %d", size, got, want)
		}
	}
}
