package contacts

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	letter "unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/runes"
	"golang.org/x/text/transform"

	"campaign-runner/campaign"
)

// An Encoding is how the text of a file is encoded.
type Encoding string

const (
	UTF8        Encoding = "utf-8"
	UTF16LE     Encoding = "utf-16le" // Excel calls it Unicode Text
	UTF16BE     Encoding = "utf-16be"
	Windows1256 Encoding = "windows-1256" // Arabic
	Windows1252 Encoding = "windows-1252" // Western European
	Windows1254 Encoding = "windows-1254" // Turkish
	Windows1251 Encoding = "windows-1251" // Cyrillic
	ISO88596    Encoding = "iso-8859-6"   // Arabic
	MacArabic   Encoding = "mac-arabic"   // on old Macs
)

// encodings is the table of all that can be read. Those with letters can be guessed; the
// first wins where all look equally likely.
var encodings = []struct {
	is      Encoding
	codec   encoding.Encoding // nil: none in golang.org/x/text
	letters string            // beyond ASCII in its languages, the most frequent first
	latin   bool              // these letters stand beside those of ASCII, as in José
}{
	{UTF8, nil, "", false},
	{UTF16LE, unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), "", false},
	{UTF16BE, unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), "", false},
	{Windows1252, charmap.Windows1252, "éèáíóüöäñçãàêôâúßõëîåøæûïìòùœÉÁÖÜÄÇÑÍÓ", true},
	{Windows1256, charmap.Windows1256, "اليمنرودبعةسهتفحكقجشطصىأخضغزءثذإئآظؤپچگژ", false},
	{Windows1254, charmap.Windows1254, "ıişüöçğİÇŞÖÜĞâîéèáíóäñàêôúß", true},
	{ISO88596, charmap.ISO8859_6, "اليمنرودبعةسهتفحكقجشطصىأخضغزءثذإئآظؤـ", false},
	{Windows1251, charmap.Windows1251, "оаеинтрслвкмдупягьызбчйжхшюцэщфёъіїєґ", false},
	{MacArabic, nil, "", false},
}

// Encodings are the names of all encodings that can be read.
var Encodings = func() (all []Encoding) {
	for _, e := range encodings {
		all = append(all, e.is)
	}
	return all
}()

// ParseEncoding reads an encoding's name in any usual spelling: "UTF-8", "cp1256".
func ParseEncoding(name string) (Encoding, error) {
	key := columnKey(name)
	for _, e := range Encodings {
		short := strings.TrimPrefix(columnKey(string(e)), "windows")
		if key == short || key == "windows"+short || key == "cp"+short {
			return e, nil
		}
	}
	return "", fmt.Errorf("encoding %q: want %s", name, campaign.OneOf(Encodings))
}

// macArabic holds the upper half of MacArabic, which golang.org/x/text does not have.
// Its letters stand where ISO 8859-6 has them; its punctuation and digits are the
// right-to-left ones.
var macArabic = []rune("Ä\u00a0ÇÉÑÖÜáàâäں«çéèêëí…îïñó»ôö÷úùûü !\"#$٪&'()*+،-./٠١٢٣٤٥٦٧٨٩:؛<=>؟❊ءآأؤإئابةتثجحخدذرزسشصضطظعغ[\\]^_ـفقكلمنهوىيًٌٍَُِّْپٹچەڤگڈڑ{|}ژے")

// decode converts r to UTF-8. Text that claims to be UTF-8 is checked later, where it is
// read.
func (e Encoding) decode(r io.Reader) io.Reader {
	if e == MacArabic {
		upper := runes.Map(func(r rune) rune {
			if r >= utf8.RuneSelf {
				return macArabic[r-utf8.RuneSelf]
			}
			return r
		})
		return transform.NewReader(charmap.ISO8859_1.NewDecoder().Reader(r), upper)
	}
	for _, known := range encodings {
		if known.is == e && known.codec != nil {
			return known.codec.NewDecoder().Reader(r)
		}
	}
	return r
}

var marks = []struct {
	mark     string
	encoding Encoding
}{{bom, UTF8}, {"\xff\xfe", UTF16LE}, {"\xfe\xff", UTF16BE}}

// findEncoding looks at the byte order mark, then at the beginning for UTF-16, then at
// the whole text: the first Arabic name may stand on line 90,000.
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
		f.format.Encoding, f.sound, err = encodingOf(f.bytes)
	}
	switch {
	case err != nil:
		return err
	case f.format.Encoding == "":
		return foreign("a binary file", saveAsCSV)
	case f.format.Encoding != UTF8 && f.format.Encoding != UTF16LE && f.format.Encoding != UTF16BE:
		f.guess, err = f.guessed()
	}
	return err
}

// guessed says that the encoding is a guess, with the first words that depend on it. It
// shows no numbers.
func (f *File) guessed() (guess campaign.Message, err error) {
	raw, err := f.bytes()
	if err != nil {
		return guess, err
	}
	defer raw.Close()
	text := bufio.NewReaderSize(raw, sampleBytes)
	for line := 1; ; line++ {
		part, err := text.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			line-- // the line continues
		} else if err != nil && len(part) == 0 {
			return campaign.Say(campaign.MsgReadEncoding, "encoding", f.format.Encoding), nil //nolint:nilerr // the end, or an error that reading reports again
		}
		decoded, err := io.ReadAll(f.format.Encoding.decode(bytes.NewReader(part)))
		if err != nil {
			return guess, err
		}
		if words := foreignWords(string(decoded)); words != "" {
			return campaign.Say(campaign.MsgReadEncodingLine, "encoding", f.format.Encoding, "line", line, "words", strconv.Quote(words)), nil
		}
	}
}

// foreignWords returns the first words of a line that have letters beyond ASCII.
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

// utf16Of detects UTF-16 without a mark: delimiters, digits and line ends have a zero
// byte each, always on the same side. Empty: it is not UTF-16.
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
	case zeros[side] == 0, 20*zeros[1-side] > zeros[side]: // a stray NUL in UTF-16 has zeros on both sides
		return ""
	case 2*zeros[side] < units && (20*zeros[side] < units || lineEnds[side] == 0):
		return ""
	}
	return []Encoding{UTF16BE, UTF16LE}[side]
}

// A census counts what distinguishes encodings.
type census struct {
	continued int // bytes of UTF-8 characters, without the first of each
	invalid   int // bytes that are not UTF-8
	together  int // letters of the upper half beside each other, as in Arabic words
	alone     int // letters of the upper half beside ASCII letters, as in José
	control   int // control characters, which no text has
	bytes     int // of the pieces that are not UTF-8

	upper [256]int // bytes beyond ASCII
}

// count counts a piece. It always wants more.
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

// isUpper reports whether b is a letter beyond ASCII in Windows-1256 and Windows-1252.
func isUpper(b byte) bool {
	return b >= 0xc0 || slices.Contains([]byte{0x81, 0x8d, 0x8e, 0x8f, 0x90, 0x98, 0x9a, 0x9f, 0xaa}, b)
}

func isLetter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }

// encoding returns UTF-8, or else the encoding in which the text looks most like words.
// Empty: it is not text.
func (c *census) encoding() Encoding {
	switch {
	case c.invalid <= c.continued:
		return UTF8
	case tooMuchControl(c.control, c.bytes):
		return ""
	}
	var best Encoding
	var most float64
	for _, e := range encodings {
		if e.letters == "" {
			continue
		}
		const misplaced = 3 // weight of a letter that stands as in the other kind of words
		likeness := c.likeness(e.codec.(*charmap.Charmap), []rune(e.letters))
		if e.latin {
			likeness -= misplaced * float64(c.together)
		} else {
			likeness -= misplaced * float64(c.alone)
		}
		if best == "" || likeness > most {
			best, most = e.is, likeness
		}
	}
	if best == ISO88596 && c.hasBeyond(charmap.ISO8859_6) {
		return MacArabic // its letters are in the same places
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

// likeness returns how much the text looks like words in an encoding: the sum of the
// logarithms of the frequencies of its letters.
func (c *census) likeness(codec *charmap.Charmap, letters []rune) (sum float64) {
	for b, n := range c.upper {
		if n == 0 {
			continue
		}
		r := codec.DecodeByte(byte(b))
		rank := slices.Index(letters, r)
		if rank < 0 {
			rank = slices.Index(letters, letter.ToLower(r))
		}
		weight := -9.0 // not a character, or a sign that no list has
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
	return sum
}

// encodingOf reads a whole text that has a byte for each ASCII character, and returns
// its encoding; empty if it is not text. A text with a few bad bytes is still UTF-8:
// reading reports them with their line. sound: it has none.
//
// Most lists are UTF-8 throughout, which the first, faster pass finds out.
func encodingOf(open func() (io.ReadCloser, error)) (_ Encoding, sound bool, err error) {
	var c census
	valid, err := eachPiece(open, utf8.Valid)
	if err != nil || valid {
		return UTF8, valid, err
	}
	_, err = eachPiece(open, c.count)
	return c.encoding(), false, err
}

// eachPiece reads a text in pieces that do not split a UTF-8 character, until more
// returns false. all means that it read to the end.
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
		// The next read may complete a character.
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
