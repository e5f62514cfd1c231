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
	"hash"
	"hash/crc32"
	"io"
	"path"
	"strings"

	"github.com/klauspost/compress/flate"
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

// Bounds on what a file may unpack to, so that a few kilobytes cannot fill a machine or
// keep it busy for hours. Workbooks usually shrink to a tenth, rarely to a hundredth.
const (
	maxDirectory = 4 << 20   // bytes of the archive's table of contents
	maxPart      = 4 << 30   // bytes that one part may unpack to
	maxRatio     = 200       // of unpacked to packed bytes
	freeUnpacked = 64 << 20  // bytes for which the ratio does not matter
	freeBook     = 256 << 20 // the same for all parts together
)

// ErrTooLarge means that a file unpacks to more than it may.
var ErrTooLarge = errors.New("it unpacks to far more than a contact list would: save the list as \"CSV UTF-8\"")

// OpenZip reads the table of contents of a zip archive. It bounds the table, not the
// archive.
func OpenZip(data io.ReaderAt, size int64) (*zip.Reader, error) {
	table := &tableReader{ReaderAt: data, left: maxDirectory}
	z, err := zip.NewReader(table, size)
	if err != nil {
		return nil, err
	}
	table.left = -1
	z.RegisterDecompressor(zip.Deflate, flate.NewReader)
	return z, nil
}

// A tableReader bounds how many bytes are read. A negative left removes the bound.
type tableReader struct {
	io.ReaderAt
	left int64
}

func (t *tableReader) ReadAt(p []byte, off int64) (int, error) {
	if t.left >= 0 {
		if t.left -= int64(len(p)); t.left < 0 {
			return 0, errors.New("the archive holds far more files than a contact list has parts")
		}
	}
	if off < 0 { // the table says where members stand
		return 0, zip.ErrFormat
	}
	return t.ReaderAt.ReadAt(p, off)
}

// partName normalises the name of a part: Windows programs write backslashes, and case
// does not matter.
func partName(name string) string {
	return strings.ToLower(strings.TrimPrefix(path.Clean("/"+strings.ReplaceAll(name, `\`, "/")), "/"))
}

// IsWorkbook reports whether an archive holds a workbook.
func IsWorkbook(z *zip.Reader) bool {
	types, renamed := false, false
	for _, member := range z.File {
		name := partName(member.Name)
		if name == "xl/workbook.xml" {
			return true
		}
		types = types || name == "[content_types].xml"
		renamed = renamed || strings.HasPrefix(name, "xl/workbook") && strings.HasSuffix(name, ".xml") // SharePoint writes workbook2.xml
	}
	return types && renamed
}

// partsOf indexes the members of an archive by their part names.
func partsOf(z *zip.Reader) (map[string]*zip.File, error) {
	parts := make(map[string]*zip.File, len(z.File))
	for _, member := range z.File {
		if strings.HasSuffix(member.Name, "/") || strings.HasSuffix(member.Name, `\`) {
			continue
		}
		name := partName(member.Name)
		if parts[name] != nil {
			return nil, fmt.Errorf("it holds the part %.100q twice: open it in Excel and save it again", name)
		}
		parts[name] = member
	}
	return parts, nil
}

// A partReader reads a part within bounds and checks its checksum.
type partReader struct {
	io.ReadCloser
	left   int64  // bytes of the part
	budget *int64 // bytes of all parts
	crc    hash.Hash32
}

func (b *Book) openPart(name string) (*partReader, error) {
	member := b.parts[name]
	switch {
	case member == nil:
		return nil, fmt.Errorf("the workbook lacks its part %.100q: open it in Excel and save it again", name)
	case member.Flags&1 != 0:
		return nil, errors.New("the workbook has a password: save it without one")
	}
	text, err := member.Open()
	if err != nil {
		return nil, damaged(name, 0, err)
	}
	p := &partReader{ReadCloser: text, budget: &b.budget}
	p.left = min(max(min(int64(member.CompressedSize64), b.size)*maxRatio, freeUnpacked), maxPart)
	if member.CRC32 == 0 { // archive/zip takes 0 for no checksum
		p.crc = crc32.NewIEEE()
	}
	return p, nil
}

func (p *partReader) Read(buf []byte) (int, error) {
	n, err := p.ReadCloser.Read(buf)
	p.left -= int64(n)
	if *p.budget -= int64(n); p.left < 0 || *p.budget < 0 {
		return 0, ErrTooLarge
	}
	if p.crc != nil {
		_, _ = p.crc.Write(buf[:n]) // never fails
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("it is cut off")
	case errors.Is(err, zip.ErrChecksum), errors.Is(err, io.EOF) && p.crc != nil && p.crc.Sum32() != 0:
		err = errors.New("its checksum is wrong")
	}
	return n, err
}

// damaged returns a *DamageError, unless err is ErrTooLarge.
func damaged(part string, row int, err error) error {
	if errors.Is(err, ErrTooLarge) {
		return err
	}
	where := ""
	if row > 0 {
		where = fmt.Sprintf(" at row %d", row)
	}
	return &DamageError{Part: part, Row: row, text: fmt.Sprintf("%s is damaged%s: %v; open it in Excel and save it again", part, where, err), err: err}
}

// A DamageError means that a workbook cannot be trusted.
type DamageError struct {
	Part string // as people know it
	Row  int    // of a sheet; 0: not in a row
	text string
	err  error
}

func (e *DamageError) Error() string { return e.text }
func (e *DamageError) Unwrap() error { return e.err }
