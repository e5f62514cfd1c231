package contacts

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts/xlsx"
)

// A Format is how a contact file is written. For Open, empty fields are to be detected;
// File.Format has the result.
type Format struct {
	Container string    `json:"format"`              // csv, csv.gz, zip or xlsx; always detected
	Sheet     string    `json:"sheet,omitempty"`     // of a workbook: its name or number; empty: the first visible one
	Encoding  Encoding  `json:"encoding,omitempty"`  // not of a workbook
	Delimiter Delimiter `json:"delimiter,omitempty"` // not of a workbook
	LineEnds  LineEnds  `json:"line_ends,omitempty"` // of the header; empty for a workbook and a file of one line; always detected

	HeaderLine     int  `json:"header_line,omitempty"`      // the line of the header; 0: the first
	AllSheets      bool `json:"all_sheets,omitempty"`       // that are visible; they have the same columns
	SkipHiddenRows bool `json:"skip_hidden_rows,omitempty"` // of a workbook
}

// String describes the format for people.
func (f Format) String() string {
	switch {
	case f.AllSheets:
		return f.Container + ", all sheets that are not hidden"
	case f.Sheet != "":
		return fmt.Sprintf("%s, sheet %q", f.Container, f.Sheet)
	}
	text := fmt.Sprintf("%s, %s, %s between cells", f.Container, f.Encoding, f.Delimiter)
	if f.LineEnds != "" {
		text += ", lines end in " + string(f.LineEnds)
	}
	return text
}

// Bounds on what a packed file may unpack to, so that a few kilobytes cannot fill a machine.
// Contact lists usually shrink to a tenth, rarely to a hundredth.
const (
	maxUnpacked  = 16 << 30 // bytes
	maxRatio     = 200      // of unpacked to packed bytes
	freeUnpacked = 64 << 20 // bytes for which the ratio does not matter
)

// sampleBytes is how much of the beginning of a file decides what it is.
const sampleBytes = 64 << 10

// A File is a contact file whose format is known.
type File struct {
	format Format
	data   io.ReaderAt
	size   int64
	mark   int // bytes of the byte order mark

	sound        bool             // the whole text is UTF-8; data must not change meanwhile
	separator    bool             // the first line names the delimiter
	guess        campaign.Message // that the encoding is one; zero: it is known
	book         *xlsx.Book       // nil: not a workbook
	sheets       []xlsx.Sheet     // to read
	named        bool             // the sheet was asked for
	phoneColumns []string
}

// Open detects how a file of size bytes is written. It refuses a file that is not a
// contact list and says what the file is. want holds what is known already.
// phoneColumns are as in Options and help to find the delimiter.
func Open(data io.ReaderAt, size int64, want Format, phoneColumns ...string) (*File, error) {
	f := &File{format: want, data: data, size: size}
	head, err := readHead(io.NewSectionReader(data, 0, size))
	if err != nil {
		return nil, err
	}
	if f.format.Container, err = f.container(head); err != nil {
		return nil, err
	}
	if f.format.Container == containerWorkbook {
		return f, f.chooseSheets(named(phoneColumns))
	}
	switch {
	case want.Sheet != "":
		return nil, campaign.Faulty(campaign.MsgFileNoBook)
	case want.AllSheets, want.SkipHiddenRows:
		return nil, campaign.Faulty(campaign.MsgFileNotABook)
	}
	if err := f.findEncoding(); err != nil {
		return nil, err
	}
	return f, f.findDialect(named(phoneColumns))
}

// Format is how the file is written.
func (f *File) Format() Format { return f.format }

// Reader reads the file as contacts from its beginning. It ignores opt.Comma. The
// Reader must be closed.
func (f *File) Reader(opt Options) (*Reader, error) {
	text, err := f.text()
	if err != nil {
		return nil, err
	}
	r, err := NewReader(text, f.options(opt))
	if err != nil {
		_ = text.Close() // was only read
		return nil, f.orOtherSheet(err)
	}
	r.text = text
	if !f.guess.IsZero() {
		r.remarks = append(r.remarks, f.guess)
	}
	if f.format.HeaderLine == 0 && r.header > f.firstLine() {
		f.format.HeaderLine = r.header
	}
	if sheet, ok := text.(*sheetText); ok {
		r.sheet, r.skipHidden = sheet, f.format.SkipHiddenRows
	}
	return r, nil
}

func (f *File) firstLine() int {
	if f.separator {
		return 2
	}
	return 1
}

// Numbers reads the file as phone numbers; see ReadNumbers.
func (f *File) Numbers(opt Options) (*Numbers, error) {
	if f.book != nil {
		return f.numbersOfSheets(f.options(opt))
	}
	text, err := f.text()
	if err != nil {
		return nil, err
	}
	defer text.Close()
	n, err := ReadNumbers(text, f.options(opt))
	if err == nil && !f.guess.IsZero() {
		n.remarks = append(n.remarks, f.guess)
	}
	return n, err
}

func (f *File) options(opt Options) Options {
	opt.HeaderLine = f.format.HeaderLine
	opt.Comma, opt.rowsAreLines = f.format.Delimiter.comma(), f.format.Container == containerWorkbook
	if opt.sound = f.sound; f.format.Container == containerText && f.format.Encoding == UTF8 {
		opt.size = f.size
	}
	return opt
}

const (
	containerText     = "csv"
	containerGzip     = "csv.gz"
	containerZip      = "zip"
	containerWorkbook = "xlsx"
)

func (f *File) container(head []byte) (string, error) {
	switch {
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		return containerGzip, nil
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")):
		return f.archive()
	}
	return containerText, nil
}

// archive tells a workbook from other zip archives.
func (f *File) archive() (string, error) {
	z, err := xlsx.OpenZip(f.data, f.size)
	if err != nil {
		return "", campaign.Because(err, campaign.MsgFileArchive, "why", err.Error())
	}
	if xlsx.IsWorkbook(z) {
		return containerWorkbook, nil
	}
	for _, kind := range []struct{ name, is, do string }{
		{"xl/workbook.bin", "a binary Excel workbook (.xlsb)", saveAsXLSX},
		{"word/document.xml", "a Word document", giveList},
		{"ppt/presentation.xml", "a PowerPoint presentation", giveList},
		{"content.xml", "an OpenDocument file", saveAsXLSX},
	} {
		for _, member := range z.File {
			if strings.EqualFold(strings.ReplaceAll(member.Name, `\`, "/"), kind.name) {
				return "", foreign(kind.is, kind.do)
			}
		}
	}
	if slices.ContainsFunc(z.File, func(m *zip.File) bool {
		return strings.HasPrefix(m.Name, "Index/") && strings.HasSuffix(m.Name, ".iwa") || path.Base(m.Name) == "Index.zip"
	}) {
		return "", foreign("a document of Numbers, Pages or Keynote", "export it as .xlsx or CSV (File, Export To)")
	}
	_, err = theOneMember(z)
	return containerZip, err
}

// theOneMember returns the only file of an archive. Files that macOS and Windows add to
// archives do not count.
func theOneMember(z *zip.Reader) (*zip.File, error) {
	var members []*zip.File
	for _, m := range z.File {
		name := strings.ReplaceAll(m.Name, `\`, "/")
		if strings.HasSuffix(name, "/") || strings.HasPrefix(name, "__MACOSX/") || strings.HasPrefix(path.Base(name), ".") || path.Base(name) == "desktop.ini" {
			continue
		}
		members = append(members, m)
	}
	switch {
	case len(members) == 0:
		return nil, campaign.Faulty(campaign.MsgFileZipEmpty)
	case len(members) > 1:
		return nil, campaign.Faulty(campaign.MsgFileZipMany, "files", len(members))
	case members[0].Flags&1 != 0:
		return nil, campaign.Faulty(campaign.MsgFileZipLocked)
	}
	return members[0], nil
}

// bytes returns the text unpacked and not decoded.
func (f *File) bytes() (io.ReadCloser, error) {
	raw := io.NewSectionReader(f.data, 0, f.size)
	switch f.format.Container {
	case containerGzip:
		z, err := gzip.NewReader(raw)
		if err != nil {
			return nil, unpackError(err)
		}
		return bounded(z, f.size), nil
	case containerZip:
		z, err := xlsx.OpenZip(f.data, f.size)
		if err != nil {
			return nil, err
		}
		member, err := theOneMember(z)
		if err != nil {
			return nil, err
		}
		text, err := member.Open()
		if err != nil {
			return nil, unpackError(err)
		}
		return bounded(text, f.size), nil
	}
	return io.NopCloser(raw), nil
}

// text returns the file as UTF-8 without a byte order mark.
func (f *File) text() (io.ReadCloser, error) {
	if f.format.Container == containerWorkbook {
		return f.rows(f.sheets)
	}
	raw, err := f.bytes()
	if err != nil {
		return nil, err
	}
	if _, err := io.CopyN(io.Discard, raw, int64(f.mark)); err != nil {
		_ = raw.Close()
		return nil, err
	}
	text := f.format.Encoding.decode(raw)
	if f.format.LineEnds == CR {
		text = &returns{src: text}
	}
	return readCloser{text, raw}, nil
}

type readCloser struct {
	io.Reader
	io.Closer
}

// A bound fails when a packed file unpacks to much more than its size.
type bound struct {
	io.ReadCloser
	left int64
}

func bounded(r io.ReadCloser, packed int64) io.ReadCloser { return &bound{r, unpackedBound(packed)} }

func unpackedBound(packed int64) int64 { return min(max(packed*maxRatio, freeUnpacked), maxUnpacked) }

func (b *bound) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		return n, unpackError(err)
	}
	if b.left -= int64(n); b.left < 0 {
		return 0, campaign.Faulty(campaign.MsgFileHuge)
	}
	return n, err
}

// unpackError says what to do about a damaged packed file.
func unpackError(err error) error {
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return campaign.Faulty(campaign.MsgFileCutOff)
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), errors.Is(err, zip.ErrChecksum), errors.Is(err, zip.ErrFormat),
		errors.As(err, &corrupt):
		return campaign.Because(err, campaign.MsgFilePacked, "why", err.Error())
	}
	return err
}

func readHead(r io.Reader) ([]byte, error) {
	head := make([]byte, sampleBytes)
	n, err := io.ReadFull(r, head)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return head[:n], err
}

func named(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return trimName(name) == "" })
}
