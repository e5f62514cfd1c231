package person

import (
	"context"
	"errors"
	"slices"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/events"
)

// A tie is how an event or a wish belongs to the person.
type tie int

const (
	untied  tie = iota
	touches     // it holds their number, and may be somebody else's: a wish in it is not known to be theirs
	theirs
)

// tie says how what was told belongs to the person, by the rules of workers: a number
// comes before a conversation, and the link of a contact tells whose it is. What names
// nobody, and holds the number anywhere in text, touches them.
func (s *search) tie(ctx context.Context, name string, contact int, numbers []campaign.Phone, conversation, text string) tie {
	c := s.campaigns[name]
	linked := slices.ContainsFunc(s.places[name], func(at store.Place) bool {
		return contact > 0 && at.Chunk*c.Settings.ChunkSize+at.Index == contact-1
	})
	switch {
	case linked && (len(numbers) == 0 || s.number.Is(numbers)):
		return theirs
	case len(numbers) > 0:
		switch {
		case !s.named(ctx, c, contact, numbers):
			return untied
		case contact > 0:
			return touches
		}
		return theirs
	case contact > 0:
		return untied
	case conversation != "" && slices.Contains(s.conversations[name], conversation):
		return theirs
	case s.number.In(text):
		return touches
	}
	return untied
}

// named reports whether a worker takes numbers for the person's: the first that is in the
// campaign, else the likeliest.
func (s *search) named(ctx context.Context, c campaign.Campaign, contact int, numbers []campaign.Phone) bool {
	is := func(n campaign.Phone) bool { return n.Person() == s.phone.Person() }
	if len(numbers) == 1 || contact > 0 || !s.number.Is(numbers) || c.Kept() != nil {
		return is(numbers[0])
	}
	listed, err := s.Store.FindAll(ctx, c, numbers)
	s.failed = errors.Join(s.failed, err)
	if listed == nil { // no index
		return err == nil && is(numbers[0])
	}
	for _, n := range numbers {
		// The index has lost them when they were erased a moment ago.
		if _, in := listed[n]; in || is(n) && len(s.places[c.Name]) > 0 {
			return is(n)
		}
	}
	return is(numbers[0])
}

// tells reads an event, and says how it belongs to the person.
func (s *search) tells(ctx context.Context, e store.Event) (events.Telling, tie) {
	t := events.Tell(s.campaigns[e.Campaign].Settings, e.Body)
	return t, s.tie(ctx, e.Campaign, e.Contact, t.Numbers, t.Conversation, string(e.Body))
}

func (s *search) addEvent(ctx context.Context, e store.Event, waiting bool) {
	if t, how := s.tells(ctx, e); how != untied {
		event := Event{Campaign: e.Campaign, At: e.At, Type: t.Type, Conversation: t.Conversation, Waiting: waiting}
		if s.whole {
			event.Body = string(e.Body)
		}
		s.found.Events = append(s.found.Events, event)
	}
}

// eachUnmatched calls drop for every unmatched event, and deletes those that it picks.
// Campaigns with damaged ones are named.
func (s *search) eachUnmatched(ctx context.Context, drop func(store.Event) bool) error {
	names, err := s.Store.UnmatchedNames(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := s.unmatchedOf(ctx, name, drop); err != nil {
			return err
		}
	}
	return nil
}

func (s *search) unmatchedOf(ctx context.Context, name string, drop func(store.Event) bool) error {
	const page = 500
	for from, limit := 0, page; ; {
		kept, err := s.Store.Unmatched(ctx, name, from, limit)
		switch {
		case errors.Is(err, store.ErrDamagedEvent) && limit > 1: // one by one, up to the damaged one
			limit = 1
			continue
		case errors.Is(err, store.ErrDamagedEvent):
			s.leave(name, "an unmatched event of it cannot be read; it goes a week after it came")
			from, limit = from+1, page
			continue
		case err != nil:
			return err
		}
		var ids []string
		for _, u := range kept {
			if drop(u.Event) {
				ids = append(ids, u.ID)
			}
		}
		if err := s.Store.DropUnmatched(ctx, name, ids); err != nil {
			return err
		}
		if len(kept) < limit {
			return nil
		}
		from += len(kept) - len(ids)
	}
}

// wishes are the open ones of the person.
func (s *search) wishes(ctx context.Context) (open []store.Wish, err error) {
	all, err := s.Store.Wishes(ctx)
	for _, w := range all {
		numbers := events.NumbersTold(s.campaigns[w.Campaign].Settings, w.Told)
		if s.tie(ctx, w.Campaign, w.Contact, numbers, w.Conversation, w.Told) != untied {
			open = append(open, w)
		}
	}
	return open, err
}
