package contacts

import (
	"container/heap"

	"campaign-runner/campaign"
)

// A Choice says which rows of a file become contacts; the others are NotChosen. The
// zero value takes all rows.
type Choice struct {
	// Row decides on each row first, by its line and its cells in the order of the columns.
	// Several goroutines call it. Nil: every row.
	Row func(line int, cells []string) bool
	// Sample takes only numbers whose rank is below it; 0: every number. See Sampler.
	Sample uint64
	// Limit takes the first contacts of the file; 0: all.
	Limit int
}

func (c Choice) takes(p campaign.Phone) bool { return c.Sample == 0 || rank(p) < c.Sample }

// rank puts numbers into an order that is always the same and has nothing to do with
// them: the finalizer of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom
// Number Generators, 2014), which maps no two numbers to the same rank. No phone number
// has the greatest rank.
func rank(p campaign.Phone) uint64 {
	z := uint64(p.Person()) + 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// A Sampler finds the Choice.Sample that takes a given number of contacts: those of the
// lowest ranks. It needs eight bytes for each.
type Sampler struct {
	size  int
	ranks maxHeap
}

// NewSampler returns a sampler for size contacts.
func NewSampler(size int) *Sampler { return &Sampler{size: size} }

// Add adds a contact to choose from.
func (s *Sampler) Add(p campaign.Phone) {
	switch r := rank(p); {
	case len(s.ranks) < s.size:
		heap.Push(&s.ranks, r)
	case r < s.ranks[0]:
		s.ranks[0] = r
		heap.Fix(&s.ranks, 0)
	}
}

// Sample is for a Choice that takes size of the contacts added, or all if there are no
// more.
func (s *Sampler) Sample() uint64 {
	if len(s.ranks) < s.size {
		return 0
	}
	return s.ranks[0] + 1
}

type maxHeap []uint64

func (h maxHeap) Len() int           { return len(h) }
func (h maxHeap) Less(i, j int) bool { return h[i] > h[j] }
func (h maxHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *maxHeap) Push(x any)        { *h = append(*h, x.(uint64)) }
func (h *maxHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
