package xlsx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Bounds of the XML. Excel's own files stay far below them.
const (
	bufferBytes = 64 << 10
	maxTag      = 1 << 20 // bytes of one tag
	maxDepth    = 100     // elements within each other
	maxAttrs    = 256     // of one tag
	maxNameSize = 1000    // bytes of an element's or an attribute's name
	readTries   = 100     // reads without data or error before a reader is given up
)

// A token is what the scanner has found.
type token int

const (
	tokenEnd   token = iota // of the document
	tokenOpen               // a start tag; an empty element has an end tag too
	tokenClose              // an end tag
	tokenText               // a piece of text; one text may come in several
)

// A space is a namespace, as far as workbooks need it told apart.
type space uint8

const (
	spaceNone     space = iota // no namespace
	spaceMain                  // of sheets, transitional or strict
	spaceRelation              // of r:id
	spacePackage               // of the parts' relationships
	spaceTypes                 // of [Content_Types].xml
	spaceXML                   // of xml:space
	spaceOther
)

func spaceOf(uri []byte) space {
	switch string(uri) {
	case "":
		return spaceNone
	case "http://schemas.openxmlformats.org/spreadsheetml/2006/main", "http://purl.oclc.org/ooxml/spreadsheetml/main":
		return spaceMain
	case "http://schemas.openxmlformats.org/officeDocument/2006/relationships", "http://purl.oclc.org/ooxml/officeDocument/relationships":
		return spaceRelation
	case "http://schemas.openxmlformats.org/package/2006/relationships":
		return spacePackage
	case "http://schemas.openxmlformats.org/package/2006/content-types":
		return spaceTypes
	}
	return spaceOther
}

// An attr is an attribute. Its slices hold until the next token.
type attr struct {
	space       space
	name, value []byte
	prefix      []byte
}

// An element is open. Its name is the part of scanner.names from begin on.
type element struct {
	begin    int
	space    space
	bindings int // of namespaces, before it
}

type binding struct {
	prefix string
	space  space
}

// A scanner reads XML as workbooks have it, strictly: what it takes is well-formed.
// encoding/xml takes five times as long, takes prefixes without a namespace for
// granted, and holds whatever it is given.
//
// There is no DTD, and names are ASCII: no workbook has others.
type scanner struct {
	src        io.Reader
	buf        []byte
	pos, n     int   // what is read and not yet scanned
	err        error // of src
	begun      bool
	rooted     bool // the root element has been
	selfClosed bool // the end of an empty element is due
	cdata      bool // within CDATA

	names    []byte // of the open elements
	open     []element
	bindings []binding
	arena    []byte // decoded attribute values

	name  []byte // of the element that was opened or closed, without prefix
	space space
	attrs []attr
	text  []byte // the piece of text
}

func newScanner(src io.Reader) *scanner {
	return &scanner{src: src, buf: make([]byte, bufferBytes), bindings: []binding{{"xml", spaceXML}}}
}

// more reads on; false at the end or at an error, which is then in s.err.
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

// starved is the error of a document that ends too soon.
func (s *scanner) starved() error {
	if s.err != nil && !errors.Is(s.err, io.EOF) {
		return s.err
	}
	if len(s.open) > 0 {
		return fmt.Errorf("the XML ends within <%s>", s.names[s.open[len(s.open)-1].begin:])
	}
	return errors.New("the XML ends too soon")
}

// has reports whether what comes next is text, reading on as far as needed.
func (s *scanner) has(text string) bool {
	for s.n-s.pos < len(text) {
		if !bytes.HasPrefix([]byte(text), s.buf[s.pos:s.n]) || !s.more() {
			return false
		}
	}
	return string(s.buf[s.pos:s.pos+len(text)]) == text
}

// next is the next token.
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
		if s.buf[s.pos] != '<' {
			if len(s.open) == 0 {
				if b := s.buf[s.pos]; b != ' ' && b != '\t' && b != '\r' && b != '\n' {
					return 0, errors.New("text outside of the XML")
				}
				s.pos++
				continue
			}
			err := s.textPiece()
			if err == nil && len(s.text) == 0 {
				continue
			}
			return tokenText, err
		}
		if s.pos+1 < s.n && classes[s.buf[s.pos+1]]&isNameStart != 0 {
			return tokenOpen, s.openTag()
		}
		switch {
		case s.has("</"):
			return tokenClose, s.closeTag()
		case s.has("<?"):
			if s.has("<?xml ") || s.has("<?xml\t") || s.has("<?xml\n") || s.has("<?xml\r") || s.has("<?xml?") {
				return 0, errors.New("an XML declaration amid the XML")
			}
			s.pos += len("<?")
			if err := s.skipInstruction(); err != nil {
				return 0, err
			}
		case s.has("<!--"):
			s.pos += len("<!--")
			if err := s.skipComment(); err != nil {
				return 0, err
			}
		case s.has("<![CDATA[") && len(s.open) > 0:
			s.pos += len("<![CDATA[")
			s.cdata = true
		case s.has("<!"):
			return 0, errors.New("a document type or another declaration, which workbooks do not have")
		default:
			return tokenOpen, s.openTag()
		}
	}
}

// begin looks at the encoding and the XML declaration.
func (s *scanner) begin() error {
	s.begun = true
	for s.n < 4 && s.more() {
	}
	wide := false
	switch head := s.buf[:s.n]; {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		s.pos += 3
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")), bytes.HasPrefix(head, []byte("<\x00")), bytes.HasPrefix(head, []byte("\x00<")):
		wide = true
		big := head[0] == 0xfe || head[0] == 0
		if head[0] != '<' && head[1] != '<' {
			head = head[2:]
		}
		s.src = &utf16Reader{src: io.MultiReader(bytes.NewReader(bytes.Clone(head)), s.src), big: big}
		s.n, s.err = 0, nil
	}
	if !s.has("<?xml") {
		return nil
	}
	for {
		end := bytes.Index(s.buf[s.pos:s.n], []byte("?>"))
		if end >= 0 {
			declaration := string(s.buf[s.pos+len("<?xml") : s.pos+end])
			if declaration != "" && !strings.ContainsRune(" \t\r\n", rune(declaration[0])) {
				return nil // another instruction, such as xml-stylesheet
			}
			s.pos += end + len("?>")
			return checkDeclaration(declaration, wide)
		}
		if s.n-s.pos > 1000 {
			return errors.New("an XML declaration without an end")
		}
		if !s.more() {
			return s.starved()
		}
	}
}

// checkDeclaration reads version, encoding and standalone of an XML declaration.
func checkDeclaration(text string, wide bool) error {
	order := []string{"version", "encoding", "standalone"}
	seen := 0
	for i := 0; ; i++ {
		trimmed := strings.TrimLeft(text, " \t\r\n")
		if trimmed == "" {
			break
		}
		name, rest, ok := strings.Cut(trimmed, "=")
		name, rest = strings.TrimRight(name, " \t\r\n"), strings.TrimLeft(rest, " \t\r\n")
		if !ok || len(trimmed) == len(text) || rest == "" || rest[0] != '"' && rest[0] != '\'' {
			return errors.New("an XML declaration that is not one")
		}
		value, after, ok := strings.Cut(rest[1:], rest[:1])
		for seen < len(order) && order[seen] != name {
			seen++
		}
		if !ok || seen == len(order) || i == 0 && name != "version" {
			return errors.New("an XML declaration that is not one")
		}
		seen++
		text = after
		switch name {
		case "version":
			if value != "1.0" {
				return fmt.Errorf("XML of version %q: want 1.0", value)
			}
		case "encoding":
			lower := strings.ToLower(value)
			if isWide := strings.HasPrefix(lower, "utf-16"); isWide != wide || !isWide && lower != "utf-8" && lower != "utf8" && lower != "us-ascii" {
				return fmt.Errorf("text declared as %q: want UTF-8 or UTF-16, and what is declared", value)
			}
		case "standalone":
			if value != "yes" && value != "no" {
				return errors.New("an XML declaration that is not one")
			}
		}
	}
	if seen == 0 {
		return errors.New("an XML declaration without a version")
	}
	return nil
}

const (
	isNameStart = 1 << iota
	isName
	isPlain // text that stands for itself and needs no second look
)

// classes are of the ASCII characters.
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

// textPiece takes text up to a tag, a reference or the end of what is read. It
// may be empty.
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

// wideText takes characters beyond ASCII, and what plain ones are among them.
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
				break // told when it is its turn, with what follows
			}
			return errors.New("characters that are not UTF-8")
		}
		i += size
	}
	s.text = s.buf[s.pos:i]
	s.pos = i
	return nil
}

// reference takes &amp; and the like.
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

// referred is the character that a reference stands for.
func referred(name []byte) (rune, error) {
	switch string(name) {
	case "amp":
		return '&', nil
	case "lt":
		return '<', nil
	case "gt":
		return '>', nil
	case "apos":
		return '\'', nil
	case "quot":
		return '"', nil
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

// cdataPiece takes a piece of CDATA; done at its end.
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

// skipComment passes over a comment whose beginning was read.
func (s *scanner) skipComment() error {
	for {
		if s.has("--") {
			if !s.has("-->") {
				return errors.New(`"--" within a comment`)
			}
			s.pos += len("-->")
			return nil
		}
		if err := s.skipCharacter(); err != nil {
			return err
		}
	}
}

// skipInstruction passes over a processing instruction whose beginning was read.
func (s *scanner) skipInstruction() error {
	if s.pos == s.n && !s.more() || s.pos < s.n && classes[s.buf[s.pos]]&isNameStart == 0 {
		return errors.New("a processing instruction without a name")
	}
	for {
		if s.has("?>") {
			s.pos += len("?>")
			return nil
		}
		if err := s.skipCharacter(); err != nil {
			return err
		}
	}
}

func (s *scanner) skipCharacter() error {
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
	return nil
}

// errShort ends the look at a tag that is not read whole.
var errShort = errors.New("short")

// openTag takes a start tag.
func (s *scanner) openTag() error {
	if len(s.open) == 0 && s.rooted {
		return errors.New("a second element beside the outermost one")
	}
	n, err := s.tryTag(s.buf[s.pos:s.n])
	for errors.Is(err, errShort) {
		if s.n-s.pos > maxTag {
			return fmt.Errorf("a tag of more than %d bytes", maxTag)
		}
		if !s.more() {
			return s.starved()
		}
		n, err = s.tryTag(s.buf[s.pos:s.n])
	}
	s.pos += n
	return err
}

// tryTag reads a start tag at the beginning of b and opens its element.
func (s *scanner) tryTag(b []byte) (n int, err error) {
	prefix, name, i, err := qualified(b, 1)
	if err != nil {
		return 0, err
	}
	whole := b[1:i]
	s.attrs, s.arena = s.attrs[:0], s.arena[:0]
	declares := false
	for {
		begin := i
		for i < len(b) && isBlank(b[i]) {
			i++
		}
		if i == len(b) {
			return 0, errShort
		}
		if b[i] == '>' {
			i++
			break
		}
		if b[i] == '/' {
			if i+1 == len(b) {
				return 0, errShort
			}
			if b[i+1] != '>' {
				return 0, errors.New(`a "/" amid a tag`)
			}
			s.selfClosed = true
			i += 2
			break
		}
		if i == begin {
			return 0, errors.New("no space before an attribute")
		}
		var a attr
		if a, i, err = s.attribute(b, i); err != nil {
			return 0, err
		}
		for _, other := range s.attrs {
			if bytes.Equal(other.name, a.name) && bytes.Equal(other.prefix, a.prefix) {
				return 0, fmt.Errorf("the attribute %q twice", a.name)
			}
		}
		if len(s.attrs) == maxAttrs {
			return 0, fmt.Errorf("more than %d attributes", maxAttrs)
		}
		s.attrs = append(s.attrs, a)
		declares = declares || string(a.prefix) == "xmlns" || len(a.prefix) == 0 && string(a.name) == "xmlns"
	}
	if len(s.open) == maxDepth {
		return 0, fmt.Errorf("more than %d elements within each other", maxDepth)
	}
	el := element{begin: len(s.names), bindings: len(s.bindings)}
	s.names = append(s.names, whole...)
	if declares {
		if err := s.bind(); err != nil {
			return 0, err
		}
	}
	if el.space, err = s.resolve(prefix); err != nil {
		return 0, err
	}
	for k := range s.attrs {
		if a := &s.attrs[k]; len(a.prefix) > 0 && string(a.prefix) != "xmlns" {
			if a.space, err = s.resolve(a.prefix); err != nil {
				return 0, err
			}
		}
	}
	s.open, s.rooted = append(s.open, el), true
	s.name, s.space = name, el.space
	return i, nil
}

// bind takes in the namespaces that a tag declares.
func (s *scanner) bind() error {
	for _, a := range s.attrs {
		switch {
		case string(a.prefix) == "xmlns":
			if len(a.value) == 0 || string(a.name) == "xml" || string(a.name) == "xmlns" {
				return fmt.Errorf("the prefix %q for no namespace", a.name)
			}
			s.bindings = append(s.bindings, binding{string(a.name), spaceOf(a.value)})
		case len(a.prefix) == 0 && string(a.name) == "xmlns":
			s.bindings = append(s.bindings, binding{"", spaceOf(a.value)})
		}
	}
	return nil
}

// resolve is the namespace of a prefix.
func (s *scanner) resolve(prefix []byte) (space, error) {
	for i := len(s.bindings) - 1; i >= 0; i-- {
		if s.bindings[i].prefix == string(prefix) {
			return s.bindings[i].space, nil
		}
	}
	if len(prefix) > 0 {
		return 0, fmt.Errorf("the prefix %q without a namespace", prefix)
	}
	return spaceNone, nil
}

// attribute reads an attribute at b[i].
func (s *scanner) attribute(b []byte, i int) (a attr, end int, err error) {
	if a.prefix, a.name, i, err = qualified(b, i); err != nil {
		return a, 0, err
	}
	for i < len(b) && isBlank(b[i]) {
		i++
	}
	if i < len(b) && b[i] != '=' {
		return a, 0, fmt.Errorf("the attribute %q without a value", a.name)
	}
	i++
	for i < len(b) && isBlank(b[i]) {
		i++
	}
	if i >= len(b) {
		return a, 0, errShort
	}
	quote := b[i]
	if quote != '"' && quote != '\'' {
		return a, 0, fmt.Errorf("the attribute %q without quotes", a.name)
	}
	length := bytes.IndexByte(b[i+1:], quote)
	if length < 0 {
		if bytes.IndexByte(b[i+1:], '<') >= 0 {
			return a, 0, errors.New(`a "<" within a tag`)
		}
		return a, 0, errShort
	}
	a.value, err = s.attributeValue(b[i+1 : i+1+length])
	return a, i + length + 2, err
}

// attributeValue decodes what stands between the quotes.
func (s *scanner) attributeValue(raw []byte) ([]byte, error) {
	plain := true
	for _, b := range raw {
		if b < ' ' || b == '<' || b == '&' || b >= utf8.RuneSelf {
			plain = false
			break
		}
	}
	if plain {
		return raw, nil
	}
	begin := len(s.arena)
	for i := 0; i < len(raw); {
		switch b := raw[i]; {
		case b == '<':
			return nil, errors.New(`a "<" within a tag`)
		case b == '&':
			end := bytes.IndexByte(raw[i:], ';')
			if end < 0 {
				return nil, errors.New(`a bare "&"`)
			}
			r, err := referred(raw[i+1 : i+end])
			if err != nil {
				return nil, err
			}
			s.arena = utf8.AppendRune(s.arena, r)
			i += end + 1
		case isBlank(b):
			s.arena = append(s.arena, ' ')
			if i++; b == '\r' && i < len(raw) && raw[i] == '\n' {
				i++
			}
		default:
			r, size := utf8.DecodeRune(raw[i:])
			if r == utf8.RuneError && size < 2 || !isChar(r) {
				return nil, errors.New("characters that XML does not allow")
			}
			s.arena = append(s.arena, raw[i:i+size]...)
			i += size
		}
	}
	return s.arena[begin:len(s.arena):len(s.arena)], nil
}

func isBlank(b byte) bool { return b == ' ' || b == '\t' || b == '\r' || b == '\n' }

// qualified reads a name at b[i], and its prefix if it has one.
func qualified(b []byte, i int) (prefix, name []byte, end int, err error) {
	begin := i
	for part := 0; ; part++ {
		first := i
		for i < len(b) && classes[b[i]]&isName != 0 {
			i++
		}
		if i == len(b) {
			return nil, nil, 0, errShort
		}
		if i-begin > maxNameSize {
			return nil, nil, 0, fmt.Errorf("a name of more than %d bytes", maxNameSize)
		}
		if i == first || classes[b[first]]&isNameStart == 0 || part == 2 {
			return nil, nil, 0, errors.New(`a "<" or a tag that is none`)
		}
		if b[i] != ':' {
			return prefix, b[first:i], i, nil
		}
		prefix = b[begin:i]
		i++
	}
}

// closeTag takes an end tag.
func (s *scanner) closeTag() error {
	if len(s.open) == 0 {
		return errors.New("an end tag without a start tag")
	}
	want := s.names[s.open[len(s.open)-1].begin:]
	for {
		b := s.buf[s.pos+2 : s.n]
		if len(b) > len(want) || !bytes.HasPrefix(want, b) {
			if !bytes.HasPrefix(b, want) || classes[b[len(want)]]&isName != 0 {
				return fmt.Errorf("<%s> is not closed", want)
			}
			i := len(want)
			for i < len(b) && isBlank(b[i]) {
				i++
			}
			if i < len(b) {
				if b[i] != '>' {
					return fmt.Errorf("<%s> is not closed", want)
				}
				s.pos += 2 + i + 1
				s.pop()
				return nil
			}
		}
		if s.n-s.pos > maxTag || !s.more() {
			return s.starved()
		}
	}
}

// pop closes the innermost element. Its name and space are those of the token.
func (s *scanner) pop() {
	last := s.open[len(s.open)-1]
	s.name, s.space = s.names[last.begin:], last.space
	if i := bytes.IndexByte(s.name, ':'); i >= 0 {
		s.name = s.name[i+1:]
	}
	s.names, s.bindings, s.open = s.names[:last.begin], s.bindings[:last.bindings], s.open[:len(s.open)-1]
}

// opened reports whether the token is the start of an element of workbooks.
func (s *scanner) opened(name string) bool {
	return (s.space == spaceMain || s.space == spaceNone) && string(s.name) == name
}

// attr is the value of an attribute without a prefix; nil if there is none.
func (s *scanner) attr(name string) []byte {
	for _, a := range s.attrs {
		if len(a.prefix) == 0 && string(a.name) == name {
			return a.value
		}
	}
	return nil
}

// skip passes over the element that was opened.
func (s *scanner) skip() error {
	for depth := 1; depth > 0; {
		kind, err := s.next()
		if err != nil {
			return err
		}
		switch kind {
		case tokenOpen:
			depth++
		case tokenClose:
			depth--
		}
	}
	return nil
}

// finish passes over what follows to the end of the document, and of the part.
func (s *scanner) finish() error {
	for {
		if kind, err := s.next(); err != nil || kind == tokenEnd {
			return err
		}
	}
}

// A utf16Reader makes UTF-8 of UTF-16, strictly.
type utf16Reader struct {
	src io.Reader
	big bool
	in  [4096]byte
	n   int // bytes in in
	out []byte
	err error
}

func (u *utf16Reader) Read(p []byte) (int, error) {
	for len(u.out) == 0 {
		if u.err != nil {
			return 0, u.err
		}
		n, err := u.src.Read(u.in[u.n:])
		u.n += n
		u.err = err
		u.out = u.out[:0]
		u.decode()
	}
	n := copy(p, u.out)
	u.out = u.out[n:]
	return n, nil
}

var errUTF16 = errors.New("characters that are not UTF-16")

func (u *utf16Reader) decode() {
	unit := func(i int) rune {
		if u.big {
			return rune(u.in[i])<<8 | rune(u.in[i+1])
		}
		return rune(u.in[i+1])<<8 | rune(u.in[i])
	}
	i := 0
	for i+2 <= u.n {
		r, size := unit(i), 2
		if utf16.IsSurrogate(r) {
			if i+4 > u.n {
				break
			}
			if r, size = utf16.DecodeRune(r, unit(i+2)), 4; r == utf8.RuneError {
				u.err = errUTF16
				return
			}
		}
		u.out = utf8.AppendRune(u.out, r)
		i += size
	}
	u.n = copy(u.in[:], u.in[i:u.n])
	if errors.Is(u.err, io.EOF) && u.n > 0 {
		u.err = errUTF16
	}
}
