package xlsx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

// Bounds of the XML. Excel's own files stay far below them.
const (
	bufferBytes = 64 << 10
	maxTag      = 1 << 20 // bytes of one tag
	maxDepth    = 100     // nested elements
	maxAttrs    = 256     // of one tag
	maxNameSize = 1000    // bytes of an element's or an attribute's name
	readTries   = 100     // reads that return neither data nor an error
)

type token int

const (
	tokenEnd   token = iota // of the document
	tokenOpen               // a start tag; an empty element has an end tag too
	tokenClose              // an end tag
	tokenText               // a piece of text; one text may come in several pieces
)

// A scanner reads the XML of workbooks strictly: it accepts only well-formed documents,
// without a DTD and with ASCII names. encoding/xml takes five times as long, accepts
// prefixes that have no namespace, and its memory has no bound.
type scanner struct {
	src        io.Reader
	buf        []byte
	pos, n     int   // buf[pos:n] is read and not yet scanned
	err        error // of src
	begun      bool
	rooted     bool // the root element was seen
	selfClosed bool // the end of an empty element is due
	cdata      bool // within CDATA

	names    []byte // of the open elements
	open     []element
	bindings []binding
	arena    []byte // decoded attribute values

	name  []byte // of the opened or closed element, without its prefix
	space space
	attrs []attr
	text  []byte // of a tokenText
}

func newScanner(src io.Reader) *scanner {
	return &scanner{src: src, buf: make([]byte, bufferBytes), bindings: []binding{{"xml", spaceOther}}}
}

// more reads more data. It returns false at the end or on an error, which s.err then
// holds.
func (s *scanner) more() bool {
	if s.err != nil {
		return false
	}
	if s.pos > 0 {
		s.n = copy(s.buf, s.buf[s.pos:s.n])
		s.pos = 0
	}
	if s.n == len(s.buf) {
		s.buf = append(s.buf, make([]byte, len(s.buf))...)
	}
	for range readTries {
		n, err := s.src.Read(s.buf[s.n:])
		s.n, s.err = s.n+n, err
		if n > 0 {
			return true
		}
		if err != nil {
			return false
		}
	}
	s.err = io.ErrNoProgress
	return false
}

// starved is the error of a document that ends too early.
func (s *scanner) starved() error {
	if s.err != nil && !errors.Is(s.err, io.EOF) {
		return s.err
	}
	if len(s.open) > 0 {
		return fmt.Errorf("the XML ends within <%s>", s.names[s.open[len(s.open)-1].begin:])
	}
	return errors.New("the XML ends too soon")
}

// has reports whether the unscanned data begins with text. It reads more data if it
// must.
func (s *scanner) has(text string) bool {
	for s.n-s.pos < len(text) {
		if !bytes.HasPrefix([]byte(text), s.buf[s.pos:s.n]) || !s.more() {
			return false
		}
	}
	return string(s.buf[s.pos:s.pos+len(text)]) == text
}

func (s *scanner) next() (token, error) {
	if !s.begun {
		if err := s.begin(); err != nil {
			return 0, err
		}
	}
	if s.selfClosed {
		s.selfClosed = false
		s.pop()
		return tokenClose, nil
	}
	for {
		if s.cdata {
			if done, err := s.cdataPiece(); err != nil || !done {
				return tokenText, err
			}
			continue
		}
		if s.pos == s.n && !s.more() {
			if len(s.open) > 0 || !s.rooted || !errors.Is(s.err, io.EOF) {
				return 0, s.starved()
			}
			return tokenEnd, nil
		}
		switch b := s.buf[s.pos]; {
		case b == '<':
			if s.pos+1 < s.n && classes[s.buf[s.pos+1]]&isNameStart != 0 {
				return tokenOpen, s.openTag()
			}
			if kind, err := s.markup(); err != nil || kind != tokenEnd {
				return kind, err
			}
		case len(s.open) > 0:
			if err := s.textPiece(); err != nil || len(s.text) > 0 {
				return tokenText, err
			}
		case isBlank(b):
			s.pos++
		default:
			return 0, errors.New("text outside of the XML")
		}
	}
}

// markup takes what begins with "<". It returns tokenEnd if that is not a token, such as
// a comment.
func (s *scanner) markup() (token, error) {
	switch {
	case s.has("</"):
		return tokenClose, s.closeTag()
	case s.has("<?"):
		if s.has("<?xml ") || s.has("<?xml\t") || s.has("<?xml\n") || s.has("<?xml\r") || s.has("<?xml?") {
			return 0, errors.New("an XML declaration amid the XML")
		}
		s.pos += len("<?")
		if s.pos == s.n && !s.more() || s.pos < s.n && classes[s.buf[s.pos]]&isNameStart == 0 {
			return 0, errors.New("a processing instruction without a name")
		}
		return tokenEnd, s.skipPast("?>")
	case s.has("<!--"):
		s.pos += len("<!--")
		if err := s.skipPast("--"); err != nil {
			return 0, err
		}
		if !s.has(">") {
			return 0, errors.New(`"--" within a comment`)
		}
		s.pos++
		return tokenEnd, nil
	case s.has("<![CDATA[") && len(s.open) > 0:
		s.pos += len("<![CDATA[")
		s.cdata = true
		return tokenEnd, nil
	case s.has("<!"):
		return 0, errors.New("a document type or another declaration, which workbooks do not have")
	}
	return tokenOpen, s.openTag()
}

const (
	isNameStart = 1 << iota
	isName
	isPlain // text that needs no decoding
)

// classes holds the class bits of the ASCII characters.
var classes = func() (c [256]uint8) {
	for b := range 128 {
		letter := b|0x20 >= 'a' && b|0x20 <= 'z' || b == '_'
		switch {
		case letter:
			c[b] |= isNameStart | isName
		case b >= '0' && b <= '9' || b == '-' || b == '.':
			c[b] |= isName
		}
		if b >= ' ' && b != '<' && b != '&' && b != ']' || b == '\t' || b == '\n' {
			c[b] |= isPlain
		}
	}
	return c
}()

// textPiece takes text up to a tag, a reference or the end of the buffer. The text may
// be empty.
func (s *scanner) textPiece() error {
	for {
		i := s.pos
		for i < s.n && classes[s.buf[i]]&isPlain != 0 {
			i++
		}
		if i > s.pos {
			s.text = s.buf[s.pos:i]
			s.pos = i
			return nil
		}
		if i == s.n {
			s.text = nil
			return nil
		}
		switch b := s.buf[i]; {
		case b == '<':
			s.text = nil
			return nil
		case b == '&':
			return s.reference()
		case b == ']':
			if s.has("]]>") {
				return errors.New(`"]]>" amid text`)
			}
			s.text = s.buf[s.pos : s.pos+1]
			s.pos++
			return nil
		case b == '\r':
			s.pos += len("\r")
			if s.has("\n") {
				continue
			}
			s.text = newline
			return nil
		case b < ' ':
			return fmt.Errorf("a control character (%#02x)", b)
		default:
			return s.wideText()
		}
	}
}

var newline = []byte("\n")

// wideText takes characters beyond ASCII and the plain ones between them.
func (s *scanner) wideText() error {
	for !utf8.FullRune(s.buf[s.pos:s.n]) && s.more() {
	}
	i := s.pos
	for i < s.n {
		if b := s.buf[i]; b < utf8.RuneSelf {
			if classes[b]&isPlain == 0 {
				break
			}
			i++
			continue
		}
		r, size := utf8.DecodeRune(s.buf[i:s.n])
		if r == utf8.RuneError && size < 2 || r == 0xfffe || r == 0xffff {
			if i > s.pos {
				break // the next call reports it
			}
			return errors.New("characters that are not UTF-8")
		}
		i += size
	}
	s.text = s.buf[s.pos:i]
	s.pos = i
	return nil
}

func (s *scanner) reference() error {
	const longest = len("&#x0000010ffff;")
	for {
		end := bytes.IndexByte(s.buf[s.pos:min(s.n, s.pos+longest)], ';')
		if end > 0 {
			r, err := referred(s.buf[s.pos+1 : s.pos+end])
			if err != nil {
				return err
			}
			s.arena = utf8.AppendRune(s.arena[:0], r)
			s.text = s.arena
			s.pos += end + 1
			return nil
		}
		if s.n-s.pos >= longest || !s.more() {
			return errors.New(`a bare "&"`)
		}
	}
}

var entities = map[string]rune{"amp": '&', "lt": '<', "gt": '>', "apos": '\'', "quot": '"'}

func referred(name []byte) (rune, error) {
	if r, ok := entities[string(name)]; ok {
		return r, nil
	}
	digits, isNumber := bytes.CutPrefix(name, []byte("#"))
	if !isNumber {
		for _, b := range name {
			if classes[b]&isName == 0 {
				return 0, errors.New(`a bare "&"`)
			}
		}
		return 0, errors.New("a name after \"&\" that stands for nothing")
	}
	base := 10
	if hex, ok := bytes.CutPrefix(digits, []byte("x")); ok {
		digits, base = hex, 16
	}
	code, err := strconv.ParseUint(string(digits), base, 32)
	if err != nil || bytes.ContainsAny(digits, "+_") {
		return 0, errors.New("a number after \"&#\" that is none")
	}
	r := rune(code)
	if code > utf8.MaxRune || !isChar(r) {
		return 0, fmt.Errorf("a character that XML does not allow (%#02x)", code)
	}
	return r, nil
}

func isChar(r rune) bool {
	return r >= ' ' && utf8.ValidRune(r) && r != 0xfffe && r != 0xffff || r == '\t' || r == '\n' || r == '\r'
}

func (s *scanner) cdataPiece() (done bool, err error) {
	for s.n-s.pos < len("]]>") {
		if !s.more() {
			return false, s.starved()
		}
	}
	if s.has("]]>") {
		s.pos += len("]]>")
		s.cdata = false
		return true, nil
	}
	switch b := s.buf[s.pos]; {
	case b == ']', b == '<', b == '&':
		s.text = s.buf[s.pos : s.pos+1]
		s.pos++
		return false, nil
	default:
		return false, s.textPiece()
	}
}

// skipPast skips everything up to and including end.
func (s *scanner) skipPast(end string) error {
	for !s.has(end) {
		for s.pos == s.n || !utf8.FullRune(s.buf[s.pos:s.n]) {
			if !s.more() {
				break
			}
		}
		if s.pos == s.n {
			return s.starved()
		}
		r, size := utf8.DecodeRune(s.buf[s.pos:s.n])
		if r == utf8.RuneError && size < 2 || !isChar(r) {
			return errors.New("characters that XML does not allow")
		}
		s.pos += size
	}
	s.pos += len(end)
	return nil
}
