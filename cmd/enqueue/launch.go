package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
	"campaign-runner/campaign/launch"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/jobs"
	"campaign-runner/ratelimit"
)

const launchHelp = `Start a campaign from a contact file whose first line names the columns: CSV as
Excel and others write it, an .xlsx workbook, a .csv.gz, a .zip with one of them, or
- for the standard input. Its encoding and delimiter are detected. One column is the
phone; columns named like the agent's values, in any case, go with each contact. Of
results of a campaign, the columns that tell what became of each contact stay behind.

--where, --sample, --limit and --not-in choose some of the rows; the others are counted
and listed as not chosen. With --from the contacts are those of another campaign, as
'--from spring --where ended.no_answer' takes those who did not answer.

The platform is asked first whether it takes the token and which values the agent
wants. Nobody is contacted before the whole file is stored. The same command can be
run again at any time: after an interruption it starts the load again; after success
it changes nothing and prints the same summary.

The summary goes to stdout, progress and remarks to stderr. Exit code 0: done,
1: failed, 2: wrong usage, 3: done, but lines of the file were refused,
130: interrupted.`

type launchFlags struct {
	agentFlags
	requestFlags
	skipPreflight bool
}

func (a *app) enqueue() *cobra.Command {
	var f launchFlags
	cmd := &cobra.Command{
		Use:   "enqueue CONTACTS|--from CAMPAIGN --name NAME --channel CHANNEL",
		Short: "Start a campaign from a contact file, or from another campaign's contacts",
		Long:  launchHelp,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) > 0 && f.From != "":
				return errors.New("want a contact file or --from, not both")
			case len(args) != 1 && f.From == "":
				return fmt.Errorf("want one contact file, have %d arguments", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				f.File = args[0]
			}
			f.Stdin = cmd.InOrStdin()
			if err := a.apply(&f, cmd.Flags().Changed); err != nil {
				return cli.Usage(err)
			}
			return a.launch(cmd.Context(), f)
		},
	}
	a.addFlags(&f, cmd.Flags())
	for _, required := range []string{"name", "channel"} {
		_ = cmd.MarkFlagRequired(required) // fails on unknown flags only
	}
	return cmd
}

func (a *app) addFlags(f *launchFlags, flags *pflag.FlagSet) {
	flags.SortFlags = false
	flags.StringVar(&f.Name, "name", "", "`NAME` of the campaign, which no other may have")
	a.addSettings(&f.agentFlags, flags, campaign.LaunchSettings())
	cli.Bind(flags, "strict-5xx", "VELENTS_STRICT_5XX")
	flags.StringVar(&f.From, "from", "", "take the contacts of this `CAMPAIGN` in place of a file; --where then takes the rules of 'campaign results'")
	f.requestFlags.add(flags)
	flags.StringToStringVar(&f.Mapping.Columns, "map", nil, "`COLUMN=KEY`: the column fills the agent's value; may be repeated")
	flags.StringToStringVar(&f.Mapping.Constants, "set", nil, "`KEY=VALUE`: every contact has this value; may be repeated")
	flags.Lookup("map").DefValue, flags.Lookup("set").DefValue = "", "" // not []
	flags.BoolVar(&f.Mapping.SendExtra, "send-extra", false, "send columns that the agent does not ask for, too")
	flags.StringVar(&f.RejectsFile, "rejects", "", "`FILE` for refused lines (default NAME-rejects.csv; '' for none)")
	flags.BoolVar(&f.DryRun, "dry-run", false, "do everything except storing, and do not ask Redis: the do-not-contact list is not known")
	flags.BoolVar(&f.skipPreflight, "skip-preflight", false, "do not ask the platform first; every column is sent")
}

// apply makes a request of the flags, and refuses what must not wait until the
// campaign is loaded.
func (a *app) apply(f *launchFlags, given func(flag string) bool) (err error) {
	if f.Settings, err = campaign.NewSettings(f.Given); err != nil {
		return err
	}
	f.Settings.WebhookURL = cli.WebhookURL.Get(a.getenv)
	parse := campaign.ParseFileRule
	if f.From != "" {
		parse = campaign.ParseRule
	}
	if err := f.choose(given, parse); err != nil {
		return err
	}
	if !given("rejects") {
		f.RejectsFile = f.Name + "-rejects.csv"
	} else if dir, err := os.Stat(filepath.Dir(f.RejectsFile)); err != nil || !dir.IsDir() {
		return fmt.Errorf("--rejects %s: no such directory", f.RejectsFile)
	}
	return f.Check()
}

func (a *app) launch(ctx context.Context, f launchFlags) (err error) {
	l := &launch.Launcher{Rate: f.rate, Note: a.note}
	if !f.skipPreflight {
		if l, err = a.launcher(ctx, f.Settings.Agent, f.rate); err != nil {
			return err
		}
	}
	if !f.DryRun || f.From != "" || len(f.Choice.NotIn) > 0 {
		st, err := a.store(ctx)
		if err != nil {
			return err
		}
		l.Store, l.Queue, l.By, l.Beside = st, jobs.NewQueue(st, nil).By(a.as.By()), a.as.By(), report.Beside(st)
	}
	return a.finish(ctx, l, f.Request, l.Launch)
}

// finish launches or appends, and prints what came of it.
func (a *app) finish(ctx context.Context, l *launch.Launcher, req launch.Request, launchOrAppend func(context.Context, launch.Request) (launch.Summary, error)) error {
	bar := newProgress(a.stderr, a.json)
	l.Progress = bar.show
	sum, err := launchOrAppend(ctx, req)
	bar.close()
	var unfinished *launch.UnfinishedError
	switch {
	case errors.As(err, &unfinished) && errors.Is(err, context.Canceled):
		return cli.Interruptedf("interrupted: %s", unfinished.Left())
	case err != nil:
		return a.explain(err, req.Settings.Agent)
	}
	result := outputOf(sum)
	if err := a.print(result, result.String()); err != nil {
		return err
	}
	if !a.json {
		for _, warning := range sum.Warnings {
			a.note("warning: " + warning)
		}
	}
	if sum.State == campaign.Running {
		a.noteWorkers(ctx, l.Store, sum.Agent, sum.Listens)
	}
	if refused := sum.Rows - sum.Contacts - sum.NotChosen; refused > 0 {
		return cli.Partialf("%s not used: see %s", cli.Count(refused, "line was", "lines were"),
			rejectsAt(sum))
	}
	return nil
}

// rejectsAt says where the refused lines are.
func rejectsAt(sum launch.Summary) string {
	switch {
	case sum.RejectsFile != "":
		return sum.RejectsFile
	case sum.DryRun:
		return "them with --rejects FILE"
	}
	return "'campaign rejects " + sum.Campaign + "'"
}

// noteWorkers warns when no worker serves the agent, or its events are not heard.
func (a *app) noteWorkers(ctx context.Context, st launch.Store, agent string, listens bool) {
	workers, err := st.Workers(ctx)
	if err != nil {
		return
	}
	if !slices.ContainsFunc(workers, func(w store.Worker) bool { return slices.Contains(w.Agents, agent) }) {
		a.note("no worker serves the agent '" + agent + "' now: start one with 'worker'")
	}
	if why := report.Hearing(listens, agent, workers); !why.IsZero() {
		a.note("warning: its events: " + why.String())
	}
}

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
			f.Name, f.File, f.Stdin = args[0], args[1], cmd.InOrStdin()
			if err := cmp.Or(campaign.CheckName(f.Name), f.choose(cmd.Flags().Changed, campaign.ParseFileRule), f.Apply(&f.Settings)); err != nil {
				return cli.Usage(err)
			}
			if !cmd.Flags().Changed("rejects") {
				f.RejectsFile = appendRejects(f.Name, f.File)
			}
			st, err := a.store(cmd.Context())
			if err != nil {
				return err
			}
			l := &launch.Launcher{Store: st, Queue: jobs.NewQueue(st, nil).By(a.as.By()), By: a.as.By(), Beside: report.Beside(st), Rate: f.rate, Note: a.note}
			return a.finish(cmd.Context(), l, f.Request, l.Append)
		},
	}
	f.add(cmd.Flags())
	return cmd
}

type appendFlags struct {
	cli.SettingFlags
	requestFlags
	rate ratelimit.Rate
}

func (f *appendFlags) add(flags *pflag.FlagSet) {
	flags.SortFlags = false
	f.Add(flags, campaign.LaunchSettings("phone-column"))
	flags.Lookup("phone-column").Usage = "column with the numbers (default: the campaign's); may be repeated, in order of preference"
	f.requestFlags.add(flags)
	flags.StringVar(&f.RejectsFile, "rejects", "", "`FILE` for refused lines (default that of the contacts, with -rejects; '' for none)")
	flags.BoolVar(&f.DryRun, "dry-run", false, "do everything except storing; the do-not-contact list is not known")
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

// requestFlags are those that enqueue and append have in common: how the contact file is
// written, where it does not tell itself, and which of its rows, or which contacts of a
// campaign, are taken.
type requestFlags struct {
	launch.Request
	where []string
}

func (f *requestFlags) add(flags *pflag.FlagSet) {
	flags.Func("encoding", "`ENCODING` of the file: "+campaign.OneOf(contacts.Encodings)+" (default: found out)", func(text string) (err error) {
		f.Format.Encoding, err = contacts.ParseEncoding(text)
		return err
	})
	flags.Func("delimiter", "`DELIMITER` between cells: comma, semicolon, tab, pipe or an ASCII character (default: found out)", func(text string) (err error) {
		f.Format.Delimiter, err = contacts.ParseDelimiter(text)
		return err
	})
	flags.IntVar(&f.Format.HeaderLine, "header-line", 0, "`LINE` that names the columns (default: the first, or one soon below a title)")
	flags.StringVar(&f.Format.Sheet, "sheet", "", "`NAME` of the workbook's sheet, or its number (default: the first that is not hidden)")
	flags.BoolVar(&f.Format.AllSheets, "all-sheets", false, "read all sheets that are not hidden; they must have the same columns")
	flags.BoolVar(&f.Format.SkipHiddenRows, "skip-hidden-rows", false, "refuse rows that are hidden in the sheet, by a filter or by hand")
	flags.StringArrayVar(&f.where, "where", nil, "take only rows for which this `RULE` holds: COLUMN=VALUE or COLUMN!=VALUE; may be repeated, and then all must hold")
	flags.IntVar(&f.Choice.Sample, "sample", 0, "take this many `CONTACTS`, spread over the list; the same ones each time")
	flags.IntVar(&f.Choice.Limit, "limit", 0, "take this many `CONTACTS` from the beginning")
	flags.StringArrayVar(&f.Choice.NotIn, "not-in", nil, "leave out the contacts of this `CAMPAIGN`; may be repeated")
	flags.StringArrayVar(&f.Suppress, "suppress", nil, "`FILE` of numbers that must not be contacted; may be repeated")
}

// choose checks and completes the choice of rows; parse reads a rule.
func (f *requestFlags) choose(given func(flag string) bool, parse func(string) (campaign.Rule, error)) (err error) {
	for flag, n := range map[string]int{"sample": f.Choice.Sample, "limit": f.Choice.Limit} {
		if given(flag) && n < 1 {
			return fmt.Errorf("--%s %d: want 1 or more contacts", flag, n)
		}
	}
	if f.Choice.Where, err = campaign.ParseRules(f.where, parse); err != nil {
		return fmt.Errorf("--where %w", err)
	}
	return nil
}
