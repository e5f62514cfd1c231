package xlsx

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/transform"
)

// begin detects the encoding and reads the XML declaration.
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
		order := binary.ByteOrder(binary.LittleEndian)
		if head[0] == 0xfe || head[0] == 0 {
			order = binary.BigEndian
		}
		if head[0] != '<' && head[1] != '<' {
			head = head[2:]
		}
		s.src = transform.NewReader(io.MultiReader(bytes.NewReader(bytes.Clone(head)), s.src), fromUTF16{order: order})
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

// declarationPattern is what stands between "<?xml" and "?>".
var declarationPattern = func() *regexp.Regexp {
	value := func(name, text string) string {
		return strings.NewReplacer("NAME", name, "TEXT", text, "_", `[ \t\r\n]`).Replace(`_+NAME_*=_*(?:"(TEXT)"|'(TEXT)')`)
	}
	return regexp.MustCompile(`^` + value("version", `[^"']*`) + `(?:` + value("encoding", `[^"']*`) + `)?(?:` + value("standalone", "yes|no") + `)?[ \t\r\n]*$`)
}()

// checkDeclaration refuses an XML declaration that is malformed, or that names another
// encoding than the document has.
func checkDeclaration(text string, wide bool) error {
	m := declarationPattern.FindStringSubmatch(text)
	if m == nil {
		return errors.New("an XML declaration that is not one")
	}
	if version := m[1] + m[2]; version != "1.0" {
		return fmt.Errorf("XML of version %q: want 1.0", version)
	}
	named := m[3] + m[4]
	if named == "" && !strings.Contains(text, "encoding") {
		return nil
	}
	lower := strings.ToLower(named)
	if isWide := strings.HasPrefix(lower, "utf-16"); isWide != wide || !isWide && lower != "utf-8" && lower != "utf8" && lower != "us-ascii" {
		return fmt.Errorf("text declared as %q: want UTF-8 or UTF-16, and what is declared", named)
	}
	return nil
}

// fromUTF16 converts UTF-16 to UTF-8. Unlike the decoder of golang.org/x/text it refuses
// what is not UTF-16.
type fromUTF16 struct {
	transform.NopResetter
	order binary.ByteOrder
}

func (u fromUTF16) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) && nDst+utf8.UTFMax <= len(dst) {
		rest := src[nSrc:]
		size := 2
		if len(rest) >= 2 && utf16.IsSurrogate(rune(u.order.Uint16(rest))) {
			size = 4
		}
		switch {
		case len(rest) >= size:
		case atEOF:
			return nDst, nSrc, errUTF16
		default:
			return nDst, nSrc, transform.ErrShortSrc
		}
		r := rune(u.order.Uint16(rest))
		if size == 4 {
			if r = utf16.DecodeRune(r, rune(u.order.Uint16(rest[2:]))); r == utf8.RuneError {
				return nDst, nSrc, errUTF16
			}
		}
		nDst += utf8.EncodeRune(dst[nDst:], r)
		nSrc += size
	}
	if nSrc < len(src) {
		return nDst, nSrc, transform.ErrShortDst
	}
	return nDst, nSrc, nil
}

var errUTF16 = errors.New("characters that are not UTF-16")
