package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/events"
)

// unmatchedEvent is an event that belongs to no contact, without what is in it.
type unmatchedEvent struct {
	At           time.Time `json:"at"`
	Event        string    `json:"event"`
	Phone        string    `json:"phone"` // masked
	Conversation string    `json:"conversation"`
	Why          string    `json:"why"`
}

func (a *app) events() *cobra.Command {
	var unmatched bool
	cmd := a.on("events", "Count what the platform has told of a campaign", func(ctx context.Context, s *store.Store, name string) error {
		counts, err := s.EventCounts(ctx, name)
		if err == nil && counts == (store.EventCounts{}) {
			_, err = s.Campaign(ctx, name) // events outlive a campaign, and may precede it
		}
		if err != nil {
			return err
		}
		page := struct {
			Campaign string `json:"campaign"`
			store.EventCounts
			Unmatched []unmatchedEvent `json:"unmatched_events,omitempty"`
		}{name, counts, nil}
		text := fmt.Sprintf("%s: %s applied, %s unmatched\n", name, cli.Count(counts.Applied, "event", "events"), cli.Number(counts.Unmatched))
		if unmatched {
			if page.Unmatched, err = listUnmatched(ctx, s, name); err != nil {
				return err
			}
			rows := [][]string{{"AT", "EVENT", "PHONE", "CONVERSATION", "WHY"}}
			for _, e := range page.Unmatched {
				rows = append(rows, []string{local(e.At), e.Event, e.Phone, printable(e.Conversation), e.Why})
			}
			text = table(rows)
		}
		return a.print(page, text)
	})
	cmd.Long = `Count the events of a campaign: those that belong to a contact, and those that do
not. These are kept for a week and tried again every few minutes; their contact may
be sent later.`
	cmd.Flags().BoolVar(&unmatched, "unmatched", false, "list those that belong to no contact, numbers masked")
	return cmd
}

func listUnmatched(ctx context.Context, s *store.Store, name string) ([]unmatchedEvent, error) {
	const page = 500
	var all []unmatchedEvent
	for {
		kept, err := s.Unmatched(ctx, name, len(all), page)
		if err != nil {
			return nil, err
		}
		for _, e := range kept {
			event, phone, conversation := events.Describe(e.Body)
			all = append(all, unmatchedEvent{e.At, event, phone, conversation, e.Why})
		}
		if len(kept) < page {
			return all, nil
		}
	}
}
