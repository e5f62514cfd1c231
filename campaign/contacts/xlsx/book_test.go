package xlsx_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"

	"campaign-runner/campaign/contacts/scratch"
	"campaign-runner/campaign/contacts/xlsx"
)

const (
	declaration = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>`
	mainSpace   = `xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"`
	relSpace    = `xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"`
	typeBase    = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
)

// parts are the parts of a workbook by name; empty ones are left out.
type parts map[string]string

// plain is a workbook with one sheet of these rows, as XML.
func plain(rows string) parts {
	return parts{
		"[Content_Types].xml":        declaration + `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>`,
		"_rels/.rels":                relationships("rId1", "officeDocument", "xl/workbook.xml"),
		"xl/workbook.xml":            declaration + `<workbook ` + mainSpace + ` ` + relSpace + `><sheets><sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>`,
		"xl/_rels/workbook.xml.rels": relationships("rId1", "worksheet", "worksheets/sheet1.xml", "rId2", "styles", "styles.xml", "rId3", "sharedStrings", "sharedStrings.xml"),
		"xl/styles.xml": declaration + `<styleSheet ` + mainSpace + `><numFmts count="2"><numFmt numFmtId="170" formatCode="00000"/><numFmt numFmtId="171" formatCode="&quot;+966 &quot;0"/></numFmts>` +
			`<cellStyleXfs><xf numFmtId="9"/></cellStyleXfs><cellXfs><xf numFmtId="0"/><xf numFmtId="9"/><xf numFmtId="170"/><xf numFmtId="171"/><xf numFmtId="14"/></cellXfs></styleSheet>`,
		"xl/sharedStrings.xml":     declaration + `<sst ` + mainSpace + `><si><t>shared</t></si><si><r><rPr><b/></rPr><t xml:space="preserve">rich </t></r><r><t>text</t></r><rPh sb="0" eb="1"><t>phonetic</t></rPh><phoneticPr fontId="1"/></si><si/><si><t>a_x000D_b_x005F_x0041__x0007__xD83D__xDE00_</t></si></sst>`,
		"xl/worksheets/sheet1.xml": declaration + `<worksheet ` + mainSpace + `><sheetData>` + rows + `</sheetData></worksheet>`,
	}
}

// with returns a copy with other parts.
func (p parts) with(changes ...string) parts {
	all := make(parts)
	for name, text := range p {
		all[name] = text
	}
	for i := 0; i < len(changes); i += 2 {
		all[changes[i]] = changes[i+1]
	}
	return all
}

func relationships(texts ...string) string {
	var b strings.Builder
	b.WriteString(declaration + `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">`)
	for i := 0; i < len(texts); i += 3 {
		fmt.Fprintf(&b, `<Relationship Id="%s" Type="%s%s" Target="%s"/>`, texts[i], typeBase, texts[i+1], texts[i+2])
	}
	return b.String() + `</Relationships>`
}

func (p parts) zip() []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	names := make([]string, 0, len(p))
	for name := range p {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if p[name] == "" {
			continue
		}
		w, err := z.Create(name)
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(w, p[name]) // into memory
	}
	_ = z.Close()
	return b.Bytes()
}

// read reads the first sheet: its cells by row.
func read(file []byte) (map[int][]string, error) {
	book, err := xlsx.Open(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return nil, err
	}
	if len(book.Sheets) == 0 {
		return nil, errors.New("no sheet")
	}
	return readSheet(book, book.Sheets[0])
}

func readSheet(book *xlsx.Book, sheet xlsx.Sheet) (map[int][]string, error) {
	rows, err := book.Rows(scratch.File)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	if err := rows.Open(sheet); err != nil {
		return nil, err
	}
	all := make(map[int][]string)
	for {
		row, err := rows.Next()
		if err != nil || row == nil {
			return all, err
		}
		var cells []string
		for _, cell := range row.Cells {
			cells = append(cells, string(cell))
		}
		if len(cells) > 0 {
			all[row.Number] = cells
		}
	}
}

func TestCellsAreReadHoweverTheyAreWritten(t *testing.T) {
	one := func(cell string) parts { return plain(`<row r="1">` + cell + `</row>`) }
	text := func(s string) string { return `<row r="1"><c r="A1" t="inlineStr"><is><t>` + s + `</t></is></c></row>` }
	same := plain(text("x"))
	for _, tt := range []struct {
		name string
		book parts
		want string // cells of row 1, separated by |
	}{
		{"a number", one(`<c r="A1"><v>501234567</v></c>`), "501234567"},
		{"a number in scientific notation", one(`<c r="A1"><v>9.6650123456E11</v></c>`), "966501234560"},
		{"a number with what a computer adds", one(`<c r="A1"><v>1.1000000000000001</v></c>`), "1.1"},
		{"a number that is none", one(`<c r="A1"><v>N.N.</v></c>`), "N.N."},
		{"a phone number as a number", one(`<c r="A1"><v>+966501234567</v></c><c r="B1"><v>0501234567</v></c>`), "+966501234567|0501234567"},
		{"blanks around a number", one("<c r=\"A1\"><v>\n 5 </v></c>"), "5"},
		{"a style", one(`<c r="A1" s="1"><v>0.15</v></c><c r="B1" s="2"><v>7</v></c><c r="C1" s="3"><v>501234567</v></c><c r="D1" s="4"><v>45992</v></c>`), "15%|00007|+966 501234567|2025-12-01"},
		{"a style that is not there", one(`<c r="A1" s="99"><v>7</v></c>`), "7"},
		{"no styles at all", one(`<c r="A1" s="1"><v>7</v></c>`).with("xl/styles.xml", "", "xl/_rels/workbook.xml.rels", relationships("rId1", "worksheet", "worksheets/sheet1.xml")), "7"},
		{"shared texts", one(`<c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c><c r="C1" t="s"><v>2</v></c><c r="D1" t="s"><v>3</v></c>`), "shared|rich text||a\rb_x0041_😀"},
		{"inline text with runs", one(`<c r="A1" t="inlineStr"><is><r><t>a</t></r><r><t>b</t></r><rPh sb="0" eb="1"><t>x</t></rPh></is></c>`), "ab"},
		{"the result of a formula", one(`<c r="A1" t="str"><f>"0"&amp;"5"</f><v>05</v></c><c r="B1"><f>1+1</f><v>2</v></c>`), "05|2"},
		{"an empty result of a formula", one(`<c r="A1" t="str"><f>""</f><v></v></c><c r="B1"><v>1</v></c>`), "|1"},
		{"formulas without a value", one(`<c r="A1"><f>1+1</f></c><c r="B1"><f>1+1</f><v/></c><c r="C1" t="str"><f>A1</f></c><c r="D1"><f t="shared" si="0"/></c>`), strings.Repeat(xlsx.NoValue+"|", 3) + xlsx.NoValue},
		{"true and false", one(`<c r="A1" t="b"><v>1</v></c><c r="B1" t="b"><v>0</v></c>`), "TRUE|FALSE"},
		{"an error", one(`<c r="A1" t="e"><v>#N/A</v></c>`), "#N/A"},
		{"dates as text", one(`<c r="A1" t="d"><v>2026-01-31T00:00:00</v></c><c r="B1" t="d"><v>2026-01-31T09:30:00.000Z</v></c><c r="C1" t="d"><v>2026-01-31</v></c>`), "2026-01-31|2026-01-31 09:30:00|2026-01-31"},
		{"dates of 1904", one(`<c r="A1" s="4"><v>44530</v></c>`).with("xl/workbook.xml", strings.Replace(same["xl/workbook.xml"], "<sheets>", `<workbookPr date1904="1"/><sheets>`, 1)), "2025-12-01"},
		{"a sparse row", one(`<c r="B1"><v>1</v></c><c r="E1"><v>2</v></c>`), "|1|||2"},
		{"columns beyond Z", one(`<c r="AB1"><v>1</v></c>`), strings.Repeat("|", 27) + "1"},
		{"cells without names", one(`<c><v>1</v></c><c/><c><v>3</v></c>`), "1||3"},
		{"rows without numbers", plain(`<row><c><v>1</v></c></row><row><c><v>2</v></c></row>`), "1"},
		{"cells out of order", one(`<c r="B1"><v>2</v></c><c r="A1"><v>1</v></c>`), "1|2"},
		{"blank cells at the end", one(`<c r="A1"><v>1</v></c><c r="B1" s="1"/><c r="C1" t="s"><v>2</v></c>`), "1"},
		{"text with line breaks and quotes", plain(text("a\r\n&quot;b&quot;&#13;&#10;c")), "a\n\"b\"\r\nc"},
		{"CDATA", plain(text("<![CDATA[<&>]]>")), "<&>"},
		{"comments and instructions", plain("<!-- x --><?y z?>" + text("a<!-- b -->c")), "ac"},
		{"what later versions add", plain(text("x") + `<mc:AlternateContent xmlns:mc="http://x"><mc:Choice/></mc:AlternateContent>`), "x"},
		{"prefixes everywhere", same.with(
			"xl/workbook.xml", declaration+`<x:workbook xmlns:x="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:q="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><x:sheets><x:sheet name="S" sheetId="1" q:id="rId1"/></x:sheets></x:workbook>`,
			"xl/worksheets/sheet1.xml", `<x:worksheet xmlns:x="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><x:sheetData><x:row r="1"><x:c r="A1" t="inlineStr"><x:is><x:t>x</x:t></x:is></x:c></x:row></x:sheetData></x:worksheet>`), "x"},
		{"the strict format", same.with(
			"xl/workbook.xml", `<workbook xmlns="http://purl.oclc.org/ooxml/spreadsheetml/main" xmlns:r="http://purl.oclc.org/ooxml/officeDocument/relationships"><sheets><sheet name="S" sheetId="1" r:id="rId1"/></sheets></workbook>`,
			"xl/worksheets/sheet1.xml", strings.Replace(same["xl/worksheets/sheet1.xml"], mainSpace, `xmlns="http://purl.oclc.org/ooxml/spreadsheetml/main"`, 1)), "x"},
		{"targets from the root", same.with("xl/_rels/workbook.xml.rels", relationships("rId1", "worksheet", "/xl/worksheets/sheet1.xml")), "x"},
		{"targets with dots and backslashes", same.with("xl/_rels/workbook.xml.rels", relationships("rId1", "worksheet", `.\..\xl\worksheets\sheet1.xml`)), "x"},
		{"parts in another case", same.with("xl/worksheets/sheet1.xml", "", "xl/Worksheets/Sheet1.XML", same["xl/worksheets/sheet1.xml"]), "x"},
		{"parts with backslashes", same.with("xl/worksheets/sheet1.xml", "", `xl\worksheets\sheet1.xml`, same["xl/worksheets/sheet1.xml"]), "x"},
		{"another name of the workbook", same.with("xl/workbook.xml", "", "xl/workbook2.xml", same["xl/workbook.xml"], "xl/_rels/workbook.xml.rels", "", "xl/_rels/workbook2.xml.rels", same["xl/_rels/workbook.xml.rels"], "_rels/.rels", relationships("rId1", "officeDocument", "/xl/workbook2.xml")), "x"},
		{"another folder", same.with("_rels/.rels", relationships("rId1", "officeDocument", "book.xml"), "book.xml", same["xl/workbook.xml"], "_rels/book.xml.rels", relationships("rId1", "worksheet", "s.xml"), "s.xml", same["xl/worksheets/sheet1.xml"]), "x"},
		{"folders as entries", same.with("xl/", ""), "x"},
		{"a sheet in UTF-16", same.with("xl/worksheets/sheet1.xml", "\xff\xfe"+strings.Join(strings.Split(`<?xml version="1.0" encoding="UTF-16"?>`+strings.TrimPrefix(same["xl/worksheets/sheet1.xml"], declaration), ""), "\x00")+"\x00"), "x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rows, err := read(tt.book.zip())
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(rows[1], "|"); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestDamagedWorkbooksAreRefused(t *testing.T) {
	rows := func(second string) parts {
		return plain(`<row r="1"><c r="A1"><v>1</v></c></row><row r="2">` + second + `</row><row r="3"><c r="A3"><v>3</v></c></row>`)
	}
	sound := rows(`<c r="A2"><v>2</v></c>`)
	sheet := sound["xl/worksheets/sheet1.xml"]
	for _, tt := range []struct {
		name string
		book parts
		want string
	}{
		{"a bare ampersand", rows(`<c r="A2" t="inlineStr"><is><t>a & b</t></is></c>`), `the sheet "Sheet1" is damaged at row 2: a bare "&"; open it in Excel and save it again`},
		{"an entity that is undefined", rows(`<c r="A2" t="inlineStr"><is><t>&nbsp;</t></is></c>`), "at row 2: a name after"},
		{"a control character", rows("<c r=\"A2\" t=\"inlineStr\"><is><t>\x0b</t></is></c>"), "at row 2: a control character (0x0b)"},
		{"invalid UTF-8", rows("<c r=\"A2\" t=\"inlineStr\"><is><t>\xc7\xe1</t></is></c>"), "at row 2: characters that are not UTF-8"},
		{"a cell that is not closed", rows(`<c r="A2"><v>2</c>`), "at row 2: <v> is not closed"},
		{"rows cut off", sound.with("xl/worksheets/sheet1.xml", sheet[:strings.Index(sheet, `<row r="3">`)]), "at row 2: the XML ends within <sheetData>"},
		{"the end cut off", sound.with("xl/worksheets/sheet1.xml", strings.TrimSuffix(sheet, "</worksheet>")), "below its rows: the XML ends within <worksheet>"},
		{"something behind the end", sound.with("xl/worksheets/sheet1.xml", sheet+"PK"), "below its rows: text outside"},
		{"a fault below the rows", sound.with("xl/worksheets/sheet1.xml", strings.Replace(sheet, "</worksheet>", "<x>&</x></worksheet>", 1)), "below its rows: a bare"},
		{"a fault above the rows", sound.with("xl/worksheets/sheet1.xml", strings.Replace(sheet, "<sheetData>", "<cols>&</cols><sheetData>", 1)), "is damaged: a bare"},
		{"rows a second time", sound.with("xl/worksheets/sheet1.xml", strings.Replace(sheet, "</worksheet>", "<sheetData/></worksheet>", 1)), "rows a second time"},
		{"a row within another element", sound.with("xl/worksheets/sheet1.xml", strings.Replace(strings.Replace(sheet, `<row r="3">`, `<x><row r="3">`, 1), "</sheetData>", "</x></sheetData>", 1)), "at row 2: rows or cells where none belong"},
		{"a row within a row", rows(`<row r="9"><c r="A9"><v>9</v></c></row>`), "at row 2: rows or cells where none belong"},
		{"a row of another namespace", rows(`</row><y:row xmlns:y="urn:y" r="2"><c r="A2"><v>2</v></c></y:row><row>`), "at row 2: rows or cells where none belong"},
		{"a cell within another element", rows(`<x><c r="A2"><v>2</v></c></x>`), "at row 2: rows or cells where none belong"},
		{"a row below the rows", sound.with("xl/worksheets/sheet1.xml", strings.Replace(sheet, "</worksheet>", `<x><row r="4"/></x></worksheet>`, 1)), "below its rows: rows or cells where none belong"},
		{"a row above the rows", sound.with("xl/worksheets/sheet1.xml", strings.Replace(sheet, "<sheetData>", `<x><row r="4"/></x><sheetData>`, 1)), "rows or cells where none belong"},
		{"a document type", sound.with("xl/worksheets/sheet1.xml", `<!DOCTYPE x>`+strings.TrimPrefix(sheet, declaration)), "a document type"},
		{"something else in a sheet's place", sound.with("xl/worksheets/sheet1.xml", "<html/>"), "this is no <worksheet>"},
		{"another namespace", sound.with("xl/worksheets/sheet1.xml", strings.Replace(sheet, mainSpace, `xmlns="http://x"`, 1)), "this is no <worksheet>"},
		{"a row that comes again", rows(`</row><row r="2"><c r="A2"><v>2</v></c>`), `at row 2: another row "2" follows it`},
		{"a cell of another row", rows(`<c r="A7"><v>2</v></c>`), `at row 2: a cell named "A7"`},
		{"a cell twice", rows(`<c r="A2"><v>2</v></c><c r="A2"><v>3</v></c>`), "at row 2: the cell in column 1 twice"},
		{"a cell without a place", rows(`<c r="5"><v>2</v></c>`), `a cell named "5"`},
		{"a column that Excel does not have", rows(`<c r="XFE2"><v>2</v></c>`), "at row 2: "},
		{"a row that Excel does not have", plain(`<row r="1048577"/>`), "a row number beyond 1048576"},
		{"a text that is not there", rows(`<c r="A2" t="s"><v>4</v></c>`), "at row 2: it names text 5 of 4"},
		{"a text named by something else than a number", rows(`<c r="A2" t="s"><v>x</v></c>`), "at row 2: it names text"},
		{"texts that are missing", rows(`<c r="A2" t="s"><v>0</v></c>`).with("xl/sharedStrings.xml", ""), "lacks its part"},
		{"a cell beyond all measure", rows(`<c r="A2" t="inlineStr"><is><t>` + strings.Repeat("x", 1<<20+1) + `</t></is></c>`), "at row 2: a cell of more than 1048576 bytes"},
		{"a cell of many runs", rows(`<c r="A2" t="inlineStr"><is>` + strings.Repeat("<r><t>"+strings.Repeat("x", 1<<19)+"</t></r>", 3) + `</is></c>`), "a cell of more than"},
		{"a row whose cells name one long text", plain(`<row r="1">`+strings.Repeat(`<c t="s"><v>0</v></c>`, 5000)+`</row>`).with("xl/sharedStrings.xml", declaration+`<sst `+mainSpace+`><si><t>`+strings.Repeat("x", 1<<20)+`</t></si></sst>`), "at row 1: a row of more than 2097152 bytes"},
		{"broken texts", sound.with("xl/sharedStrings.xml", strings.Replace(sound["xl/sharedStrings.xml"], "<t>shared", "<t>&shared", 1)), "the part xl/sharedstrings.xml is damaged: text 1: a bare"},
		{"texts cut off", sound.with("xl/sharedStrings.xml", strings.TrimSuffix(sound["xl/sharedStrings.xml"], "</sst>")), "the part xl/sharedstrings.xml is damaged"},
		{"broken styles", sound.with("xl/styles.xml", strings.TrimSuffix(sound["xl/styles.xml"], ">")), "the part xl/styles.xml is damaged"},
		{"broken types", sound.with("[Content_Types].xml", "<Types>"), "the part [content_types].xml is damaged"},
		{"broken relationships", sound.with("xl/_rels/workbook.xml.rels", "<Relationships"), "the part xl/_rels/workbook.xml.rels is damaged"},
		{"a broken list of sheets", sound.with("xl/workbook.xml", strings.TrimSuffix(sound["xl/workbook.xml"], "</workbook>")), "the part xl/workbook.xml is damaged"},
		{"a sheet that is missing", sound.with("xl/worksheets/sheet1.xml", ""), `the sheet "Sheet1": the workbook lacks its part "xl/worksheets/sheet1.xml"`},
		{"a part twice", sound.with("xl/WORKSHEETS/sheet1.xml", sheet), "twice"},
		{"deeper than any sheet", plain(strings.Repeat("<x>", 200) + strings.Repeat("</x>", 200)), "more than 100 elements within each other"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rows, err := read(tt.book.zip())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, error %v; want %s", rows, err, tt.want)
			}
		})
	}
}

// stored is a workbook whose parts are not packed, so that a test can find its bytes.
func stored(p parts, change func(name string, h *zip.FileHeader)) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range p {
		h := &zip.FileHeader{Name: name, Method: zip.Store, CRC32: crc32.ChecksumIEEE([]byte(text)), CompressedSize64: uint64(len(text)), UncompressedSize64: uint64(len(text))}
		if change != nil {
			change(name, h)
		}
		w, err := z.CreateRaw(h)
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(w, text) // into memory
	}
	_ = z.Close()
	return b.Bytes()
}

func TestAWrongChecksumIsFound(t *testing.T) {
	book := plain(`<row r="1"><c r="A1"><v>501234567</v></c></row>`)
	if rows, err := read(stored(book, nil)); err != nil || rows[1][0] != "501234567" {
		t.Fatalf("%v, %v", rows, err)
	}
	for name, change := range map[string]func(*zip.FileHeader){
		"another": func(h *zip.FileHeader) { h.CRC32++ },
		"none":    func(h *zip.FileHeader) { h.CRC32 = 0 },
	} {
		for part := range book {
			file := stored(book, func(n string, h *zip.FileHeader) {
				if n == part {
					change(h)
				}
			})
			if _, err := read(file); err == nil || !strings.Contains(err.Error(), "its checksum is wrong") {
				t.Errorf("%s of %s: %v", name, part, err)
			}
		}
	}
	file := bytes.Replace(stored(book, nil), []byte("501234567"), []byte("501234568"), 1)
	if rows, err := read(file); err == nil {
		t.Errorf("a changed digit is read: %v", rows)
	}
}

// Every changed byte of a packed sheet is detected or changes nothing.
func TestAChangedByteChangesNoCell(t *testing.T) {
	var rows strings.Builder
	for i := range 200 {
		fmt.Fprintf(&rows, `<row r="%d"><c r="A%[1]d"><v>%d</v></c></row>`, i+1, 501234567+i*7919)
	}
	file := plain(rows.String()).zip()
	want, err := read(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := range file {
		changed := bytes.Clone(file)
		changed[i] ^= 0x55
		if got, err := read(changed); err == nil && !cmp.Equal(want, got) {
			t.Errorf("byte %d: other cells and no error", i)
		}
	}
	for n := 0; n < len(file); n += 7 {
		if got, err := read(file[:n]); err == nil {
			t.Errorf("%d bytes of %d: %d rows and no error", n, len(file), len(got))
		}
	}
}

func TestZip64IsRead(t *testing.T) {
	book := plain(`<row r="1"><c r="A1"><v>1</v></c></row>`)
	var b bytes.Buffer
	var directory bytes.Buffer
	put := func(w *bytes.Buffer, values ...any) {
		for _, v := range values {
			_ = binary.Write(w, binary.LittleEndian, v) // into memory
		}
	}
	for name, text := range book {
		at, crc, size := b.Len(), crc32.ChecksumIEEE([]byte(text)), uint64(len(text))
		put(&b, uint32(0x04034b50), uint16(45), uint16(0), uint16(0), uint32(0), crc, ^uint32(0), ^uint32(0), uint16(len(name)), uint16(20), []byte(name), uint16(1), uint16(16), size, size, []byte(text))
		put(&directory, uint32(0x02014b50), uint16(45), uint16(45), uint16(0), uint16(0), uint32(0), crc, ^uint32(0), ^uint32(0), uint16(len(name)), uint16(28), uint16(0), uint16(0), uint16(0), uint32(0), ^uint32(0), []byte(name), uint16(1), uint16(24), size, size, uint64(at))
	}
	at := b.Len()
	b.Write(directory.Bytes())
	end := b.Len()
	put(&b, uint32(0x06064b50), uint64(44), uint16(45), uint16(45), uint32(0), uint32(0), uint64(len(book)), uint64(len(book)), uint64(directory.Len()), uint64(at))
	put(&b, uint32(0x07064b50), uint32(0), uint64(end), uint32(1))
	put(&b, uint32(0x06054b50), uint16(0), uint16(0), ^uint16(0), ^uint16(0), ^uint32(0), ^uint32(0), uint16(0))
	if rows, err := read(b.Bytes()); err != nil || len(rows) != 1 {
		t.Errorf("%v, %v", rows, err)
	}
}

// These shapes differ between the sheets of LibreOffice, Google Sheets, openpyxl, Apple
// Numbers and others. excelize reads all of them and must see the same cells where the
// file is sound.
func TestRandomSheetsAreReadAsExcelizeReadsThem(t *testing.T) {
	texts := []string{"Sara", "محمد العتيبي", "a,b", "say \"x\"", "two\nlines", "&lt;b&gt;&amp;", "0501234567", "+966 50 123 4567", " blanks ", "1e5", "_x0041_"} // the last is an escape, which excelize leaves in results of formulas
	for seed := range uint64(120) {
		r := rand.New(rand.NewPCG(seed, 1))
		prefix, names := "", r.IntN(4) > 0
		if r.IntN(3) == 0 {
			prefix = "x:"
		}
		var shared, rows strings.Builder
		var count int
		el := func(name, attrs, inside string) string {
			if inside == "" && r.IntN(2) == 0 {
				return "<" + prefix + name + attrs + "/>"
			}
			return "<" + prefix + name + attrs + ">" + inside + "</" + prefix + name + ">"
		}
		txt := func() string {
			return el("t", ` xml:space="preserve"`, texts[r.IntN(len(texts))])
		}
		rich := func() string {
			if r.IntN(3) > 0 {
				return txt()
			}
			return el("r", "", el("rPr", "", el("b", "", ""))+txt()) + el("r", "", txt()) + el("rPh", ` sb="0" eb="1"`, txt())
		}
		number := 0
		for range r.IntN(12) {
			number++
			if r.IntN(4) == 0 && names {
				number += r.IntN(5)
			}
			column := 0
			var cells strings.Builder
			for range r.IntN(7) {
				column++
				if r.IntN(4) == 0 && names {
					column += r.IntN(40)
				}
				attrs := ""
				if names {
					name, _ := excelize.CoordinatesToCellName(column, number)
					attrs = fmt.Sprintf(` r="%s"`, name)
				}
				switch r.IntN(8) {
				case 0:
					cells.WriteString(el("c", attrs+` t="inlineStr"`, el("is", "", txt())))
				case 1:
					shared.WriteString(el("si", "", rich()))
					cells.WriteString(el("c", attrs+` t="s"`, el("v", "", strconv.Itoa(count))))
					count++
				case 2:
					cells.WriteString(el("c", attrs+` t="str"`, el("f", "", "A1&amp;B1")+el("v", "", texts[r.IntN(len(texts)-1)])))
				case 3:
					cells.WriteString(el("c", attrs+` t="b"`, el("v", "", strconv.Itoa(r.IntN(2)))))
				case 4:
					cells.WriteString(el("c", attrs+` t="e"`, el("v", "", "#N/A")))
				case 5:
					cells.WriteString(el("c", attrs+` s="0"`, ""))
				case 6:
					cells.WriteString(el("c", attrs, el("v", "", strconv.Itoa(r.IntN(1e9)))))
				default:
					cells.WriteString(el("c", attrs, el("f", "", "1")+el("v", "", strconv.FormatFloat(float64(r.IntN(1e6))/100, 'f', -1, 64))))
				}
			}
			attrs := ""
			if names {
				attrs = fmt.Sprintf(` r="%d" spans="1:5"`, number)
			}
			rows.WriteString(el("row", attrs, cells.String()))
		}
		space := strings.Replace(mainSpace, "xmlns=", "xmlns"+strings.TrimSuffix(":"+prefix, ":")+"=", 1)
		if prefix == "" {
			space = mainSpace
		}
		wrap := func(root, inside string) string {
			return declaration + "<" + prefix + root + " " + space + ">" + inside + "</" + prefix + root + ">"
		}
		file := plain("").with("xl/sharedStrings.xml", wrap("sst", shared.String()), "xl/worksheets/sheet1.xml", wrap("worksheet", el("dimension", ` ref="A1"`, "")+el("sheetData", "", rows.String())+el("pageMargins", ` left="1"`, ""))).zip()
		got, err := read(file)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, rows.String())
		}
		if diff := cmp.Diff(excelized(t, file), got); diff != "" {
			t.Fatalf("seed %d (-excelize +got):\n%s\n%s", seed, diff, rows.String())
		}
	}
}

// excelized are the cells that excelize reads.
func excelized(t *testing.T, file []byte) map[int][]string {
	t.Helper()
	book, err := excelize.OpenReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	rows, err := book.Rows(book.GetSheetList()[0])
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[int][]string)
	for n := 1; rows.Next(); n++ {
		cells, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		for len(cells) > 0 && cells[len(cells)-1] == "" {
			cells = cells[:len(cells)-1]
		}
		if len(cells) > 0 {
			all[n] = cells
		}
	}
	return all
}

func TestWorkbooksOfExcelizeAreReadAsItReadsThem(t *testing.T) {
	book := excelize.NewFile()
	defer book.Close()
	r := rand.New(rand.NewPCG(1, 2))
	for row := 1; row < 500; row += 1 + r.IntN(2) {
		for column := 1; column < 12; column += 1 + r.IntN(3) {
			name, _ := excelize.CoordinatesToCellName(column, row)
			value := []any{r.IntN(1e9), r.Float64() < .5, "text \n<&> سارة", fmt.Sprintf("text %d", r.IntN(50)), float64(r.IntN(1e7)) / 8, ""}[r.IntN(6)]
			if err := book.SetCellValue("Sheet1", name, value); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := book.MergeCell("Sheet1", "A1", "C3"); err != nil {
		t.Fatal(err)
	}
	file, err := book.WriteToBuffer()
	if err != nil {
		t.Fatal(err)
	}
	got, err := read(file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(excelized(t, file.Bytes()), got); diff != "" {
		t.Errorf("-excelize +got:\n%s", diff)
	}
}

func TestTextsBeyondMemoryGoToAFile(t *testing.T) {
	const texts, length = 2500, 20_000 // 50 MB
	var shared, rows bytes.Buffer
	shared.WriteString(`<sst ` + mainSpace + `>`)
	text := func(n int) string { return strings.Repeat(strconv.Itoa(n)+",", length)[:length] }
	for n := range texts {
		fmt.Fprintf(&shared, "<si><t>%s</t></si>", text(n))
	}
	shared.WriteString(`</sst>`)
	order := rand.New(rand.NewPCG(3, 4)).Perm(texts)[:500]
	for i, n := range order {
		fmt.Fprintf(&rows, `<row r="%d"><c t="s"><v>%d</v></c></row>`, i+1, n)
	}
	file := stored(plain(rows.String()).with("xl/sharedStrings.xml", shared.String()), nil)
	made := 0
	book, err := xlsx.Open(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := book.Rows(func() (*os.File, error) { made++; return scratch.File() })
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Open(book.Sheets[0]); err != nil {
		t.Fatal(err)
	}
	for _, n := range order {
		if row, err := r.Next(); err != nil || string(row.Cells[0]) != text(n) {
			t.Fatalf("text %d is another: %v", n, err)
		}
	}
	if made != 1 {
		t.Errorf("%d files", made)
	}
}

// packed is text as a member of a zip archive, packed as tightly as possible.
func packed(text func(io.Writer)) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression) // a level that exists
	text(w)
	_ = w.Close() // into memory
	return b.Bytes()
}

func TestPartsThatUnpackToTooMuchAreRefused(t *testing.T) {
	bomb := packed(func(w io.Writer) {
		_, _ = io.WriteString(w, declaration+`<worksheet `+mainSpace+`><sheetData>`)
		blank := bytes.Repeat([]byte(" "), 1<<20)
		for range 100 {
			_, _ = w.Write(blank)
		}
	})
	book := plain("")
	for name := range book {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for part, text := range book {
			if part != name {
				w, _ := z.Create(part)
				_, _ = io.WriteString(w, text)
				continue
			}
			w, err := z.CreateRaw(&zip.FileHeader{Name: part, Method: zip.Deflate, CompressedSize64: uint64(len(bomb)), UncompressedSize64: 100 << 20, CRC32: 1})
			if err != nil {
				t.Fatal(err)
			}
			_, _ = w.Write(bomb)
		}
		_ = z.Close()
		_, err := read(b.Bytes())
		damage := (*xlsx.DamageError)(nil)
		if isSheet := strings.Contains(name, "sheet1"); !errors.Is(err, xlsx.ErrTooLarge) && (isSheet || !errors.As(err, &damage)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnArchiveOfManyPartsIsRefused(t *testing.T) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := range 100_000 {
		if _, err := z.CreateRaw(&zip.FileHeader{Name: strconv.Itoa(i)}); err != nil {
			t.Fatal(err)
		}
	}
	_ = z.Close()
	if _, err := xlsx.OpenZip(bytes.NewReader(b.Bytes()), int64(b.Len())); err == nil || !strings.Contains(err.Error(), "far more files") {
		t.Error(err)
	}
}

func TestSheets(t *testing.T) {
	book := plain("").with(
		"xl/workbook.xml", `<workbook `+mainSpace+` `+relSpace+`><sheets><sheet name="a &amp; b" state="hidden" r:id="r1"/><sheet name="c" state="veryHidden" r:id="r2"/><sheet name="d" state="visible" r:id="r3"/><sheet name="e" r:id="r4"/></sheets></workbook>`,
		"xl/_rels/workbook.xml.rels", relationships("r1", "worksheet", "worksheets/sheet1.xml", "r2", "worksheet", "s2.xml", "r3", "chartsheet", "s3.xml", "r4", "worksheet", "s4.xml"),
	).zip()
	b, err := xlsx.Open(bytes.NewReader(book), int64(len(book)))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range b.Sheets {
		got = append(got, fmt.Sprint(s.Name, " ", s.Hidden, " ", s.Grid))
	}
	if diff := cmp.Diff([]string{"a & b true true", "c true true", "d false false", "e false true"}, got); diff != "" {
		t.Error(diff)
	}
	if _, err := readSheet(b, b.Sheets[2]); err == nil || !strings.Contains(err.Error(), "has no cells") {
		t.Errorf("a chart: %v", err)
	}
}

func TestRowsAndColumnsThatAreHidden(t *testing.T) {
	sheet := `<worksheet ` + mainSpace + `><sheetFormatPr%s/><cols><col min="2" max="3" hidden="1"/><col min="5" max="5" width="0"/></cols><sheetData><row r="1"><c><v>1</v></c></row><row r="2" hidden="1"><c><v>1</v></c></row><row r="3" hidden="true"/><row r="4" ht="0"><c><v>1</v></c></row><row r="5" hidden="0"><c><v>1</v></c></row></sheetData></worksheet>`
	for format, want := range map[string][]int{"": {2, 3, 4}, ` zeroHeight="1"`: {1, 2, 3, 4}} {
		file := plain("").with("xl/worksheets/sheet1.xml", fmt.Sprintf(sheet, format)).zip()
		book, err := xlsx.Open(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		rows, err := book.Rows(scratch.File)
		if err != nil {
			t.Fatal(err)
		}
		if err := rows.Open(book.Sheets[0]); err != nil {
			t.Fatal(err)
		}
		var hidden, columns []int
		for {
			row, err := rows.Next()
			if err != nil {
				t.Fatal(err)
			}
			if row == nil {
				break
			}
			if row.Hidden {
				hidden = append(hidden, row.Number)
			}
		}
		for n := range 6 {
			if rows.HiddenColumns()(n) {
				columns = append(columns, n)
			}
		}
		if diff := cmp.Diff(want, hidden); diff != "" || !slices.Equal(columns, []int{1, 2, 4}) {
			t.Errorf("%q: hidden columns %v, rows (-want +got):\n%s", format, columns, diff)
		}
		_ = rows.Close()
	}
}

// FuzzWorkbook feeds sheets, texts and styles. Failures must be errors, and a second
// reading must give the same.
func FuzzWorkbook(f *testing.F) {
	sound := plain(`<row r="1"><c r="A1" t="s"><v>1</v></c><c r="C1" s="1"><v>0.15</v></c></row><row r="3" hidden="1"><c t="inlineStr"><is><t>x</t></is></c><c><f>1</f></c></row>`)
	f.Add(sound["xl/worksheets/sheet1.xml"], sound["xl/sharedStrings.xml"], sound["xl/styles.xml"])
	f.Add(strings.ReplaceAll(sound["xl/worksheets/sheet1.xml"], "x</t>", "&</t>"), "<sst/>", "<styleSheet/>")
	f.Add(`<worksheet><sheetData><row><c t="str"><v>a</v></c></row></sheetData></worksheet>`, "", strings.ReplaceAll(sound["xl/styles.xml"], "00000", "[$-2000401]# ?/?;(0.0E+0);&quot;-&quot;;@"))
	f.Fuzz(func(t *testing.T, sheet, texts, styles string) {
		file := sound.with("xl/worksheets/sheet1.xml", sheet, "xl/sharedStrings.xml", texts, "xl/styles.xml", styles).zip()
		first, firstErr := read(file)
		second, secondErr := read(file)
		if diff := cmp.Diff(first, second); diff != "" || fmt.Sprint(firstErr) != fmt.Sprint(secondErr) {
			t.Fatalf("read twice: %v, %v\n%s", firstErr, secondErr, diff)
		}
	})
}
