package contacts

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	letter "unicode"
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
	Windows1254 Encoding = "windows-1254" // Turkish
	Windows1251 Encoding = "windows-1251" // Cyrillic
	ISO88596    Encoding = "iso-8859-6"   // Arabic
	MacArabic   Encoding = "mac-arabic"   // of old Macs
)

// Encodings are all that can be read.
var Encodings = []Encoding{UTF8, UTF16LE, UTF16BE, Windows1256, Windows1252, Windows1254, Windows1251, ISO88596, MacArabic}

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
	Windows1254: charmap.Windows1254,
	Windows1251: charmap.Windows1251,
	ISO88596:    charmap.ISO8859_6,
}

// macArabic are the characters of the upper half of MacArabic, which golang.org/x/text
// does not have. Its letters are those of ISO 8859-6; punctuation and digits are written
// from right to left.
var macArabic = []rune("Ä\u00a0ÇÉÑÖÜáàâäں«çéèêëí…îïñó»ôö÷úùûü !\"#$٪&'()*+،-./٠١٢٣٤٥٦٧٨٩:؛<=>؟❊ءآأؤإئابةتثجحخدذرزسشصضطظعغ[\\]^_ـفقكلمنهوىيًٌٍَُِّْپٹچەڤگڈڑ{|}ژے")

// macReader makes UTF-8 of MacArabic.
type macReader struct {
	src io.Reader
	out []byte // decoded and not yet handed out
}

func (m *macReader) Read(p []byte) (int, error) {
	for len(m.out) == 0 {
		raw := make([]byte, 4096)
		n, err := m.src.Read(raw)
		for _, b := range raw[:n] {
			if b < utf8.RuneSelf {
				m.out = append(m.out, b)
			} else {
				m.out = utf8.AppendRune(m.out, macArabic[b-utf8.RuneSelf])
			}
		}
		if err != nil && len(m.out) == 0 {
			return 0, err
		}
	}
	n := copy(p, m.out)
	m.out = m.out[n:]
	return n, nil
}

// decode makes UTF-8 of r. What claims to be UTF-8 already stays as it is, and
// is checked where it is read.
func (e Encoding) decode(r io.Reader) io.Reader {
	if e == MacArabic {
		return &macReader{src: r}
	}
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
	if err := looksLike(head); err != nil {
		return err
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
	}
	if f.format.Encoding == "" && !isBinary(head) {
		f.format.Encoding, err = encodingOf(f.bytes)
	}
	switch {
	case err != nil:
		return err
	case f.format.Encoding == "":
		return kind{"a binary file", saveAsCSV}
	case f.format.Encoding != UTF8 && f.format.Encoding != UTF16LE && f.format.Encoding != UTF16BE:
		f.guess, err = f.guessed()
	}
	return err
}

// guessed tells that the encoding is a guess, with what it makes of the first line
// that another encoding would make something else of. It shows words, no numbers.
func (f *File) guessed() (string, error) {
	raw, err := f.bytes()
	if err != nil {
		return "", err
	}
	defer raw.Close()
	text := bufio.NewReaderSize(raw, sampleBytes)
	for line := 1; ; line++ {
		part, err := text.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			line-- // it goes on
		} else if err != nil && len(part) == 0 {
			return fmt.Sprintf("the encoding %s is a guess: --encoding decides", f.format.Encoding), nil //nolint:nilerr // the text ends, or fails again where it is read
		}
		decoded, err := io.ReadAll(f.format.Encoding.decode(bytes.NewReader(part)))
		if err != nil {
			return "", err
		}
		if words := foreignWords(string(decoded)); words != "" {
			return fmt.Sprintf("the encoding %s is a guess: line %d reads %q; --encoding decides", f.format.Encoding, line, words), nil
		}
	}
}

// foreignWords are the first words of a line with letters beyond ASCII.
func foreignWords(line string) string {
	const most = 3
	var words []string
	for _, cell := range strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(",;\t|\"\r\n", r) }) {
		if len(words) < most && strings.ContainsFunc(cell, func(r rune) bool { return r >= utf8.RuneSelf && letter.IsLetter(r) }) && !strings.ContainsFunc(cell, letter.IsDigit) {
			words = append(words, strings.TrimSpace(string([]rune(cell)[:min(40, utf8.RuneCountInString(cell))])))
		}
	}
	return strings.Join(words, ", ")
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
	if zeros[1] > zeros[0] {
		side = 1
	}
	units := len(head) / 2
	switch {
	case zeros[side] == 0, 20*zeros[1-side] > zeros[side]: // on both sides: a slip in a cell has two zeros
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
	bytes     int // of the pieces in which something is no UTF-8

	upper [256]int // bytes that are no ASCII
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
	c.bytes += len(text)
	for i, b := range text {
		if b >= utf8.RuneSelf {
			c.upper[b]++
		}
		switch {
		case isControl(b):
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

// encoding is UTF-8, or else the encoding in which the text looks most like words.
func (c *census) encoding() Encoding {
	switch {
	case c.invalid <= c.continued:
		return UTF8
	case tooMuchControl(c.control, c.bytes):
		return ""
	}
	var best Encoding
	var most float64
	for _, e := range []Encoding{Windows1252, Windows1256, Windows1254, ISO88596, Windows1251} {
		if likeness := c.likeness(e); best == "" || likeness > most {
			best, most = e, likeness
		}
	}
	if best == ISO88596 && c.hasBeyond(charmap.ISO8859_6) {
		return MacArabic // whose letters stand in the same places
	}
	return best
}

func (c *census) hasBeyond(e *charmap.Charmap) bool {
	for b, n := range c.upper {
		if n > 0 && e.DecodeByte(byte(b)) == utf8.RuneError {
			return true
		}
	}
	return false
}

// lettersOf are the letters beyond ASCII of languages that are written in an encoding,
// the most frequent first.
var lettersOf = map[Encoding][]rune{
	Windows1252: []rune("éèáíóüöäñçãàêôâúßõëîåøæûïìòùœÉÁÖÜÄÇÑÍÓ"),
	Windows1254: []rune("ıişüöçğİÇŞÖÜĞâîéèáíóäñàêôúß"),
	Windows1251: []rune("оаеинтрслвкмдупягьызбчйжхшюцэщфёъіїєґ"),
	Windows1256: []rune("اليمنرودبعةسهتفحكقجشطصىأخضغزءثذإئآظؤپچگژ"),
	ISO88596:    []rune("اليمنرودبعةسهتفحكقجشطصىأخضغزءثذإئآظؤـ"),
}

// likeness tells how much the text looks like words in an encoding: as the sum of the
// logarithms of how frequent each letter is.
func (c *census) likeness(e Encoding) (sum float64) {
	decode := codecs[e].(*charmap.Charmap).DecodeByte
	for b, n := range c.upper {
		if n == 0 {
			continue
		}
		r := decode(byte(b))
		rank := slices.Index(lettersOf[e], r)
		if rank < 0 {
			rank = slices.Index(lettersOf[e], letter.ToLower(r))
		}
		weight := -9.0 // no character, or a sign that no list has
		switch {
		case rank >= 0:
			weight = -math.Log(float64(rank + 3))
		case letter.IsLetter(r), letter.Is(letter.Mn, r):
			weight = -5
		case letter.IsSpace(r), strings.ContainsRune("«»“”‘’–—…،؛؟•·°№", r):
			weight = -3
		}
		sum += weight * float64(n)
	}
	const misplaced = 3 // as letters beyond ASCII stand in words of the other kind
	if e == Windows1252 || e == Windows1254 {
		return sum - misplaced*float64(c.together)
	}
	return sum - misplaced*float64(c.alone)
}
