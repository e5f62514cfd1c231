package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/jobs/tickets"
	"campaign-runner/velents"
)

// placeOf finds a contact by its number; nil when none is asked for.
func (a *app) placeOf(ctx context.Context, s *store.Store, c campaign.Campaign, number string) (*store.Place, error) {
	phone, err := a.contactOf(ctx, s, c.Name, number)
	if err != nil || phone == 0 {
		return nil, err
	}
	places, err := s.FindPerson(ctx, c, phone, func(int) {})
	if err != nil {
		return nil, err
	}
	if len(places) == 0 {
		return nil, fmt.Errorf("%s has no contact with this number", c.Name)
	}
	return &places[0], nil
}

// settleReplies says of messages in doubt what a person has found.
func (a *app) settleReplies(ctx context.Context, s *store.Store, c campaign.Campaign, at *store.Place, found string) error {
	if found != "there" && found != "again" {
		return cli.Usagef("--replies %q: want there or again", found)
	}
	n, err := tickets.Settle(ctx, s, c, at, found == "there")
	if err != nil {
		return err
	}
	what := "to be sent again"
	if found == "there" {
		what = "taken for passed on"
	}
	return a.print(struct {
		Campaign string `json:"campaign"`
		Settled  int    `json:"settled"`
	}{c.Name, n}, fmt.Sprintf("%s: %s in doubt %s\n", c.Name, cli.Count(n, "message", "messages"), what))
}

// A talk is the conversation of a ticket.
type talk struct {
	Campaign     string               `json:"campaign"`
	State        campaign.TicketState `json:"state"`
	Ticket       string               `json:"ticket_id"`
	Conversation string               `json:"conversation_id"`
	Status       string               `json:"ticket_status"`
	ReadAt       time.Time            `json:"read_at,omitzero"`
	Earlier      int                  `json:"earlier"` // turns that are not shown
	History      []campaign.Turn      `json:"history"`

	Replies map[campaign.TicketState]int `json:"replies"` // messages of the contact
	Left    int                          `json:"replies_left,omitempty"`
}

// ticketHistory shows what was said about a contact's ticket.
func (a *app) ticketHistory(ctx context.Context, s *store.Store, c campaign.Campaign, at store.Place) error {
	ticket, err := s.Ticket(ctx, at)
	if err != nil {
		return err
	}
	if ticket == nil {
		return fmt.Errorf("%s has no ticket for this contact", c.Name)
	}
	if cli.SupportToken.Get(a.getenv) != "" && ticket.Conversation != "" {
		if err := a.readHistory(ctx, s, at, *ticket); err != nil {
			return err
		}
	}
	f, err := s.Follow(ctx, at)
	if err != nil {
		return err
	}
	if f == nil {
		f = new(campaign.Follow)
	}
	t := talk{
		Campaign: c.Name, State: ticket.State, Ticket: ticket.ID, Conversation: ticket.Conversation, Status: f.Status, ReadAt: f.ReadAt,
		Earlier: f.Earlier, History: append([]campaign.Turn{}, f.History...), Replies: f.Replies(), Left: f.Left,
	}
	return a.print(t, t.text(*ticket))
}

func (t talk) text(ticket campaign.Ticket) string {
	var b strings.Builder
	for _, turn := range t.History {
		fmt.Fprintln(&b, strings.TrimLeft(fmt.Sprintf("%s  %s: %s", local(turn.At), cli.Printable(turn.Role), cli.Printable(turn.Text)), " "))
	}
	if len(t.History) > 0 {
		fmt.Fprintln(&b)
	}
	fmt.Fprintf(&b, "%s: ticket %s, %s", t.Campaign, cli.Printable(strings.TrimSpace(t.Ticket+" "+string(t.State))), cli.Count(len(t.History), "message", "messages"))
	if t.Earlier > 0 {
		fmt.Fprintf(&b, " and %s earlier", cli.Number(t.Earlier))
	}
	if t.ReadAt.IsZero() {
		b.WriteString(", not read back yet")
	} else {
		fmt.Fprintf(&b, ", read %s", local(t.ReadAt))
	}
	if t.Status != "" {
		fmt.Fprintf(&b, ", %s in the Support Center", cli.Printable(t.Status))
	}
	fmt.Fprintln(&b)
	for _, state := range campaign.TicketStates() {
		if n := t.Replies[state]; n > 0 {
			fmt.Fprintf(&b, "%s of the contact %s\n", cli.Count(n, "message", "messages"), state)
		}
	}
	if t.Left > 0 {
		fmt.Fprintf(&b, "%s more, too many to be passed on\n", cli.Number(t.Left))
	}
	return b.String()
}

// readHistory asks the Support Center, and keeps what it says.
func (a *app) readHistory(ctx context.Context, s *store.Store, at store.Place, ticket campaign.Ticket) error {
	api, inquiry, err := a.support(s)
	if err != nil {
		return err
	}
	var said []velents.Turn
	err = inquiry.ask(ctx, func() (answer velents.Answer, err error) {
		said, answer, err = api.History(ctx, ticket.Conversation)
		return answer, err
	})
	var late *waitError
	if errors.As(err, &late) {
		return fmt.Errorf("the Support Center: %w", late)
	}
	status := ""
	if err == nil && ticket.ID != "" {
		err = inquiry.ask(ctx, func() (velents.Answer, error) {
			found, answer, err := api.Ticket(ctx, ticket.ID)
			status = found.Status
			return answer, err
		})
	}
	if err != nil {
		return err
	}
	return s.UpdateFollow(ctx, at, 0, func(f *campaign.Follow) (store.FollowDue, bool) {
		f.Read(cmp.Or(status, f.Status), tickets.Turns(said), time.Now().UTC().Truncate(time.Second))
		return store.FollowDue{Leave: true}, true
	})
}
