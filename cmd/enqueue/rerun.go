package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/jobs"
)

func (a *app) rerun() *cobra.Command {
	var states []string
	var reason string
	cmd := &cobra.Command{
		Use:   "rerun NAME",
		Short: "Send again to contacts of a campaign that were not reached",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := campaign.CheckName(args[0]); err != nil {
				return cli.Usage(err)
			}
			sel := jobs.Selection{Reason: reason}
			for _, text := range states {
				state, err := campaign.ParseState(text)
				if err != nil || !slices.Contains(jobs.Rerunnable, state) {
					return cli.Usagef("--state %q: want some of %v", text, jobs.Rerunnable)
				}
				sel.States = append(sel.States, state)
			}
			return a.withStore(cmd.Context(), func(st *store.Store) error { return a.sendAgain(cmd.Context(), st, args[0], sel) })
		},
	}
	cmd.Flags().StringSliceVar(&states, "state", []string{campaign.Failed.String()},
		fmt.Sprintf("`STATES` to send again, with commas between: %v", jobs.Rerunnable))
	cmd.Flags().StringVar(&reason, "reason", "", "only those with this `TEXT` in their reason")
	return cmd
}

func (a *app) sendAgain(ctx context.Context, st *store.Store, name string, sel jobs.Selection) error {
	if slices.Contains(sel.States, campaign.Unconfirmed) {
		a.note("warning: unconfirmed contacts may have been contacted already; those who were are contacted twice")
	}
	contacts, err := jobs.NewQueue(st, nil).Rerun(ctx, name, sel)
	if err != nil {
		return err
	}
	c, err := st.Campaign(ctx, name)
	if err != nil {
		return err
	}
	tally, err := st.Tally(ctx, name)
	if err != nil {
		return err
	}
	phase := tally.Phase(c.Phase)
	if phase == campaign.Paused {
		a.note(fmt.Sprintf("%s is paused: 'campaign resume %s' lets it go on", name, name))
	} else if contacts > 0 {
		a.noteWorkers(ctx, st, c.Settings.Agent)
	}
	return a.print(struct {
		Campaign string         `json:"campaign"`
		Contacts int            `json:"contacts"`
		State    campaign.Phase `json:"state"`
	}{name, contacts, phase},
		fmt.Sprintf("%s of %s to be sent again; the campaign is %s\n", cli.Count(contacts, "contact", "contacts"), name, phase))
}
