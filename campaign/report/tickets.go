package report

import (
	"context"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// A Ticket is a contact's ticket as people see it.
type Ticket struct {
	Line   int                  `json:"line"`  // of the contact file
	Phone  string               `json:"phone"` // masked
	State  campaign.TicketState `json:"state"`
	Rule   campaign.Rule        `json:"rule"`
	ID     string               `json:"ticket_id"`
	Reason campaign.Message     `json:"reason"`
	Tries  int                  `json:"tries"`
	At     time.Time            `json:"changed_at"`
}

// ListTickets calls yield for each ticket of a campaign, in the file's order.
func ListTickets(ctx context.Context, s Store, c campaign.Campaign, yield func(Ticket) error) error {
	return eachChunk(ctx, c, func(ctx context.Context, ref store.Ref) (list []Ticket, err error) {
		tickets, err := ticketsOf(ctx, s, c, ref)
		if err != nil || len(tickets) == 0 {
			return nil, err
		}
		chunk, err := s.ReadChunk(ctx, ref)
		if err != nil {
			return nil, err
		}
		for i, contact := range chunk.Contacts {
			if t, has := tickets[i]; has {
				list = append(list, Ticket{contact.Line, contact.Phone.String(), t.State, t.Rule, t.ID, t.Reason, t.Tries, t.At})
			}
		}
		return list, nil
	}, func(list []Ticket) error {
		for _, t := range list {
			if err := yield(t); err != nil {
				return err
			}
		}
		return nil
	})
}

// ticketsOf are the tickets of a chunk's contacts; nil when the campaign makes none.
func ticketsOf(ctx context.Context, s chunks, c campaign.Campaign, ref store.Ref) (map[int]campaign.Ticket, error) {
	if len(c.Settings.TicketRules) == 0 {
		return nil, nil
	}
	return s.Tickets(ctx, ref)
}
