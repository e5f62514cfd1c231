package report

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/klauspost/compress/flate"

	"campaign-runner/campaign"
)

// A workbook is an Excel workbook of one sheet that goes out while its rows are made,
// so that nothing of it has to be kept. Rows are encoded and packed by many goroutines:
// each part is a piece of the sheet's deflate stream that ends at a whole byte.
//
// Cells are text, so that no spreadsheet reads a number or a formula into them; our
// counts are numbers.
type workbook struct {
	zip    *zip.Writer
	member io.Writer // which is being written
	packed []byte    // of what is written next
}

const (
	sheetName = "Results"

	// As in Excel.
	maxSheetColumns = 1 << 14
	maxSheetRows    = 1 << 20
	maxCellUnits    = 1<<15 - 1 // of UTF-16
)

const xmlHead = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n"

// bookParts are the parts of a workbook but its sheet. The styles are what Excel writes
// into an empty workbook: some programs want them.
var bookParts = []struct{ name, text string }{
	{"[Content_Types].xml", `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">` +
		`<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>` +
		`<Default Extension="xml" ContentType="application/xml"/>` +
		`<Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>` +
		`<Override PartName="/xl/styles.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.styles+xml"/>` +
		`<Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>`},
	{"_rels/.rels", `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">` +
		`<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>`},
	{"xl/workbook.xml", `<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">` +
		`<sheets><sheet name="` + sheetName + `" sheetId="1" r:id="rId1"/></sheets></workbook>`},
	{"xl/_rels/workbook.xml.rels", `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">` +
		`<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/>` +
		`<Relationship Id="rId2" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles" Target="styles.xml"/></Relationships>`},
	{"xl/styles.xml", `<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">` +
		`<fonts count="1"><font><sz val="11"/><name val="Calibri"/><family val="2"/></font></fonts>` +
		`<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>` +
		`<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>` +
		`<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>` +
		`<cellXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/></cellXfs>` +
		`<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>`},
}

const (
	sheetHead = xmlHead + `<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">` +
		`<sheetViews><sheetView%s workbookViewId="0"/></sheetViews><sheetData>`
	sheetFoot = `</sheetData></worksheet>`
)

// newWorkbook writes all that comes before the first row, and hands it on.
func newWorkbook(w io.Writer, c columns) (*workbook, error) {
	b := &workbook{zip: zip.NewWriter(w)}
	b.zip.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return packedWriter{b, w}, nil })
	for _, p := range bookParts {
		if err := b.begin(p.name, []byte(xmlHead+p.text), last); err != nil {
			return nil, err
		}
	}
	view := ""
	if mostlyArabic(c.file) {
		view = ` rightToLeft="1"`
	}
	return b, b.begin("xl/worksheets/sheet1.xml", fmt.Appendf(nil, sheetHead, view), more)
}

// begin begins a member of the archive.
func (b *workbook) begin(name string, text []byte, follows bool) (err error) {
	if b.member, err = b.zip.Create(name); err != nil {
		return err
	}
	return b.write(text, follows)
}

func (b *workbook) write(text []byte, follows bool) error { return b.add(text, packed(text, follows)) }

// add writes the next part of the member, and hands it on.
func (b *workbook) add(text, packed []byte) error {
	b.packed = packed
	if _, err := b.member.Write(text); err != nil {
		return err
	}
	return b.zip.Flush()
}

// end completes the workbook. One that lacks its end opens nowhere.
func (b *workbook) end() error {
	if err := b.write([]byte(sheetFoot), last); err != nil {
		return err
	}
	return b.zip.Close()
}

// A packedWriter puts what is packed already into the archive, which counts and sums up
// the text itself.
type packedWriter struct {
	book *workbook
	w    io.Writer
}

func (p packedWriter) Write(text []byte) (int, error) {
	if _, err := p.w.Write(p.book.packed); err != nil {
		return 0, err
	}
	return len(text), nil
}

func (packedWriter) Close() error { return nil }

// Whether more of a member follows a part.
const more, last = true, false

// packed packs a part of a member.
func packed(text []byte, follows bool) []byte {
	var to bytes.Buffer
	to.Grow(len(text) / 8)
	w := packers.Get().(*flate.Writer)
	defer packers.Put(w)
	w.Reset(&to)
	_, _ = w.Write(text) // into memory
	if follows {
		_ = w.Flush()
	} else {
		_ = w.Close()
	}
	return to.Bytes()
}

// packers are expensive to make.
var packers = sync.Pool{New: func() any {
	w, err := flate.NewWriter(nil, flate.BestSpeed)
	if err != nil {
		panic(err) // there is no such level
	}
	return w
}}

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

// A sheetEncoder writes rows of a sheet.
type sheetEncoder struct {
	columns columns
	opens   []string // how the cells of each column begin
	row     int      // the number of the next row
}

func newSheetEncoder(c columns, first int) *sheetEncoder {
	e := &sheetEncoder{columns: c, row: first}
	for i := range c.names() {
		e.opens = append(e.opens, `<c r="`+columnName(i))
	}
	return e
}

// columnName is what a spreadsheet calls a column, counted from 0: A, Z, AA.
func columnName(i int) string {
	name := ""
	for ; i >= 0; i = i/26 - 1 {
		name = string(rune('A'+i%26)) + name
	}
	return name
}

// append adds a row. Empty cells are left out.
func (e *sheetEncoder) append(to []byte, cells []string, head bool) []byte {
	var digits [20]byte
	n := strconv.AppendInt(digits[:0], int64(e.row), 10)
	e.row++
	to = append(append(append(to, `<row r="`...), n...), `">`...)
	for i, cell := range cells {
		if cell == "" {
			continue
		}
		to = append(append(to, e.opens[i]...), n...)
		if !head && e.columns.kind(i) == number {
			to = append(append(append(to, `"><v>`...), cell...), `</v></c>`...)
			continue
		}
		to = append(to, `" t="inlineStr"><is><t`...)
		if isBlank(cell[0]) || isBlank(cell[len(cell)-1]) {
			to = append(to, ` xml:space="preserve"`...)
		}
		to = append(appendText(append(to, '>'), cell), `</t></is></c>`...)
	}
	return append(to, `</row>`...)
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' }

// appendText adds the text of a cell as XML. Characters that XML does not allow are
// written as Excel does (_x0007_; ECMA-376 part 1, 22.9.2.19), and what only looks like
// that is, too. What a cell of Excel cannot hold is cut off.
func appendText(to []byte, cell string) []byte {
	if len(cell) > maxCellUnits {
		cell = firstUnits(cell, maxCellUnits)
	}
	from := 0
	for i := 0; i < len(cell); {
		c, size, put := cell[i], 1, ""
		switch {
		case c >= utf8.RuneSelf:
			var r rune
			if r, size = utf8.DecodeRuneInString(cell[i:]); r == utf8.RuneError || r == '\ufffe' || r == '\uffff' {
				put = "\ufffd"
			}
		case c == '&':
			put = "&amp;"
		case c == '<':
			put = "&lt;"
		case c == '>':
			put = "&gt;"
		case c == '_' && isEscape(cell[i:]):
			put = "_x005F_"
		case c < ' ' && c != '\t' && c != '\n':
			put = fmt.Sprintf("_x%04X_", c)
		}
		if put != "" {
			to = append(append(to, cell[from:i]...), put...)
			from = i + size
		}
		i += size
	}
	return append(to, cell[from:]...)
}

// isEscape reports whether a text begins as if it were the escape of a character.
func isEscape(text string) bool {
	if len(text) < len("_x0000_") || text[1] != 'x' || text[6] != '_' {
		return false
	}
	for _, c := range []byte(text[2:6]) {
		if !('0' <= c && c <= '9' || 'a' <= c|' ' && c|' ' <= 'f') {
			return false
		}
	}
	return true
}

// firstUnits is the beginning of a text that takes no more than n units of UTF-16.
func firstUnits(text string, n int) string {
	for i, r := range text {
		if n -= utf16.RuneLen(r); n < 0 {
			return text[:i]
		}
	}
	return text
}
