package dashboard

import (
	"context"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// readTicket reads the contact's ticket, and what goes on about it.
func (who *person) readTicket(ctx context.Context, s reader, c campaign.Campaign) (err error) {
	if len(c.Settings.TicketRules) == 0 {
		return nil
	}
	at := store.Place{Ref: who.Ref, Index: who.Index}
	if who.Ticket, err = s.Ticket(ctx, at); err != nil {
		return err
	}
	who.Follow, err = s.Follow(ctx, at)
	return err
}
