package contacts

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts/scratch"
	"campaign-runner/campaign/contacts/xlsx"
)

// ofWorkbook is an error of a workbook in words for people.
func ofWorkbook(err error) error {
	var damage *xlsx.DamageError
	switch {
	case errors.As(err, &damage) && damage.Row > 0:
		return campaign.Because(err, campaign.MsgFileDamagedRow, "part", damage.Part, "row", damage.Row, "why", damage.Unwrap().Error())
	case errors.As(err, &damage):
		return campaign.Because(err, campaign.MsgFileDamaged, "part", damage.Part, "why", damage.Unwrap().Error())
	}
	return campaign.Because(err, campaign.MsgFileWorkbook, "file_book", err.Error())
}

// chooseSheets takes the sheets asked for, or the first visible one that is not blank.
func (f *File) chooseSheets(phoneColumns []string) (err error) {
	if f.book, err = xlsx.Open(f.data, f.size); err != nil {
		return ofWorkbook(err)
	}
	f.phoneColumns = phoneColumns
	var names []string
	var seen []xlsx.Sheet // visible, and not blank unless all are
	for _, sheet := range f.book.Sheets {
		names = append(names, sheet.Name)
		if sheet.Grid && !sheet.Hidden {
			seen = append(seen, sheet)
		}
	}
	if filled := slices.DeleteFunc(slices.Clone(seen), func(s xlsx.Sheet) bool { return s.Blank }); len(filled) > 0 {
		seen = filled
	}
	asked := trimName(f.format.Sheet)
	switch {
	case asked != "" && f.format.AllSheets:
		return campaign.Faulty(campaign.MsgFileSheetOrAll)
	case asked == "" && len(seen) == 0:
		return campaign.Faulty(campaign.MsgFileNoSheets)
	case asked == "" && f.format.AllSheets:
		f.sheets = seen
		return nil
	case asked == "":
		f.sheets, f.format.Sheet = seen[:1], seen[0].Name
		return nil
	}
	at := slices.IndexFunc(f.book.Sheets, func(s xlsx.Sheet) bool { return strings.EqualFold(trimName(s.Name), asked) })
	if n, err := strconv.Atoi(asked); at < 0 && err == nil && n >= 1 && n <= len(names) {
		at = n - 1
	}
	if at < 0 {
		return campaign.Faulty(campaign.MsgFileNoSheet, "name", strconv.Quote(f.format.Sheet), "sheets", quoteNames(names))
	}
	f.sheets, f.format.Sheet, f.named = f.book.Sheets[at:at+1], f.book.Sheets[at].Name, true
	return nil
}

// SheetsNotRead are the names of the sheets that hold something and that Reader does
// not read: visible and hidden ones.
func (f *File) SheetsNotRead() (visible, hidden []string) { return f.sheetsBut(f.sheets) }

// orOtherSheet adds the other sheets to why a sheet is not a contact list.
func (f *File) orOtherSheet(why error) error {
	others, _ := f.SheetsNotRead()
	var damage *xlsx.DamageError
	if len(others) == 0 || f.named || errors.As(why, &damage) {
		return why
	}
	return fmt.Errorf("sheet %q: %w; the other sheets are %s: --sheet reads one", f.format.Sheet, why, joined(quoteNames(others)))
}

func (f *File) sheetsBut(read []xlsx.Sheet) (visible, hidden []string) {
	if f.book == nil {
		return nil, nil
	}
	for _, sheet := range f.book.Sheets {
		switch {
		case !sheet.Grid, sheet.Blank, slices.Contains(read, sheet):
		case sheet.Hidden:
			hidden = append(hidden, sheet.Name)
		default:
			visible = append(visible, sheet.Name)
		}
	}
	return visible, hidden
}

// Warnings say which sheets of a workbook Reader does not read.
func (f *File) Warnings() (all []campaign.Message) {
	visible, hidden := f.SheetsNotRead()
	if len(visible) > 0 {
		all = append(all, campaign.Say(campaign.MsgReadOneSheet, "sheet", strconv.Quote(f.format.Sheet), "sheets", quoteNames(visible)))
	}
	if len(hidden) > 0 {
		all = append(all, campaign.Say(campaign.MsgReadNoHiddenOne, "sheets", quoteNames(hidden)))
	}
	return all
}

// rows returns sheets as CSV. Each row is a row of a sheet and has at least as many
// cells as the first. Empty rows at the end of a sheet are left out.
func (f *File) rows(sheets []xlsx.Sheet) (*sheetText, error) {
	rows, err := f.book.Rows(scratch.File)
	if err != nil {
		return nil, ofWorkbook(err)
	}
	s := &sheetText{rows: rows, sheets: sheets, phoneColumns: f.phoneColumns, left: unpackedBound(f.size)}
	if err := s.open(); err != nil {
		_ = rows.Close() // was only read
		return nil, err
	}
	return s, nil
}

// again reads another sheet of the workbook within the same bounds. The sheetText
// before must no longer be read.
func (s *sheetText) again(sheet xlsx.Sheet) (*sheetText, error) {
	next := &sheetText{rows: s.rows, sheets: []xlsx.Sheet{sheet}, phoneColumns: s.phoneColumns, left: s.left}
	return next, next.open()
}

// A sheetText is sheets as CSV. Its lines are counted through all sheets.
type sheetText struct {
	rows         *xlsx.Rows
	sheets       []xlsx.Sheet // the first is being read, the others follow
	phoneColumns []string
	left         int64 // bytes that may still come: cells that share a text unpack to many

	buf    []byte // its first off bytes are read
	off    int
	line   int        // lines so far
	base   int        // the line before the first row of the sheet
	width  int        // cells of the first row
	first  [][]string // first rows of the first sheet, to find its header
	order  []int      // of the columns of a further sheet, by those of the first; nil: the same
	cells  [][]byte   // of a row of a further sheet, in the order of the first
	done   bool
	starts []campaign.Message // where further sheets begin

	hiddenColumn func(n int) bool // of the first sheet

	mu     sync.RWMutex
	hidden []uint64 // a bit for each line
}

const headerRows = 20

func (s *sheetText) open() error {
	if err := s.rows.Open(s.sheets[0]); err != nil {
		return ofWorkbook(err)
	}
	if s.line == 0 {
		s.hiddenColumn = s.rows.HiddenColumns()
	}
	return nil
}

func (s *sheetText) Read(p []byte) (int, error) {
	for s.off == len(s.buf) {
		if s.done {
			return 0, io.EOF
		}
		s.buf, s.off = s.buf[:0], 0
		for len(s.buf) < sampleBytes && !s.done {
			if err := s.next(); err != nil {
				return 0, err
			}
		}
	}
	n := copy(p, s.buf[s.off:])
	s.off += n
	if s.left -= int64(n); s.left < 0 {
		return 0, ofWorkbook(xlsx.ErrTooLarge)
	}
	return n, nil
}

func (s *sheetText) next() error {
	row, err := s.rows.Next()
	if err != nil {
		return ofWorkbook(err)
	}
	if row == nil {
		return s.nextSheet()
	}
	if len(row.Cells) == 0 {
		return nil // a hidden row with nothing in it
	}
	cells := row.Cells
	if s.line == 0 {
		s.width = len(cells)
	}
	if len(s.sheets) > 1 && len(s.first) < headerRows && s.order == nil {
		s.first = append(s.first, textsOf(cells))
	}
	if s.order != nil {
		if cells, err = s.ordered(row.Number, cells); err != nil {
			return err
		}
	}
	for s.base+row.Number > s.line+1 { // empty rows count if another follows
		s.line++
		s.write(nil)
	}
	s.line++
	if row.Hidden {
		s.hide(s.line)
	}
	s.write(cells)
	return nil
}

// nextSheet continues below the header of the next sheet.
func (s *sheetText) nextSheet() error {
	read := s.sheets[0].Name
	if s.sheets = s.sheets[1:]; len(s.sheets) == 0 {
		s.done = true
		return nil
	}
	if err := s.open(); err != nil {
		return err
	}
	at := slices.IndexFunc(s.first, func(names []string) bool { return namesPhones(names, s.phoneColumns) })
	if at < 0 {
		return campaign.Faulty(campaign.MsgFileSheetPhones, "rows", headerRows, "sheet", strconv.Quote(read))
	}
	name := s.sheets[0].Name
	var missing, unknown []string
	for range headerRows {
		row, err := s.rows.Next()
		if err != nil {
			return ofWorkbook(err)
		}
		if row == nil {
			if len(missing)+len(unknown) == 0 { // it is empty
				return nil
			}
			break
		}
		var order []int
		names := textsOf(row.Cells)
		if order, missing, unknown = arrange(names, s.first[at]); len(missing)+len(unknown) == 0 {
			s.order, s.base = order, s.line-row.Number
			s.starts = append(s.starts, campaign.Say(campaign.MsgReadStart, "line", s.line+1, "row", row.Number+1, "sheet", strconv.Quote(name)))
			return nil
		}
		if namesPhones(names, s.phoneColumns) {
			break // this is its header
		}
	}
	return campaign.Faulty(campaign.MsgFileSheetDiffers, "sheet", strconv.Quote(name), "missing", orNone(missing), "unknown", orNone(unknown))
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return joined(quoteNames(names))
}

// arrange returns, for each column of a sheet, the place of the header's column of the
// same name. Equal names are told apart by their order.
func arrange(names, header []string) (order []int, missing, unknown []string) {
	taken := make([]bool, len(header))
	for _, name := range names {
		at := -1
		for i := range header {
			if at < 0 && !taken[i] && header[i] != "" && SameName(header[i], name) {
				at, taken[i] = i, true
			}
		}
		if order = append(order, at); at < 0 && name != "" {
			unknown = append(unknown, name)
		}
	}
	for i, name := range header {
		if !taken[i] && name != "" {
			missing = append(missing, name)
		}
	}
	return order, missing, unknown
}

// ordered puts the cells of a further sheet in the order of the first sheet.
func (s *sheetText) ordered(row int, cells [][]byte) ([][]byte, error) {
	clear(s.cells)
	s.cells = s.cells[:0]
	for i, cell := range cells {
		at := -1
		if i < len(s.order) {
			at = s.order[i]
		}
		switch {
		case len(cell) == 0:
			continue
		case at < 0:
			return nil, campaign.Faulty(campaign.MsgFileSheetCell, "sheet", strconv.Quote(s.sheets[0].Name), "row", row, "column", i+1)
		}
		for len(s.cells) <= at {
			s.cells = append(s.cells, nil)
		}
		s.cells[at] = cell
	}
	return s.cells, nil
}

func textsOf(cells [][]byte) []string {
	texts := make([]string, len(cells))
	for i, cell := range cells {
		texts[i] = trimName(string(cell))
	}
	return texts
}

func (s *sheetText) write(cells [][]byte) {
	for i := range max(len(cells), s.width) {
		if i > 0 {
			s.buf = append(s.buf, ',')
		}
		if i < len(cells) {
			s.buf = appendCell(s.buf, cells[i])
		}
	}
	s.buf = append(s.buf, '\n')
}

func appendCell(to, cell []byte) []byte {
	if !bytes.ContainsAny(cell, "\",\r\n") {
		return append(to, cell...)
	}
	to = append(to, '"')
	to = append(to, bytes.ReplaceAll(cell, quote, []byte(`""`))...)
	return append(to, '"')
}

func (s *sheetText) hide(line int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.hidden) <= line/64 {
		s.hidden = append(s.hidden, 0)
	}
	s.hidden[line/64] |= 1 << (line % 64)
}

func (s *sheetText) isHidden(line int) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return line/64 < len(s.hidden) && s.hidden[line/64]&(1<<(line%64)) != 0
}

func (s *sheetText) Close() error { return s.rows.Close() }
