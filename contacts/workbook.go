package contacts

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/xuri/excelize/v2"
)

const (
	maxSheetBytes = 4 << 30   // what a workbook may unpack to; sheets go to temporary files
	maxPartBytes  = 256 << 20 // what its other parts may, which are held in memory
)

// checkWorkbookSize refuses a workbook that would take the machine's memory.
func checkWorkbookSize(z *zip.Reader) error {
	var all, parts uint64
	for _, member := range z.File {
		all += member.UncompressedSize64
		if !strings.HasPrefix(strings.ToLower(member.Name), "xl/worksheets/sheet") {
			parts += member.UncompressedSize64
		}
		if all > maxSheetBytes || parts > maxPartBytes {
			return errors.New("the workbook unpacks to far more than a contact list would: save the list as \"CSV UTF-8\"")
		}
	}
	return nil
}

func (f *File) openWorkbook() (*excelize.File, error) {
	book, err := excelize.OpenReader(io.NewSectionReader(f.data, 0, f.size), excelize.Options{UnzipSizeLimit: maxSheetBytes})
	if err != nil {
		return nil, fmt.Errorf("workbook: %w", err)
	}
	return book, nil
}

// chooseSheet takes the sheet asked for, or the first one.
func (f *File) chooseSheet() error {
	book, err := f.openWorkbook()
	if err != nil {
		return err
	}
	defer book.Close()
	sheets := book.GetSheetList()
	if len(sheets) == 0 {
		return errors.New("the workbook has no sheet")
	}
	if f.format.Sheet == "" {
		f.format.Sheet = sheets[0]
		return nil
	}
	for _, sheet := range sheets {
		if strings.EqualFold(trimName(sheet), trimName(f.format.Sheet)) {
			f.format.Sheet = sheet
			return nil
		}
	}
	return fmt.Errorf("no sheet %q: the sheets are %s", f.format.Sheet, quoteNames(sheets))
}

// rows is the sheet as CSV, in which each row is one of the sheet's and has as
// many cells as its first at least. Empty rows at the end are left out.
func (f *File) rows() (io.ReadCloser, error) {
	book, err := f.openWorkbook()
	if err != nil {
		return nil, err
	}
	if err := plainNumbers(book); err != nil {
		_ = book.Close()
		return nil, fmt.Errorf("workbook: %w", err)
	}
	rows, err := book.Rows(f.format.Sheet)
	if err != nil {
		_ = book.Close()
		return nil, fmt.Errorf("sheet %q: %w", f.format.Sheet, err)
	}
	s := &sheetText{book: book, rows: rows}
	s.csv = csv.NewWriter(&s.buf)
	return s, nil
}

// plainNumbers lets numbers come out with all their digits, not as they are
// shown: a phone number that was stored as a number is shown as 9.66501E+11.
// Dates and times come out as in 2026-01-31 09:30:00.
func plainNumbers(book *excelize.File) error {
	styles := book.Styles
	if styles == nil || styles.CellXfs == nil {
		return nil
	}
	formats := make([]string, len(styles.CellXfs.Xf)) // by style
	for i, style := range styles.CellXfs.Xf {
		if style.NumFmtID != nil {
			code := ""
			if styles.NumFmts != nil {
				for _, own := range styles.NumFmts.NumFmt {
					if own.NumFmtID == *style.NumFmtID {
						code = own.FormatCode
					}
				}
			}
			formats[i] = dateFormat(*style.NumFmtID, code)
		}
	}
	ids := make(map[string]int) // number formats of our own
	for _, format := range formats {
		if format == "" || ids[format] != 0 {
			continue
		}
		style, err := book.NewStyle(&excelize.Style{CustomNumFmt: &format})
		if err != nil {
			return err
		}
		ids[format] = *styles.CellXfs.Xf[style].NumFmtID
	}
	for i, format := range formats {
		id, isDate := ids[format], format != ""
		if !isDate {
			id = unknownFormat
		}
		styles.CellXfs.Xf[i].NumFmtID = &id
	}
	return nil
}

// unknownFormat is a number format that no workbook has; its cells are not
// formatted.
const unknownFormat = 1 << 20

// dateFormat is the format in which we write the dates of a number format, given
// by its id and, if it is the workbook's own, its code. Empty: it is none of dates.
func dateFormat(id int, code string) string {
	const date, clock = "yyyy-mm-dd", "hh:mm:ss"
	switch {
	case code != "":
		hasDate, hasClock := dateParts(code)
		switch {
		case hasDate && hasClock:
			return date + " " + clock
		case hasDate:
			return date
		case hasClock:
			return clock
		}
	case id >= 14 && id <= 17, id >= 27 && id <= 31, id == 36, id >= 50 && id <= 58:
		return date
	case id >= 18 && id <= 21, id >= 32 && id <= 35, id >= 45 && id <= 47:
		return clock
	case id == 22:
		return date + " " + clock
	}
	return ""
}

// dateParts looks for the letters of dates and times in a number format, outside
// of what is quoted, escaped or in brackets.
func dateParts(code string) (date, clock bool) {
	code, _, _ = strings.Cut(code, ";") // positive numbers
	month := false
	for i := 0; i < len(code); i++ {
		switch code[i] {
		case '"':
			i += 1 + strings.IndexByte(code[i+1:]+`"`, '"')
		case '[': // [h] counts on beyond a day; others are colours and languages
			clock = clock || strings.ContainsAny(code[i+1:min(i+2, len(code))], "hms")
			i += 1 + strings.IndexByte(code[i+1:]+`]`, ']')
		case '\\', '_', '*':
			i++
		case 'y', 'Y', 'd', 'D':
			date = true
		case 'h', 'H', 's', 'S':
			clock = true
		case 'm', 'M':
			month = true
		case 'G', 'g':
			return false, false // General
		}
	}
	return date || month && !clock, clock
}

// sheetText writes the rows of a sheet as CSV as they are read.
type sheetText struct {
	book  *excelize.File
	rows  *excelize.Rows
	csv   *csv.Writer
	buf   bytes.Buffer
	width int // of the first row
	empty int // rows that count only if another follows
	done  bool
}

func (s *sheetText) Read(p []byte) (int, error) {
	for s.buf.Len() == 0 {
		if s.done {
			return 0, io.EOF
		}
		if err := s.next(); err != nil {
			return 0, err
		}
	}
	return s.buf.Read(p)
}

// next writes a row, with the empty ones before it.
func (s *sheetText) next() error {
	if s.done = !s.rows.Next(); s.done {
		return s.rows.Error()
	}
	cells, err := s.rows.Columns()
	if err != nil {
		return err
	}
	if len(cells) == 0 {
		s.empty++
		return nil
	}
	if s.width == 0 {
		s.width = len(cells)
	}
	blank := make([]string, s.width)
	for ; s.empty > 0; s.empty-- {
		if err := s.csv.Write(blank); err != nil {
			return err
		}
	}
	if err := s.csv.Write(append(cells, blank[min(len(cells), s.width):]...)); err != nil {
		return err
	}
	s.csv.Flush()
	return s.csv.Error()
}

func (s *sheetText) Close() error { return errors.Join(s.rows.Close(), s.book.Close()) }
