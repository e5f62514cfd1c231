package tickets

import (
	"context"
	"errors"
	"fmt"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// find writes down which contacts are due a ticket, in the chunks that have changed since
// they were last looked at. When one chunk cannot be read, the others still are.
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
