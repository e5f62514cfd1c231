package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"unicode/utf8"

	"campaign-runner/campaign/contacts"
)

// A Format is a way to write results.
type Format string

const (
	CSV       Format = "csv"   // cells that a spreadsheet would take for a formula are made harmless
	JSONLines Format = "jsonl" // one object per contact, its values as in the file
	XLSX      Format = "xlsx"  // a workbook of one sheet; every cell is text but our numbers
)

// output returns functions that write parts of the results, and their end. Before them
// it writes what comes before the first contact.
func (q Results) output(w io.Writer, c columns) (add func(part) error, end func() error, err error) {
	head := q.Format.head(c, q.BOM)
	if q.Format != XLSX {
		if len(head) > 0 {
			_, err = w.Write(head)
		}
		return func(p part) error { _, err := w.Write(p.text); return err }, func() error { return nil }, err
	}
	book, err := newWorkbook(w, c)
	if err != nil {
		return nil, nil, err
	}
	return func(p part) error { return book.add(p.text, p.packed) }, book.end, book.write(head, more)
}

// head is what comes before the first contact.
func (f Format) head(c columns, bom bool) []byte {
	var b bytes.Buffer
	switch f {
	case JSONLines:
	case XLSX:
		return newSheetEncoder(c, 1).append(nil, c.names(), true)
	default:
		if bom {
			b.WriteString("\ufeff")
		}
		w := csv.NewWriter(&b)
		writeCells(w, c.names())
		w.Flush()
	}
	return b.Bytes()
}

// encoder returns a function that writes contacts to b, and one that completes them.
// first is the row of the first of them in a sheet.
func (f Format) encoder(b *bytes.Buffer, c columns, first int) (encode func(row), flush func()) {
	var cells []string // used again for each contact
	switch f {
	case JSONLines:
		return jsonEncoder(b, c), func() {}
	case XLSX:
		e := newSheetEncoder(c, first)
		return func(r row) {
			cells = c.cells(cells[:0], r)
			b.Write(e.append(b.AvailableBuffer(), cells, false))
		}, func() {}
	}
	w := csv.NewWriter(b)
	return func(r row) {
		cells = c.cells(cells[:0], r)
		writeCells(w, cells)
	}, w.Flush
}

// writeCells writes cells so that no spreadsheet runs them.
func writeCells(w *csv.Writer, cells []string) {
	for i := range cells {
		cells[i] = contacts.EscapeCell(cells[i])
	}
	_ = w.Write(cells) // into memory
}

func jsonEncoder(b *bytes.Buffer, c columns) func(row) {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	quote := func(s string) {
		if plain(s) { // nearly always, and four times as fast
			b.WriteByte('"')
			b.WriteString(s)
			b.WriteByte('"')
			return
		}
		_ = e.Encode(s)         // a string, into memory
		b.Truncate(b.Len() - 1) // the line feed after it
	}
	names := c.names()
	return func(r row) {
		at := 0
		next := func() {
			b.WriteByte("{,"[min(at, 1)])
			quote(names[at])
			b.WriteByte(':')
			at++
		}
		for _, cell := range r.Fields {
			next()
			quote(cell)
		}
		for _, our := range c.ours {
			next()
			switch cell := our.cell(r); {
			case cell == "":
				b.WriteString("null")
			case our.kind == text:
				quote(cell)
			default:
				b.WriteString(cell)
			}
		}
		learned := r.Outcome.Learned()
		for _, key := range c.keys {
			next()
			if value := learned[key]; value != nil {
				b.Write(value)
			} else {
				b.WriteString("null")
			}
		}
		b.WriteString("}\n")
	}
}

// plain reports whether s needs no escape in JSON.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' {
			return false
		}
	}
	return utf8.ValidString(s)
}
