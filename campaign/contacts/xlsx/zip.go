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
