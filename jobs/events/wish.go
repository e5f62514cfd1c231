package events

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/velents"
)

// wishes holds the do-not-contact list, and the wishes that could not be fulfilled yet.
type wishes interface {
	Wishes(ctx context.Context) ([]store.Wish, error)
	FindWishes(ctx context.Context, ids []string) (map[string]store.Wish, error)
	OpenWishes(ctx context.Context, wishes []store.Wish) (opened int, err error)
	ResolveWishes(ctx context.Context, ids []string) error
	FindSuppressed(ctx context.Context, phones []campaign.Phone) ([]bool, error)
	Suppress(ctx context.Context, phones []campaign.Phone) (added int, err error)
	LogContact(ctx context.Context, ref store.Ref, index int, d store.Decision) error
}

const maxToldBytes = 128

// wishOf is the wish in an event, open for a reason. Wishes of one conversation are one
// wish, and so are those that tell the same instead of a conversation.
func wishOf(r report, rule string, why campaign.Code) store.Wish {
	w := store.Wish{
		At: r.At, Campaign: r.Campaign, Contact: r.Contact, Conversation: conversationOf(r.says),
		Told: r.says.Phone[:min(len(r.says.Phone), maxToldBytes)], Rule: rule, Why: campaign.Say(why),
	}
	switch {
	case why == campaign.MsgWishAnother:
		w.ID = wishID("number", w.Campaign, strconv.Itoa(w.Contact), r.numbers[0].Person().E164())
	case w.Conversation != "":
		w.ID = conversationWish(w.Campaign, w.Conversation)
	case w.Contact > 0 || w.Told != "":
		w.ID = wishID("told", w.Campaign, strconv.Itoa(w.Contact), w.Told)
	default:
		w.ID = wishID("event", w.Campaign, string(r.Body))
	}
	return w
}

func conversationWish(campaign, conversation string) string {
	return wishID("conversation", campaign, conversation)
}

// wishID is short, since people type it.
func wishID(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		_, _ = fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil)[:5])
}

// open keeps wishes that stay open, and ends the others.
func (a *Applier) open(ctx context.Context, name string, h hearing) error {
	for id, numbers := range h.numbers {
		listed, err := a.store.FindSuppressed(ctx, numbers)
		if err != nil {
			return err
		}
		if slices.Contains(listed, true) {
			h.resolved = append(h.resolved, id)
		}
	}
	for _, id := range h.resolved {
		delete(h.changed, id)
	}
	wishes := make([]store.Wish, 0, len(h.changed))
	for id, w := range h.changed {
		if was, is := h.open[id]; is {
			w.At = was.At
		}
		wishes = append(wishes, w)
	}
	opened, err := a.store.OpenWishes(ctx, wishes)
	if err != nil {
		return err
	}
	if opened > 0 {
		a.count(Open, opened)
		a.log.ErrorContext(ctx, "somebody asks not to be contacted, and it is not known who: see campaign events --open", "campaign", name, "wishes", opened)
	}
	var ended []string
	for _, id := range h.resolved {
		if _, was := h.open[id]; was || h.numbers[id] != nil {
			ended = append(ended, id)
		}
	}
	return a.store.ResolveWishes(ctx, ended)
}

// openAll keeps the wishes in events that are given up.
func (a *Applier) openAll(ctx context.Context, events []store.Event) error {
	var errs []error
	for _, e := range events {
		c, err := a.campaign(ctx, e.Campaign)
		if err != nil {
			c = campaign.Campaign{} // perhaps it is damaged
		}
		r := reportsOf(c.Settings, []store.Event{e})[0]
		if rule := optOutOf(c.Settings, r.says); rule != "" {
			w := wishOf(r, rule, campaign.MsgWishNotApplied)
			errs = append(errs, a.open(ctx, e.Campaign, hearing{changed: map[string]store.Wish{w.ID: w}}))
		}
	}
	return errors.Join(errs...)
}

// retryWishes ends the open wishes of people who have become known.
func (a *Applier) retryWishes(ctx context.Context) error {
	wishes, err := a.store.Wishes(ctx)
	if err != nil {
		return err
	}
	byCampaign := make(map[string][]store.Wish)
	for _, w := range wishes {
		byCampaign[w.Campaign] = append(byCampaign[w.Campaign], w)
	}
	var errs []error
	for name, wishes := range byCampaign {
		for part := range slices.Chunk(wishes, batchEvents) {
			errs = append(errs, a.retryWishesOf(ctx, name, part))
		}
	}
	return errors.Join(errs...)
}

func (a *Applier) retryWishesOf(ctx context.Context, name string, wishes []store.Wish) error {
	c, err := a.campaign(ctx, name)
	if err != nil {
		return err
	}
	parser := numbersIn(c.Settings)
	reports := make([]report, len(wishes))
	for i, w := range wishes {
		reports[i] = report{
			Event:   store.Event{At: w.At, Campaign: name, Contact: w.Contact},
			says:    velents.Event{ConversationID: w.Conversation, Phone: w.Told},
			numbers: parser.Told(w.Told), ordinal: w.Contact - 1,
		}
	}
	if _, err := a.find(ctx, c, reports); err != nil {
		return err
	}
	rules := make(map[campaign.Phone]string)
	var resolved []string
	for i, r := range reports {
		if wishes[i].Why.Is(campaign.MsgWishAnother) {
			listed, err := a.store.FindSuppressed(ctx, r.numbers)
			if err != nil {
				return err
			}
			if slices.Contains(listed, true) {
				resolved = append(resolved, wishes[i].ID)
			}
			continue
		}
		who, known, err := a.contactOf(ctx, c, r)
		if err != nil {
			return err
		}
		if known {
			rules[who] = wishes[i].Rule
			resolved = append(resolved, wishes[i].ID)
		}
	}
	if err := a.suppress(ctx, c, rules); err != nil {
		return err
	}
	return a.store.ResolveWishes(ctx, resolved)
}
