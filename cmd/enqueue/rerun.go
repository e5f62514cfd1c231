package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"campaign-runner/campaign"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/jobs"
)

const rerunHelp = `Send again to contacts of a campaign, as a run of its own with new attempts: the
column "run" of the results says in which run a contact was sent last. Without a
flag, those that failed.

--where asks what is true of a contact, and with != what is not. Rules about what a
conversation came to are, unless --state says otherwise, of those that have ended:
  extraction.KEY=VALUE   the agent learned this, as 'campaign results' shows it
  ended.no_answer        it ended and the contact had said nothing
  ended.answered         it ended and the contact had said something
  state=STATE            it is in this state
  reason=TEXT            this is a part of the reason for it
  column.NAME=VALUE      this stands in its line of the list
Only the conversation of the last run says whether a contact answered; later events of
an earlier one change nothing.

Of those that failed or are unconfirmed some may have been reached all the same: how
many is said before they are sent again.

Contacts that have used up --max-contact-attempts of their campaign are left out.`

func (a *app) rerun() *cobra.Command {
	var states, where []string
	var sel jobs.Selection
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "rerun NAME",
		Short: "Send again to contacts of a campaign, by state, reason or outcome",
		Long:  rerunHelp,
		Args:  cobra.ExactArgs(1),
	}
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if err := campaign.CheckName(args[0]); err != nil {
			return cli.Usage(err)
		}
		var err error
		if sel.Where, err = campaign.ParseRules(where, campaign.ParseRule); err != nil {
			return cli.Usagef("--where %w", err)
		}
		if !cmd.Flags().Changed("state") {
			states = nil
			for _, state := range sel.DefaultStates() {
				states = append(states, state.String())
			}
		}
		for _, text := range states {
			state, err := campaign.ParseState(text)
			switch {
			case err == nil && state == campaign.Ended && !sel.ByOutcome():
				return cli.Usagef("--state ended: say with --where what the conversations came to")
			case err != nil || state != campaign.Ended && !slices.Contains(jobs.Rerunnable, state):
				return cli.Usagef("--state %q: want some of %v, or ended with --where", text, jobs.Rerunnable)
			}
			sel.States = append(sel.States, state)
		}
		return a.sendAgain(cmd.Context(), args[0], sel, dryRun)
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringSliceVar(&states, "state", []string{campaign.Failed.String()},
		fmt.Sprintf("`STATES` to send again, with commas between: %v, and ended with --where", jobs.Rerunnable))
	flags.StringVar(&sel.Reason, "reason", "", "only those with this `TEXT` in their reason")
	flags.StringArrayVar(&where, "where", nil, "only those that this `RULE` is true of; may be repeated, and then all must be")
	flags.BoolVar(&dryRun, "dry-run", false, "only say how many it would be")
	return cmd
}

func (a *app) sendAgain(ctx context.Context, name string, sel jobs.Selection, dryRun bool) error {
	st, err := a.store(ctx)
	if err != nil {
		return err
	}
	queue, verb := jobs.NewQueue(st, nil), "to be"
	partly := func(err error) bool { undone := (*jobs.UndoneError)(nil); return errors.As(err, &undone) }
	done, left := queue.Survey(ctx, name, sel)
	if left != nil && !partly(left) {
		return left
	}
	if n := done.MayHaveBeenReached; n > 0 {
		a.note(fmt.Sprintf("warning: %s may have been contacted already; those who were are contacted twice", cli.Count(n, "contact", "contacts")))
	}
	if dryRun {
		verb = "would be"
	} else if done, left = queue.Rerun(ctx, name, sel); left != nil && !partly(left) {
		return left
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
	switch {
	case phase == campaign.Paused:
		a.note(fmt.Sprintf("%s is paused: 'campaign resume %s' lets it go on", name, name))
	case phase == campaign.Ready || phase == campaign.Scheduled:
		a.note(fmt.Sprintf("%s is %s: 'campaign start %s' lets it go on", name, phase, name))
	case done.Contacts > 0 && !dryRun:
		a.noteWorkers(ctx, st, c.Settings.Agent)
	}
	text := fmt.Sprintf("%s of %s %s sent again; the campaign is %s\n", cli.Count(done.Contacts, "contact", "contacts"), name, verb, phase)
	if done.UsedUp > 0 {
		text += fmt.Sprintf("%s left out: %s over all runs are used up\n", cli.Count(done.UsedUp, "contact is", "contacts are"),
			cli.Count(c.Settings.MaxContactAttempts, "attempt", "attempts"))
	}
	err = a.print(struct {
		Campaign string         `json:"campaign"`
		Contacts int            `json:"contacts"`
		LeftOut  int            `json:"left_out"` // they have used up their attempts over all runs
		Reached  int            `json:"may_have_been_reached"`
		DryRun   bool           `json:"dry_run,omitempty"`
		State    campaign.Phase `json:"state"`
	}{name, done.Contacts, done.UsedUp, done.MayHaveBeenReached, dryRun, phase}, text)
	return cmp.Or(err, left)
}
