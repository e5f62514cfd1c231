package main

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
	"campaign-runner/campaign/launch"
)

// requestFlags are those that enqueue and append have in common: how the contact file is
// written, where it does not tell itself, and which of its rows, or which contacts of a
// campaign, are taken.
type requestFlags struct {
	launch.Request
	where []string
}

func (f *requestFlags) add(flags *pflag.FlagSet) {
	flags.Func("encoding", "`ENCODING` of the file: "+encodingNames()+" (default: found out)", func(text string) (err error) {
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

func encodingNames() string {
	names := make([]string, len(contacts.Encodings))
	for i, e := range contacts.Encodings {
		names[i] = string(e)
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
