package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/jobs/tickets"
	"campaign-runner/velents"
)

// shownTicket is a ticket with its status in the Support Center, if that was asked.
type shownTicket struct {
	report.Ticket
	Status string `json:"status,omitempty"`
}

func (a *app) tickets() *cobra.Command {
	var again []string
	var live, history bool
	var number, replies string
	cmd := a.onLoaded("tickets", "List the tickets of a campaign's contacts", func(ctx context.Context, s *store.Store, c campaign.Campaign) error {
		at, err := a.placeOf(ctx, s, c, number)
		switch {
		case err != nil:
			return err
		case replies != "":
			return a.settleReplies(ctx, s, c, at, replies)
		case history && at == nil:
			return cli.Usagef("--history needs --contact")
		case history:
			return a.ticketHistory(ctx, s, c, *at)
		case at != nil && len(again) == 0:
			return cli.Usagef("--contact needs --history or --replies")
		case len(again) > 0 && at != nil:
			return cli.Usagef("--again takes no --contact")
		case len(again) > 0:
			return a.makeAgain(ctx, s, c, again)
		}
		return a.listTickets(ctx, s, c, live)
	})
	cmd.Long = `List the tickets that rules (enqueue --ticket-when) have made in the Support Center,
and the state of each:

  due, creating  a worker with VELENTS_SUPPORT_TOKEN will make it, or makes it
  made           the Support Center has it
  refused        the Support Center refused it; the reason says why
  failed         errors used up its tries
  unconfirmed    the request may have arrived, its answer was lost

No contact ever has two tickets. Workers look for an unconfirmed one among the tickets
of the Support Center, by a reference in its subject. One that they do not find is made
again only when you say so: look for it yourself first.

With --ticket-replies (enqueue, set) what a contact says later is passed on to the
ticket's conversation, one message after the other. A message whose answer was lost is
looked for there. If it is not found, it waits for you, and those behind it do: --replies
there or --replies again says what you have found.`
	cmd.Flags().StringSliceVar(&again, "again", nil, "make the tickets in these `STATES` again: refused, failed, unconfirmed")
	cmd.Flags().BoolVar(&live, "live", false, "ask the Support Center for the status of each, one request per ticket")
	cmd.Flags().StringVar(&number, "contact", "", "only the contact with this `NUMBER`; - reads it from the standard input")
	cmd.Flags().BoolVar(&history, "history", false, "show what was said in the ticket's conversation: asked now with a token of the Support Center, else as a worker last read it")
	cmd.Flags().StringVar(&replies, "replies", "", "messages in doubt: `there|again`: the Support Center has them, or they are sent again")
	cli.Document(cmd, cli.SupportToken, cli.PlatformURL)
	return a.asCSV(cmd)
}

// A ticketRow is a ticket as CSV.
type ticketRow struct {
	Line    int    `csv:"line"`
	Phone   string `csv:"phone"`
	State   string `csv:"state"`
	Ticket  cell   `csv:"ticket_id"`
	Status  cell   `csv:"status"`
	Rule    cell   `csv:"rule"`
	Changed string `csv:"changed_at"`
	Reason  cell   `csv:"reason"`
}

func (t shownTicket) row() ticketRow {
	return ticketRow{t.Line, t.Phone, string(t.State), cell(t.ID), cell(t.Status), cell(t.Rule.String()), moment(t.At), cell(t.Reason.String())}
}

func (a *app) makeAgain(ctx context.Context, s *store.Store, c campaign.Campaign, names []string) error {
	var states []campaign.TicketState
	for _, name := range names {
		state := campaign.TicketState(name)
		if !slices.Contains(tickets.Repeatable, state) {
			return cli.Usagef("--again %q: want %s", name, campaign.OneOf(tickets.Repeatable))
		}
		states = append(states, state)
	}
	if slices.Contains(states, campaign.TicketUnconfirmed) {
		a.note("warning: unconfirmed tickets may be there already; those that are will be there twice")
	}
	n, err := tickets.Again(ctx, s, c, states)
	if err != nil {
		return err
	}
	return a.print(struct {
		Campaign string `json:"campaign"`
		Again    int    `json:"again"`
	}{c.Name, n}, fmt.Sprintf("%s: %s to be made again\n", c.Name, cli.Count(n, "ticket", "tickets")))
}

func (a *app) listTickets(ctx context.Context, s *store.Store, c campaign.Campaign, live bool) error {
	tally, err := s.TicketTally(ctx, c.Name)
	if err != nil {
		return err
	}
	status := func(report.Ticket) (string, error) { return "", nil }
	if live {
		if status, err = a.supportStatus(ctx, s); err != nil {
			return err
		}
	}
	list := []shownTicket{}
	rows := [][]string{{"LINE", "PHONE", "STATE", "TICKET", "STATUS", "RULE", "CHANGED", "REASON"}}
	err = report.ListTickets(ctx, s, c, func(t report.Ticket) error {
		said, err := status(t)
		list = append(list, shownTicket{t, said})
		rows = append(rows, []string{fmt.Sprint(t.Line), t.Phone, string(t.State), t.ID, said, t.Rule.String(), local(t.At), t.Reason.String()})
		return err
	})
	if err != nil {
		return err
	}
	counts := make(map[string]int)
	var text strings.Builder
	for _, state := range campaign.TicketStates() {
		if n := tally[state]; n > 0 {
			counts[string(state)] = n
			fmt.Fprintf(&text, ", %s %s", cli.Number(n), state)
		}
	}
	head := fmt.Sprintf("%s: %s%s\n", c.Name, cli.Count(len(list), "ticket", "tickets"), text.String())
	if len(list) > 0 {
		head = table(rows, 0) + "\n" + head
	}
	if len(c.Settings.TicketRules) == 0 {
		head = fmt.Sprintf("%s makes no tickets: it was enqueued without --ticket-when\n", c.Name)
	}
	if err := printTable(a, list, shownTicket.row, struct {
		Campaign string         `json:"campaign"`
		States   map[string]int `json:"states"`
		Tickets  []shownTicket  `json:"tickets"`
	}{c.Name, counts, list}, head); err != nil {
		return err
	}
	if tally[campaign.TicketDue] == 0 {
		return nil
	}
	workers, err := s.Workers(ctx)
	if err == nil && !slices.ContainsFunc(workers, func(w store.Worker) bool { return w.Tickets }) {
		a.note("no live worker makes tickets: set " + cli.SupportToken.Variable + " where one runs")
	}
	return err
}

// supportStatus returns a function that asks for the status of a ticket.
func (a *app) supportStatus(ctx context.Context, s *store.Store) (func(report.Ticket) (string, error), error) {
	api, inquiry, err := a.support(s)
	if err != nil {
		return nil, err
	}
	return func(t report.Ticket) (status string, err error) {
		if t.ID == "" {
			return "", nil
		}
		err = inquiry.ask(ctx, func() (velents.Answer, error) {
			found, answer, err := api.Ticket(ctx, t.ID)
			status = found.Status
			return answer, err
		})
		var refused *velents.Error
		if errors.As(err, &refused) {
			return refused.Error(), nil // only of this ticket
		}
		var late *waitError
		if errors.As(err, &late) {
			return "", fmt.Errorf("the Support Center: %w", late)
		}
		return status, err
	}, nil
}
