package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"campaign-runner/campaign"
	"campaign-runner/campaign/hours"
	"campaign-runner/campaign/store"
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

Of those that failed or are unconfirmed some may have been contacted all the same: how
many is said before they are sent again.

Contacts that have used up --max-contact-attempts of their campaign are left out.

Several names, or --since, send again to contacts of several campaigns; --limit then
counts all of them together. A campaign that cannot be rerun is named and left out.`

// A rerun is what a person has asked for.
type rerun struct {
	app     *app
	sel     jobs.Selection
	dryRun  bool
	since   time.Duration // campaigns that were made in this time, beside those that are named
	agent   string        // of these campaigns; empty: any
	several bool
	yes     bool     // nobody is asked
	noted   []string // agents about whose workers a note was written
}

func (a *app) rerun() *cobra.Command {
	var states, where []string
	var startAt, since string
	r := rerun{app: a}
	sel := &r.sel
	cmd := &cobra.Command{
		Use:   "rerun NAME... | rerun --since DAYS",
		Short: "Send again to contacts of campaigns, by state, reason or outcome",
		Long:  rerunHelp,
	}
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) == 0 && since == "" {
			return cli.Usagef("name the campaign, or say --since")
		}
		for _, name := range args {
			if err := campaign.CheckName(name); err != nil {
				return cli.Usage(err)
			}
		}
		return nil
	}
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		var err error
		if sel.Where, err = campaign.ParseRules(where, campaign.ParseRule); err != nil {
			return cli.Usagef("--where %w", err)
		}
		if err := r.when(startAt, since); err != nil {
			return err
		}
		if !cmd.Flags().Changed("state") {
			states = nil
			for _, state := range sel.DefaultStates() {
				states = append(states, state.String())
			}
		}
		if err := r.take(states); err != nil {
			return err
		}
		return r.run(cmd.Context(), args)
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringSliceVar(&states, "state", []string{campaign.Failed.String()},
		fmt.Sprintf("`STATES` to send again, with commas between: %s; or ended, with --where", campaign.OneOf(jobs.Rerunnable)))
	flags.StringVar(&sel.Reason, "reason", "", "only those with this `TEXT` in their reason")
	flags.StringArrayVar(&where, "where", nil, "only those that this `RULE` is true of; may be repeated, and then all must be")
	flags.IntVar(&sel.Limit, "limit", 0, "at most this many `CONTACTS`, the first of the list (default: all)")
	flags.IntVar(&sel.Canary, "canary", 0, "send this many `CONTACTS` first, then wait for 'campaign start'; of a campaign that is over")
	flags.StringVar(&startAt, "start-at", "", "contact nobody before this `TIME`, such as 2026-11-27T09:00:00+03:00; of a campaign that is over")
	flags.StringVar(&since, "since", "", "of all campaigns that were made in this time, such as 7d or 36h, in `DAYS`")
	flags.StringVar(&r.agent, "agent", "", "with --since, only of campaigns of this agent, by `NAME`")
	flags.BoolVar(&r.yes, "yes", false, "do not ask before contacts are sent again that may have been contacted")
	flags.BoolVar(&r.dryRun, "dry-run", false, "only say how many it would be")
	return cmd
}

// when takes the times that were asked for.
func (r *rerun) when(startAt, since string) (err error) {
	if startAt != "" {
		if r.sel.StartAt, err = hours.ParseTime(startAt, ""); err != nil {
			return cli.Usagef("--start-at: %w", err)
		}
		if !r.sel.StartAt.After(time.Now()) {
			return cli.Usagef("--start-at: %s is over", startAt)
		}
	}
	if since != "" {
		if r.since, err = cli.ParseDays(since); err != nil {
			return cli.Usagef("--since: %w", err)
		}
	} else if r.agent != "" {
		return cli.Usagef("--agent: it needs --since")
	}
	return nil
}

// take takes the states that were asked for.
func (r *rerun) take(states []string) error {
	for _, text := range states {
		state, err := campaign.ParseState(text)
		switch {
		case err == nil && state == campaign.Ended && !r.sel.ByOutcome():
			return cli.Usagef("--state ended: say with --where what the conversations came to")
		case err != nil || state != campaign.Ended && !slices.Contains(jobs.Rerunnable, state):
			return cli.Usagef("--state %q: want %s, or ended with --where", text, campaign.OneOf(jobs.Rerunnable))
		}
		r.sel.States = append(r.sel.States, state)
	}
	return nil
}

// A rerunOf is what a rerun of one campaign has come to.
type rerunOf struct {
	Campaign string         `json:"campaign"`
	Contacts int            `json:"contacts"`
	LeftOut  int            `json:"left_out"` // they have used up their attempts over all runs
	Reached  int            `json:"may_have_been_reached"`
	DryRun   bool           `json:"dry_run,omitempty"`
	State    campaign.Phase `json:"state"`
	Error    string         `json:"error,omitempty"` // why it was left out, or a part of it

	settings campaign.Settings
}

func (r *rerun) run(ctx context.Context, names []string) error {
	st, err := r.app.store(ctx)
	if err != nil {
		return err
	}
	if r.since == 0 && len(names) == 1 {
		one, err := r.one(ctx, st, names[0], r.sel)
		if err != nil && !isUndone(err) {
			return err
		}
		return cmp.Or(r.app.print(one, one.text()), err)
	}
	r.several = true
	all := struct {
		Campaigns []rerunOf `json:"campaigns"`
		Contacts  int       `json:"contacts"`
		LeftOut   int       `json:"left_out"`
		Reached   int       `json:"may_have_been_reached"`
		DryRun    bool      `json:"dry_run,omitempty"`
	}{Campaigns: []rerunOf{}, DryRun: r.dryRun}
	if r.since > 0 {
		if names, err = r.made(ctx, st, names); err != nil {
			return err
		}
	}
	var text strings.Builder
	failed := 0
	for _, name := range names {
		sel := r.sel
		if sel.Limit > 0 {
			if sel.Limit -= all.Contacts; sel.Limit == 0 {
				break
			}
		}
		one, err := r.one(ctx, st, name, sel)
		if err != nil {
			failed++
			one.Error = err.Error()
			r.app.note(fmt.Sprintf("%s is left out: %v", name, err))
		} else if one.Contacts == 0 && one.LeftOut == 0 {
			continue
		}
		all.Campaigns = append(all.Campaigns, one)
		all.Contacts, all.LeftOut, all.Reached = all.Contacts+one.Contacts, all.LeftOut+one.LeftOut, all.Reached+one.Reached
		if err == nil || one.Contacts > 0 {
			text.WriteString(one.text())
		}
	}
	fmt.Fprintf(&text, "%s of %s\n", cli.Count(all.Contacts, "contact", "contacts"), cli.Count(len(all.Campaigns)-failed, "campaign", "campaigns"))
	if err := r.app.print(all, text.String()); err != nil || failed == 0 {
		return err
	}
	return fmt.Errorf("%s could not be rerun as a whole", cli.Count(failed, "campaign", "campaigns"))
}

// made adds the names of campaigns that were made since, the oldest first.
func (r *rerun) made(ctx context.Context, st *store.Store, named []string) ([]string, error) {
	now, err := st.Now(ctx)
	if err != nil {
		return nil, err
	}
	names, err := st.Names(ctx)
	if err != nil {
		return nil, err
	}
	all, err := st.ReadAll(ctx, names)
	if err != nil {
		return nil, err
	}
	at := make(map[string]time.Time)
	for _, c := range all {
		if c.Err != nil || c.Phase == campaign.Loading || c.Kept() != nil || c.CreatedAt.Before(now.Add(-r.since)) ||
			r.agent != "" && c.Settings.Agent != r.agent || slices.Contains(named, c.Name) {
			continue
		}
		at[c.Name] = c.CreatedAt
	}
	since := slices.SortedFunc(maps.Keys(at), func(a, b string) int { return cmp.Or(at[a].Compare(at[b]), cmp.Compare(a, b)) })
	return append(slices.Clone(named), since...), nil
}

// of names a campaign where several are sent again.
func (r *rerun) of(name string) string {
	if r.several {
		return " (" + name + ")"
	}
	return ""
}

func isUndone(err error) bool { undone := (*jobs.UndoneError)(nil); return errors.As(err, &undone) }

// one sends again to contacts of one campaign. An undone error comes with what was done.
func (r *rerun) one(ctx context.Context, st *store.Store, name string, sel jobs.Selection) (rerunOf, error) {
	queue, one := jobs.NewQueue(st, nil).By(r.app.as.By()), rerunOf{Campaign: name, DryRun: r.dryRun}
	before, err := st.Campaign(ctx, name)
	if err != nil {
		return one, err
	}
	now, err := st.Now(ctx)
	if err != nil {
		return one, err
	}
	done, left := queue.Survey(ctx, name, sel)
	if left != nil && !isUndone(left) {
		return one, left
	}
	if n := done.MayHaveBeenReached; n > 0 {
		r.app.note(fmt.Sprintf("warning: %s may have been contacted already; those who were are contacted twice%s", cli.Count(n, "contact", "contacts"), r.of(name)))
		if !r.dryRun && !r.yes {
			if cli.IsTerminal(r.app.stdin) { // a person does not agree to what comes while they think
				sel.Seen = &jobs.Seen{Contacts: done.Contacts, Run: before.Run, Until: now}
			}
			if err := cli.Confirm(r.app.stdin, r.app.stderr, name, "send to them again"); err != nil {
				return one, err
			}
		}
	}
	if !r.dryRun {
		if done, left = queue.Rerun(ctx, name, sel); left != nil && !isUndone(left) {
			return one, left
		}
	}
	c, err := st.Campaign(ctx, name)
	if err != nil {
		return one, err
	}
	tally, err := st.Tally(ctx, name)
	if err != nil {
		return one, err
	}
	one.Contacts, one.LeftOut, one.Reached, one.settings = done.Contacts, done.UsedUp, done.MayHaveBeenReached, c.Settings
	switch one.State = tally.Phase(c.Phase); {
	case r.dryRun || done.Contacts == 0:
	case c.Approval.Wanted:
		r.app.note(name + ": " + c.Approval.Waits(name).String())
	case one.State == campaign.Paused:
		r.app.note(fmt.Sprintf("%s is paused: 'campaign resume %s' lets it go on", name, name))
	case one.State == campaign.Scheduled && !sel.StartAt.IsZero():
		r.app.note(fmt.Sprintf("%s starts at %s", name, c.Settings.StartAt.UTC().Format(time.RFC3339)))
	case one.State == campaign.Ready || one.State == campaign.Scheduled:
		r.app.note(fmt.Sprintf("%s is %s: 'campaign start %s' lets it go on", name, one.State, name))
	case !slices.Contains(r.noted, c.Settings.Agent):
		r.noted = append(r.noted, c.Settings.Agent)
		r.app.noteWorkers(ctx, st, c.Settings.Agent, c.Settings.WebhookURL != "")
	}
	return one, left
}

func (o rerunOf) text() string {
	verb := "to be"
	if o.DryRun {
		verb = "would be"
	}
	text := fmt.Sprintf("%s of %s %s sent again; the campaign is %s\n", cli.Count(o.Contacts, "contact", "contacts"), o.Campaign, verb, o.State)
	if o.LeftOut > 0 {
		text += fmt.Sprintf("%s left out: %s over all runs are used up\n", cli.Count(o.LeftOut, "contact is", "contacts are"),
			cli.Count(o.settings.MostAttempts(), "attempt", "attempts"))
	}
	return text
}
