package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/jobs"
)

func (a *app) purge() *cobra.Command {
	var force, yes bool
	cmd := a.onLoaded("purge", "Delete the personal data of a campaign that is over; its totals stay", func(ctx context.Context, s *store.Store, before campaign.Campaign) error {
		name, already := before.Name, !before.PurgedAt.IsZero()
		if !yes && !already {
			if !cli.IsTerminal(a.stdin) {
				return cli.Usagef("purge %s: it cannot be undone; say --yes", name)
			}
			if err := a.confirm(a.stdin, name); err != nil {
				return err
			}
		}
		if err := jobs.NewQueue(s, nil).Purge(ctx, name, force); err != nil {
			return err
		}
		text := fmt.Sprintf("%s is purged: %s gone, totals kept\n", name, cli.Count(before.Counts.Contacts, "contact is", "contacts are"))
		if already {
			text = fmt.Sprintf("%s was purged already\n", name)
		}
		return a.print(struct {
			Campaign string `json:"campaign"`
			Purged   bool   `json:"purged"`
			Already  bool   `json:"already"`
			Contacts int    `json:"contacts"`
		}{name, true, already, before.Counts.Contacts}, text)
	})
	cmd.Long = `Delete the personal data of a campaign that is over: the rows and numbers of its list,
the results of its contacts, conversations, refused lines and events. It cannot be
undone, so export the results first. After it, no contact can be sent again or added,
and new events of the platform are thrown away.

It keeps the totals by state and reason, the output of 'show' and 'list', the log of
the campaign as a whole, and the name, so that the same list under the same name
contacts no one. The do-not-contact list and the contact record of the last 90 days
belong to no campaign and stay.

If a purge is interrupted, run it again, or a worker ends it within a minute.`
	cmd.Flags().BoolVar(&force, "force", false, "cancel it first if it is not over")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

// confirm asks for the campaign's name.
func (a *app) confirm(in io.Reader, name string) error {
	fmt.Fprintf(a.stderr, "This cannot be undone. Type the campaign's name to purge it: ")
	typed, _ := bufio.NewReader(in).ReadString('\n') // at the end of the input, too, what was typed counts
	if strings.TrimSpace(typed) != name {
		return fmt.Errorf("purge %s: another name was typed; nothing was deleted", name)
	}
	return nil
}
