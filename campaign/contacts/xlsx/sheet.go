package xlsx

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// Bounds of a sheet, which are Excel's.
const (
	maxRows    = 1 << 20
	maxColumns = 1 << 14
)

// maxRow bounds the bytes of a row. Each of its cells may name the same long text, so
// that the file tells nothing of how much they come to.
const maxRow = 2 << 20

// NoValue is the text of a cell whose formula has no stored value: the program
// that wrote it has not calculated it. It is a character that texts do not have.
const NoValue = "\ufdd0"

// A Row is a row with cells, or one that is hidden.
type Row struct {
	Number int      // from 1
	Hidden bool     // by a filter or by hand
	Cells  [][]byte // up to the last that is not blank; they hold until the next row
}

// Rows hands out the rows of sheets.
type Rows struct {
	book   *Book
	styles *styles
	texts  *texts

	name    string // of the sheet, for errors
	text    io.Closer
	xml     *scanner
	row     Row
	column  int // of the last cell
	hidden  []columns
	allRows bool // rows are hidden unless they say otherwise
	arena   []byte
	value   []byte
	done    bool
}

// columns are some beside each other, counted from 1.
type columns struct{ first, last int }

// Rows prepares the reading of sheets. What the cells share is read at once; create
// makes a temporary file should it be large. The Rows must be closed.
func (b *Book) Rows(create func() (*os.File, error)) (*Rows, error) {
	b.refill()
	st, err := b.readStyles()
	if err != nil {
		return nil, err
	}
	t, err := b.readTexts(create)
	if err != nil {
		return nil, err
	}
	return &Rows{book: b, styles: st, texts: t, arena: make([]byte, 0, 4096)}, nil
}

// Close frees what the reading needs.
func (r *Rows) Close() error {
	err := r.texts.close()
	if r.text != nil {
		err = errors.Join(err, r.text.Close())
	}
	return err
}

// Open begins a sheet.
func (r *Rows) Open(sheet Sheet) error {
	if r.text != nil {
		_ = r.text.Close() // was only read
		r.text = nil
	}
	r.name = fmt.Sprintf("the sheet %.100q", sheet.Name)
	if !sheet.Grid {
		return fmt.Errorf("%s has no cells: it is a chart or a dialog, or damaged", r.name)
	}
	text, err := r.book.openPart(sheet.part)
	if err != nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	r.text, r.xml = text, newScanner(text)
	r.row, r.hidden, r.allRows, r.done = Row{}, nil, false, false
	if err := r.begin(); err != nil {
		return damaged(r.name, 0, err)
	}
	return nil
}

// begin reads up to the first row.
func (r *Rows) begin() error {
	s := r.xml
	if err := s.root("worksheet"); err != nil {
		return err
	}
	for {
		kind, err := s.next()
		switch {
		case err != nil:
			return err
		case kind == tokenClose: // no rows at all
			r.done = true
			return s.finish()
		case kind != tokenOpen:
			continue
		}
		depth := len(s.open)
		switch {
		case s.opened("sheetData"):
			return nil
		case r.isMisplaced():
			return errMisplaced
		case s.opened("sheetFormatPr"):
			r.allRows = isTrue(s.attr("zeroHeight"))
		case s.opened("cols"):
			if err := s.children(r.takeColumns); err != nil {
				return err
			}
		}
		if err := r.pass(depth); err != nil {
			return err
		}
	}
}

// pass passes over what is left of the element at this depth, which holds no rows.
func (r *Rows) pass(depth int) error {
	for len(r.xml.open) >= depth {
		if kind, err := r.xml.next(); err != nil {
			return err
		} else if kind == tokenOpen && r.isMisplaced() {
			return errMisplaced
		}
	}
	return nil
}

func (r *Rows) isMisplaced() bool { return r.xml.opened("row") || r.xml.opened("c") }

// errMisplaced is of rows and cells where none belong: the people in them would be
// missing.
var errMisplaced = errors.New("rows or cells where none belong")

func (r *Rows) takeColumns() error {
	first, ok := number(r.xml.attr("min"))
	last, ok2 := number(r.xml.attr("max"))
	if ok && ok2 && r.xml.opened("col") && (isTrue(r.xml.attr("hidden")) || string(r.xml.attr("width")) == "0") {
		if len(r.hidden) == maxColumns {
			return errors.New("too many columns")
		}
		r.hidden = append(r.hidden, columns{first, last})
	}
	return nil
}

// HiddenColumns tells which columns of the sheet are hidden, counted from 0.
func (r *Rows) HiddenColumns() func(n int) bool {
	hidden := r.hidden
	return func(n int) bool {
		return slices.ContainsFunc(hidden, func(c columns) bool { return c.first <= n+1 && n+1 <= c.last })
	}
}

// Next is the next row of the sheet that has cells or is hidden; nil after the
// last, when all of the sheet has been read and is whole.
func (r *Rows) Next() (*Row, error) {
	if r.done {
		return nil, nil
	}
	at := func(err error) error { return damaged(r.name, max(r.row.Number, 1), err) }
	for {
		kind, err := r.xml.next()
		switch {
		case err != nil:
			return nil, at(err)
		case kind == tokenText:
		case kind == tokenClose:
			r.done = true
			if err := r.end(); err != nil {
				return nil, damaged(r.name, 0, fmt.Errorf("below its rows: %w", err))
			}
			return nil, nil
		case r.xml.opened("c"):
			return nil, at(errMisplaced)
		case !r.xml.opened("row"):
			if err := r.pass(len(r.xml.open)); err != nil {
				return nil, at(err)
			}
		default:
			if err := r.read(); err != nil {
				return nil, at(err)
			}
			if len(r.row.Cells) > 0 || r.row.Hidden {
				return &r.row, nil
			}
		}
	}
}

// end reads what follows the rows.
func (r *Rows) end() error {
	s := r.xml
	for {
		kind, err := s.next()
		switch {
		case err != nil:
			return err
		case kind == tokenEnd:
			return nil
		case kind == tokenOpen && len(s.open) == 2 && s.opened("sheetData"):
			return errors.New("there are rows a second time")
		case kind == tokenOpen && r.isMisplaced():
			return errMisplaced
		}
	}
}

// read reads the row whose tag was opened.
func (r *Rows) read() error {
	s := r.xml
	n := r.row.Number + 1
	if text := s.attr("r"); text != nil {
		given, ok := number(text)
		if !ok || given < n {
			return fmt.Errorf("another row %.20q follows it", text)
		}
		n = given
	}
	if n > maxRows {
		return fmt.Errorf("a row number beyond %d", maxRows)
	}
	hidden := s.attr("hidden")
	r.row.Number, r.row.Cells = n, r.row.Cells[:0]
	r.row.Hidden = isTrue(hidden) || hidden == nil && r.allRows && s.attr("ht") == nil || isZero(s.attr("ht"))
	r.column, r.arena = 0, r.arena[:0]
	if err := s.children(r.cell); err != nil {
		return err
	}
	for k := len(r.row.Cells); k > 0 && len(r.row.Cells[k-1]) == 0; k-- {
		r.row.Cells = r.row.Cells[:k-1]
	}
	return nil
}

func isZero(height []byte) bool { return string(height) == "0" }

// cell reads a child of a row.
func (r *Rows) cell() error {
	s := r.xml
	switch {
	case s.opened("row"):
		return errMisplaced
	case !s.opened("c"):
		return r.pass(len(s.open))
	}
	r.column++
	if ref := s.attr("r"); ref != nil {
		column, row, ok := reference(ref)
		if !ok || row != r.row.Number {
			return fmt.Errorf("a cell named %.20q", ref)
		}
		r.column = column
	}
	if r.column > maxColumns {
		return fmt.Errorf("more than %d columns", maxColumns)
	}
	for len(r.row.Cells) < r.column {
		r.row.Cells = append(r.row.Cells, nil)
	}
	if r.row.Cells[r.column-1] != nil {
		return fmt.Errorf("the cell in column %d twice", r.column)
	}
	style, _ := number(s.attr("s"))
	kind := kindOf(s.attr("t"))
	begin := len(r.arena)
	if err := r.content(kind, style); err != nil {
		return err
	}
	if len(r.arena) > maxRow {
		return fmt.Errorf("a row of more than %d bytes", maxRow)
	}
	r.row.Cells[r.column-1] = r.arena[begin:len(r.arena):len(r.arena)]
	return nil
}

// A cellKind is what the type of a cell says its value is.
type cellKind uint8

const (
	kindNumber cellKind = iota
	kindShared
	kindText // the result of a formula
	kindInline
	kindBool
	kindError
	kindDate
	kindUnknown
)

func kindOf(text []byte) cellKind {
	switch string(text) {
	case "", "n":
		return kindNumber
	case "s":
		return kindShared
	case "str":
		return kindText
	case "inlineStr":
		return kindInline
	case "b":
		return kindBool
	case "e":
		return kindError
	case "d":
		return kindDate
	}
	return kindUnknown
}

// content appends to the arena what people see in the cell that was opened.
func (r *Rows) content(kind cellKind, style int) error {
	s := r.xml
	var formula, hasValue, inline bool
	r.value = r.value[:0]
	begin := len(r.arena)
	for depth := len(s.open); ; {
		token, err := s.next()
		if err != nil {
			return err
		}
		if token == tokenClose && len(s.open) < depth {
			break
		}
		if token != tokenOpen {
			continue
		}
		switch {
		case s.opened("v") && !hasValue:
			hasValue = true
			r.value, err = s.value(r.value)
		case s.opened("is") && !inline:
			inline = true
			r.arena, err = s.richText(r.arena)
		case s.opened("v"), s.opened("is"):
			return errors.New("a cell with two values")
		case s.opened("f"):
			formula = true
			fallthrough
		default:
			err = s.skip()
		}
		if err != nil {
			return err
		}
	}
	switch {
	case inline && (kind == kindInline || !hasValue):
		r.arena = r.styles.text(r.arena, begin, style)
		return nil
	case inline:
		r.arena = r.arena[:begin]
	}
	if len(r.value) == 0 {
		if formula && (!hasValue || kind != kindText && kind != kindInline) {
			r.arena = append(r.arena, NoValue...)
		}
		return nil
	}
	return r.show(kind, style)
}

// show appends a value as people see it.
func (r *Rows) show(kind cellKind, style int) (err error) {
	begin := len(r.arena)
	switch kind {
	case kindShared:
		n, ok := number(trimBlank(r.value))
		if !ok {
			n = -1
		}
		if r.arena, err = r.texts.get(r.arena, n); err != nil {
			return err
		}
		r.arena = r.styles.text(r.arena, begin, style)
	case kindText, kindInline, kindUnknown:
		r.arena = unescape(append(r.arena, r.value...), begin)
		r.arena = r.styles.text(r.arena, begin, style)
	case kindBool:
		switch string(trimBlank(r.value)) {
		case "1", "true":
			r.arena = append(r.arena, "TRUE"...)
		case "0", "false":
			r.arena = append(r.arena, "FALSE"...)
		default:
			return errors.New("a cell that is neither true nor false")
		}
	case kindError:
		r.arena = append(r.arena, r.value...)
	case kindDate:
		r.arena = append(r.arena, isoDate(string(r.value))...)
	default:
		r.arena = r.styles.number(r.arena, trimBlank(r.value), style)
	}
	return nil
}

// isoDate is a date that is stored as text, without what says nothing.
func isoDate(text string) string {
	day, clock, ok := strings.Cut(strings.TrimSuffix(text, "Z"), "T")
	clock, fraction, _ := strings.Cut(clock, ".")
	if strings.Trim(fraction, "0123456789") != "" {
		return text
	}
	if !ok || clock == "00:00:00" {
		return day
	}
	return day + " " + clock
}

func trimBlank(value []byte) []byte {
	for len(value) > 0 && isBlank(value[0]) {
		value = value[1:]
	}
	for len(value) > 0 && isBlank(value[len(value)-1]) {
		value = value[:len(value)-1]
	}
	return value
}

// reference reads a cell's name: B7.
func reference(ref []byte) (column, row int, ok bool) {
	i := 0
	for ; i < len(ref); i++ {
		b := ref[i] &^ 0x20
		if b < 'A' || b > 'Z' {
			break
		}
		if column = column*26 + int(b-'A') + 1; column > maxColumns {
			return 0, 0, false
		}
	}
	row, ok = number(ref[i:])
	return column, row, ok && i > 0
}
