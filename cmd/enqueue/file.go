package main

import (
	"strings"

	"github.com/spf13/pflag"

	"campaign-runner/campaign/contacts"
)

// fileFlags say how a contact file is written, where that is not to be found out.
type fileFlags struct{ format contacts.Format }

func (f *fileFlags) add(flags *pflag.FlagSet) {
	flags.Var((*encodingFlag)(&f.format.Encoding), "encoding", "of the file: "+encodingNames()+" (default: found out)")
	flags.Var((*delimiterFlag)(&f.format.Delimiter), "delimiter", "between cells: comma, semicolon, tab, pipe or an ASCII character (default: found out)")
	flags.IntVar(&f.format.HeaderLine, "header-line", 0, "`LINE` that names the columns (default: the first, or one soon below a title)")
	flags.StringVar(&f.format.Sheet, "sheet", "", "`NAME` of the workbook's sheet, or its number (default: the first that is not hidden)")
	flags.BoolVar(&f.format.AllSheets, "all-sheets", false, "read all sheets that are not hidden; they must have the same columns")
	flags.BoolVar(&f.format.SkipHiddenRows, "skip-hidden-rows", false, "refuse rows that a filter or somebody has hidden in the sheet")
}

func encodingNames() string {
	names := make([]string, len(contacts.Encodings))
	for i, e := range contacts.Encodings {
		names[i] = string(e)
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

type encodingFlag contacts.Encoding

func (e *encodingFlag) Set(text string) error {
	encoding, err := contacts.ParseEncoding(text)
	*e = encodingFlag(encoding)
	return err
}

func (e *encodingFlag) String() string { return string(*e) }
func (*encodingFlag) Type() string     { return "ENCODING" }

type delimiterFlag contacts.Delimiter

func (d *delimiterFlag) Set(text string) error {
	delimiter, err := contacts.ParseDelimiter(text)
	*d = delimiterFlag(delimiter)
	return err
}

func (d *delimiterFlag) String() string {
	if *d == "" {
		return ""
	}
	return contacts.Delimiter(*d).String()
}
func (*delimiterFlag) Type() string { return "DELIMITER" }
