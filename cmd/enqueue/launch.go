package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"campaign-runner/campaign"
	"campaign-runner/campaign/launch"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/jobs"
)

const launchHelp = `Start a campaign from a contact file whose first line names the columns: CSV as
Excel and others write it, an .xlsx workbook, a .csv.gz, a .zip with one of them, or
- for the standard input. How it is written is found out and told. One column is the
phone; those named like the agent's values, in any case, go with each contact.

Of the rows --where, --sample, --limit and --not-in take some; the others are counted
and listed as not chosen. With --from the contacts are those of another campaign, as
'--from spring --where ended.no_answer' takes those who did not answer.

The platform is asked first whether it takes the token and which values the agent
wants. Nobody is contacted before the whole file is stored. The same command may
be run again at any time: interrupted, it starts the load anew; after success it
changes nothing and prints the same summary.

The summary goes to stdout, progress and remarks to stderr. Exit code 0: done,
1: failed, 2: wrong usage, 3: done, but lines of the file were refused,
130: interrupted.`

// defaultMaxTickets keeps a campaign of which everybody failed from filling the
// Support Center.
const defaultMaxTickets = 1000

type launchFlags struct {
	agentFlags
	request       launch.Request
	file          fileFlags
	choose        chooseFlags
	ticketRules   []string
	when          whenFlags
	steer         cli.SteerFlags
	canaryGoOn    shareFlag
	channel       string
	mode          string
	skipPreflight bool
}

func (a *app) enqueue() *cobra.Command {
	var f launchFlags
	settings := &f.request.Settings
	cmd := &cobra.Command{
		Use:   "enqueue CONTACTS|--from CAMPAIGN --name NAME --channel voice|whatsapp|ID",
		Short: "Start a campaign from a contact file, or from another campaign's contacts",
		Long:  launchHelp,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) > 0 && f.request.From != "":
				return errors.New("want a contact file or --from, not both")
			case len(args) != 1 && f.request.From == "":
				return fmt.Errorf("want one contact file, have %d arguments", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				f.request.File = args[0]
			}
			f.request.Stdin = cmd.InOrStdin()
			if err := f.settle(cmd.Flags().Changed); err != nil {
				return cli.Usage(err)
			}
			return a.launch(cmd.Context(), f)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.request.Name, "name", "", "`NAME` of the campaign, which nothing else may have")
	flags.StringVar(&f.channel, "channel", "", channelUsage)
	f.agentFlags.add(flags)
	flags.StringVar(&f.mode, "mode", string(campaign.Batch), "batch: one request carries a chunk; dispatch: one contact")
	flags.IntVar(&settings.ChunkSize, "chunk-size", 0, "contacts per chunk (default 500, in dispatch mode 50)")
	flags.StringVar(&settings.Region, "region", "", "country of numbers without a country code, such as SA")
	cli.PhoneColumnFlag(flags, &settings.Reading, "the one with a common name")
	cli.CountryColumnFlags(flags, &settings.Reading)
	flags.BoolVar(&settings.Reading.StrictNumbers, "strict-numbers", false, "refuse doubtful numbers: in no known range, or of a country that was guessed")
	flags.Var((*twoNumbersFlag)(&settings.Reading.FirstOfTwo), "two-numbers", "what to do with two numbers in one cell: refuse the line, or take the first")
	f.file.add(flags)
	flags.StringVar(&f.request.From, "from", "", "take the contacts of this `CAMPAIGN` in place of a file; --where then takes the rules of 'campaign results'")
	f.choose.add(flags)
	flags.StringToStringVar(&f.request.Mapping.Columns, "map", nil, "`COLUMN=KEY`: the column fills the agent's value; may be repeated")
	flags.StringToStringVar(&f.request.Mapping.Constants, "set", nil, "`KEY=VALUE`: every contact has this value; may be repeated")
	flags.BoolVar(&f.request.Mapping.SendExtra, "send-extra", false, "send columns that the agent does not ask for, too")
	flags.StringArrayVar(&f.request.Suppress, "suppress", nil, "`FILE` of numbers that must not be contacted; may be repeated")
	flags.Var(&daysFlag{&settings.KeepDays, campaign.MaxKeepDays}, "keep-for", "purge what tells of people so many days after the campaign is over: 30d (default: never)")
	flags.Var(&daysFlag{&settings.SkipContactedDays, campaign.MaxContactedDays}, "skip-contacted-within", "leave out whoever any campaign contacted within so many days: 7d")
	flags.BoolVar(&settings.Unrecorded, "no-record", false, "do not record who was contacted, for --skip-contacted-within of others")
	flags.BoolVar(&settings.NoHistory, "no-history", false, "do not keep what was said in the conversations, only what the agent learned")
	f.when.add(flags)
	flags.IntVar(&settings.Canary, "canary", 0, "send the first so many `CONTACTS`, then wait for 'campaign start'")
	flags.Var(&f.canaryGoOn, "canary-go-on", "go on by itself unless more than this share of the canary, such as 5%, is rejected, failed or unconfirmed")
	f.steer.Add(flags)
	flags.IntVar(&settings.MaxAttempts, "max-attempts", 5, "requests per contact, the first included")
	cli.AddRetry5xx(flags, &settings.Retry5xx)
	flags.StringArrayVar(&settings.OptOutWhen, "optout-when", nil, "never contact again, by any campaign, of whom the agent learns extraction.KEY=VALUE, as `RULE`; may be repeated")
	flags.BoolVar(&settings.NoStopWords, "no-stop-words", false, "STOP and the like as an answer puts nobody on the do-not-contact list")
	flags.StringArrayVar(&f.ticketRules, "ticket-when", nil, "make a ticket in the Support Center of each contact with state=STATE or extraction.KEY=VALUE, as `RULE`; may be repeated")
	flags.StringToStringVar(&settings.TicketFields, "ticket-set", nil, "`KEY=VALUE`: a field of every ticket; may be repeated")
	flags.IntVar(&settings.MaxTickets, "max-tickets", defaultMaxTickets, "most tickets of this campaign")
	flags.StringVar(&f.request.RejectsFile, "rejects", "", "`FILE` for refused lines (default NAME-rejects.csv; '' for none)")
	flags.BoolVar(&f.request.DryRun, "dry-run", false, "do all but store, and ask Redis nothing: who is on the do-not-contact list is not known")
	flags.BoolVar(&f.skipPreflight, "skip-preflight", false, "do not ask the platform first; every column is sent")
	for flag, variable := range map[string]string{
		"channel": "VELENTS_CHANNEL", "mode": "VELENTS_MODE", "chunk-size": "VELENTS_CHUNK_SIZE", "region": "VELENTS_REGION",
		"max-attempts": "VELENTS_MAX_ATTEMPTS", "retry-5xx": "VELENTS_RETRY_5XX", "strict-5xx": "VELENTS_STRICT_5XX",
	} {
		cli.Bind(flags, flag, variable)
	}
	for _, required := range []string{"name", "channel"} {
		_ = cmd.MarkFlagRequired(required) // fails on unknown flags only
	}
	return cmd
}

// settle fills in what depends on which flags were given, and refuses what must
// not wait until the campaign is loaded.
func (f *launchFlags) settle(given func(flag string) bool) error {
	settings := &f.request.Settings
	for _, text := range f.ticketRules {
		rule, err := campaign.ParseTicketRule(text)
		if err != nil {
			return fmt.Errorf("--ticket-when: %w", err)
		}
		settings.TicketRules = append(settings.TicketRules, rule)
	}
	parse := campaign.ParseFileRule
	if f.request.From != "" {
		parse = campaign.ParseRule
	}
	var err error
	if f.request.Choice, err = f.choose.choice(given, parse); err != nil {
		return err
	}
	if len(settings.TicketRules) == 0 {
		if given("ticket-set") || given("max-tickets") {
			return errors.New("--ticket-set, --max-tickets: say with --ticket-when for whom")
		}
		settings.MaxTickets = 0
	}
	if !given("rejects") {
		f.request.RejectsFile = f.request.Name + "-rejects.csv"
	} else if dir, err := os.Stat(filepath.Dir(f.request.RejectsFile)); err != nil || !dir.IsDir() {
		return fmt.Errorf("--rejects %s: no such directory", f.request.RejectsFile)
	}
	if given("chunk-size") && f.request.Settings.ChunkSize == 0 {
		return fmt.Errorf("--chunk-size 0: want 1 to %d", campaign.MaxChunkSize)
	}
	if given("canary") && settings.Canary < 1 {
		return fmt.Errorf("--canary %d: want 1 or more contacts", settings.Canary)
	}
	if given("canary-go-on") {
		settings.CanaryGoOn = (*campaign.Share)(&f.canaryGoOn)
	}
	f.steer.Settle(settings)
	return f.when.settle(settings)
}

func (a *app) launch(ctx context.Context, f launchFlags) (err error) {
	s := &f.request.Settings
	s.Agent = string(f.agent)
	s.Mode = campaign.Mode(f.mode)
	s.Region = strings.ToUpper(s.Region)
	s.WebhookURL = cli.WebhookURL.Get(a.getenv)
	if len(s.OptOutWhen) > 0 && s.WebhookURL == "" {
		return cli.Usagef("--optout-when: set WEBHOOK_URL: without events nobody tells what the agent learns")
	}
	f.request.Format = f.file.format
	if s.ChannelID, err = a.channelID(f.channel); err != nil {
		return err
	}
	if err := f.request.Check(); err != nil {
		return cli.Usage(err)
	}
	l := &launch.Launcher{Rate: f.rate, Note: a.note}
	if !f.skipPreflight {
		if l, err = a.launcher(ctx, f.agentFlags); err != nil {
			return err
		}
	}
	if f.request.DryRun && f.request.From == "" && len(f.request.Choice.NotIn) == 0 {
		return a.finish(ctx, l, f, l.Launch)
	}
	return a.withStore(ctx, func(st *store.Store) error {
		l.Store, l.Queue = st, jobs.NewQueue(st, nil)
		return a.finish(ctx, l, f, l.Launch)
	})
}

// finish launches or appends, and prints what came of it.
func (a *app) finish(ctx context.Context, l *launch.Launcher, f launchFlags, launchOrAppend func(context.Context, launch.Request) (launch.Summary, error)) error {
	req := f.request
	bar := newProgress(a.stderr, a.json)
	l.Progress = bar.show
	sum, err := launchOrAppend(ctx, req)
	bar.close()
	var unfinished *launch.UnfinishedError
	switch {
	case errors.As(err, &unfinished) && unfinished.Append && errors.Is(err, context.Canceled):
		return cli.Interruptedf("interrupted: nobody of the file is added to %s; the same command starts anew", req.Name)
	case errors.As(err, &unfinished) && errors.Is(err, context.Canceled):
		return cli.Interruptedf("interrupted: %s is not loaded and nobody of it is contacted; the same command starts it anew", req.Name)
	case err != nil:
		return explain(err, f.agent)
	}
	if err := a.print(output(sum), text(sum)); err != nil {
		return err
	}
	if !a.json {
		for _, warning := range sum.Warnings {
			a.note("warning: " + warning)
		}
	}
	if sum.State == campaign.Running {
		a.noteWorkers(ctx, l.Store, sum.Agent)
	}
	if refused := sum.Rows - sum.Contacts - sum.NotChosen; refused > 0 {
		return cli.Partialf("%s not used: see %s", cli.Count(refused, "line was", "lines were"),
			rejectsAt(sum))
	}
	return nil
}

// rejectsAt is where the refused lines are to be found.
func rejectsAt(sum launch.Summary) string {
	switch {
	case sum.RejectsFile != "":
		return sum.RejectsFile
	case sum.DryRun:
		return "them with --rejects FILE"
	}
	return "'campaign rejects " + sum.Campaign + "'"
}

// noteWorkers says when nobody is there to send.
func (a *app) noteWorkers(ctx context.Context, st launch.Store, agent string) {
	workers, err := st.Workers(ctx)
	if err == nil && !slices.ContainsFunc(workers, func(w store.Worker) bool { return slices.Contains(w.Agents, agent) }) {
		a.note("no worker serves the agent '" + agent + "' now: start one with 'worker'")
	}
}

// daysFlag is a number of days: "7d", or hours, rounded up: "36h".
type daysFlag struct {
	days *int
	most int
}

func (d *daysFlag) Set(text string) error {
	unit := 24
	number, isDays := strings.CutSuffix(text, "d")
	if !isDays {
		number, unit = strings.TrimSuffix(text, "h"), 1
	}
	n, err := strconv.Atoi(number)
	if days := (n*unit + 23) / 24; err == nil && n > 0 && number != text && days <= d.most {
		*d.days = days
		return nil
	}
	return fmt.Errorf("want a time from 1h to %dd", d.most)
}

func (d *daysFlag) String() string {
	if d.days == nil || *d.days == 0 {
		return ""
	}
	return fmt.Sprintf("%dd", *d.days)
}
func (*daysFlag) Type() string { return "DAYS" }

// shareFlag is a share in per cent: "5%".
type shareFlag campaign.Share

func (s *shareFlag) Set(text string) error {
	share, err := campaign.ParseShare(text)
	*s = shareFlag(share)
	return err
}

func (s *shareFlag) String() string {
	if *s == 0 {
		return ""
	}
	return campaign.Share(*s).String()
}
func (*shareFlag) Type() string { return "SHARE" }
