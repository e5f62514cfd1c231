package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/jobs"
)

// suppressed is the result of a change to the do-not-contact list.
type suppressed struct {
	Numbers    int `json:"numbers"` // different numbers given
	Changed    int `json:"changed"` // numbers added, or removed
	Unreadable int `json:"unreadable"`

	NotRead []string `json:"not_read,omitempty"` // unreadable sheets of the workbook, each with why
}

func (a *app) suppress() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "suppress",
		Short: "The do-not-contact list: numbers that no campaign may contact",
		Long: `The do-not-contact list holds the numbers that no campaign may contact. It is checked
when a list is loaded, and again before each request. A contact that is put on it while
its campaign runs is canceled.`,
	}
	cmd.AddCommand(
		a.changeSuppressed("add", "Put numbers on the do-not-contact list", "put on the list", (*jobs.Queue).Suppress),
		a.changeSuppressed("remove", "Take numbers off the do-not-contact list", "taken off the list", (*jobs.Queue).Unsuppress),
		a.importSuppressed(), a.listSuppressed(),
	)
	return cmd
}

type changeList func(*jobs.Queue, context.Context, []campaign.Phone, string) (int, error)

func (a *app) changeSuppressed(verb, short, done string, change changeList) *cobra.Command {
	var region, reason string
	cmd := &cobra.Command{
		Use:   verb + " NUMBER...",
		Short: short,
		Long: short + `.

NUMBER may be - to read numbers from the standard input, one on each line, so that they
stand in no shell history and no list of processes.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			parser, err := contacts.NewPhoneParser(region)
			if err != nil {
				return cli.Usagef("--region: %w", err)
			}
			var phones []campaign.Phone
			var texts []string
			for _, arg := range args {
				typed, err := a.typed(arg)
				if err != nil {
					return err
				}
				texts = append(texts, typed...)
			}
			for i, text := range texts {
				phone, why := parser.Parse(text)
				if why != "" {
					return cli.Usagef("number %d: %s; nothing was changed", i+1, why)
				}
				phones = append(phones, phone)
			}
			slices.Sort(phones)
			return a.changeList(cmd, suppressed{}, slices.Compact(phones), done, reason, change)
		},
	}
	regionFlag(cmd, &region)
	reasonFlag(cmd, &reason)
	return cmd
}

func reasonFlag(cmd *cobra.Command, reason *string) {
	cmd.Flags().StringVar(reason, "reason", "", "why, for the log of the list; numbers in it are masked")
}

func regionFlag(cmd *cobra.Command, region *string) {
	cmd.Flags().StringVar(region, "region", "", "country of numbers without a country code, such as SA")
	cli.Bind(cmd.Flags(), "region", "VELENTS_REGION")
}

func (a *app) changeList(cmd *cobra.Command, result suppressed, phones []campaign.Phone, done, reason string, change changeList) error {
	return a.withStore(func(ctx context.Context, s *store.Store, _ []string) (err error) {
		result.Numbers = len(phones)
		if result.Changed, err = change(a.queue(s), ctx, phones, reason); err != nil {
			return fmt.Errorf("%w; the same command goes on", err)
		}
		text := fmt.Sprintf("%s %s, %s already\n", cli.Count(result.Changed, "number", "numbers"), done, cli.Number(result.Numbers-result.Changed))
		if err := a.print(result, text); err != nil {
			return err
		}
		if len(result.NotRead) > 0 {
			return cli.Partialf("%s; %s without a usable number: they are not on the list", strings.Join(result.NotRead, "; "), cli.Count(result.Unreadable, "line", "lines"))
		}
		if result.Unreadable > 0 {
			return cli.Partialf("%s of the file without a usable number: they are not on the list", cli.Count(result.Unreadable, "line", "lines"))
		}
		return nil
	})(cmd, nil)
}

func (a *app) importSuppressed() *cobra.Command {
	var opt contacts.Options
	var format contacts.Format
	var columns cli.SettingFlags
	var reason string
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Put the numbers of a file on the do-not-contact list",
		Long: `Put the numbers of a file on the do-not-contact list: any file that can be enqueued,
or one number on each line. Of a workbook all sheets are read that are not hidden,
hidden rows included. All numbers of a line count: of every --phone-column, and of two
in one cell. Exit code 3: lines without a usable number, or sheets, were left out.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := contacts.NewPhoneParser(opt.Region); err != nil {
				return cli.Usagef("--region: %w", err)
			}
			var s campaign.Settings
			if err := columns.Apply(&s); err != nil {
				return cli.Usage(err)
			}
			opt.Reading = s.Reading
			numbers, err := readNumbers(args[0], format, opt)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			for _, remark := range slices.Concat(numbers.Remarks(), numbers.LeftOut()) {
				a.note(remark.String())
			}
			result := suppressed{NotRead: campaign.Strings(numbers.NotRead())}
			for _, lines := range numbers.Unreadable() {
				result.Unreadable += lines
			}
			return a.changeList(cmd, result, slices.Collect(numbers.All()), "put on the list", reason, (*jobs.Queue).Suppress)
		},
	}
	regionFlag(cmd, &opt.Region)
	reasonFlag(cmd, &reason)
	columns.Add(cmd.Flags(), campaign.LaunchSettings("phone-column", "country-column", "country-code-column"))
	cmd.Flags().IntVar(&format.HeaderLine, "header-line", 0, "`LINE` that names the columns (default: the first, or one soon below a title)")
	cmd.Flags().StringVar(&format.Sheet, "sheet", "", "`NAME` of the workbook's sheet, or its number (default: all that are not hidden)")
	return cmd
}

func readNumbers(path string, format contacts.Format, opt contacts.Options) (*contacts.Numbers, error) {
	if contacts.IsLockName(filepath.Base(path)) {
		return nil, contacts.ErrLockFile
	}
	file, err := os.Open(path)
	if named := (*os.PathError)(nil); errors.As(err, &named) {
		err = named.Err // the caller names the path
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	list, err := contacts.Open(file, info.Size(), format, opt.PhoneColumns...)
	if err != nil {
		return nil, err
	}
	return list.Numbers(opt)
}

func (a *app) listSuppressed() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Write the do-not-contact list as CSV",
		Args:  cobra.NoArgs,
		RunE: a.withStore(func(ctx context.Context, s *store.Store, _ []string) error {
			numbers := func(yield func(contacts.Listed, error) bool) {
				for phone, err := range s.Suppressed(ctx) {
					if !yield(contacts.Listed{Phone: phone.E164()}, err) || err != nil {
						return
					}
				}
			}
			return a.export("", file, "number", func(w io.Writer) (int, error) { return writeRows(w, numbers) })
		}),
	}
	a.csvOutput(cmd, &file, "numbers")
	return cmd
}
