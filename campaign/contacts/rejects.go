package contacts

import (
	"encoding/csv"
	"io"
	"slices"
	"strconv"
)

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
	w.record = w.record[:0]
	for i := range w.columns {
		cell := ""
		if i < len(fields) {
			cell = fields[i]
		}
		w.record = append(w.record, EscapeCell(cell))
	}
	for _, cell := range rest {
		w.record = append(w.record, EscapeCell(cell))
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
