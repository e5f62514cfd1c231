package tickets

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/verdict"
	"campaign-runner/jobs/timings"
	"campaign-runner/velents"
)

// makeDue makes a few of the tickets of a campaign that are due.
func (m *Maker) makeDue(ctx context.Context, c campaign.Campaign) error {
	if time.Now().Before(m.broken) {
		return nil
	}
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
		lost := *ticket
		lost.State, lost.Claim, lost.At = campaign.TicketUnconfirmed, "", now()
		lost.Reason = campaign.Say(campaign.MsgTicketLost)
		_, err := m.cfg.Store.SetTicket(ctx, at, ticket, &lost, 0, 0)
		return err
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
	request, err := m.compose(ctx, c, at, due.Rule)
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
	creating := campaign.Ticket{State: campaign.TicketCreating, Rule: due.Rule, Tries: due.Tries + 1, Claim: rand.Text(), At: now()}
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
	if errors.Is(err, verdict.ErrNotOurs) {
		m.cfg.Quota.Return(ctx, permit)
	} else {
		m.cfg.Quota.Report(ctx, permit, verdict.ForQuota(answer, err))
	}
	next, wait := m.after(creating, made, err)
	level := slog.LevelInfo
	if next.State != campaign.TicketMade {
		level = slog.LevelWarn
	}
	m.log.Log(ctx, level, "ticket answered", "campaign", c.Name, "chunk", at.Chunk, "contact", at.Index,
		"state", next.State, "tries", creating.Tries, "reason", next.Reason)
	return m.record(ctx, at, creating, next, wait)
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
	next = campaign.Ticket{Rule: t.Rule, Tries: t.Tries, At: now()}
	if err == nil || errors.Is(err, velents.ErrUnreadable) {
		next.State, next.ID = campaign.TicketMade, made.ID
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
