package main

import (
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"campaign-runner/campaign"
	"campaign-runner/campaign/launch"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/jobs"
	"campaign-runner/ratelimit"
)

func (a *app) append() *cobra.Command {
	var f appendFlags
	cmd := &cobra.Command{
		Use:   "append NAME CONTACTS",
		Short: "Add contacts to a campaign, such as its corrected rejects",
		Long: `Add the contacts of a file to a campaign: its rejects once they are corrected, or any
file with the campaign's columns, in any order. Numbers that are in the campaign
already are duplicates. A campaign that is finished or canceled runs again.

Nobody in the file is contacted before all of it is stored. The same command can be run
again at any time: after an interruption it starts again; after success it changes
nothing.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			req := &f.request
			req.Name, req.File, req.Stdin, req.Format = args[0], args[1], cmd.InOrStdin(), f.file.format
			if err := campaign.CheckName(req.Name); err != nil {
				return cli.Usage(err)
			}
			var err error
			if req.Choice, err = f.choose.choice(cmd.Flags().Changed, campaign.ParseFileRule); err != nil {
				return cli.Usage(err)
			}
			if err := f.Apply(&req.Settings); err != nil {
				return cli.Usage(err)
			}
			if !cmd.Flags().Changed("rejects") {
				req.RejectsFile = appendRejects(req.Name, req.File)
			}
			return a.withStore(cmd.Context(), func(st *store.Store) error {
				l := &launch.Launcher{Store: st, Queue: jobs.NewQueue(st, nil), Rate: f.rate, Note: a.note}
				return a.finish(cmd.Context(), l, f.request, l.Append)
			})
		},
	}
	f.add(cmd.Flags())
	return cmd
}

type appendFlags struct {
	cli.SettingFlags
	request launch.Request
	file    fileFlags
	choose  chooseFlags
	rate    ratelimit.Rate
}

func (f *appendFlags) add(flags *pflag.FlagSet) {
	flags.SortFlags = false
	f.Add(flags, campaign.LaunchSettings("phone-column"))
	flags.Lookup("phone-column").Usage = "column with the numbers (default: the campaign's); may be repeated, in order of preference"
	f.file.add(flags)
	f.choose.add(flags)
	flags.StringArrayVar(&f.request.Suppress, "suppress", nil, "`FILE` of numbers that must not be contacted; may be repeated")
	flags.StringVar(&f.request.RejectsFile, "rejects", "", "`FILE` for refused lines (default that of the contacts, with -rejects; '' for none)")
	flags.BoolVar(&f.request.DryRun, "dry-run", false, "do everything except storing; the do-not-contact list is not known")
	rateFlag(flags, &f.rate, "requests per window, for the estimate: 30/60s, or none")
}

// appendRejects is where refused lines go: beside the file, never into it.
func appendRejects(name, file string) string {
	if file == "-" {
		file = name + "-more"
	}
	base := strings.TrimSuffix(filepath.Base(file), ".gz")
	return strings.TrimSuffix(base, filepath.Ext(base)) + "-rejects.csv"
}
