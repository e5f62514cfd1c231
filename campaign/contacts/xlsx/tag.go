package xlsx

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"
)

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
			if i := skipBlank(b, len(want)); i < len(b) {
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

// tryTag reads a start tag at the beginning of b and opens its element.
func (s *scanner) tryTag(b []byte) (n int, err error) {
	prefix, name, i, err := qualified(b, 1)
	if err != nil {
		return 0, err
	}
	whole := b[1:i]
	n, declares, err := s.takeAttributes(b, i)
	if err != nil {
		return 0, err
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
	return n, nil
}

// takeAttributes reads the attributes at b[i] up to the end of the tag. declares means
// that there is a namespace among them.
func (s *scanner) takeAttributes(b []byte, i int) (end int, declares bool, err error) {
	s.attrs, s.arena = s.attrs[:0], s.arena[:0]
	for {
		begin := i
		i = skipBlank(b, i)
		switch {
		case i == len(b), b[i] == '/' && i+1 == len(b):
			return 0, false, errShort
		case b[i] == '>':
			return i + 1, declares, nil
		case b[i] == '/' && b[i+1] != '>':
			return 0, false, errors.New(`a "/" amid a tag`)
		case b[i] == '/':
			s.selfClosed = true
			return i + 2, declares, nil
		case i == begin:
			return 0, false, errors.New("no space before an attribute")
		}
		var a attr
		if a, i, err = s.attribute(b, i); err != nil {
			return 0, false, err
		}
		for _, other := range s.attrs {
			if bytes.Equal(other.name, a.name) && bytes.Equal(other.prefix, a.prefix) {
				return 0, false, fmt.Errorf("the attribute %q twice", a.name)
			}
		}
		if len(s.attrs) == maxAttrs {
			return 0, false, fmt.Errorf("more than %d attributes", maxAttrs)
		}
		s.attrs = append(s.attrs, a)
		declares = declares || string(a.prefix) == "xmlns" || len(a.prefix) == 0 && string(a.name) == "xmlns"
	}
}

func (s *scanner) attribute(b []byte, i int) (a attr, end int, err error) {
	if a.prefix, a.name, i, err = qualified(b, i); err != nil {
		return a, 0, err
	}
	i = skipBlank(b, i)
	if i < len(b) && b[i] != '=' {
		return a, 0, fmt.Errorf("the attribute %q without a value", a.name)
	}
	i = skipBlank(b, i+1)
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

// attributeValue decodes the text between the quotes.
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

// qualified reads the name at b[i], with its prefix if it has one.
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

// skipBlank returns the index of the first byte from b[i] on that is not blank.
func skipBlank(b []byte, i int) int {
	for i < len(b) && isBlank(b[i]) {
		i++
	}
	return i
}

func isBlank(b byte) bool { return b == ' ' || b == '\t' || b == '\r' || b == '\n' }

// errShort means that the buffer does not hold the whole tag yet.
var errShort = errors.New("short")

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

// pop closes the innermost element and makes its name and space the token's.
func (s *scanner) pop() {
	last := s.open[len(s.open)-1]
	s.name, s.space = s.names[last.begin:], last.space
	if i := bytes.IndexByte(s.name, ':'); i >= 0 {
		s.name = s.name[i+1:]
	}
	s.names, s.bindings, s.open = s.names[:last.begin], s.bindings[:last.bindings], s.open[:len(s.open)-1]
}

// An attr is an attribute. Its slices are valid until the next token.
type attr struct {
	space       space
	name, value []byte
	prefix      []byte
}

// An element is an open element. Its name starts at scanner.names[begin].
type element struct {
	begin    int
	space    space
	bindings int // how many namespace bindings there were before it
}

type binding struct {
	prefix string
	space  space
}

type space uint8

const (
	spaceNone     space = iota
	spaceMain           // of sheets, transitional or strict
	spaceRelation       // of r:id
	spaceParts          // of relationships and [Content_Types].xml
	spaceOther
)

// spaces are the namespaces that matter, transitional and strict.
var spaces = map[string]space{
	"": spaceNone,
	"http://schemas.openxmlformats.org/spreadsheetml/2006/main":           spaceMain,
	"http://purl.oclc.org/ooxml/spreadsheetml/main":                       spaceMain,
	"http://schemas.openxmlformats.org/officeDocument/2006/relationships": spaceRelation,
	"http://purl.oclc.org/ooxml/officeDocument/relationships":             spaceRelation,
	"http://schemas.openxmlformats.org/package/2006/relationships":        spaceParts,
	"http://schemas.openxmlformats.org/package/2006/content-types":        spaceParts,
}

func spaceOf(uri []byte) space {
	if known, ok := spaces[string(uri)]; ok {
		return known
	}
	return spaceOther
}

// root takes the root element, which must have the given name.
func (s *scanner) root(name string) error {
	kind, err := s.next()
	if err == nil && (kind != tokenOpen || string(s.name) != name || s.space == spaceOther) {
		err = fmt.Errorf("this is no <%s>", name)
	}
	return err
}

// children calls use for each child of the element that was just opened, and skips what
// use leaves of it.
func (s *scanner) children(use func() error) error {
	for depth := len(s.open); ; {
		kind, err := s.next()
		switch {
		case err != nil:
			return err
		case kind == tokenClose && len(s.open) < depth:
			return nil
		case kind == tokenOpen:
			inner := len(s.open)
			if err := use(); err != nil {
				return err
			}
			if err := s.leave(inner); err != nil {
				return err
			}
		}
	}
}

// leave skips the rest of the element at this depth.
func (s *scanner) leave(depth int) error {
	for len(s.open) >= depth {
		if _, err := s.next(); err != nil {
			return err
		}
	}
	return nil
}

func (s *scanner) skip() error { return s.leave(len(s.open)) }

// finish reads the document to its end, and with it the part.
func (s *scanner) finish() error {
	for {
		if kind, err := s.next(); err != nil || kind == tokenEnd {
			return err
		}
	}
}

// opened reports whether the token is a workbook element of this name.
func (s *scanner) opened(name string) bool {
	return (s.space == spaceMain || s.space == spaceNone) && string(s.name) == name
}

// attr returns the value of an attribute without a prefix, or nil.
func (s *scanner) attr(name string) []byte {
	for _, a := range s.attrs {
		if len(a.prefix) == 0 && string(a.name) == name {
			return a.value
		}
	}
	return nil
}

func isTrue(value []byte) bool { return string(value) == "1" || string(value) == "true" }

// number reads an attribute that is a count.
func number(value []byte) (int, bool) {
	n := 0
	for _, b := range value {
		if b < '0' || b > '9' || n > 1<<40 {
			return 0, false
		}
		n = n*10 + int(b-'0')
	}
	return n, len(value) > 0
}
