package events

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/velents"
)

// optOutOf alone decides whether an event says that its contact must not be contacted
// again. It returns the rule that says so, or empty: a rule of the campaign about what the
// agent learned, or a stop word as a whole message of the contact.
func optOutOf(s campaign.Settings, e velents.Event) string {
	facts := campaign.Facts{Outcome: campaign.Outcome{Extraction: e.Extraction}}
	for _, rule := range s.OptOutWhen {
		if rule.Of(facts) {
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
		return campaign.ByStopWord
	}
	return ""
}

// heed puts people who ask for it in one of the events on the do-not-contact list, before
// the events are applied and gone. Whatever else is known of a contact or a campaign, it is
// that person's wish. Where it is not known who asks, the wish is kept open; an event that
// tells more of its conversation ends it. Heeding an event again changes nothing.
func (a *Applier) heed(ctx context.Context, c campaign.Campaign, reports []report, indexed bool) error {
	var ids []string
	for _, r := range reports {
		if conversation := conversationOf(r.says); conversation != "" {
			ids = append(ids, conversationWish(r.Campaign, r.Contact, conversation))
		}
	}
	before, err := a.store.FindWishes(ctx, ids)
	if err != nil {
		return err
	}
	h := hearing{rules: make(map[campaign.Phone]string), open: before, changed: make(map[string]store.Wish), numbers: make(map[string][]campaign.Phone)}
	var errs []error
	for _, r := range reports {
		rule := r.wish
		if rule == "" {
			open, is := before[conversationWish(r.Campaign, r.Contact, conversationOf(r.says))]
			if !is || r.ordinal < 0 && len(r.numbers) == 0 {
				continue
			}
			rule = open.Rule
		}
		who, known, erased, err := a.contactOf(ctx, c, r)
		if err != nil {
			errs = append(errs, err) // the wishes in other events are heeded
			continue
		}
		r.late = r.late || erased // either way the link outlives what it was for
		if number := numberOf(r, who, known); r.late && number != 0 {
			may, err := a.mayStop(ctx, r, number)
			if err != nil {
				return err
			}
			if !may {
				h.postpone(r, rule, number)
				continue
			}
		}
		h.hear(r, rule, who, known, c.Name != "" && c.Kept() == nil && (indexed || r.Contact > 0))
	}
	if err := a.suppress(ctx, c, h.rules); err != nil {
		return err
	}
	if err := a.open(ctx, c.Name, h); err != nil {
		return err
	}
	return errors.Join(errs...)
}

// A hearing is the result of the wishes in some events.
type hearing struct {
	rules    map[campaign.Phone]string   // of the numbers that go on the list
	open     map[string]store.Wish       // that were open before, by id
	changed  map[string]store.Wish       // to be kept open, by id
	numbers  map[string][]campaign.Phone // told by wishes that are open for another number than the contact's, by id
	resolved []string
}

// hear decides what becomes of the wish in an event. who is the contact's number, if the
// contact is known; findable is whether what was told could have found the contact.
func (h *hearing) hear(r report, rule string, who campaign.Phone, known, findable bool) {
	conversation := conversationWish(r.Campaign, r.Contact, conversationOf(r.says))
	same := func(phone campaign.Phone) bool { return phone.Person() == who.Person() }
	switch {
	case known:
		h.rules[who] = rule
		h.resolved = append(h.resolved, conversation)
		if len(r.numbers) > 0 && !slices.ContainsFunc(r.numbers, same) {
			w := wishOf(r, rule, campaign.MsgWishAnother)
			h.changed[w.ID], h.numbers[w.ID] = w, r.numbers
		}
	case len(r.numbers) > 0:
		h.rules[r.numbers[0]] = rule
		if findable {
			w := wishOf(r, rule, campaign.MsgWishUnlisted)
			h.changed[w.ID] = w
		} else {
			h.resolved = append(h.resolved, conversation)
		}
	default:
		w := wishOf(r, rule, campaign.MsgWishNoNumber)
		if _, told := h.changed[w.ID]; !told && !h.open[w.ID].Why.Is(campaign.MsgWishUnlisted) {
			h.changed[w.ID] = w // else more is known already
		}
	}
}

// numberOf is the number that a wish would put on the list; 0: none is known.
func numberOf(r report, who campaign.Phone, known bool) campaign.Phone {
	switch {
	case known:
		return who
	case len(r.numbers) > 0:
		return r.numbers[0]
	}
	return 0
}

// suppress puts numbers on the do-not-contact list, and logs those that are new there.
func (a *Applier) suppress(ctx context.Context, c campaign.Campaign, rules map[campaign.Phone]string) error {
	if len(rules) == 0 {
		return nil
	}
	phones := slices.Sorted(maps.Keys(rules))
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

// contactOf is the number of the contact that an event is about, if it is known. Of one
// that was erased the event alone tells it, and a link could tell any.
func (a *Applier) contactOf(ctx context.Context, c campaign.Campaign, r report) (phone campaign.Phone, known, erased bool, err error) {
	size := c.Settings.ChunkSize
	switch {
	case r.listed:
		return r.numbers[0], true, false, nil
	case c.Kept() != nil, r.ordinal < 0, size == 0:
		return 0, false, false, nil
	}
	chunk, err := a.store.ReadChunk(ctx, store.Ref{Campaign: c.Name, Chunk: r.ordinal / size})
	if errors.Is(err, store.ErrGone) {
		return 0, false, false, nil
	}
	if err != nil || r.ordinal%size >= len(chunk.Contacts) {
		return 0, false, false, err
	}
	phone = chunk.Contacts[r.ordinal%size].Phone
	if erased = phone == 0; erased && len(r.numbers) > 0 {
		phone = r.numbers[0]
	}
	return phone, phone != 0, erased, nil
}

const maxToldBytes = 128

// wishOf is the wish in an event, open for a reason. Wishes of one conversation are one
// wish, and so are those that tell the same instead of a conversation.
func wishOf(r report, rule string, why campaign.Code) store.Wish {
	w := store.Wish{
		At: r.At, Campaign: r.Campaign, Contact: r.Contact, Conversation: conversationOf(r.says),
		Told: r.says.Phone[:min(len(r.says.Phone), maxToldBytes)], Rule: rule, Why: campaign.Say(why), Late: r.late,
	}
	switch {
	case why == campaign.MsgWishAnother:
		w.ID = wishID("number", w.Campaign, strconv.Itoa(w.Contact), r.numbers[0].Person().E164())
	case w.Conversation != "":
		w.ID = conversationWish(w.Campaign, w.Contact, w.Conversation)
	case w.Contact > 0 || w.Told != "":
		w.ID = wishID("told", w.Campaign, strconv.Itoa(w.Contact), w.Told)
	default:
		w.ID = wishID("event", w.Campaign, string(r.Body))
	}
	return w
}

// conversationWish is the wish of a conversation. The link of one contact tells of that
// contact alone, whichever conversation it names.
func conversationWish(campaign string, contact int, conversation string) string {
	if contact > 0 {
		return wishID("conversation", campaign, conversation, strconv.Itoa(contact))
	}
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
		} else if !a.admit(w) {
			a.log.WarnContext(ctx, "a wish not to be contacted is dropped: too many of its link wait, and its campaign is over", "campaign", w.Campaign, "contact", w.Contact, "number", Mask(w.Told))
			continue
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
		if r := a.reportsOf(c.Settings, []store.Event{e})[0]; r.wish != "" {
			w := wishOf(r, r.wish, campaign.MsgWishNotApplied)
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
	wishes = slices.DeleteFunc(wishes, func(w store.Wish) bool { return w.Why.Is(campaign.MsgWishLate) }) // see heedLate
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
		who, known, erased, err := a.contactOf(ctx, c, r)
		if err != nil {
			return err
		}
		if known && erased {
			if known, err = a.mayStop(ctx, r, who); err != nil {
				return err
			}
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
