package contacts

import (
	"container/heap"

	"campaign-runner/campaign"
)

// A Choice says which rows of a file become contacts; the others are NotChosen. The
// zero value takes all of them.
type Choice struct {
	// Row is asked about each row before anything else is: its line, and its cells in
	// the order of the columns. Several goroutines call it. Nil: every row.
	Row func(line int, cells []string) bool
	// Sample takes numbers alone whose rank is below it; 0: every number. See Sampler.
	Sample uint64
	// Limit takes that many contacts, the first of the file; 0: any number of them.
	Limit int
}

func (c Choice) takes(p campaign.Phone) bool { return c.Sample == 0 || rank(p) < c.Sample }

// rank puts numbers into an order that has nothing to do with them and is always the
// same: the finalizer of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom
// Number Generators, 2014), under which no two numbers are equal. It is less than the
// greatest number, which is never reached by a phone number.
func rank(p campaign.Phone) uint64 {
	z := uint64(p.Person()) + 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// A Sampler finds what Choice.Sample must be to take a number of contacts: those of
// the lowest ranks. It needs eight bytes for each of them.
type Sampler struct {
	size  int
	ranks maxHeap
}

// NewSampler is a sampler of size contacts.
func NewSampler(size int) *Sampler { return &Sampler{size: size} }

// Add adds a contact that may be taken.
func (s *Sampler) Add(p campaign.Phone) {
	switch r := rank(p); {
	case len(s.ranks) < s.size:
		heap.Push(&s.ranks, r)
	case r < s.ranks[0]:
		s.ranks[0] = r
		heap.Fix(&s.ranks, 0)
	}
}

// Sample is for a Choice: it takes as many of the contacts that were added as was
// asked for, or all of them when there are no more.
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
