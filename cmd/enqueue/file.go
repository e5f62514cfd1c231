package main

import (
	"strings"

	"github.com/spf13/pflag"

	"campaign-runner/campaign/contacts"
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
