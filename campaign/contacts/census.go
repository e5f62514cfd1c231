package contacts

import (
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	letter "unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

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
// reading reports them with their line.
//
// Most lists are UTF-8 throughout, which the first, faster pass finds out.
func encodingOf(open func() (io.ReadCloser, error)) (Encoding, error) {
	var c census
	valid, err := eachPiece(open, utf8.Valid)
	if err != nil || valid {
		return UTF8, err
	}
	_, err = eachPiece(open, c.count)
	return c.encoding(), err
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
