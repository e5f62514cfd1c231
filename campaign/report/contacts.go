package report

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// A Filter says which contacts of a campaign to list: those that meet all of it. The
// zero value lists all.
type Filter struct {
	States []campaign.State // any of them; none: all
	Reason campaign.Reason  // its code; NoReason: all
	Phone  campaign.Phone   // the one with this number; zero: all
	Text   string           // in any of its cells, however it is written; empty: all
}

// A Contact is one contact of a campaign with its state.
type Contact struct {
	Place  int // chunk * chunk size + index; never changes
	Ref    store.Ref
	Index  int // in its chunk
	Phone  campaign.Phone
	Line   int      // of the file
	Fields []string // its cells
	Record campaign.Record
	Reason campaign.Message
}

// A Page is some of the contacts that pass a filter, in their order.
type Page struct {
	Contacts []Contact
	Before   int // list backwards from here; 0: this is the first page
	After    int // list on from here; -1: this is the last page
	Searched int // contacts looked at
}

// Most contacts that one page looks at. Reading cells costs far more than reading
// the ledger.
const (
	maxScanCells  = 200_000
	maxScanLedger = 5_000_000
)

// errEnough ends a listing whose page is full.
var errEnough = errors.New("enough")

// List lists up to limit contacts from a place on, or the last ones before it with
// back. A page can be short or even empty and still have a next one, because the
// contacts that it looks at are bounded.
func (f Filter) List(ctx context.Context, s Store, name string, place int, back bool, limit int) (Page, error) {
	c, err := loaded(ctx, s, name)
	if err != nil {
		return Page{}, err
	}
	page := Page{After: -1}
	if f.Phone != 0 {
		if found, known, err := f.byIndex(ctx, s, c); known || err != nil {
			page.Contacts = found
			return page, err
		}
	}
	size := c.Settings.ChunkSize
	chunks, most := walk(c, place, back), maxScanLedger
	if f.Text != "" || f.Phone != 0 {
		most = maxScanCells
	}
	known := &reasons{store: s, campaign: name}
	err = inOrder(ctx, c.Name, chunks, func(ctx context.Context, ref store.Ref) (part chunkPart, err error) {
		return f.chunk(ctx, s, known, ref, size)
	}, func(part chunkPart) error {
		if back {
			slices.Reverse(part.found)
		}
		for _, contact := range part.found {
			if (back && contact.Place >= place) || (!back && contact.Place < place) {
				continue
			}
			if len(page.Contacts) == limit {
				page.stop(contact.Place, back)
				return errEnough
			}
			page.Contacts = append(page.Contacts, contact)
		}
		if page.Searched += part.len; page.Searched >= most {
			if back && part.ref.Chunk > 0 {
				page.stop(part.ref.Chunk*size-1, back)
			} else if !back && part.ref.Chunk+1 < c.Chunks {
				page.stop((part.ref.Chunk+1)*size, back)
			}
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return Page{}, err
	}
	if back {
		slices.Reverse(page.Contacts)
		page.After = place
	} else {
		page.Before = place
	}
	return page, nil
}

// stop marks the next contact that the listing would look at.
func (p *Page) stop(at int, back bool) {
	if back {
		p.Before = at + 1
	} else {
		p.After = at
	}
}

// walk are the chunks of a listing, in its order.
func walk(c campaign.Campaign, place int, back bool) []int {
	var chunks []int
	if back {
		for n := min((place-1)/c.Settings.ChunkSize, c.Chunks-1); n >= 0 && place > 0; n-- {
			chunks = append(chunks, n)
		}
		return chunks
	}
	for n := max(place, 0) / c.Settings.ChunkSize; n < c.Chunks; n++ {
		chunks = append(chunks, n)
	}
	return chunks
}

// chunkPart is what one chunk adds to a listing.
type chunkPart struct {
	ref   store.Ref
	len   int
	found []Contact
}

// chunk lists the contacts of one chunk. It reads the cells only if a record in the
// ledger passes.
func (f Filter) chunk(ctx context.Context, s chunks, reasons *reasons, ref store.Ref, size int) (part chunkPart, err error) {
	part.ref = ref
	if len(f.States) > 0 || f.Reason != campaign.NoReason {
		ledger, err := s.ReadLedger(ctx, ref)
		if err != nil {
			return part, err
		}
		part.len = ledger.Len()
		offers := false
		for i := 0; i < part.len && !offers; i++ {
			offers = f.passes(ledger.Record(i))
		}
		if !offers {
			return part, nil
		}
	}
	chunk, err := s.ReadChunk(ctx, ref)
	if err != nil {
		return part, err
	}
	part.len = chunk.Len()
	text := campaign.NewNeedle(f.Text)
	for i, contact := range chunk.Contacts {
		record := chunk.Record(i)
		if !f.passes(record) || (f.Phone != 0 && f.Phone != contact.Phone) || !holds(contact, text) {
			continue
		}
		found, err := contactOf(ctx, reasons, chunk, i, size)
		if err != nil {
			return part, err
		}
		part.found = append(part.found, found)
	}
	return part, nil
}

func (f Filter) passes(r campaign.Record) bool {
	return (len(f.States) == 0 || slices.Contains(f.States, r.State)) && (f.Reason == campaign.NoReason || f.Reason == r.Reason)
}

// holds reports whether a cell of the contact has the text.
func holds(c campaign.Contact, text campaign.Needle) bool {
	return text == campaign.Needle{} || slices.ContainsFunc(c.Fields, text.In)
}

// byIndex finds the contact with a number by the campaign's index. known is false
// without an index.
func (f Filter) byIndex(ctx context.Context, s Store, c campaign.Campaign) (found []Contact, known bool, err error) {
	ref, index, err := s.Find(ctx, c, f.Phone)
	if errors.Is(err, store.ErrNotFound) {
		return nil, c.Settings.WebhookURL != "", nil
	}
	if err != nil {
		return nil, false, err
	}
	contact, err := FindContact(ctx, s, c, ref.Chunk*c.Settings.ChunkSize+index)
	if err != nil || !f.passes(contact.Record) {
		return nil, true, err
	}
	return []Contact{contact}, true, nil
}

// FindContact reads the contact at a place of a campaign; store.ErrGone when there
// is none.
func FindContact(ctx context.Context, s Store, c campaign.Campaign, place int) (Contact, error) {
	size := c.Settings.ChunkSize
	ref, index := store.Ref{Campaign: c.Name, Chunk: place / size}, place%size
	chunk, err := s.ReadChunk(ctx, ref)
	if err != nil {
		return Contact{}, err
	}
	if index < 0 || index >= chunk.Len() {
		return Contact{}, fmt.Errorf("contact %d of %s: %w", place, c.Name, store.ErrGone)
	}
	return contactOf(ctx, &reasons{store: s, campaign: c.Name}, chunk, index, size)
}

// contactOf is a contact by its index in a chunk; chunks of the campaign have size contacts.
func contactOf(ctx context.Context, reasons *reasons, chunk *store.Chunk, index, size int) (Contact, error) {
	c, r := chunk.Contacts[index], chunk.Record(index)
	reason, err := reasons.of(ctx, r.Reason)
	return Contact{
		Place: chunk.Ref.Chunk*size + index, Ref: chunk.Ref, Index: index,
		Phone: c.Phone, Line: c.Line, Fields: c.Fields, Record: r, Reason: reason,
	}, err
}
