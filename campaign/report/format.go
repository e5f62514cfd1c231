package report

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/klauspost/compress/flate"
	"github.com/xuri/excelize/v2"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
	"campaign-runner/campaign/contacts/scratch"
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

// A workbook takes rows as CSV and writes them as the one sheet of an Excel
// workbook. Cells are text, so that no spreadsheet reads a number or formula into
// them; our counts are numbers.
type workbook struct {
	out     io.Writer
	file    *excelize.File
	sheet   *excelize.StreamWriter
	columns columns
	rows    int
	release func() // of the folder for temporary files
}

const sheetName = "Results"

func newWorkbook(w io.Writer, c columns) (*workbook, error) {
	if n := len(c.names()); n > excelize.MaxColumns {
		return nil, fmt.Errorf("%d columns: a sheet holds %d; write .csv instead", n, excelize.MaxColumns)
	}
	dir, release, err := scratch.Dir() // for what does not fit into memory
	if err != nil {
		return nil, fmt.Errorf("workbook: %w", err)
	}
	file := excelize.NewFile(excelize.Options{TmpDir: dir})
	// The archive goes out as it is made, where excelize would hold all of it in
	// memory, and at the level that compresses in half the time.
	file.SetZipWriter(func(io.Writer) excelize.ZipWriter {
		archive := zip.NewWriter(w)
		archive.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
		return archive
	})
	book := &workbook{out: w, file: file, columns: c, release: release}
	err = file.SetSheetName("Sheet1", sheetName)
	if rtl := true; err == nil && mostlyArabic(c.file) {
		err = file.SetSheetView(sheetName, 0, &excelize.ViewOptions{RightToLeft: &rtl})
	}
	if err == nil {
		book.sheet, err = file.NewStreamWriter(sheetName)
	}
	if err != nil {
		book.close()
		return nil, fmt.Errorf("workbook: %w", err)
	}
	return book, nil
}

// mostlyArabic reports whether more of the file's columns are named from right to left
// than from left to right.
func mostlyArabic(names []string) bool {
	right, left := 0, 0
	for _, name := range names {
		switch first := strings.IndexFunc(name, unicode.IsLetter); {
		case first < 0, strings.HasPrefix(name, campaign.ExtractionPrefix): // it says nothing
		case unicode.In([]rune(name[first:])[0], unicode.Arabic, unicode.Hebrew, unicode.Syriac, unicode.Thaana):
			right++
		default:
			left++
		}
	}
	return right > left
}

// Write takes whole rows.
func (b *workbook) Write(text []byte) (int, error) {
	for rows := csv.NewReader(bytes.NewReader(text)); ; {
		cells, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return len(text), nil
		}
		if err == nil {
			err = b.add(cells)
		}
		if err != nil {
			return 0, fmt.Errorf("workbook: %w", err)
		}
	}
}

func (b *workbook) add(cells []string) error {
	if b.rows == excelize.TotalRows {
		return fmt.Errorf("a sheet holds %d rows; write .csv instead", excelize.TotalRows)
	}
	row := make([]any, len(cells))
	for i, cell := range cells {
		row[i] = cell
		if n, err := strconv.Atoi(cell); err == nil && b.columns.kind(i) == number {
			row[i] = n
		}
	}
	b.rows++
	return b.sheet.SetRow("A"+strconv.Itoa(b.rows), row)
}

func (b *workbook) end() error {
	if err := b.sheet.Flush(); err != nil {
		return fmt.Errorf("workbook: %w", err)
	}
	if err := b.file.Write(b.out); err != nil {
		return fmt.Errorf("workbook: %w", err)
	}
	return nil
}

// close removes the temporary file.
func (b *workbook) close() {
	_ = b.file.Close()
	b.release()
}
