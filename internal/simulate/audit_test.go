//go:build simulate

package simulate

import (
	"errors"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// audit compares every contact with the platform's own ledger once all is over.
func (w *world) audit() {
	reached := w.platform.sandbox.Counts(1)
	ends := make(map[string][]campaign.Record) // by number
	purged := false
	for _, l := range w.lists {
		found, err := w.admin.Verify(w.ctx, l.name)
		if errors.Is(err, store.ErrNotFound) {
			continue // a person could not launch it
		}
		if err != nil {
			w.fail("verify %s: %v", l.name, err)
			continue
		}
		for _, problem := range found.Problems {
			w.fail("verify %s: %s", l.name, problem)
		}
		c, err := w.admin.Campaign(w.ctx, l.name)
		w.must(err)
		if c.Kept() != nil {
			purged = true
			continue
		}
		for n := range c.Chunks {
			chunk, err := w.admin.ReadChunk(w.ctx, store.Ref{Campaign: l.name, Chunk: n})
			w.must(err)
			for i, contact := range chunk.Contacts {
				ends[contact.Phone.E164()] = append(ends[contact.Phone.E164()], chunk.Record(i))
			}
		}
	}
	if purged || w.plan.kind == remembered && w.losses > 0 {
		return // there is no telling any more what became of each contact
	}
	for i := range w.lists[0].size {
		if n := number(w.lists[0].first + i); len(ends[n]) == 0 && w.losses == 0 && i < w.firstSize {
			w.fail("contact %s is lost", n)
		}
	}
	for n, records := range ends {
		w.auditContact(n, records, reached[n])
	}
}

// auditContact judges how a contact stands at the end in all campaigns that have it.
func (w *world) auditContact(number string, records []campaign.Record, times int) {
	reachedOnes := 0
	for _, r := range records {
		switch {
		case r.State.Evidence():
			reachedOnes++
			if times == 0 {
				w.fail("contact %s is %v and was never reached", number, r.State)
			}
		case r.State.Open():
			w.fail("contact %s is %v at the end", number, r.State)
		case r.State == campaign.Unconfirmed, r.InDoubt:
			reachedOnes++ // it may have been
		}
	}
	if times > 0 && reachedOnes == 0 && !w.monitor.heardOnce[number] { // else the latest run says what became of it since
		w.fail("contact %s was reached, and is %v", number, records)
	}
}
