package contacts

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// An Encoding is how the text of a file is written in bytes.
type Encoding string

const (
	UTF8        Encoding = "utf-8"
	UTF16LE     Encoding = "utf-16le" // what Excel calls Unicode Text
	UTF16BE     Encoding = "utf-16be"
	Windows1256 Encoding = "windows-1256" // Arabic
	Windows1252 Encoding = "windows-1252" // Western European
)

// Encodings are all that can be read.
var Encodings = []Encoding{UTF8, UTF16LE, UTF16BE, Windows1256, Windows1252}

// ParseEncoding reads an encoding's name as people write it: "UTF-8", "cp1256".
func ParseEncoding(name string) (Encoding, error) {
	key := columnKey(name)
	for _, e := range Encodings {
		short := strings.TrimPrefix(columnKey(string(e)), "windows")
		if key == short || key == "windows"+short || key == "cp"+short {
			return e, nil
		}
	}
	return "", fmt.Errorf("encoding %q: want one of %v", name, Encodings)
}

var codecs = map[Encoding]encoding.Encoding{
	UTF16LE:     unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM),
	UTF16BE:     unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM),
	Windows1256: charmap.Windows1256,
	Windows1252: charmap.Windows1252,
}

// decode makes UTF-8 of r. What claims to be UTF-8 already stays as it is, and
// is checked where it is read.
func (e Encoding) decode(r io.Reader) io.Reader {
	if codec := codecs[e]; codec != nil {
		return codec.NewDecoder().Reader(r)
	}
	return r
}

var marks = []struct {
	mark     string
	encoding Encoding
}{{bom, UTF8}, {"\xff\xfe", UTF16LE}, {"\xfe\xff", UTF16BE}}

// findEncoding looks at the byte order mark, then at the beginning for UTF-16,
// then at all of the text: a list whose first name in Arabic stands on line
// 90,000 must not fail there.
func (f *File) findEncoding() error {
	raw, err := f.bytes()
	if err != nil {
		return err
	}
	defer raw.Close()
	head, err := readHead(raw)
	if err != nil {
		return err
	}
	if kind := looksLike(head); kind != "" {
		return fmt.Errorf("this is %s: save it as \"CSV UTF-8\"", kind)
	}
	asked := f.format.Encoding
	for _, m := range marks {
		if bytes.HasPrefix(head, []byte(m.mark)) && (asked == "" || asked == m.encoding) {
			f.format.Encoding, f.mark = m.encoding, len(m.mark)
			return nil
		}
	}
	switch {
	case asked != "":
		return nil
	case bytes.IndexByte(head, 0) >= 0:
		f.format.Encoding = utf16Of(head)
	default:
		f.format.Encoding, err = encodingOf(f.bytes)
	}
	if err == nil && f.format.Encoding == "" {
		err = errors.New("this is a binary file: save it as \"CSV UTF-8\"")
	}
	return err
}

// utf16Of tells the order of UTF-16 without a mark: delimiters, digits and line
// ends have a zero byte each, always on the same side. Empty: it is none.
func utf16Of(head []byte) Encoding {
	if len(head)%2 != 0 {
		return ""
	}
	var zeros, lineEnds [2]int // by the side of the zero
	for i := 0; i < len(head); i += 2 {
		for side := range 2 {
			if head[i+side] != 0 {
				continue
			}
			zeros[side]++
			if other := head[i+1-side]; other == '\n' || other == '\r' {
				lineEnds[side]++
			}
		}
	}
	side := 0
	if zeros[1] > 0 {
		side = 1
	}
	units := len(head) / 2
	switch {
	case zeros[1-side] > 0: // on both sides
		return ""
	case 2*zeros[side] < units && (20*zeros[side] < units || lineEnds[side] == 0):
		return ""
	}
	return []Encoding{UTF16BE, UTF16LE}[side]
}

// encodingOf reads all of a text in an encoding with a byte for each ASCII
// character and tells which. Text with a few bytes amiss is still UTF-8: they
// are told with their line when it is read. Empty: it is no text.
//
// Nearly every list is UTF-8 throughout, which takes half the time to find out.
func encodingOf(open func() (io.ReadCloser, error)) (Encoding, error) {
	var c census
	valid, err := eachPiece(open, utf8.Valid)
	if err != nil || valid {
		return UTF8, err
	}
	_, err = eachPiece(open, c.count)
	return c.encoding(), err
}

// eachPiece reads a text in pieces that end between two characters, if they are
// of UTF-8, for as long as they are wanted; all tells whether that was to the end.
func eachPiece(open func() (io.ReadCloser, error), more func(text []byte) bool) (all bool, err error) {
	r, err := open()
	if err != nil {
		return false, err
	}
	defer r.Close()
	buf := make([]byte, 4*sampleBytes)
	for begin := 0; ; {
		n, err := r.Read(buf[begin:])
		end := begin + n
		if errors.Is(err, io.EOF) {
			return more(buf[:end]), nil
		}
		if err != nil {
			return false, err
		}
		// A character may go on in the next read.
		whole := end
		for whole > 0 && end-whole < utf8.UTFMax-1 && !utf8.RuneStart(buf[whole-1]) {
			whole--
		}
		if whole > 0 && buf[whole-1] >= utf8.RuneSelf {
			whole--
		}
		if !more(buf[:whole]) {
			return false, nil
		}
		begin = copy(buf, buf[whole:end])
	}
}

// A census counts what tells encodings apart.
type census struct {
	continued int // bytes of characters in UTF-8, but for their first
	invalid   int // bytes that are no UTF-8
	together  int // letters of the upper half beside each other, as in Arabic words
	alone     int // letters of the upper half beside ASCII letters, as in José
	control   int // bytes that no text has
}

// count counts a piece; it wants them all.
func (c *census) count(text []byte) (more bool) {
	if utf8.Valid(text) {
		c.continued += len(text) - utf8.RuneCount(text)
		return true
	}
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			c.invalid++
		}
		c.continued += size - 1
		i += size
	}
	for i, b := range text {
		switch {
		case b < ' ' && b != '\t' && b != '\n' && b != '\r' && b != '\f' && b != '\v' && b != 0x1a:
			c.control++
		case !isUpper(b):
		case i > 0 && isUpper(text[i-1]):
			c.together++
		case i > 0 && isLetter(text[i-1]) || i+1 < len(text) && isLetter(text[i+1]):
			c.alone++
		}
	}
	return true
}

// isUpper reports whether b is a letter in the upper half of both encodings: of
// Arabic in one and mostly of French in the other.
func isUpper(b byte) bool {
	return b >= 0xc0 || slices.Contains([]byte{0x81, 0x8d, 0x8e, 0x8f, 0x90, 0x98, 0x9a, 0x9f, 0xaa}, b)
}

func isLetter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }

func (c *census) encoding() Encoding {
	switch {
	case c.invalid <= c.continued:
		return UTF8
	case c.control > 0:
		return ""
	case c.together > c.alone:
		return Windows1256
	}
	return Windows1252
}
