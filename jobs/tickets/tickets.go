// Package tickets makes tickets in the Support Center, one for each contact that a rule of
// its campaign is true of, so that people follow up.
//
// Tickets are made as carefully as contacts are sent. A ticket is written down before its
// request leaves, under a claim. A ticket whose answer was lost is unconfirmed and is never
// made again by itself; only requests that were certainly not carried out are repeated. So
// no contact has two tickets, whatever crashes, however often it is rerun, and however many
// rules are true of it.
//
// What a contact says later is passed on to the ticket's conversation in the same way, one
// message at a time: the next waits until it is known what became of the one before. What
// is read there settles what was lost: a ticket by our reference in it, a message by its
// text. Nothing is taken for lost because it is not there: it waits for a person.
//
// The rule is checked once more directly before the request: evidence may have come
// meanwhile.
//
// The support token has a quota of its own, shared by all workers. One worker at a time
// looks for tickets that are due, and makes them one after the other.
package tickets

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/timings"
	"campaign-runner/ratelimit"
	"campaign-runner/velents"
)

const (
	lookEvery = 3 * time.Second
	leaseFor  = 15 * time.Second

	// readAtOnce is how many campaigns are read before their tickets are made.
	readAtOnce = 100

	// A look for what has changed costs a command per chunk. Of a campaign with many it is
	// taken less often, by markWait for each chunk.
	markWait        = 25 * time.Millisecond
	longestMarkWait = store.LiveFor / 2

	// perCampaign is how many tickets of a campaign are made before the next
	// campaign has its turn.
	perCampaign = 10

	// claimMargin is how long a claim lasts beyond its request.
	claimMargin = 30 * time.Second

	maxTries  = 5
	firstWait = 10 * time.Second // before the second try; doubles with each
	// brokenWait is the pause after the Support Center refused the token.
	brokenWait = time.Minute
)

// keeper is what a Maker needs of Redis; *store.Store is the real one.
type keeper interface {
	Tickets(ctx context.Context, ref store.Ref) (map[int]campaign.Ticket, error)
	Ticket(ctx context.Context, at store.Place) (*campaign.Ticket, error)
	SetTicket(ctx context.Context, at store.Place, old, new *campaign.Ticket, due time.Duration, most int) (bool, error)
	FirstTickets(ctx context.Context, names []string) ([]time.Time, error)
	DueTickets(ctx context.Context, name string, now time.Time, limit int) ([]store.Place, error)
	Lease(ctx context.Context, work, holder string, length time.Duration) (bool, error)
	Now(ctx context.Context) (time.Time, error)
	ToLookAt(ctx context.Context, r *store.Round) ([]string, time.Time, error)
	Raise(ctx context.Context, name string) error
	ReadAll(ctx context.Context, names []string) ([]store.Reading, error)
	Campaign(ctx context.Context, name string) (campaign.Campaign, error)
	Marks(ctx context.Context, c campaign.Campaign) ([]string, error)
	ReadLedger(ctx context.Context, ref store.Ref) (*store.Chunk, error)
	ReadChunk(ctx context.Context, ref store.Ref) (*store.Chunk, error)
	Outcomes(ctx context.Context, ref store.Ref) (map[int]campaign.Outcome, error)
	History(ctx context.Context, ref store.Ref, index int) ([]campaign.Turn, error)
	Reasons(ctx context.Context, name string) (map[campaign.Reason]campaign.Message, error)
	Follow(ctx context.Context, at store.Place) (*campaign.Follow, error)
	UpdateFollow(ctx context.Context, at store.Place, most int, change func(f *campaign.Follow) (due store.FollowDue, write bool)) error
	DropFollow(ctx context.Context, at store.Place) error
	FollowDueAt(ctx context.Context, at store.Place) (time.Time, error)
	DueFollows(ctx context.Context, name string, now time.Time, limit int) ([]store.Place, error)
	Follows(ctx context.Context, ref store.Ref) (map[int]campaign.Follow, error)
}

// desk is the Support Center; *velents.Support is the real one.
type desk interface {
	CreateTicket(ctx context.Context, t velents.NewTicket) (velents.Ticket, velents.Answer, error)
	Ticket(ctx context.Context, id string) (velents.Ticket, velents.Answer, error)
	ListTickets(ctx context.Context, at *velents.Cursor) (velents.Page, velents.Answer, error)
	SendMessage(ctx context.Context, conversationID, message string) (velents.Answer, error)
	History(ctx context.Context, conversationID string) ([]velents.Turn, velents.Answer, error)
}

// quota says when a request may leave; *ratelimit.Quota is the real one.
type quota interface {
	Acquire(ctx context.Context) (ratelimit.Permit, error)
	Report(ctx context.Context, p ratelimit.Permit, a ratelimit.Answer)
	Return(ctx context.Context, p ratelimit.Permit)
}

// Config says what a Maker works on. A zero field but Store, Desk and Quota means
// its default.
type Config struct {
	Store          keeper
	Desk           desk
	Quota          quota         // of the support token
	RequestTimeout time.Duration // of one request, as the desk keeps it; 60 s
	Logger         *slog.Logger  // discards when nil
}

// A Maker makes tickets.
type Maker struct {
	cfg    Config
	holder string               // of the lease
	round  store.Round          // as the holder
	seen   map[string][]string  // by campaign: the marks of its chunks when they were last looked at
	next   map[string]time.Time // by campaign: when its marks are looked at again
	full   map[string]bool      // campaigns that have as many tickets as they may
	broken time.Time            // when the pause after a refused token ends
	walk   walk                 // through the tenant's tickets
	log    *slog.Logger
}

// New returns a Maker.
func New(cfg Config) *Maker {
	cfg.RequestTimeout = cmp.Or(cfg.RequestTimeout, time.Minute)
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	return &Maker{cfg: cfg, holder: rand.Text(), seen: make(map[string][]string), next: make(map[string]time.Time), full: make(map[string]bool), log: cfg.Logger}
}

// Run makes tickets until ctx is over. A request on its way gets its answer.
func (m *Maker) Run(ctx context.Context) {
	timings.Every(ctx, lookEvery, m.log, "tickets not made", m.look)
}

// look makes the tickets that are due, if no other worker does. When one campaign fails,
// the tickets of the others are still made.
func (m *Maker) look(ctx context.Context) error {
	if held, err := m.cfg.Store.Lease(ctx, "tickets", m.holder, leaseFor); err != nil || !held {
		clear(m.seen) // the holder has looked at others meanwhile
		m.round.Anew()
		return err
	}
	names, _, err := m.cfg.Store.ToLookAt(ctx, &m.round)
	if err != nil {
		return err
	}
	var errs []error
	for some := range slices.Chunk(names, readAtOnce) {
		read, err := m.cfg.Store.ReadAll(ctx, some)
		if err != nil {
			m.round.Anew()
			return errors.Join(append(errs, err)...)
		}
		for _, r := range read {
			errs = append(errs, m.lookAt(ctx, r))
		}
	}
	return errors.Join(errs...)
}

// lookAt makes tickets of one campaign. While it has any that are open, or chunks that
// were not looked at, it stays live.
func (m *Maker) lookAt(ctx context.Context, r store.Reading) error {
	c := r.Campaign
	if errors.Is(r.Err, store.ErrNotFound) || r.Err == nil && (c.Phase == campaign.Loading || len(c.Settings.TicketRules) == 0 || c.Kept() != nil) {
		return nil
	}
	again, waits, err := true, false, r.Err
	if err == nil {
		var more bool
		waits = time.Now().Before(m.next[c.Name])
		if !waits {
			err = m.find(ctx, c)
		}
		first, failed := m.cfg.Store.FirstTickets(ctx, []string{c.Name})
		// What is due later than that is looked at when the campaign is woken for it.
		if more = failed == nil && !first[0].IsZero() && time.Until(first[0]) < store.LiveFor; more {
			failed = errors.Join(m.makeDue(ctx, c), m.followDue(ctx, c))
		}
		err = errors.Join(err, failed)
		again = err != nil || more
	}
	if again || waits { // what waits is looked at within the time that the last act keeps it live
		m.round.Again(r.Name)
	}
	if again {
		err = errors.Join(err, m.cfg.Store.Raise(ctx, r.Name))
	}
	return err
}

func now() time.Time { return time.Now().UTC().Truncate(time.Second) }

// find writes down which contacts are due a ticket, in the chunks that have changed since
// they were last looked at. When one chunk cannot be read, the others still are.
func (m *Maker) find(ctx context.Context, c campaign.Campaign) error {
	marks, err := m.cfg.Store.Marks(ctx, c)
	if err != nil {
		return err
	}
	if wait := min(time.Duration(c.Chunks)*markWait, longestMarkWait); wait > lookEvery {
		m.next[c.Name] = time.Now().Add(wait)
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
			return nil // look again: one of them may not be made after all
		}
		if err != nil {
			if _, gone := m.cfg.Store.Now(ctx); gone != nil {
				return err // Redis is gone, not this chunk
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
		if _, has := have[i]; has || rule == (campaign.Rule{}) {
			continue
		}
		due := campaign.Ticket{State: campaign.TicketDue, Rule: rule, At: now()}
		if _, err := m.cfg.Store.SetTicket(ctx, store.Place{Ref: ref, Index: i}, nil, &due, 0, c.Settings.MaxTickets); err != nil {
			return err
		}
	}
	return nil
}

// Repeatable are the states from which a ticket can be made again.
var Repeatable = []campaign.TicketState{campaign.TicketRefused, campaign.TicketFailed, campaign.TicketUnconfirmed}

// Again makes tickets due again that are in one of the states, and returns how many. An
// unconfirmed ticket may exist already, so only an operator may ask for that.
func Again(ctx context.Context, s keeper, c campaign.Campaign, states []campaign.TicketState) (n int, err error) {
	for chunk := range c.Chunks {
		ref := store.Ref{Campaign: c.Name, Chunk: chunk}
		all, err := s.Tickets(ctx, ref)
		if err != nil {
			return n, err
		}
		for index, t := range all {
			if !slices.Contains(states, t.State) {
				continue
			}
			due := campaign.Ticket{State: campaign.TicketDue, Rule: t.Rule, At: now()}
			moved, err := s.SetTicket(ctx, store.Place{Ref: ref, Index: index}, &t, &due, 0, 0)
			if err != nil {
				return n, err
			}
			if moved {
				n++
			}
		}
	}
	return n, nil
}
