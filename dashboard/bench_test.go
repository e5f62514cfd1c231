package dashboard

import (
	"testing"

	"campaign-runner/campaign/texts"
)

// A page of the list is written for its live parts.
func BenchmarkListParts(b *testing.B) {
	c := newCrowd(b, 200, 60)
	c.tick(b, 0)
	c.look(b)
	snap, _, err := c.list.get(b.Context(), "", 0)
	if err != nil {
		b.Fatal(err)
	}
	for _, l := range texts.Languages() {
		b.Run(string(l), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := listContent(c.views[l]["home"], c.homeOf(snap, readFilter(nil))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
