package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"unicode/utf8"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
)

// A Format is a way to write results.
type Format string

const (
	CSV       Format = "csv"   // cells that a spreadsheet would take for a formula are made harmless
	JSONLines Format = "jsonl" // one object per contact, its values as in the file
	XLSX      Format = "xlsx"  // a workbook of one sheet; every cell is text but our numbers
)

// An output takes encoded results, whole rows at a time.
type output interface {
	io.Writer
	end() error // completes what was written
	close()     // in any case
}

func (f Format) output(w io.Writer, c columns) (output, error) {
	if f == XLSX {
		return newWorkbook(w, c)
	}
	return plainOutput{w}, nil
}

type plainOutput struct{ io.Writer }

func (plainOutput) end() error { return nil }

func (plainOutput) close() {}

// head is what comes before the first contact.
func (f Format) head(c columns, bom bool) []byte {
	if f == JSONLines {
		return nil
	}
	var b bytes.Buffer
	if bom {
		b.WriteString("\ufeff")
	}
	f.writeCells(csv.NewWriter(&b), c.names())
	return b.Bytes()
}

// encoder returns a function that writes contacts to b.
func (f Format) encoder(b *bytes.Buffer, c columns) func(row) {
	if f == JSONLines {
		return jsonEncoder(b, c)
	}
	w := csv.NewWriter(b)
	var cells []string // used again for each contact
	return func(r row) {
		cells = append(cells[:0], r.Fields...)
		for _, our := range c.ours {
			cells = append(cells, our.cell(r))
		}
		learned := r.Outcome.Learned()
		for _, key := range c.keys {
			cells = append(cells, campaign.CellOf(learned[key]))
		}
		f.writeCells(w, cells)
	}
}

func (f Format) writeCells(w *csv.Writer, cells []string) {
	for i := range cells {
		if f != XLSX { // where text is text
			cells[i] = contacts.EscapeCell(cells[i])
		}
	}
	_ = w.Write(cells) // into memory
	w.Flush()
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
