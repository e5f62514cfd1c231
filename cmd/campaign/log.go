package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
)

// followEvery is the time between two reads of the log.
const followEvery = time.Second

func (a *app) log() *cobra.Command {
	var number string
	var follow bool
	cmd := a.on("log", "Show what was decided about a campaign or a contact, and by whom", func(ctx context.Context, s *store.Store, name string) error {
		phone, err := a.contactOf(ctx, s, name, number)
		if err != nil {
			return err
		}
		log, err := report.ReadLog(ctx, s, name, phone)
		if err != nil {
			return err
		}
		return a.printLog(ctx, log, follow)
	})
	cmd.Long = `Show the log of a campaign, newest last: who loaded, paused, resumed, canceled or
reran it, the result of each request, and the contacts that a rule kept from being
sent. --contact shows only the entries about one contact and the campaign as a whole.

The oldest requests of a long campaign may be gone: Redis keeps the last 50,000.`
	cmd.Flags().StringVar(&number, "contact", "", "only entries about the contact with this `NUMBER`, and the campaign as a whole; - reads it from the standard input")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "wait for new entries, until interrupted")
	return cmd
}

// contactOf reads a number by the rules of the campaign's list; "" is 0.
func (a *app) contactOf(ctx context.Context, s *store.Store, name, number string) (campaign.Phone, error) {
	if number == "" {
		return 0, nil
	}
	number, err := a.typedOne(number)
	if err != nil {
		return 0, err
	}
	c, err := s.Campaign(ctx, name)
	if err != nil {
		return 0, err
	}
	parser, err := contacts.NewPhoneParser(c.Settings.Region)
	if err != nil {
		return 0, err
	}
	phone, why := parser.Parse(number)
	if why != "" {
		return 0, cli.Usagef("--contact: %s", why)
	}
	return phone, nil
}

func (a *app) printLog(ctx context.Context, log *report.Log, follow bool) error {
	for {
		d, ok, err := log.Next(ctx)
		if err != nil {
			return err
		}
		if ok {
			if err := a.print(d, decisionText(d)); err != nil {
				return err
			}
			continue
		}
		if !follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(followEvery):
		}
	}
}

func decisionText(d report.Decision) string {
	what := string(d.Action)
	switch {
	case d.Batch != "":
		what += " " + d.Batch
	case d.Chunk != nil:
		what += fmt.Sprintf(" in chunk %d", *d.Chunk)
	}
	if !d.Text.IsZero() {
		what += ": " + d.Text.String()
	}
	var fates []string
	for _, f := range d.Fates {
		fate := cli.Number(f.Count) + " " + f.From
		if f.To != f.From {
			fate += " → " + f.To
		}
		if !f.Reason.IsZero() {
			fate += fmt.Sprintf(" (%v)", f.Reason)
		}
		fates = append(fates, fate)
	}
	if len(fates) > 0 {
		what += "; " + strings.Join(fates, ", ")
	}
	return cli.Printable(fmt.Sprintf("%s  %-20s  %s", local(d.At), d.By, what)) + "\n"
}
