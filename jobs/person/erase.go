package person

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// An Erasure is what was erased of a person, and what was not.
type Erasure struct {
	Contacts  int  `json:"contacts"` // whose number, cells, outcome and conversation are gone; their states are kept
	Rejects   int  `json:"rejects"`  // lines
	Events    int  `json:"events"`   // that were not applied
	Wishes    int  `json:"wishes"`
	Contacted int  `json:"contacted_days"`
	Listed    bool `json:"do_not_contact"` // they are on the do-not-contact list
	// Wished: they asked for no more contact, so that they are on the list all the same.
	Wished  bool       `json:"wished,omitempty"`
	Tickets []string   `json:"tickets,omitempty"` // the Support Center's ids: it has them still
	Left    []Unsearch `json:"left"`
}

// Erase takes a person out of everything, and puts their number on the do-not-contact
// list unless they may be contacted. Contacts that are pending are canceled; while one is
// being sent, Erase waits. It may be interrupted at any point and repeated, and workers may
// be running. Their states stay in the sums.
//
// The list comes first: from then on no request begins with the number. What belongs to a
// contact goes before the contact, since that leads to it.
func (d *Desk) Erase(ctx context.Context, phone campaign.Phone, mayBeContacted bool) (Erasure, error) {
	e := &eraser{}
	if !mayBeContacted {
		if _, err := d.Store.Suppress(ctx, []campaign.Phone{phone}); err != nil {
			return e.done, err
		}
		e.listed = true
	}
	s, err := d.search(ctx, phone, false)
	if err != nil {
		return e.done, err
	}
	e.search = s
	e.done.Left = s.found.NotSearched
	for _, name := range s.searched() {
		if err := s.rejects(ctx, name, true); err != nil {
			return e.done, err
		}
	}
	for _, r := range s.found.Rejects {
		e.done.Rejects += r.Lines
	}
	if err := e.told(ctx); err != nil {
		return e.done, err
	}
	for _, contact := range s.found.Contacts {
		if err := e.contact(ctx, contact); err != nil {
			return e.done, err
		}
	}
	if err := e.told(ctx); err != nil { // meanwhile
		return e.done, err
	}
	if err := e.lists(ctx); err != nil {
		return e.done, err
	}
	for _, name := range slices.Sorted(maps.Keys(e.asks)) {
		e.leave(name, "an event with the number waits for a worker: perhaps somebody else asks in it for no more contact")
	}
	err = e.since(ctx)
	e.done.Left = e.found.NotSearched
	return e.done, err
}

// since names campaigns that have begun or grown since they were searched.
func (e *eraser) since(ctx context.Context) error {
	names, err := e.Store.Names(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		c, err := e.Store.Campaign(ctx, name)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		growing, err := e.Store.Growing(ctx, name)
		if err != nil {
			return err
		}
		named := slices.ContainsFunc(e.found.NotSearched, func(l Unsearch) bool { return l.Campaign == name })
		before, known := e.campaigns[name]
		switch {
		case named, c.Kept() != nil:
		case !known:
			e.leave(name, "it began during the search")
		case growing || c.Chunks != before.Chunks:
			e.leave(name, "contacts were appended to it during the search")
		}
	}
	return nil
}

type eraser struct {
	*search
	listed bool            // by this erasure
	asks   map[string]bool // campaigns in whose waiting events somebody asks for no more contact, perhaps another person
	done   Erasure
}

// told erases events and wishes. One who asks in them not to be contacted is put on the
// list before the event goes. Where it may be somebody else who asks, a worker hears it.
func (e *eraser) told(ctx context.Context) error {
	for {
		unheard := false
		e.asks = make(map[string]bool)
		dropped, err := e.Store.DropEvents(ctx, func(event store.Event) bool {
			t, how := e.tells(ctx, event)
			switch {
			case how == touches && t.OptsOut:
				e.asks[event.Campaign] = true
				return false
			case how == theirs && t.OptsOut && !e.listed:
				unheard = true
				return false
			}
			return how != untied
		})
		e.done.Events += dropped
		if err := errors.Join(err, e.failed); err != nil {
			return err
		}
		if !unheard {
			break
		}
		if err := e.heed(ctx); err != nil {
			return err
		}
	}
	err := e.eachUnmatched(ctx, func(event store.Event) bool { // a wish in it has been heeded
		_, how := e.tells(ctx, event)
		if how != untied {
			e.done.Events++
		}
		return how != untied
	})
	if err := errors.Join(err, e.failed); err != nil {
		return err
	}
	wishes, err := e.wishes(ctx)
	if err := errors.Join(err, e.failed); err != nil || len(wishes) == 0 {
		return err
	}
	if err := e.heed(ctx); err != nil {
		return err
	}
	ids := make([]string, len(wishes))
	for i, w := range wishes {
		ids[i] = w.ID
	}
	e.done.Wishes += len(ids)
	return e.Store.ResolveWishes(ctx, ids)
}

// heed puts the person on the list because they asked for it.
func (e *eraser) heed(ctx context.Context) error {
	if e.listed {
		return nil
	}
	_, err := e.Store.Suppress(ctx, []campaign.Phone{e.phone})
	if err == nil {
		e.listed, e.done.Wished = true, true
	}
	return err
}

// How long Erase waits before it looks again at a contact that is being sent.
const (
	lookAgain     = 200 * time.Millisecond
	lookAgainMost = 2 * time.Second
)

// contact erases one contact, once it is neither pending nor being sent.
func (e *eraser) contact(ctx context.Context, contact Contact) error {
	c, at, told := e.campaigns[contact.Campaign], contact.at, false
	for {
		wait, err := e.Queue.StopContact(ctx, c, at)
		if err == nil && wait == 0 {
			err = e.Store.EraseContact(ctx, c, at, e.phone, e.Queue.Who())
		}
		switch {
		case errors.Is(err, store.ErrGone): // purged, or erased by another
			return nil
		case errors.Is(err, store.ErrOpen), errors.Is(err, store.ErrMoved):
		case err != nil:
			return err
		case wait == 0:
			e.done.Contacts++
			if contact.TicketID != "" {
				e.done.Tickets = append(e.done.Tickets, contact.TicketID)
			}
			return nil
		}
		if !told {
			e.say(fmt.Sprintf("%s, line %d: waits for the answer to a request that is on its way", c.Name, contact.Line))
			told = true
		}
		if err := pause(ctx, min(max(wait, lookAgain), lookAgainMost)); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// lists takes the number out of what belongs to no campaign. The contact record comes
// after the contacts: an answer that was just written down is in it.
func (e *eraser) lists(ctx context.Context) error {
	days, err := e.Store.ContactedDays(ctx, e.phone, true)
	if e.done.Contacted = len(days); err != nil {
		return err
	}
	for {
		gone, err := e.Store.DropReservation(ctx, e.phone)
		if err != nil {
			return err
		}
		if gone {
			break
		}
		if err := pause(ctx, lookAgain); err != nil {
			return err
		}
	}
	listed, err := e.Store.FindSuppressed(ctx, []campaign.Phone{e.phone})
	if err == nil {
		e.done.Listed = listed[0]
	}
	return err
}
