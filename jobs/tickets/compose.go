package tickets

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/velents"
)

// maxSubjectBytes is what a subject may take in the usual column of a database.
const maxSubjectBytes = 200

// compose makes the request for a contact's ticket; nil when the rule is no longer true of
// the contact, or the contact is gone.
//
// The platform publishes only the subject of a ticket. The other fields are a guess; those
// that a tenant asks for come from the campaign's TicketFields, which win.
func (m *Maker) compose(ctx context.Context, c campaign.Campaign, at store.Place, rule campaign.Rule) (*velents.NewTicket, error) {
	chunk, err := m.cfg.Store.ReadChunk(ctx, at.Ref)
	if errors.Is(err, store.ErrGone) || err == nil && at.Index >= chunk.Len() {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	outcomes, err := m.cfg.Store.Outcomes(ctx, at.Ref)
	if err != nil {
		return nil, err
	}
	record, outcome := chunk.Record(at.Index), outcomes[at.Index]
	if !rule.Of(campaign.Facts{Record: record, Outcome: outcome}) {
		return nil, nil
	}
	reasons, err := m.cfg.Store.Reasons(ctx, c.Name)
	if err != nil {
		return nil, err
	}
	history, err := m.cfg.Store.History(ctx, at.Ref, at.Index)
	if err != nil {
		return nil, err
	}
	contact := chunk.Contacts[at.Index]
	about := subject{campaign: c.Name, phone: contact.Phone.E164(), rule: rule.String(), reason: reasons[record.Reason].String()}
	more := map[string]any{
		"campaign":    c.Name,
		"phone":       contact.Phone.E164(),
		"state":       record.State.String(),
		"values":      c.Settings.Values(contact),
		"description": describe(about, outcome, history),
	}
	if learned := outcome.Learned(); learned != nil {
		more["extraction"] = learned
	}
	if outcome.Conversation != "" {
		more["source_conversation_id"] = outcome.Conversation
	}
	if history != nil {
		more["history"] = history
	}
	for key, value := range maps.All(c.Settings.TicketFields) {
		more[key] = value
	}
	return &velents.NewTicket{Subject: about.String(), More: more}, nil
}

// subject is a ticket in one line, enough to know which number to call back, and why.
type subject struct{ campaign, phone, rule, reason string }

func (s subject) String() string {
	text := fmt.Sprintf("%s: %s, %s", s.campaign, s.phone, s.rule)
	if s.reason != "" {
		text += ": " + s.reason
	}
	return strings.ToValidUTF8(text[:min(len(text), maxSubjectBytes)], "")
}

// describe writes what is known as text, for people who read no fields.
func describe(about subject, o campaign.Outcome, history []campaign.Turn) string {
	var b strings.Builder
	fmt.Fprintln(&b, about)
	if o.Conversation != "" {
		fmt.Fprintf(&b, "Conversation %s", o.Conversation)
		if !o.Started.IsZero() {
			fmt.Fprintf(&b, ", started %s", o.Started.UTC().Format(time.RFC3339))
		}
		fmt.Fprintln(&b)
	}
	for _, turn := range history {
		fmt.Fprintf(&b, "%s: %s\n", turn.Role, turn.Text)
	}
	return b.String()
}
