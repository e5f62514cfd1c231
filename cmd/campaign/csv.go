package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/gocarina/gocsv"
	"github.com/spf13/cobra"

	"campaign-runner/campaign/contacts"
)

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
	_, err := writeRows(a.stdout, func(yield func(Row, error) bool) {
		for _, item := range list {
			if !yield(row(item), nil) {
				return
			}
		}
	})
	return err
}
