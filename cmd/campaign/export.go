package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gocarina/gocsv"
	"github.com/spf13/cobra"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
)

// exported is the JSON result of a written file.
type exported struct {
	Campaign string `json:"campaign,omitempty"`
	Rows     int    `json:"rows"`
	File     string `json:"file"`
}

func (a *app) results() *cobra.Command {
	var states, where []string
	var file string
	var q report.Results
	cmd := a.on("results", "Write what became of each contact", func(ctx context.Context, s *store.Store, name string) error {
		return a.export(name, file, "contact", func(w io.Writer) (int, error) { return q.Write(ctx, s, name, w) })
	})
	cmd.PreRunE = func(*cobra.Command, []string) error {
		for _, text := range states {
			state, err := campaign.ParseState(text)
			if err != nil {
				return err
			}
			q.States = append(q.States, state)
		}
		var err error
		if q.Where, err = campaign.ParseRules(where, campaign.ParseRule); err != nil {
			return fmt.Errorf("--where %w", err)
		}
		switch ext := strings.ToLower(filepath.Ext(file)); {
		case toStdout(file) && a.json || ext == ".jsonl":
			q.Format = report.JSONLines
		case toStdout(file):
		case ext == ".xlsx":
			q.Format = report.XLSX
		case ext == ".csv" || ext == "":
			q.BOM = true
		default:
			return fmt.Errorf("%s: want a name that ends in .csv, .xlsx or .jsonl", file)
		}
		return nil
	}
	cmd.Long = `Write what became of each contact: the columns of its file, then phone_e164,
state, reason, attempts, run (0 for the launch), changed_at, conversation_id,
started_at, ended_at (all times RFC 3339, UTC), messages (exchanges with the agent)
and extraction.KEY for each key that the agent learned. A column of the file that has
one of these names is written "NAME (file)".

A FILE.csv opens in Excel: it begins with a byte order mark, and cells that a
spreadsheet would run have an apostrophe in front; phone numbers stay as they
are. CSV on stdout is the same without the mark. A FILE.xlsx is a workbook whose
cells are text. A FILE.jsonl, and --json on stdout, hold one object per contact with
every value untouched, for programs.`
	cmd.Flags().StringSliceVar(&states, "state", nil, "only contacts in these states, as in: --state failed,rejected")
	cmd.Flags().StringVar(&q.Reason, "reason", "", "only contacts whose reason contains this text, in any case, or has this code")
	cmd.Flags().StringArrayVar(&where, "where", nil, "only contacts that meet this `RULE`: "+campaign.RuleForms+"; if repeated, all of them")
	outputFlag(cmd, &file)
	return cmd
}

func (a *app) rejects() *cobra.Command {
	var file string
	cmd := a.on("rejects", "Write the lines of the file that were refused", func(ctx context.Context, s *store.Store, name string) error {
		return a.export(name, file, "line", func(w io.Writer) (int, error) { return report.Rejects(ctx, s, name, w) })
	})
	cmd.Long = `Write the lines of a campaign's file that were refused, as CSV: its columns, then
line, reason and the original line. Cells are made safe for spreadsheets. Once
corrected, the file can be enqueued.`
	a.csvOutput(cmd, &file, "lines")
	return cmd
}

func outputFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVarP(file, "output", "o", "-", "file to write; - is stdout")
}

// csvOutput is outputFlag for rows that are CSV even with --json.
func (a *app) csvOutput(cmd *cobra.Command, file *string, rows string) {
	outputFlag(cmd, file)
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if a.json && toStdout(*file) {
			return fmt.Errorf("--json tells of a file: give -o FILE; the %s themselves are CSV", rows)
		}
		return nil
	}
}

func toStdout(file string) bool { return file == "-" }

// export writes rows to a file or stdout, and reports how many.
func (a *app) export(name, file, noun string, write func(io.Writer) (rows int, err error)) error {
	if toStdout(file) {
		rows, err := write(cli.Screen(a.stdout, a.json))
		if err == nil {
			fmt.Fprintln(a.stderr, cli.Count(rows, noun, noun+"s"))
		}
		return err
	}
	rows, err := writeFile(file, write)
	if placeless(err) != err {
		return fmt.Errorf("%s: %w", file, placeless(err))
	}
	if err != nil {
		return err
	}
	return a.print(exported{name, rows, file}, fmt.Sprintf("%s written to %s\n", cli.Count(rows, noun, noun+"s"), file))
}

// placeless is an error of a file without its name, which may be a temporary one.
func placeless(err error) error {
	var place *fs.PathError
	if errors.As(err, &place) {
		return place.Err
	}
	return err
}

// writeFile writes a temporary file and then renames it, so that path never holds half a
// file. It writes straight to anything that is not a regular file, such as /dev/stdout.
func writeFile(path string, write func(io.Writer) (int, error)) (n int, err error) {
	place := path
	if real, err := filepath.EvalSymlinks(path); err == nil {
		place = real
	}
	info, err := os.Stat(place)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	if err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(place, os.O_WRONLY, 0)
		if err != nil {
			return 0, err
		}
		defer f.Close()
		return write(cli.Screen(f, filepath.Ext(path) == ".jsonl"))
	}
	// Only the owner may read it: it holds personal data.
	f, err := os.CreateTemp(filepath.Dir(place), "."+filepath.Base(place)+"-*")
	if err != nil {
		return 0, err
	}
	defer func() {
		_ = f.Close()
		_ = os.Remove(f.Name()) // unless it was renamed
	}()
	out := bufio.NewWriterSize(f, 1<<20)
	if n, err = write(out); err != nil {
		return n, err
	}
	if err := errors.Join(out.Flush(), f.Close()); err != nil {
		return n, err
	}
	return n, os.Rename(f.Name(), place)
}

// A cell is a text in a CSV table, escaped so that no spreadsheet runs it as a formula.
type cell string

// MarshalCSV escapes the cell for gocsv.
func (c cell) MarshalCSV() (string, error) { return contacts.EscapeCell(string(c)), nil }

// moment is a time in a table: RFC 3339 in UTC, empty for the zero time.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// rowsAtOnce is the number of rows given to gocsv together.
const rowsAtOnce = 1000

// writeRows writes rows as CSV, with a header of their field names.
func writeRows[T any](w io.Writer, rows iter.Seq2[T, error]) (written int, err error) {
	out := gocsv.NewSafeCSVWriter(csv.NewWriter(w))
	batch := make([]T, 0, rowsAtOnce)
	marshal := gocsv.MarshalCSV // the first batch brings the header
	flush := func() error {
		if err := marshal(batch, out); err != nil {
			return fmt.Errorf("print: %w", err)
		}
		marshal = gocsv.MarshalCSVWithoutHeaders
		written += len(batch)
		batch = batch[:0]
		return nil
	}
	for row, err := range rows {
		if err != nil {
			return written, err
		}
		if batch = append(batch, row); len(batch) == rowsAtOnce {
			if err := flush(); err != nil {
				return written, err
			}
		}
	}
	return written, flush()
}

// asCSV adds --csv to a command that prints a table.
func (a *app) asCSV(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&a.csv, "csv", false, "print the table as CSV, times in UTC")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if a.csv && a.json {
			return errors.New("--csv or --json, not both")
		}
		return nil
	}
	return cmd
}

// printTable prints a list as CSV with --csv; otherwise it does what print does.
func printTable[T, Row any](a *app, list []T, row func(T) Row, v any, text string) error {
	if !a.csv {
		return a.print(v, text)
	}
	_, err := writeRows(cli.Screen(a.stdout, false), func(yield func(Row, error) bool) {
		for _, item := range list {
			if !yield(row(item), nil) {
				return
			}
		}
	})
	return err
}
