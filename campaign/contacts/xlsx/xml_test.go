package xlsx

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/text/encoding/unicode"
)

// outline is a document as the scanner sees it, with each text in one piece.
func outline(src io.Reader) (string, error) {
	var b strings.Builder
	s := newScanner(src)
	for {
		kind, err := s.next()
		if err != nil {
			return b.String(), err
		}
		switch kind {
		case tokenEnd:
			return b.String(), nil
		case tokenOpen:
			fmt.Fprintf(&b, "<%s", s.name)
			for _, a := range s.attrs {
				if string(a.prefix) != "xmlns" && (len(a.prefix) > 0 || string(a.name) != "xmlns") {
					fmt.Fprintf(&b, " %s=%q", a.name, a.value)
				}
			}
			b.WriteString(">")
		case tokenClose:
			fmt.Fprintf(&b, "</%s>", s.name)
		case tokenText:
			b.Write(s.text)
		}
	}
}

// outlineOf is the same by encoding/xml.
func outlineOf(text []byte) (string, error) {
	var b strings.Builder
	d := xml.NewDecoder(bytes.NewReader(text))
	d.CharsetReader = func(string, io.Reader) (io.Reader, error) { return nil, errors.New("another encoding") }
	depth := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return b.String(), nil
		}
		if err != nil {
			return b.String(), err
		}
		switch t := token.(type) {
		case xml.StartElement:
			depth++
			fmt.Fprintf(&b, "<%s", t.Name.Local)
			for _, a := range t.Attr {
				if a.Name.Space != "xmlns" && (a.Name.Space != "" || a.Name.Local != "xmlns") {
					fmt.Fprintf(&b, " %s=%q", a.Name.Local, blanks.Replace(a.Value))
				}
			}
			b.WriteString(">")
		case xml.EndElement:
			depth--
			fmt.Fprintf(&b, "</%s>", t.Name.Local)
		case xml.CharData:
			if depth > 0 {
				b.Write(t)
			}
		}
	}
}

// blanks are those in attributes. XML turns them into spaces unless they are
// references; encoding/xml does not distinguish the two.
var blanks = strings.NewReplacer("\n", " ", "\t", " ", "\r", " ")

var documents = []string{
	`<a/>`,
	`<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\r\n" + `<a b="1" c='"2'>x<d></d>&amp;&#65;&#x41;]]<!-- c - d --><?pi x?></a >` + "\n",
	"\ufeff<a>\r\n\r</a>",
	`<x:a xmlns:x="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xml:space="preserve"><x:b x:c="&lt;&quot;&apos;&gt;"/></x:a>`,
	`<a><![CDATA[ <&]] ]]>]]&gt;</a>`,
	`<?xml version='1.0'?><!-- before --><a>سارة&#x1F600;</a><!-- after --><?x?>`,
	`<a b = "1
	2"/>`,
	`<a><b><c/></b></a>`,
}

var broken = map[string]string{
	"nothing at all":               ``,
	"only a comment":               `<!-- x -->`,
	"a bare ampersand":             `<a>x & y</a>`,
	"an entity that is undefined":  `<a>&nbsp;</a>`,
	"a reference to nothing":       `<a>&#0;</a>`,
	"a reference to a surrogate":   `<a>&#xd800;</a>`,
	"a reference beyond Unicode":   `<a>&#x110000;</a>`,
	"a reference without an end":   `<a>&amp</a>`,
	"a control character":          "<a>x\x01</a>",
	"a NUL":                        "<a>x\x00</a>",
	"invalid UTF-8":                "<a>x\xff</a>",
	"half a character at the end":  "<a>x\xd8</a>",
	"a surrogate in UTF-8":         "<a>\xed\xa0\x80</a>",
	"U+FFFF":                       "<a>\xef\xbf\xbf</a>",
	"an end cut off":               `<a><b></b>`,
	"a tag cut off":                `<a><b`,
	"an end tag cut off":           `<a></a`,
	"the wrong end tag":            `<a><b></a></b>`,
	"an end tag too many":          `<a></a></a>`,
	"an end tag with an attribute": `<a></a b="1">`,
	"two roots":                    `<a/><b/>`,
	"text behind the root":         `<a/>x`,
	"text before the root":         `x<a/>`,
	"an attribute twice":           `<a b="1" b="2"/>`,
	"an attribute without quotes":  `<a b=1/>`,
	"an attribute without a value": `<a b/>`,
	"attributes without a space":   `<a b="1"c="2"/>`,
	"a < in an attribute":          `<a b="<"/>`,
	"a control in an attribute":    "<a b=\"\x02\"/>",
	"an entity in an attribute":    `<a b="&x;"/>`,
	"]]> amid text":                `<a>]]></a>`,
	"a document type":              `<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>`,
	"a declaration later on":       `<a/><?xml version="1.0"?>`,
	"a blank before a declaration": ` <?xml version="1.0"?><a/>`,
	"another encoding":             `<?xml version="1.0" encoding="windows-1256"?><a/>`,
	"an encoding it is not in":     `<?xml version="1.0" encoding="UTF-16"?><a/>`,
	"another version":              `<?xml version="2.0"?><a/>`,
	"a double dash in a comment":   `<a><!-- x -- y --></a>`,
	"a comment without an end":     `<a><!-- x </a>`,
	"CDATA without an end":         `<a><![CDATA[x</a>`,
	"a prefix without a namespace": `<x:a/>`,
	"a prefix that has ended":      `<a><b xmlns:x="y"/><x:c/></a>`,
	"two colons":                   `<a:b:c xmlns:a="x"/>`,
	"a name that begins wrongly":   `<1a/>`,
	"too deep":                     strings.Repeat("<a>", 101) + strings.Repeat("</a>", 101),
}

func TestWellFormedXMLIsReadAsEncodingXMLReadsIt(t *testing.T) {
	for _, text := range documents {
		want, err := outlineOf([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		for name, src := range map[string]io.Reader{"at once": strings.NewReader(text), "byte by byte": iotest.OneByteReader(strings.NewReader(text))} {
			if got, err := outline(src); err != nil || got != want {
				t.Errorf("%s, %s: %s, %v; want %s", text, name, got, err, want)
			}
		}
	}
}

func TestXMLThatIsNotWellFormedIsRefused(t *testing.T) {
	for name, text := range broken {
		t.Run(name, func(t *testing.T) {
			for _, src := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text))} {
				if got, err := outline(src); err == nil {
					t.Errorf("taken for %s", got)
				}
			}
		})
	}
}

func TestXMLInUTF16(t *testing.T) {
	const text = `<?xml version="1.0" encoding="UTF-16"?><a>سارة 😀</a>`
	for name, e := range map[string]unicode.Endianness{"little": unicode.LittleEndian, "big": unicode.BigEndian} {
		for mark, policy := range map[string]unicode.BOMPolicy{"a mark": unicode.UseBOM, "no mark": unicode.IgnoreBOM} {
			wide, err := unicode.UTF16(e, policy).NewEncoder().String(text)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := outline(iotest.HalfReader(strings.NewReader(wide))); err != nil || got != "<a>سارة 😀</a>" {
				t.Errorf("%s endian, %s: %s, %v", name, mark, got, err)
			}
			if got, err := outline(strings.NewReader(wide + "x")); err == nil {
				t.Errorf("%s endian, %s, a byte too many: %s", name, mark, got)
			}
		}
	}
	for name, wide := range map[string]string{
		"a lone surrogate":  "\xff\xfe<\x00a\x00>\x00\x00\xd8<\x00/\x00a\x00>\x00",
		"declared as UTF-8": "\xff\xfe" + strings.Join(strings.Split(`<?xml version="1.0" encoding="UTF-8"?><a/>`, ""), "\x00") + "\x00",
	} {
		if got, err := outline(strings.NewReader(wide)); err == nil {
			t.Errorf("%s: taken for %s", name, got)
		}
	}
}

func TestABrokenSourceIsNotBrokenXML(t *testing.T) {
	for _, text := range []string{"", "<a", "<a>x", "<a></", "<a><![CDATA[x", "<!--"} {
		if _, err := outline(io.MultiReader(strings.NewReader(text), iotest.ErrReader(io.ErrClosedPipe))); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("after %q: %v", text, err)
		}
	}
}

// FuzzXML checks that encoding/xml accepts what the scanner accepts, and sees the same
// in it.
func FuzzXML(f *testing.F) {
	for _, text := range documents {
		f.Add([]byte(text))
	}
	for _, text := range broken {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := outline(bytes.NewReader(text))
		again, againErr := outline(iotest.OneByteReader(bytes.NewReader(text)))
		if (err == nil) != (againErr == nil) || err == nil && got != again {
			t.Fatalf("%q at once: %q, %v; byte by byte: %q, %v", text, got, err, again, againErr)
		}
		if err != nil || bytes.IndexByte(text, 0) >= 0 {
			return // encoding/xml does not read UTF-16
		}
		want, err := outlineOf(text)
		if err != nil {
			t.Fatalf("%q is taken for %q; encoding/xml: %v", text, got, err)
		}
		if blanks.Replace(got) != blanks.Replace(want) {
			t.Fatalf("%q: %q; encoding/xml: %q", text, got, want)
		}
	})
}
