package events

import (
	"context"
	"maps"
	"slices"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// passOn keeps what contacts with a ticket said, and contacts that a rule gives one, for
// the ticket's conversation. It may be done again: each message counts once.
func (a *Applier) passOn(ctx context.Context, c campaign.Campaign, p *part, byIndex map[int][]report, outcomes map[int]campaign.Outcome) error {
	if !c.Settings.TicketReplies {
		return nil
	}
	byIndex = maps.Clone(byIndex)
	for index, reports := range byIndex {
		o, known := outcomes[index]
		byIndex[index] = slices.DeleteFunc(slices.Clone(reports), func(r report) bool {
			return !known || !saysSomething(r) || bearingOf(o, p.chunk.Record(index), r.says.ConversationID) == earlier
		})
	}
	maps.DeleteFunc(byIndex, func(_ int, reports []report) bool { return len(reports) == 0 })
	if len(byIndex) == 0 {
		return nil
	}
	indexes := slices.Sorted(maps.Keys(byIndex))
	tickets, err := a.store.TicketStates(ctx, p.ref, indexes)
	if err != nil {
		return err
	}
	for _, index := range indexes {
		ticket, has := tickets[index]
		if !has && c.Settings.TicketRuleFor(p.chunk.Record(index), outcomes[index]) == (campaign.Rule{}) {
			continue
		}
		reports := byIndex[index]
		slices.SortStableFunc(reports, func(a, b report) int { return a.said().Compare(b.said()) })
		err := a.store.UpdateFollow(ctx, store.Place{Ref: p.ref, Index: index}, c.Settings.MaxTickets, func(f *campaign.Follow) (store.FollowDue, bool) {
			due := dueFor(ticket, f)
			return due, hear(f, c.Settings, reports)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// dueFor is when messages are passed on that are about to be added: at once, unless those
// before them wait for their next try, for an answer or for a person.
func dueFor(ticket campaign.TicketState, f *campaign.Follow) store.FollowDue {
	next := f.Next()
	switch {
	case ticket != campaign.TicketMade:
		return store.FollowDue{Unset: true, After: untilMade}
	case next >= 0 && (f.Said[next].State != campaign.TicketDue || f.Said[next].Tries > 0):
		return store.FollowDue{Leave: true}
	}
	return store.FollowDue{After: store.BeforeOthers}
}

const untilMade = 10 * time.Second // for a ticket that is still to be made

// hear adds what events tell of what a contact said, and reports whether that is new.
// Without stored histories there is none in the ticket, so they are not looked into.
func hear(f *campaign.Follow, s campaign.Settings, reports []report) (news bool) {
	for _, r := range reports {
		if m := r.says.Message; m != nil {
			news = f.Hear(m.Customer, m.At) || news
		}
	}
	if s.NoHistory {
		return news
	}
	for _, r := range reports {
		news = f.HearAll(turnsOf(r.says.History)) || news
	}
	return news
}

// said is when what an event tells was said, as far as that is known.
func (r report) said() time.Time {
	if m := r.says.Message; m != nil && !m.At.IsZero() {
		return m.At
	}
	return r.At
}

// saysSomething reports whether an event tells of words of the contact.
func saysSomething(r report) bool {
	return r.says.Message != nil && r.says.Message.Customer != "" || slices.ContainsFunc(r.says.History, saidByContact)
}
