package tickets

import (
	"context"
	"slices"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

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
