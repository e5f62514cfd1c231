package main

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
	"campaign-runner/campaign/launch"
)

// fileFlags say how a contact file is written, where the file itself does not tell.
type fileFlags struct{ format contacts.Format }

func (f *fileFlags) add(flags *pflag.FlagSet) {
	flags.Func("encoding", "`ENCODING` of the file: "+encodingNames()+" (default: found out)", func(text string) (err error) {
		f.format.Encoding, err = contacts.ParseEncoding(text)
		return err
	})
	flags.Func("delimiter", "`DELIMITER` between cells: comma, semicolon, tab, pipe or an ASCII character (default: found out)", func(text string) (err error) {
		f.format.Delimiter, err = contacts.ParseDelimiter(text)
		return err
	})
	flags.IntVar(&f.format.HeaderLine, "header-line", 0, "`LINE` that names the columns (default: the first, or one soon below a title)")
	flags.StringVar(&f.format.Sheet, "sheet", "", "`NAME` of the workbook's sheet, or its number (default: the first that is not hidden)")
	flags.BoolVar(&f.format.AllSheets, "all-sheets", false, "read all sheets that are not hidden; they must have the same columns")
	flags.BoolVar(&f.format.SkipHiddenRows, "skip-hidden-rows", false, "refuse rows that are hidden in the sheet, by a filter or by hand")
}

func encodingNames() string {
	names := make([]string, len(contacts.Encodings))
	for i, e := range contacts.Encodings {
		names[i] = string(e)
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// chooseFlags say which rows of a file, or which contacts of a campaign, are taken.
type chooseFlags struct {
	where         []string
	sample, limit int
	notIn         []string
}

func (f *chooseFlags) add(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.where, "where", nil, "take only rows for which this `RULE` holds: COLUMN=VALUE or COLUMN!=VALUE; may be repeated, and then all must hold")
	flags.IntVar(&f.sample, "sample", 0, "take this many `CONTACTS`, spread over the list; the same ones each time")
	flags.IntVar(&f.limit, "limit", 0, "take this many `CONTACTS` from the beginning")
	flags.StringArrayVar(&f.notIn, "not-in", nil, "leave out the contacts of this `CAMPAIGN`; may be repeated")
}

// choice is what the flags say; parse reads a rule.
func (f *chooseFlags) choice(given func(flag string) bool, parse func(string) (campaign.Rule, error)) (launch.Choice, error) {
	choice := launch.Choice{Sample: f.sample, Limit: f.limit, NotIn: f.notIn}
	for flag, n := range map[string]int{"sample": f.sample, "limit": f.limit} {
		if given(flag) && n < 1 {
			return choice, fmt.Errorf("--%s %d: want 1 or more contacts", flag, n)
		}
	}
	var err error
	if choice.Where, err = campaign.ParseRules(f.where, parse); err != nil {
		return choice, fmt.Errorf("--where %w", err)
	}
	return choice, nil
}
