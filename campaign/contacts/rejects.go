package contacts

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"campaign-runner/campaign"
)

// A Reason is why a line did not become a contact, as people read it. Campaigns store
// these texts, so they do not change. A new reason is a new constant; count sorts it.
type Reason string

const (
	EmptyNumber   Reason = "empty number"
	NotANumber    Reason = "not a phone number"
	TooShort      Reason = "number too short"
	TooLong       Reason = "number too long"
	WrongLength   Reason = "wrong number of digits for its country"
	NoCountryCode Reason = "no country code (give --region)"
	UnknownCode   Reason = "unknown country code"
	Scientific    Reason = "number in scientific notation: digits were lost; format the column as text and export again"
	TwoNumbers    Reason = "holds two numbers"
	HasExtension  Reason = "number with an extension"
	OtherCountry  Reason = "number of another country than its row says"
	UnknownPlace  Reason = "unknown country beside the number"
	EmptyLine     Reason = "empty line"
	TooManyCells  Reason = "too many cells"
	BrokenQuotes  Reason = "broken quotes"
	ControlChar   Reason = "a NUL character"
	NotUTF8       Reason = "not in UTF-8"
	Duplicate     Reason = "duplicate"
	Suppressed    Reason = "on a suppression list"
	DoNotContact  Reason = "on the do-not-contact list"
	Recent        Reason = "contacted recently"
	NotChosen     Reason = "not chosen"
	Elsewhere     Reason = "not chosen: in another campaign"
	HiddenRow     Reason = "hidden row"

	FormulaWithoutValue Reason = "formula without a stored value: open and save it in Excel"
)

// Doubts are why the number of a contact may be wrong. With strict numbers they are reasons
// to refuse it.
const (
	UnknownRange Reason = "in no known range of its country"
	DigitTooMany Reason = "in no known range of its country: one digit too many"
	DigitTooFew  Reason = "in no known range of its country: one digit too few"
	GuessedCode  Reason = "country guessed: digits without a plus, read as international"
	NoPlace      Reason = "no country in its row: read as of --region"
)

// ErrorValue is the reason for a spreadsheet error, such as #N/A, in place of a number
// or a required value.
func ErrorValue(text string) Reason { return Reason(text + " instead of a value") }

// EmptyValue is the reason for a missing value that the agent requires.
func EmptyValue(key string) Reason { return Reason(fmt.Sprintf("empty value %q", key)) }

// A Refusal is a reason with its details. The row of the zero Refusal is a contact.
type Refusal struct {
	Reason Reason
	First  int // for Duplicate: the line of the contact with this number; 0: it is already in the campaign
}

// String is the text in the rejects file.
func (r Refusal) String() string {
	switch {
	case r.Reason == Duplicate && r.First > 0:
		return fmt.Sprintf("duplicate of line %d", r.First)
	case r.Reason == Duplicate:
		return "duplicate of a contact of the campaign"
	}
	return string(r.Reason)
}

// leftOut is the reason in a row of rejects if nothing of the row was wrong: it stays out
// when they are given back. The do-not-contact list and the contact record are asked anew.
func leftOut(reason string) Reason {
	for _, on := range []Reason{Suppressed, NotChosen, HiddenRow} {
		if strings.HasPrefix(reason, string(on)) { // others have details
			return on
		}
	}
	return ""
}

func count(c *campaign.Counts, r Refusal) {
	c.Rows++
	switch r.Reason {
	case "":
		c.Contacts++
		return
	case Duplicate:
		c.Duplicates++
	case Suppressed, DoNotContact, Recent:
		c.Suppressed++
	case NotChosen, Elsewhere:
		c.NotChosen++
	default:
		c.Invalid++
	}
	add(&c.Refused, string(r.Reason), 1)
}

var rejectColumns = []string{"line", "reason", "original"}

// A RejectWriter writes refused rows as CSV that a spreadsheet opens and that, once
// corrected, can be read again: the columns of the file, then line, reason and
// original. Original is the row as it stood if its cells do not fit the columns, which
// are then empty. Cells are escaped; see EscapeCell.
type RejectWriter struct {
	csv     *csv.Writer
	columns int
	record  []string
}

// NewRejectWriter writes the header, after a byte order mark: Excel does not recognise
// UTF-8 without one.
func NewRejectWriter(w io.Writer, columns []string) (*RejectWriter, error) {
	if _, err := io.WriteString(w, bom); err != nil {
		return nil, err
	}
	rw := &RejectWriter{csv: csv.NewWriter(w), columns: len(columns)}
	return rw, rw.write(columns, rejectColumns...)
}

// Write writes a refused row.
func (w *RejectWriter) Write(row Row) error {
	return w.write(row.Fields, strconv.Itoa(row.Line), row.Refusal.String(), row.Original)
}

func (w *RejectWriter) write(fields []string, rest ...string) error {
	w.record = append(w.record[:0], fields...)
	for len(w.record) < w.columns {
		w.record = append(w.record, "")
	}
	w.record = append(w.record, rest...)
	for i, cell := range w.record {
		w.record[i] = EscapeCell(cell)
	}
	return w.csv.Write(w.record)
}

// Flush writes what is buffered and returns the first error of any write.
func (w *RejectWriter) Flush() error {
	w.csv.Flush()
	return w.csv.Error()
}

// HoldsRejects reports whether a file begins like that of a RejectWriter.
func HoldsRejects(r io.Reader) bool {
	header, err := csv.NewReader(io.LimitReader(r, 1<<20)).Read()
	return err == nil && len(header) >= len(rejectColumns) && slices.Equal(header[len(header)-len(rejectColumns):], rejectColumns)
}
