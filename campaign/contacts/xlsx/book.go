// Package xlsx reads the sheets of Excel workbooks, as people see them: whole, or
// not at all.
//
// Every part that matters (content types, relationships, workbook, styles, texts
// and the sheets that are read) is read to its end: its checksum, well-formed XML,
// every closing tag. Any fault is an error that names the part, and the row of a
// sheet. Nobody may trust the rows that came before it: they are handed out while
// the sheet is read.
//
// Memory is bounded whatever the file holds: texts beyond 32 MB go to a file.
package xlsx

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
)

const (
	maxSheets    = 4096
	maxRelations = 10_000
	maxName      = 1000 // bytes of a sheet's name, or of where a relationship leads
)

// A Sheet is one of a workbook.
type Sheet struct {
	Name   string
	Hidden bool // nobody sees it who does not ask for it
	Grid   bool // it has cells; charts and dialogs have none
	Blank  bool // there is nothing in any of them
	part   string
}

// A Book is a workbook of which the contents are known.
type Book struct {
	Sheets []Sheet

	parts    map[string]*zip.File
	size     int64 // of the file
	budget   int64 // bytes that may still be unpacked
	date1904 bool
	styles   string // part names; empty: there is none
	texts    string
}

// Open reads what a workbook consists of.
func Open(data io.ReaderAt, size int64) (*Book, error) {
	z, err := OpenZip(data, size)
	if err != nil {
		return nil, err
	}
	b := &Book{size: size}
	if b.parts, err = partsOf(z); err != nil {
		return nil, err
	}
	b.refill()
	const types = "[content_types].xml"
	if b.parts[types] != nil {
		if err := b.read(types, "Types", func(*scanner) error { return nil }); err != nil {
			return nil, err
		}
	}
	book, err := b.bookPart()
	if err != nil {
		return nil, err
	}
	related, err := b.relations(book)
	if err != nil {
		return nil, err
	}
	for _, r := range related {
		switch r.kind {
		case "styles":
			b.styles = r.part
		case "sharedStrings":
			b.texts = r.part
		}
	}
	for name, part := range map[string]*string{"styles.xml": &b.styles, "sharedstrings.xml": &b.texts} {
		if usual := path.Join(path.Dir(book), name); *part == "" && b.parts[usual] != nil {
			*part = usual
		}
	}
	if err := b.contents(book, related); err != nil {
		return nil, err
	}
	for i := range b.Sheets {
		b.Sheets[i].Blank = b.Sheets[i].Grid && b.isBlank(b.Sheets[i].part)
	}
	return b, nil
}

// isBlank reports whether a sheet has no cell with anything in it. What cannot be
// read is not blank: it is found when it is read.
func (b *Book) isBlank(part string) bool {
	text, err := b.openPart(part)
	if err != nil {
		return false
	}
	defer text.Close()
	s := newScanner(text)
	for {
		switch kind, err := s.next(); {
		case err != nil, kind == tokenOpen && (s.opened("v") || s.opened("is") || s.opened("f")):
			return false
		case kind == tokenEnd:
			return true
		}
	}
}

// refill lets all parts be unpacked once more.
func (b *Book) refill() { b.budget = min(max(b.size*maxRatio, freeBook), 4*maxPart) }

// read reads a part to its end, and hands out the scanner at each child of the
// root, which must be of a name. What use leaves of a child is skipped.
func (b *Book) read(part, root string, use func(*scanner) error) error {
	text, err := b.openPart(part)
	if err != nil {
		return err
	}
	defer text.Close()
	s := newScanner(text)
	err = s.root(root)
	for err == nil {
		var kind token
		if kind, err = s.next(); err != nil || kind == tokenClose {
			break
		}
		if kind != tokenOpen {
			continue
		}
		if depth := len(s.open); true {
			if err = use(s); err == nil {
				err = s.leave(depth)
			}
		}
	}
	if err == nil {
		err = s.finish()
	}
	if err != nil {
		return damaged("the part "+part, 0, err)
	}
	return nil
}

// root takes the outermost element, which must be of a name.
func (s *scanner) root(name string) error {
	kind, err := s.next()
	if err == nil && (kind != tokenOpen || string(s.name) != name || s.space == spaceOther) {
		err = fmt.Errorf("this is no <%s>", name)
	}
	return err
}

// leave passes over what is left of the element at a depth.
func (s *scanner) leave(depth int) error {
	for len(s.open) >= depth {
		if _, err := s.next(); err != nil {
			return err
		}
	}
	return nil
}

// children calls use at each child of the element that was opened.
func (s *scanner) children(use func() error) error {
	for depth := len(s.open); ; {
		kind, err := s.next()
		switch {
		case err != nil:
			return err
		case kind == tokenClose && len(s.open) < depth:
			return nil
		case kind == tokenOpen:
			inner := len(s.open)
			if err := use(); err != nil {
				return err
			}
			if err := s.leave(inner); err != nil {
				return err
			}
		}
	}
}

// A relation leads from one part to another.
type relation struct{ id, kind, part string }

// relations are those of a part.
func (b *Book) relations(part string) (all []relation, err error) {
	rels := path.Join(path.Dir(part), "_rels", path.Base(part)+".rels")
	if part == "" {
		rels = "_rels/.rels"
	}
	if b.parts[rels] == nil {
		return nil, nil
	}
	return all, b.read(rels, "Relationships", func(s *scanner) error {
		if string(s.name) != "Relationship" || string(s.attr("TargetMode")) == "External" {
			return nil
		}
		target := strings.ReplaceAll(string(s.attr("Target")), `\`, "/")
		if !strings.HasPrefix(target, "/") {
			target = path.Join("/", path.Dir(part), target)
		}
		id := string(s.attr("Id"))
		if len(all) == maxRelations || len(target)+len(id) > 2*maxName {
			return errors.New("relationships beyond all measure")
		}
		all = append(all, relation{id, path.Base(string(s.attr("Type"))), partName(target)})
		return nil
	})
}

// bookPart is the part with the sheets' names.
func (b *Book) bookPart() (string, error) {
	related, err := b.relations("")
	if err != nil {
		return "", err
	}
	for _, r := range related {
		if r.kind == "officeDocument" && b.parts[r.part] != nil {
			return r.part, nil
		}
	}
	return "xl/workbook.xml", nil
}

// contents reads the part with the sheets' names.
func (b *Book) contents(book string, related []relation) error {
	return b.read(book, "workbook", func(s *scanner) error {
		switch {
		case s.opened("workbookPr"):
			b.date1904 = isTrue(s.attr("date1904"))
		case s.opened("sheets"):
			return s.children(func() error {
				if s.opened("sheet") {
					return b.addSheet(s, related)
				}
				return nil
			})
		}
		return nil
	})
}

func (b *Book) addSheet(s *scanner, related []relation) error {
	name, state := string(s.attr("name")), string(s.attr("state"))
	if len(b.Sheets) == maxSheets || len(name) > maxName {
		return fmt.Errorf("more than %d sheets, or a name of more than %d bytes", maxSheets, maxName)
	}
	id := ""
	for _, a := range s.attrs {
		if string(a.name) == "id" && (a.space == spaceRelation || id == "" && len(a.prefix) > 0) {
			id = string(a.value)
		}
	}
	sheet := Sheet{Name: name, Hidden: state == "hidden" || state == "veryHidden"}
	for _, r := range related {
		if r.id == id {
			sheet.part, sheet.Grid = r.part, r.kind == "worksheet"
		}
	}
	if len(related) == 0 { // hand-made, without relationships
		sheet.part, sheet.Grid = fmt.Sprintf("xl/worksheets/sheet%d.xml", len(b.Sheets)+1), true
	}
	b.Sheets = append(b.Sheets, sheet)
	return nil
}

func isTrue(value []byte) bool { return string(value) == "1" || string(value) == "true" }

// number reads an attribute that counts.
func number(value []byte) (int, bool) {
	n := 0
	for _, b := range value {
		if b < '0' || b > '9' || n > 1<<40 {
			return 0, false
		}
		n = n*10 + int(b-'0')
	}
	return n, len(value) > 0
}

// readStyles reads the number formats of the cells.
func (b *Book) readStyles() (*styles, error) {
	st := &styles{date1904: b.date1904, codes: make(map[int]string), made: make(map[int]*format)}
	if b.styles == "" {
		return st, nil
	}
	err := b.read(b.styles, "styleSheet", func(s *scanner) error {
		switch {
		case s.opened("numFmts"):
			return s.children(func() error {
				id, err := strconv.Atoi(string(s.attr("numFmtId")))
				if err != nil || !s.opened("numFmt") {
					return nil
				}
				return st.addCode(id, s.attr("formatCode"))
			})
		case s.opened("cellXfs"):
			return s.children(func() error {
				if !s.opened("xf") {
					return nil
				}
				id, _ := number(s.attr("numFmtId"))
				return st.addCell(id)
			})
		}
		return nil
	})
	return st, err
}
