package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/jobs"
)

func (a *app) purge() *cobra.Command {
	var force, yes bool
	var cmd *cobra.Command
	cmd = a.on("purge", "Delete what tells of people in a campaign that is over; its totals stay", func(ctx context.Context, s *store.Store, name string) error {
		before, err := s.Campaign(ctx, name)
		if err != nil {
			return err
		}
		if !yes && before.PurgedAt.IsZero() {
			in := cmd.InOrStdin()
			if !cli.IsTerminal(in) {
				return cli.Usagef("purge %s: it cannot be undone; say --yes", name)
			}
			if err := a.confirm(in, name); err != nil {
				return err
			}
		}
		if err := jobs.NewQueue(s, nil).Purge(ctx, name, force); err != nil {
			return err
		}
		text := fmt.Sprintf("%s is purged: %s gone, totals kept\n", name, cli.Count(before.Counts.Contacts, "contact is", "contacts are"))
		if !before.PurgedAt.IsZero() {
			text = fmt.Sprintf("%s was purged already\n", name)
		}
		return a.print(struct {
			Campaign string `json:"campaign"`
			Purged   bool   `json:"purged"`
			Already  bool   `json:"already"`
			Contacts int    `json:"contacts"`
		}{name, true, !before.PurgedAt.IsZero(), before.Counts.Contacts}, text)
	})
	cmd.Long = `Delete what tells of people in a campaign that is over: the rows of its list and
the numbers in them, what became of each contact, conversations, refused lines and
events. It cannot be undone: results are exported before. Contacts cannot be sent
again, more cannot be added, and what the platform still tells is thrown away.

Kept are the totals by state and reason, what 'show' and 'list' print, who decided
what of the campaign as a whole, and its name, so that the same list under the same
name contacts nobody. The do-not-contact list, and who was contacted in the last 90
days, belong to no campaign and stay.

An interrupted purge is ended by the same command, or by a worker within a minute.`
	cmd.Flags().BoolVar(&force, "force", false, "cancel it first if it is not over")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

// confirm asks a person for the campaign's name.
func (a *app) confirm(in io.Reader, name string) error {
	fmt.Fprintf(a.stderr, "This cannot be undone. Type the campaign's name to purge it: ")
	typed, _ := bufio.NewReader(in).ReadString('\n') // whatever ends it: what was typed counts
	if strings.TrimSpace(typed) != name {
		return fmt.Errorf("purge %s: another name was typed; nothing was deleted", name)
	}
	return nil
}
