package tickets

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/verdict"
	"campaign-runner/jobs/timings"
	"campaign-runner/ratelimit"
	"campaign-runner/velents"
)

// makeDue makes a few of the tickets of a campaign that are due.
func (m *Maker) makeDue(ctx context.Context, c campaign.Campaign) error {
	at, err := m.cfg.Store.Now(ctx)
	if err != nil {
		return err
	}
	due, err := m.cfg.Store.DueTickets(ctx, c.Name, at, perCampaign)
	if err != nil {
		return err
	}
	for _, place := range due {
		if ctx.Err() != nil || time.Now().Before(m.broken) {
			return nil
		}
		if err := m.attend(ctx, c, place); err != nil {
			return err
		}
	}
	return nil
}

// attend takes the next step with one ticket.
func (m *Maker) attend(ctx context.Context, c campaign.Campaign, at store.Place) error {
	ticket, err := m.cfg.Store.Ticket(ctx, at)
	if err != nil || ticket == nil {
		return err
	}
	switch ticket.State {
	case campaign.TicketCreating: // for longer than its claim: the worker that made it has died
		lost := ticket.Lost(campaign.Say(campaign.MsgTicketLost), now())
		if moved, err := m.cfg.Store.SetTicket(ctx, at, ticket, &lost, 0, 0); err != nil || !moved {
			return err
		}
		return m.beginFollow(ctx, c, at, lost)
	case campaign.TicketDue:
		return m.create(ctx, c, at, *ticket)
	}
	return nil
}

// create makes a ticket that is due, once the quota allows it.
func (m *Maker) create(ctx context.Context, c campaign.Campaign, at store.Place, due campaign.Ticket) error {
	permit, err := m.cfg.Quota.Acquire(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil // stopping; it stays due
		}
		return err
	}
	ref := cmp.Or(due.Ref, rand.Text()[:refLength])
	request, err := m.compose(ctx, c, at, due.Rule, ref)
	if err != nil || request == nil {
		m.cfg.Quota.Return(context.WithoutCancel(ctx), permit)
		if err == nil { // the rule no longer names the contact
			_, err = m.cfg.Store.SetTicket(ctx, at, &due, nil, 0, 0)
		}
		return err
	}
	// From here on neither the claim nor the request ends when the worker stops.
	ctx = context.WithoutCancel(ctx)
	claimed := time.Now()
	if err := m.put(ctx, at, store.FollowDue{After: m.cfg.RequestTimeout + 2*claimMargin, Unset: true}); err != nil { // should this worker die
		m.cfg.Quota.Return(ctx, permit)
		return err
	}
	creating := campaign.Ticket{State: campaign.TicketCreating, Rule: due.Rule, Tries: due.Tries + 1, Ref: ref, Claim: rand.Text(), At: now()}
	mine, err := m.cfg.Store.SetTicket(ctx, at, &due, &creating, m.cfg.RequestTimeout+claimMargin, 0)
	if err != nil {
		// Redis may have claimed it, and only the answer is lost. Nothing was sent.
		err = errors.Join(err, m.record(ctx, at, creating, due, 0))
	}
	if err != nil || !mine {
		m.cfg.Quota.Return(ctx, permit)
		return err
	}
	made, answer, err := m.cfg.Desk.CreateTicket(velents.WithGuard(ctx, func() error { return stillOurs(claimed) }), *request)
	m.tellQuota(ctx, permit, answer, err)
	next, wait := m.after(creating, made, err)
	m.log.Log(ctx, levelOf(next.State), "ticket answered", "campaign", c.Name, "chunk", at.Chunk, "contact", at.Index,
		"state", next.State, "tries", creating.Tries, "reason", next.Reason)
	if err := m.record(ctx, at, creating, next, wait); err != nil {
		return err
	}
	return m.beginFollow(ctx, c, at, next)
}

// tellQuota says what became of the request that a permit was for.
func (m *Maker) tellQuota(ctx context.Context, permit ratelimit.Permit, answer velents.Answer, err error) {
	if errors.Is(err, verdict.ErrNotOurs) {
		m.cfg.Quota.Return(ctx, permit)
	} else {
		m.cfg.Quota.Report(ctx, permit, verdict.ForQuota(answer, err))
	}
}

// levelOf is at which level an answer is logged.
func levelOf(state campaign.TicketState) slog.Level {
	if state == campaign.TicketMade {
		return slog.LevelInfo
	}
	return slog.LevelWarn
}

// stillOurs is checked directly before a request is written, by both clocks: a process
// that was frozen past its claim must not send.
func stillOurs(claimed time.Time) error {
	if timings.Elapsed(claimed, time.Now()) > claimMargin/2 {
		return verdict.ErrNotOurs
	}
	return nil
}

// after alone decides what the answer to its request makes of a ticket. wait is the time
// until it is due again, if it is.
func (m *Maker) after(t campaign.Ticket, made velents.Ticket, err error) (next campaign.Ticket, wait time.Duration) {
	next = campaign.Ticket{Rule: t.Rule, Tries: t.Tries, Ref: t.Ref, At: now()}
	if err == nil || errors.Is(err, velents.ErrUnreadable) {
		next.State, next.ID, next.Conversation = campaign.TicketMade, made.ID, made.ConversationID
		if made.ID == "" {
			next.Reason = campaign.Say(campaign.MsgTicketUnnamed)
		}
		return next, 0
	}
	if errors.Is(err, verdict.ErrNotOurs) {
		next.State, next.Tries = campaign.TicketDue, t.Tries-1
		return next, 0
	}
	fate := verdict.OfSingle(err)
	next.Reason = fate.Reason
	switch {
	case fate.Broken && fate.Cause == campaign.Lose: // something else answers there
		m.broken = time.Now().Add(brokenWait)
		next.State = campaign.TicketUnconfirmed
		return next, 0
	case fate.Broken:
		m.broken = time.Now().Add(brokenWait)
		next.State, next.Tries = campaign.TicketDue, t.Tries-1
		next.Reason = campaign.Say(campaign.MsgTicketRefused, "answer", err)
		return next, brokenWait
	case fate.Cause == campaign.Unsent:
		next.State, next.Tries = campaign.TicketDue, t.Tries-1
		return next, max(fate.Wait, time.Second)
	case fate.Cause == campaign.Retry && t.Tries < maxTries:
		next.State = campaign.TicketDue
		return next, max(fate.Wait, firstWait<<(t.Tries-1))
	case fate.Cause == campaign.Retry:
		next.State = campaign.TicketFailed
	case fate.Cause == campaign.Reject:
		next.State = campaign.TicketRefused
	default:
		next.State = campaign.TicketUnconfirmed
	}
	return next, 0
}

// record writes down what became of a ticket, and repeats that while Redis is away.
func (m *Maker) record(ctx context.Context, at store.Place, old, new campaign.Ticket, wait time.Duration) error {
	return store.RetryWrite(ctx, timings.CommitPatience, func(ctx context.Context) error {
		_, err := m.cfg.Store.SetTicket(ctx, at, &old, &new, wait, 0)
		return err
	})
}

// maxSubjectBytes is what a subject may take in the usual column of a database.
const maxSubjectBytes = 200

// compose makes the request for a contact's ticket; nil when the rule is no longer true of
// the contact, or the contact is gone.
//
// The platform publishes only the subject of a ticket. The other fields are a guess; those
// that a tenant asks for come from the campaign's TicketFields, which win. What the contact
// says in the ticket's history is not passed on again.
func (m *Maker) compose(ctx context.Context, c campaign.Campaign, at store.Place, rule campaign.Rule, ref string) (*velents.NewTicket, error) {
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
	if record.Erased || !rule.Of(campaign.Facts{Record: record, Outcome: outcome}) {
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
	if slices.ContainsFunc(history, campaign.Turn.ByContact) {
		err := m.cfg.Store.UpdateFollow(ctx, at, 0, func(f *campaign.Follow) (store.FollowDue, bool) {
			return leave, f.InTicket(history)
		})
		if err != nil {
			return nil, err
		}
	}
	contact := chunk.Contacts[at.Index]
	about := subject{campaign: c.Name, phone: contact.Phone.E164(), rule: rule.String(), reason: reasons[record.Reason].String()}
	more := map[string]any{
		"campaign":    c.Name,
		"phone":       contact.Phone.E164(),
		"state":       record.State.String(),
		"values":      c.Settings.Values(contact),
		"description": describe(about, outcome, history),
		"reference":   ref,
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
	return &velents.NewTicket{Subject: about.String() + refMark(ref), More: more}, nil
}

// subject is a ticket in one line, enough to know which number to call back, and why.
type subject struct{ campaign, phone, rule, reason string }

func (s subject) String() string {
	text := fmt.Sprintf("%s: %s, %s", s.campaign, s.phone, s.rule)
	if s.reason != "" {
		text += ": " + s.reason
	}
	return strings.ToValidUTF8(text[:min(len(text), maxSubjectBytes-len(refMark(""))-refLength)], "")
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
