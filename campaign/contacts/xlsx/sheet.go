package xlsx

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// Bounds of a sheet.
const (
	maxRows    = 1 << 20 // as in Excel
	maxColumns = 1 << 14 // as in Excel
	maxRow     = 2 << 20 // bytes of a row: its cells may all name the same long text
)

// A Row is a row that has cells or is hidden.
type Row struct {
	Number int      // from 1
	Hidden bool     // by a filter or by hand
	Cells  [][]byte // up to the last that is not blank; valid until the next row
}

// Rows reads the rows of sheets, one sheet after another.
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
	allRows bool // rows are hidden by default
	arena   []byte
	kind    []byte // of the cell: its attribute t
	value   []byte
	done    bool
}

// columns is a range of columns, counted from 1.
type columns struct{ first, last int }

// Rows prepares to read sheets. It reads what their cells share; create makes a
// temporary file for large texts. The Rows must be closed.
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

// Close frees what reading needs.
func (r *Rows) Close() error {
	err := r.texts.close()
	if r.text != nil {
		err = errors.Join(err, r.text.Close())
	}
	return err
}

// Open starts a sheet.
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

// pass skips the rest of the element at this depth, which must not hold rows.
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

// errMisplaced reports rows or cells in the wrong place. Skipping them would lose
// people.
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

// HiddenColumns returns a function that tells which columns of the sheet are hidden,
// counted from 0.
func (r *Rows) HiddenColumns() func(n int) bool {
	hidden := r.hidden
	return func(n int) bool {
		return slices.ContainsFunc(hidden, func(c columns) bool { return c.first <= n+1 && n+1 <= c.last })
	}
}

// Next returns the next row of the sheet that has cells or is hidden. It returns nil
// after the last row, once the whole sheet has proved sound.
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
	r.row.Hidden = isTrue(hidden) || hidden == nil && r.allRows && s.attr("ht") == nil || string(s.attr("ht")) == "0"
	r.column, r.arena = 0, r.arena[:0]
	if err := s.children(r.cell); err != nil {
		return err
	}
	for k := len(r.row.Cells); k > 0 && len(r.row.Cells[k-1]) == 0; k-- {
		r.row.Cells = r.row.Cells[:k-1]
	}
	return nil
}
