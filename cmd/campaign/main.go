// Command campaign shows campaigns and their contacts, and starts, pauses, changes and
// ends them.
package main

import (
	"context"
	"fmt"
	"io"
	_ "time/tzdata" // the machine may have none

	"github.com/spf13/cobra"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/jobs"
)

func main() { cli.Main("campaign", run) }

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) error {
	stdin = cli.Interruptible(ctx, stdin)
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr, getenv: getenv}
	root := &cobra.Command{
		Use:   "campaign",
		Short: "See and steer campaigns",
		Long: `See and steer campaigns.

Results go to stdout, progress and remarks to stderr. Exit code 0: done, 1: failed,
2: wrong usage, 3: done, but not for everybody, as 'watch' of a campaign that ended with
rejected, failed or unconfirmed contacts, 130: interrupted.`,
	}
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print one JSON object on one line")
	a.as.Add(root.PersistentFlags())
	root.AddCommand(
		a.list(), a.show(), a.watch(), a.plan(), a.log(), a.verify(), a.report(), a.results(), a.rejects(),
		a.start(), a.pause(), a.resume(), a.cancel(), a.set(), a.resolve(), a.purge(),
		a.approve(), a.policy(),
		a.events(), a.tickets(), a.person(), a.suppress(), a.agents(), a.user(), a.askPlatform(),
	)
	cli.Document(root, cli.RedisURL)
	return cli.Execute(ctx, root, args, stdin, stdout, stderr, getenv)
}

// app holds what the subcommands share.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	json, csv      bool
	as             cli.As
}

// queue acts in the name of who has called the command.
func (a *app) queue(s *store.Store) *jobs.Queue { return jobs.NewQueue(s, nil).By(a.as.By()) }

// on makes a subcommand about one campaign.
func (a *app) on(verb, short string, run func(ctx context.Context, s *store.Store, name string) error) *cobra.Command {
	return &cobra.Command{
		Use:   verb + " NAME",
		Short: short,
		Args:  oneName(verb, "campaign", campaign.CheckName),
		RunE:  a.withStore(func(ctx context.Context, s *store.Store, args []string) error { return run(ctx, s, args[0]) }),
	}
}

// onLoaded is on for a campaign that must be there; run gets it as it stands.
func (a *app) onLoaded(verb, short string, run func(context.Context, *store.Store, campaign.Campaign) error) *cobra.Command {
	return a.on(verb, short, func(ctx context.Context, s *store.Store, name string) error {
		c, err := s.Campaign(ctx, name)
		if err != nil {
			return err
		}
		return run(ctx, s, c)
	})
}

// oneName checks the only argument of a subcommand: the name of a campaign or an agent.
func oneName(verb, what string, check func(string) error) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("%s: want the name of one %s, have %d", verb, what, len(args))
		}
		return check(args[0])
	}
}

// withStore opens the store for run.
func (a *app) withStore(run func(ctx context.Context, s *store.Store, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		rdb, err := cli.OpenRedis(cmd.Context(), a.getenv)
		if err != nil {
			return err
		}
		defer rdb.Close()
		return run(cmd.Context(), store.New(rdb), args)
	}
}

// note prints a remark to stderr.
func (a *app) note(text string) { cli.Note(a.stderr, "campaign", text) }

// print prints a result: v with --json, otherwise text.
func (a *app) print(v any, text string) error { return cli.Print(a.stdout, a.json, v, text) }
