package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/jobs"
)

// A together is what a command does to all campaigns at once.
type together struct {
	verb, did string // "Pause", "paused"
	none      string // said when there is nothing to do
	find      func(*jobs.Queue, context.Context, string) (jobs.Together, error)
	do        func(*jobs.Queue, context.Context, string) (jobs.Together, error)
	left      func(jobs.Left) string // what is said of one that is left as it is
	yes       *bool                  // of a command that asks about one, too: not to ask; else nil
}

// orAll lets a command about one campaign take --all instead of a name.
func (a *app) orAll(cmd *cobra.Command, t together) *cobra.Command {
	var all bool
	var agent string
	flags := cmd.Flags()
	flags.BoolVar(&all, "all", false, "all campaigns at once, instead of one by name")
	flags.StringVar(&agent, "agent", "", "with --all: only those of this `NAME`")
	asksOfOne := t.yes != nil
	if !asksOfOne {
		t.yes = flags.Bool("yes", false, "with --all: do not ask")
	}
	name, one, verb := cmd.Args, cmd.RunE, strings.ToLower(t.verb)
	cmd.Use = verb + " NAME | --all"
	cmd.Args = func(cmd *cobra.Command, args []string) (err error) {
		switch {
		case all && len(args) > 0:
			return fmt.Errorf("%s: want the name of one campaign or --all, not both", verb)
		case !all && agent != "":
			return fmt.Errorf("%s: --agent goes with --all", verb)
		case !all && *t.yes && !asksOfOne:
			return fmt.Errorf("%s: --yes goes with --all", verb)
		case all && agent != "":
			agent, err = campaign.AgentName(agent)
			return err
		case all:
			return nil
		}
		return name(cmd, args)
	}
	every := a.withStore(func(ctx context.Context, s *store.Store, _ []string) error { return a.together(ctx, s, t, agent) })
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if all {
			return every(cmd, args)
		}
		return one(cmd, args)
	}
	return cmd
}

// namesTold is how many campaigns are named; --json has them all.
const namesTold = 10

func (a *app) together(ctx context.Context, s *store.Store, t together, agent string) error {
	q := a.queue(s)
	found, err := t.find(q, ctx, agent)
	if err != nil && len(found.Campaigns) == 0 {
		return err
	}
	if len(found.Campaigns) > 0 && !*t.yes {
		text := fmt.Sprintf("%s %s: %s", t.verb, cli.Count(len(found.Campaigns), "campaign", "campaigns"), named(found.Campaigns))
		if !cli.IsTerminal(a.stdin) {
			a.note(text)
		} else if err := a.agrees(text, "nothing was changed"); err != nil {
			return err
		}
	}
	done, err := t.do(q, ctx, agent)
	if err != nil && len(done.Campaigns) == 0 {
		return err
	}
	text := t.none + "\n"
	if n := len(done.Campaigns); n > 0 {
		text = fmt.Sprintf("%s %s: %s\n", cli.Count(n, "campaign is", "campaigns are"), t.did, named(done.Campaigns))
	}
	for i, l := range done.Left {
		if i == namesTold {
			a.note(fmt.Sprintf("and %d more", len(done.Left)-i))
			break
		}
		a.note(t.left(l))
	}
	printed := a.print(struct {
		Campaigns []string    `json:"campaigns"`
		Left      []jobs.Left `json:"left"`
	}{append([]string{}, done.Campaigns...), append([]jobs.Left{}, done.Left...)}, text)
	return errors.Join(printed, err)
}

// agrees asks for a yes on the terminal; without one it says what has not been done.
func (a *app) agrees(to, undone string) error {
	typed, err := cli.Ask(a.stdin, a.stderr, to+"? [y/N] ")
	if answer := strings.ToLower(typed); err == nil && answer != "y" && answer != "yes" {
		err = errors.New(undone)
	}
	return err
}

// named is a list of names, cut where it is long.
func named(names []string) string {
	if more := len(names) - namesTold; more > 0 {
		return strings.Join(names[:namesTold], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(names, ", ")
}
