package xlsx

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Bounds of the texts that the cells of a workbook share.
const (
	pageBytes   = 64 << 10
	memoryPages = 512 // the first pages, which stay in memory
	cachedPages = 128 // of the pages in the file
	maxTexts    = 16 << 20
	maxTextSize = 2 << 30 // bytes of all texts
	endsChunk   = 16 << 10
)

// texts holds the texts that cells share, by number. Texts beyond the first 32 MB are
// in a file.
type texts struct {
	create func() (*os.File, error)

	pages [][]byte // in memory
	last  []byte   // the page that is being filled
	size  int      // bytes of all texts
	ends  [][]uint32
	count int

	file  *os.File
	cache [cachedPages]struct {
		page int // counted from 1; 0: free
		text []byte
	}
}

func (t *texts) add(text []byte) error {
	if t.count == maxTexts || t.size+len(text) > maxTextSize {
		return ErrTooLarge
	}
	t.size += len(text)
	for len(text) > 0 {
		if t.last == nil {
			t.last = make([]byte, 0, pageBytes)
		}
		n := min(len(text), pageBytes-len(t.last))
		t.last, text = append(t.last, text[:n]...), text[n:]
		if len(t.last) == pageBytes {
			if err := t.seal(); err != nil {
				return err
			}
		}
	}
	if t.count%endsChunk == 0 {
		t.ends = append(t.ends, make([]uint32, 0, endsChunk))
	}
	chunk := &t.ends[len(t.ends)-1]
	*chunk = append(*chunk, uint32(t.size))
	t.count++
	return nil
}

func (t *texts) seal() (err error) {
	if len(t.pages) < memoryPages {
		t.pages, t.last = append(t.pages, t.last), nil
		return nil
	}
	if t.file == nil {
		if t.file, err = t.create(); err != nil {
			return err
		}
	}
	_, err = t.file.Write(t.last)
	t.last = t.last[:0]
	return err
}

// get appends text n to a slice.
func (t *texts) get(to []byte, n int) ([]byte, error) {
	if n < 0 || n >= t.count {
		return to, fmt.Errorf("it names text %d of %d", n+1, t.count)
	}
	begin := 0
	if n > 0 {
		begin = int(t.ends[(n-1)/endsChunk][(n-1)%endsChunk])
	}
	for end := int(t.ends[n/endsChunk][n%endsChunk]); begin < end; {
		page, err := t.page(begin / pageBytes)
		if err != nil {
			return to, err
		}
		at := begin % pageBytes
		part := page[at:min(at+end-begin, len(page))]
		to = append(to, part...)
		begin += len(part)
	}
	return to, nil
}

func (t *texts) page(n int) ([]byte, error) {
	switch {
	case n < len(t.pages):
		return t.pages[n], nil
	case n == t.size/pageBytes:
		return t.last, nil
	}
	c := &t.cache[n%cachedPages]
	if c.page != n+1 {
		if c.text == nil {
			c.text = make([]byte, pageBytes)
		}
		c.page = 0
		if _, err := t.file.ReadAt(c.text, int64(n-len(t.pages))*pageBytes); err != nil {
			return nil, err
		}
		c.page = n + 1
	}
	return c.text, nil
}

func (t *texts) close() error {
	if t.file == nil {
		return nil
	}
	return t.file.Close()
}

func (b *Book) readTexts(create func() (*os.File, error)) (*texts, error) {
	t := &texts{create: create}
	if b.texts == "" {
		return t, nil
	}
	var text []byte
	err := b.read(b.texts, "sst", func(s *scanner) (err error) {
		if !s.opened("si") {
			return nil
		}
		if text, err = s.richText(text[:0]); err != nil {
			return fmt.Errorf("text %d: %w", t.count+1, err)
		}
		return t.add(text)
	})
	if err != nil {
		_ = t.close() // was only written for us
		return nil, err
	}
	return t, nil
}

// richText appends the text of the element that was just opened: its t, or those of its
// runs, without phonetic hints.
func (s *scanner) richText(to []byte) ([]byte, error) {
	begin := len(to)
	depth := len(s.open)
	for {
		kind, err := s.next()
		switch {
		case err != nil:
			return to, err
		case kind == tokenClose && len(s.open) < depth:
			return unescape(to, begin), nil
		case kind != tokenOpen, s.opened("r"):
		case s.opened("t"):
			if to, err = s.value(to); err != nil {
				return to, err
			}
			if len(to)-begin > maxCell {
				return to, errCell
			}
		default:
			if err := s.skip(); err != nil {
				return to, err
			}
		}
	}
}

// maxCell bounds the bytes of a cell. Excel allows 32,767 characters.
const maxCell = 1 << 20

var errCell = fmt.Errorf("a cell of more than %d bytes", maxCell)

// value appends the text of the element that was just opened.
func (s *scanner) value(to []byte) ([]byte, error) {
	begin := len(to)
	for depth := len(s.open); len(s.open) >= depth; {
		kind, err := s.next()
		if err != nil {
			return to, err
		}
		if kind == tokenText {
			to = append(to, s.text...)
		}
		if len(to)-begin > maxCell {
			return to, errCell
		}
	}
	return to, nil
}

// unescape replaces, from begin on, Excel's escapes for characters that XML does not
// allow: _x000D_ is a carriage return. Other control characters, which are invisible,
// are dropped.
func unescape(text []byte, begin int) []byte {
	at := bytes.Index(text[begin:], []byte("_x"))
	if at < 0 {
		return text
	}
	out := text[:begin+at]
	for rest := text[begin+at:]; len(rest) > 0; {
		unit, ok := escaped(rest)
		if !ok {
			out, rest = append(out, rest[0]), rest[1:]
			continue
		}
		rest = rest[escapeBytes:]
		r := rune(unit)
		if utf16.IsSurrogate(r) {
			low, ok := escaped(rest)
			if r = utf16.DecodeRune(r, rune(low)); !ok || r == utf8.RuneError {
				r = utf8.RuneError
			} else {
				rest = rest[escapeBytes:]
			}
		}
		if isChar(r) {
			out = utf8.AppendRune(out, r)
		}
	}
	return out
}

const escapeBytes = len("_x000D_")

// escaped returns the UTF-16 unit of an escape at the beginning of text.
func escaped(text []byte) (unit uint64, ok bool) {
	if len(text) < escapeBytes || text[0] != '_' || text[1] != 'x' || text[escapeBytes-1] != '_' {
		return 0, false
	}
	unit, err := strconv.ParseUint(string(text[2:escapeBytes-1]), 16, 16)
	return unit, err == nil && !bytes.ContainsAny(text[2:escapeBytes-1], "+-_")
}
