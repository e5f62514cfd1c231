// Package xlsx reads the sheets of Excel workbooks as people see them.
//
// A sheet is read whole or not at all. Every part that matters (content types,
// relationships, workbook, styles, texts and the sheets that are read) is checked to its
// end: its checksum, well-formed XML, every closing tag. A fault is an error that names
// the part, and in a sheet the row. Rows are returned while the sheet is read, so an
// error makes the rows before it worthless, too.
//
// Memory is bounded whatever the file holds: texts beyond 32 MB go to a file. What the
// cells mean is left to the caller.
package xlsx

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

const (
	maxSheets    = 4096
	maxRelations = 10_000
	maxName      = 1000 // bytes of a sheet's name or of the target of a relationship
)

// A Sheet is a sheet of a workbook.
type Sheet struct {
	Name   string
	Hidden bool
	Grid   bool // it has cells; charts and dialogs do not
	Blank  bool // all its cells are empty
	part   string
}

// A Book is an open workbook.
type Book struct {
	Sheets []Sheet

	parts    map[string]*zip.File
	size     int64 // of the file
	budget   int64 // bytes that may still be unpacked from all parts
	date1904 bool
	styles   string // part names; empty: no such part
	texts    string
}

// Open reads the structure of a workbook, and which of its sheets are blank.
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

// isBlank reports whether no cell of a sheet has content. A sheet that cannot be read
// is not blank, so that reading it reports the error.
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

// refill allows all parts to be unpacked once more.
func (b *Book) refill() { b.budget = min(max(b.size*maxRatio, freeBook), 4*maxPart) }

// read reads a part to its end. It calls use for each child of the root element, which
// must have the given name, and skips what use leaves of the child.
func (b *Book) read(part, root string, use func(*scanner) error) error {
	text, err := b.openPart(part)
	if err != nil {
		return err
	}
	defer text.Close()
	s := newScanner(text)
	if err = s.root(root); err == nil {
		err = s.children(func() error { return use(s) })
	}
	if err == nil {
		err = s.finish()
	}
	if err != nil {
		return damaged("the part "+part, 0, err)
	}
	return nil
}

type relation struct{ id, kind, part string }

// relations returns the relations of a part. The part "" stands for the package.
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
