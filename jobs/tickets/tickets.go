// Package tickets has people follow up: it makes tickets in the Support Center,
// one for each contact that a rule of its campaign names.
//
// A ticket is made with the discipline by which contacts are sent. It is written
// down before its request leaves, under a claim; one whose answer was lost is
// unconfirmed and never made again by itself; only what certainly was not carried
// out is repeated. So no contact has two tickets, whatever crashes, however often
// it is rerun, and however many rules name it.
//
// Whether a rule still names the contact is looked at once more right before the
// request: evidence may have come meanwhile.
//
// The support token has a quota of its own, shared by all workers. One worker at
// a time looks for whom a ticket is due, and makes them one after the other.
package tickets

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/verdict"
	"campaign-runner/jobs/timings"
	"campaign-runner/ratelimit"
	"campaign-runner/velents"
)

const (
	lookEvery = 3 * time.Second
	leaseFor  = 15 * time.Second

	// perCampaign is how many tickets of a campaign are made before the next
	// campaign has its turn.
	perCampaign = 10

	// claimMargin is what a claim outlives its request by.
	claimMargin = 30 * time.Second

	maxTries  = 5
	firstWait = 10 * time.Second // before the second try; doubles with each
	// brokenWait is how long nothing is asked of a token that is refused.
	brokenWait = time.Minute
)

// desk is the Support Center; *velents.Support is the real one.
type desk interface {
	CreateTicket(ctx context.Context, t velents.NewTicket) (velents.Ticket, velents.Answer, error)
}

// quota says when a request may leave; *ratelimit.Quota is the real one.
type quota interface {
	Acquire(ctx context.Context) (ratelimit.Permit, error)
	Report(ctx context.Context, t ratelimit.Permit, a ratelimit.Answer)
	Return(ctx context.Context, t ratelimit.Permit)
}

// Config says what a Maker works on. A zero field but Store, Desk and Quota means
// its default.
type Config struct {
	Store          *store.Store
	Desk           desk
	Quota          quota         // of the support token
	RequestTimeout time.Duration // of one request, as the desk keeps it; 60 s
	Logger         *slog.Logger  // discards when nil
}

// A Maker makes tickets.
type Maker struct {
	cfg    Config
	holder string              // of the lease
	seen   map[string][]string // marks of a campaign's chunks when they were looked at, by its name
	full   map[string]bool     // campaigns that are known to have their most
	broken time.Time           // until when the token is left alone
	log    *slog.Logger
}

// New returns a Maker.
func New(cfg Config) *Maker {
	if cfg.RequestTimeout == 0 {
		cfg.RequestTimeout = time.Minute
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Maker{cfg: cfg, holder: rand.Text(), seen: make(map[string][]string), full: make(map[string]bool), log: cfg.Logger}
}

// Run makes tickets until ctx is over. A request on its way gets its answer.
func (m *Maker) Run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := m.look(ctx); err != nil && ctx.Err() == nil {
			m.log.WarnContext(ctx, "tickets not made", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look makes the tickets that are due, if no other worker does. One campaign's
// trouble does not keep the others' from being made.
func (m *Maker) look(ctx context.Context) error {
	if held, err := m.cfg.Store.Lease(ctx, "tickets", m.holder, leaseFor); err != nil || !held {
		clear(m.seen) // what the holder has looked at meanwhile is not known
		return err
	}
	names, err := m.cfg.Store.Names(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		c, err := m.cfg.Store.Campaign(ctx, name)
		if errors.Is(err, store.ErrNotFound) || err == nil && (c.Phase == campaign.Loading || len(c.Settings.TicketRules) == 0 || c.Kept() != nil) {
			continue
		}
		if err == nil {
			err = errors.Join(m.find(ctx, c), m.makeDue(ctx, c))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// find writes down of whom tickets are due, among the chunks that have changed
// since they were last looked at. One that cannot be read keeps no other from that.
func (m *Maker) find(ctx context.Context, c campaign.Campaign) error {
	marks, err := m.cfg.Store.Marks(ctx, c)
	if err != nil {
		return err
	}
	seen := m.seen[c.Name]
	if len(seen) != len(marks) { // appended to, or new to us
		seen = append(seen, make([]string, max(0, len(marks)-len(seen)))...)
	}
	m.seen[c.Name] = seen
	var first error
	failed := 0
	for chunk, mark := range marks {
		if mark == seen[chunk] || ctx.Err() != nil {
			continue
		}
		err := m.findIn(ctx, c, store.Ref{Campaign: c.Name, Chunk: chunk})
		if errors.Is(err, store.ErrTicketsFull) {
			if !m.full[c.Name] {
				m.log.WarnContext(ctx, "no more tickets", "campaign", c.Name, "max_tickets", c.Settings.MaxTickets)
				m.full[c.Name] = true
			}
			return nil // looked at again, should one of them not be made after all
		}
		if err != nil {
			if _, gone := m.cfg.Store.Now(ctx); gone != nil {
				return err // it is not about this chunk
			}
			if failed++; first == nil {
				first = err
			}
			continue
		}
		seen[chunk] = mark
	}
	if failed > 1 {
		return fmt.Errorf("%w; and %d more chunks", first, failed-1)
	}
	return first
}

func (m *Maker) findIn(ctx context.Context, c campaign.Campaign, ref store.Ref) error {
	chunk, err := m.cfg.Store.ReadLedger(ctx, ref)
	if errors.Is(err, store.ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	outcomes, err := m.cfg.Store.Outcomes(ctx, ref)
	if err != nil {
		return err
	}
	have, err := m.cfg.Store.Tickets(ctx, ref)
	if err != nil {
		return err
	}
	for i := range chunk.Len() {
		rule := c.Settings.TicketRuleFor(chunk.Record(i), outcomes[i])
		if _, has := have[i]; has || rule == "" {
			continue
		}
		due := campaign.Ticket{State: campaign.TicketDue, Rule: rule, At: now()}
		if _, err := m.cfg.Store.SetTicket(ctx, store.Place{Ref: ref, Index: i}, nil, &due, 0, c.Settings.MaxTickets); err != nil {
			return err
		}
	}
	return nil
}

func now() time.Time { return time.Now().UTC().Truncate(time.Second) }

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

// attend does what is due of one ticket.
func (m *Maker) attend(ctx context.Context, c campaign.Campaign, at store.Place) error {
	ticket, err := m.cfg.Store.Ticket(ctx, at)
	if err != nil || ticket == nil {
		return err
	}
	switch ticket.State {
	case campaign.TicketCreating: // for longer than its claim: whoever made it has died
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
	// From here on neither the claim nor the request ends with the worker's work.
	ctx = context.WithoutCancel(ctx)
	claimed := time.Now()
	creating := campaign.Ticket{State: campaign.TicketCreating, Rule: due.Rule, Tries: due.Tries + 1, Claim: rand.Text(), At: now()}
	mine, err := m.cfg.Store.SetTicket(ctx, at, &due, &creating, m.cfg.RequestTimeout+claimMargin, 0)
	if err != nil {
		// Redis may have done it and lost only the answer. Nothing was sent.
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

// stillOurs is asked directly before a request is written, by both clocks: a
// process that was frozen past its claim must not send.
func stillOurs(claimed time.Time) error {
	if timings.Elapsed(claimed, time.Now()) > claimMargin/2 {
		return verdict.ErrNotOurs
	}
	return nil
}

// after is what becomes of a ticket by the answer to its request, and when it is
// due again if it is.
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

// record writes down what became of a ticket, for as long as Redis may be away.
func (m *Maker) record(ctx context.Context, at store.Place, old, new campaign.Ticket, wait time.Duration) error {
	return store.RetryWrite(ctx, timings.CommitPatience, func(ctx context.Context) error {
		_, err := m.cfg.Store.SetTicket(ctx, at, &old, &new, wait, 0)
		return err
	})
}
