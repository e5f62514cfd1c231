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
)

func main() { cli.Main("campaign", run) }

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) error {
	a := &app{stdout: stdout, stderr: stderr, getenv: getenv}
	root := &cobra.Command{
		Use:   "campaign",
		Short: "See and steer campaigns",
		Long: `See and steer campaigns.

Results go to stdout, progress and remarks to stderr. Exit code 0: done, 1: failed,
2: wrong usage, 3: 'watch' ended with rejected, failed or unconfirmed contacts,
130: interrupted.`,
	}
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print one JSON object on one line")
	root.AddCommand(
		a.list(), a.show(), a.watch(),
		a.results(), a.rejects(),
		a.start(), a.pause(), a.resume(), a.cancel(), a.set(), a.resolve(), a.verify(), a.plan(), a.log(), a.events(), a.purge(), a.suppress(),
		a.tickets(), a.askPlatform(), a.agents(),
	)
	cli.Document(root, cli.RedisURL)
	return cli.Execute(ctx, root, args, stdin, stdout, stderr, getenv)
}

// app holds what the subcommands share.
type app struct {
	stdout, stderr io.Writer
	getenv         func(string) string
	json, csv      bool
}

// on makes a subcommand about one campaign.
func (a *app) on(verb, short string, run func(ctx context.Context, s *store.Store, name string) error) *cobra.Command {
	return &cobra.Command{
		Use:   verb + " NAME",
		Short: short,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("%s: want the name of one campaign, have %d", verb, len(args))
			}
			return campaign.CheckName(args[0])
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withStore(cmd.Context(), func(s *store.Store) error { return run(cmd.Context(), s, args[0]) })
		},
	}
}

func (a *app) withStore(ctx context.Context, run func(*store.Store) error) error {
	rdb, err := cli.OpenRedis(ctx, a.getenv)
	if err != nil {
		return err
	}
	defer rdb.Close()
	return run(store.New(rdb))
}

// note prints a remark to stderr.
func (a *app) note(text string) { fmt.Fprintln(a.stderr, "campaign:", text) }

// print prints a result: v with --json, otherwise text.
func (a *app) print(v any, text string) error {
	if a.json {
		return cli.PrintJSON(a.stdout, v)
	}
	if _, err := io.WriteString(a.stdout, text); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}
