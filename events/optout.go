package events

import (
	"context"
	"errors"
	"slices"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/velents"
)

// optOutOf alone decides whether an event tells that its contact must not be contacted
// again: by which rule, or empty. A rule of the campaign is one of what the agent has
// learned; a stop word is a whole message of the contact's.
func optOutOf(s campaign.Settings, e velents.Event) string {
	learned := campaign.Outcome{Extraction: e.Extraction}.Learned()
	for _, text := range s.OptOutWhen {
		if rule, err := campaign.ParseLearned(text); err == nil && rule.In(learned) {
			return rule.String()
		}
	}
	if s.NoStopWords {
		return ""
	}
	stopped := e.Message != nil && campaign.IsStopWord(e.Message.Customer) ||
		slices.ContainsFunc(e.History, func(t velents.Turn) bool {
			return saidByContact(t) && campaign.IsStopWord(t.Text)
		})
	if stopped {
		return "stop word"
	}
	return ""
}

// optOut puts on the do-not-contact list whoever asks for that in one of the events,
// before they are applied and gone: whatever else is known of a contact or a campaign,
// it is that person's wish. Doing so again changes nothing.
func (a *Applier) optOut(ctx context.Context, name string, events []store.Event) error {
	c, err := a.store.Campaign(ctx, name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	rules := make(map[campaign.Phone]string)
	for _, e := range events {
		says, err := velents.ParseEvent(e.Body)
		if err != nil {
			continue // kept as unreadable
		}
		rule := optOutOf(c.Settings, says)
		if rule == "" {
			continue
		}
		phone, known := numberOf(says.Phone)
		if !known {
			if phone, known, err = a.numberAt(ctx, c, e.Contact-1); err != nil {
				return err
			}
		}
		if !known {
			a.log.ErrorContext(ctx, "somebody asks not to be contacted, and the event does not say who", "campaign", name, "event", e.ID)
			continue
		}
		rules[phone] = rule
	}
	if len(rules) == 0 {
		return nil
	}
	return a.suppress(ctx, c, rules)
}

// suppress puts numbers on the do-not-contact list, and tells of those that are new
// there.
func (a *Applier) suppress(ctx context.Context, c campaign.Campaign, rules map[campaign.Phone]string) error {
	phones := make([]campaign.Phone, 0, len(rules))
	for phone := range rules {
		phones = append(phones, phone)
	}
	slices.Sort(phones)
	before, err := a.store.FindSuppressed(ctx, phones)
	if err != nil {
		return err
	}
	added, err := a.store.Suppress(ctx, phones)
	if err != nil || added == 0 {
		return err
	}
	a.count(OptedOut, added)
	a.log.InfoContext(ctx, "opted out", "campaign", c.Name, "numbers", added)
	places, err := a.store.FindAll(ctx, c, phones)
	if err != nil {
		a.log.WarnContext(ctx, "opt-outs not logged", "campaign", c.Name, "error", err)
	}
	for i, phone := range phones {
		at, listed := places[phone]
		if before[i] || !listed {
			continue
		}
		ref := store.Ref{Campaign: c.Name, Chunk: at / c.Settings.ChunkSize}
		if err := a.store.LogContact(ctx, ref, at%c.Settings.ChunkSize, store.Decision{By: rules[phone], Action: store.ActionOptOut}); err != nil {
			a.log.WarnContext(ctx, "opt-out not logged", "campaign", c.Name, "error", err)
		}
	}
	return nil
}

// numberAt is the number of the contact with that ordinal, if it is there.
func (a *Applier) numberAt(ctx context.Context, c campaign.Campaign, ordinal int) (campaign.Phone, bool, error) {
	size := c.Settings.ChunkSize
	if ordinal < 0 || size == 0 {
		return 0, false, nil
	}
	chunk, err := a.store.ReadChunk(ctx, store.Ref{Campaign: c.Name, Chunk: ordinal / size})
	if errors.Is(err, store.ErrGone) {
		return 0, false, nil
	}
	if err != nil || ordinal%size >= len(chunk.Contacts) {
		return 0, false, err
	}
	return chunk.Contacts[ordinal%size].Phone, true, nil
}
