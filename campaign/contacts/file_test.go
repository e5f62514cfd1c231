package contacts_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
)

const bom = "\ufeff"

// encoded is text in an encoding, with a byte order mark only if text begins with one.
func encoded(e contacts.Encoding, text string) []byte {
	encoder := map[contacts.Encoding]interface{ Bytes([]byte) ([]byte, error) }{
		contacts.UTF16LE:     unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewEncoder(),
		contacts.UTF16BE:     unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM).NewEncoder(),
		contacts.Windows1256: charmap.Windows1256.NewEncoder(),
		contacts.Windows1252: charmap.Windows1252.NewEncoder(),
	}[e]
	if encoder == nil {
		return []byte(text)
	}
	out, err := encoder.Bytes([]byte(text))
	if err != nil {
		panic(err)
	}
	return out
}

func gzipped(text string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, text) // into memory
	_ = z.Close()
	return b.Bytes()
}

// zipped is an archive of alternating names and contents.
func zipped(members ...string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(members); i += 2 {
		w, err := z.Create(members[i])
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(w, members[i+1]) // into memory
	}
	_ = z.Close()
	return b.Bytes()
}

// workbook has rows on its first sheet and one more on a sheet named VIP.
func workbook(t testing.TB, rows [][]any) []byte {
	t.Helper()
	book := excelize.NewFile()
	defer book.Close()
	fill := func(sheet string, rows [][]any) {
		for i, row := range rows {
			for k, cell := range row {
				name, err := excelize.CoordinatesToCellName(k+1, i+1)
				if err == nil {
					err = book.SetCellValue(sheet, name, cell)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	fill("Sheet1", rows)
	if _, err := book.NewSheet("VIP"); err != nil {
		t.Fatal(err)
	}
	fill("VIP", [][]any{{"phone"}, {"0509999999"}})
	b, err := book.WriteToBuffer()
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func open(file []byte, want contacts.Format) (*contacts.File, error) {
	return contacts.Open(bytes.NewReader(file), int64(len(file)), want)
}

// readFile opens a file and reads it to its end.
func readFile(file []byte, want contacts.Format) (contacts.Format, []string, error) {
	f, err := open(file, want)
	if err != nil {
		return contacts.Format{}, nil, err
	}
	r, err := f.Reader(contacts.Options{Region: "SA"})
	if err != nil {
		return f.Format(), nil, err
	}
	defer r.Close()
	var rows []contacts.Row
	for row, err := range r.All() {
		if err != nil {
			return f.Format(), lines(rows), err
		}
		rows = append(rows, row)
	}
	return f.Format(), lines(rows), nil
}

func TestFilesAreReadHoweverTheyAreWritten(t *testing.T) {
	const arabic = "phone,الاسم\n0501234567,محمد العتيبي\n0501234568,\"سارة\"\n"
	const french = "phone,nom\n0501234567,José Müller\n0501234568,Zoë\n"
	crlf := func(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }
	swap := func(text, comma string) string { return strings.ReplaceAll(text, ",", comma) }
	wantArabic := []string{"2 0501234567|محمد العتيبي", "3 0501234568|سارة"}
	wantFrench := []string{"2 0501234567|José Müller", "3 0501234568|Zoë"}
	found := func(e contacts.Encoding, d contacts.Delimiter, l contacts.LineEnds) contacts.Format {
		return contacts.Format{Container: "csv", Encoding: e, Delimiter: d, LineEnds: l}
	}
	in := func(container string, f contacts.Format) contacts.Format { f.Container = container; return f }
	plain := found(contacts.UTF8, ",", contacts.LF)
	longASCII := strings.Repeat("0501234567,Ali\n", 20_000)
	for _, tt := range []struct {
		name string
		file []byte
		want contacts.Format
		rows []string // nil: see the counts
	}{
		{"UTF-8", []byte(arabic), plain, wantArabic},
		{"UTF-8 with a mark", []byte(bom + crlf(arabic)), found(contacts.UTF8, ",", contacts.CRLF), wantArabic},
		{"UTF-16 LE as Excel writes Unicode Text", encoded(contacts.UTF16LE, bom+crlf(swap(arabic, "\t"))), found(contacts.UTF16LE, "\t", contacts.CRLF), wantArabic},
		{"UTF-16 BE with a mark", encoded(contacts.UTF16BE, bom+arabic), found(contacts.UTF16BE, ",", contacts.LF), wantArabic},
		{"UTF-16 LE without a mark", encoded(contacts.UTF16LE, arabic), found(contacts.UTF16LE, ",", contacts.LF), wantArabic},
		{"UTF-16 BE without a mark", encoded(contacts.UTF16BE, arabic), found(contacts.UTF16BE, ",", contacts.LF), wantArabic},
		{"Windows-1256 with semicolons", encoded(contacts.Windows1256, crlf(swap(arabic, ";"))), found(contacts.Windows1256, ";", contacts.CRLF), wantArabic},
		{"Windows-1256 far behind plain rows", encoded(contacts.Windows1256, "phone,name\n"+longASCII+"0501234568,سارة\n"), found(contacts.Windows1256, ",", contacts.LF), nil},
		{"Windows-1252", encoded(contacts.Windows1252, french), found(contacts.Windows1252, ",", contacts.LF), wantFrench},
		{"pipes", []byte(swap(arabic, "|")), found(contacts.UTF8, "|", contacts.LF), wantArabic},
		{"lone carriage returns", []byte(strings.ReplaceAll(arabic, "\n", "\r")), found(contacts.UTF8, ",", contacts.CR), wantArabic},
		{"lone carriage returns around lines of a cell", []byte("phone,name\r0501234567,\"a\nb\r\nc\rd\"\r0501234568,x"), found(contacts.UTF8, ",", contacts.CR), []string{"2 0501234567|a\nb\nc\nd", "6 0501234568|x"}},
		{"a quoted line break in the header", []byte("phone,\"full\nname\"\r\n0501234567,x\r\n"), found(contacts.UTF8, ",", contacts.CRLF), []string{"3 0501234567|x"}},
		{"more commas in the cells than semicolons between them", []byte("phone;name\n0501234567;a, b, c\n0501234568;d, e, f\n"), found(contacts.UTF8, ";", contacts.LF), []string{"2 0501234567|a, b, c", "3 0501234568|d, e, f"}},
		{"one column only", []byte("phone\n0501234567\n"), plain, []string{"2 0501234567"}},
		{"a line that names the delimiter", []byte("sep=;\r\nphone;a,b\r\n0501234567;x\r\n"), found(contacts.UTF8, ";", contacts.CRLF), []string{"3 0501234567|x"}},
		{"no line end", []byte("phone,name"), found(contacts.UTF8, ",", ""), nil},
		{"gzip", gzipped(arabic), in("csv.gz", plain), wantArabic},
		{"gzip of Windows-1256", gzipped(string(encoded(contacts.Windows1256, arabic))), in("csv.gz", found(contacts.Windows1256, ",", contacts.LF)), wantArabic},
		{"zip with one file", zipped("list.csv", bom+arabic), in("zip", plain), wantArabic},
		{"zip as macOS makes it", zipped("lists/", "", "lists/list.csv", arabic, "__MACOSX/lists/._list.csv", "x", "lists/.DS_Store", "x"), in("zip", plain), wantArabic},
	} {
		t.Run(tt.name, func(t *testing.T) {
			format, rows, err := readFile(tt.file, contacts.Format{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, format); diff != "" {
				t.Errorf("format (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.rows, rows); diff != "" && tt.rows != nil {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWorkbooks(t *testing.T) {
	day := time.Date(2026, 1, 31, 9, 30, 0, 0, time.UTC)
	file := workbook(t, [][]any{
		{"phone", "name", "amount", "since"},
		{966501234567, "Sara", 19.99, day},
		{"0501234568", "line\nbreak", 1e6, "31/01/2026"},
		{966501234560.0, "zeros at the end", true, ""},
		nil,
		{501234569, "=cmd"},
		{"5.01235E+08", "lost its digits"},
		{"0501234560", "too many", "", "", "x"},
		{"", ""},
		nil,
	})
	format, rows, err := readFile(file, contacts.Format{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(contacts.Format{Container: "xlsx", Sheet: "Sheet1"}, format); diff != "" {
		t.Errorf("format (-want +got):\n%s", diff)
	}
	want := []string{
		"2 966501234567|Sara|19.99|2026-01-31 09:30:00",
		"3 0501234568|line\nbreak|1000000|31/01/2026",
		"4 966501234560|zeros at the end|TRUE|",
		"5 empty line: ,,,",
		"6 501234569|=cmd||",
		"7 " + string(contacts.Scientific) + ": 5.01235E+08|lost its digits||",
		"8 too many cells: 0501234560,too many,,,x",
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	format, rows, err = readFile(file, contacts.Format{Sheet: "vip"})
	if diff := cmp.Diff([]string{"2 0509999999"}, rows); diff != "" || err != nil || format.Sheet != "VIP" {
		t.Errorf("%+v, %v, rows of the sheet asked for (-want +got):\n%s", format, err, diff)
	}
}

// However a workbook shows a number, all its digits come out.
func TestNumberFormatsOfWorkbooks(t *testing.T) {
	book := excelize.NewFile()
	defer book.Close()
	at := time.Date(2026, 1, 31, 9, 30, 0, 0, time.UTC)
	custom := func(code string) *excelize.Style { return &excelize.Style{CustomNumFmt: &code} }
	cells := []struct {
		value any
		style *excelize.Style
		want  string
	}{
		{966501234567, &excelize.Style{NumFmt: 11}, "966501234567"}, // 0.00E+00
		{966501234567, &excelize.Style{NumFmt: 3}, "966501234567"},  // #,##0
		{966501234567, custom(`"+"0`), "+966501234567"},
		{501234567, custom("[Red]0;[Blue]0"), "501234567"},
		{0.5, &excelize.Style{NumFmt: 9}, "50%"},
		{at, &excelize.Style{NumFmt: 14}, "2026-01-31"},
		{at, &excelize.Style{NumFmt: 22}, "2026-01-31 09:30:00"},
		{at, &excelize.Style{NumFmt: 20}, "09:30:00"},
		{at, custom("dd/mm/yyyy"), "2026-01-31"},
		{at, custom("[$-2000401]mmmm"), "2026-01-31"},
		{at, custom(`d\ "of" mmm, hh:mm`), "2026-01-31 09:30:00"},
		{1.75, custom("[h]:mm"), "42:00"},
	}
	want := []string{"2 0501234567"}
	for i, cell := range cells {
		style, err := book.NewStyle(cell.style)
		if err != nil {
			t.Fatal(err)
		}
		name := func(row int) string { n, _ := excelize.CoordinatesToCellName(i+2, row); return n }
		if err := errors.Join(book.SetCellValue("Sheet1", name(1), fmt.Sprint("v", i)), book.SetCellValue("Sheet1", name(2), cell.value), book.SetCellStyle("Sheet1", name(2), name(2), style)); err != nil {
			t.Fatal(err)
		}
		want[0] += "|" + cell.want
	}
	if err := errors.Join(book.SetCellValue("Sheet1", "A1", "phone"), book.SetCellValue("Sheet1", "A2", "0501234567")); err != nil {
		t.Fatal(err)
	}
	file, err := book.WriteToBuffer()
	if err != nil {
		t.Fatal(err)
	}
	_, rows, err := readFile(file.Bytes(), contacts.Format{})
	if diff := cmp.Diff(want, rows); diff != "" || err != nil {
		t.Errorf("%v, rows (-want +got):\n%s", err, diff)
	}
}

func TestWhatIsGivenBeatsWhatIsDetected(t *testing.T) {
	arabic := encoded(contacts.Windows1256, "phone,name\n0501234567,سارة\n")
	format, rows, err := readFile(arabic, contacts.Format{Encoding: contacts.Windows1252})
	if err != nil || format.Encoding != contacts.Windows1252 || len(rows) != 1 || strings.Contains(rows[0], "سارة") {
		t.Errorf("encoding: %+v, %q, %v", format, rows, err)
	}
	format, rows, err = readFile([]byte("phone;name\n0501234567;a,b\n"), contacts.Format{Delimiter: ";"})
	if diff := cmp.Diff([]string{"2 0501234567|a,b"}, rows); diff != "" || err != nil || format.Delimiter != ";" {
		t.Errorf("delimiter: %+v, %v, %s", format, err, diff)
	}
	_, rows, err = readFile([]byte("phone#name\n0501234567#a\n"), contacts.Format{Delimiter: "#"})
	if diff := cmp.Diff([]string{"2 0501234567|a"}, rows); diff != "" || err != nil {
		t.Errorf("a delimiter that is not looked for: %v, %s", err, diff)
	}
}

func TestNumbersOfAnyFile(t *testing.T) {
	for name, file := range map[string][]byte{
		"UTF-16": encoded(contacts.UTF16LE, bom+"0501234567\r\n0501234568\r\n"),
		"packed": gzipped("phone;reason\n0501234567;asked\n0501234568;asked\n"),
		"a book": workbook(t, [][]any{{"phone"}, {966501234567}, {"0501234568"}}),
	} {
		f, err := open(file, contacts.Format{})
		if err != nil {
			t.Fatal(err)
		}
		numbers, err := f.Numbers(contacts.Options{Region: "SA"})
		if err != nil {
			t.Fatal(err)
		}
		want := []campaign.Phone{966501234567, 966501234568}
		if name == "a book" {
			want = append(want, 966509999999) // of its other sheet
		}
		if diff := cmp.Diff(want, slices.Sorted(numbers.All())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// tableElsewhere is an archive whose table of contents claims to stand far beyond its
// end.
func tableElsewhere(archive []byte) []byte {
	at := bytes.LastIndex(archive, []byte("PK\x05\x06"))
	binary.LittleEndian.PutUint32(archive[at+16:], 1<<31-1)
	return archive
}

func TestFilesThatAreNotContactLists(t *testing.T) {
	book := workbook(t, [][]any{{"phone"}})
	for _, tt := range []struct {
		name string
		file []byte
		want contacts.Format
		err  string
	}{
		{"an old workbook", []byte("\xd0\xcf\x11\xe0\xa1\xb1"), contacts.Format{}, "this is an old Excel workbook (.xls), or one with a password"},
		{"a PDF", []byte("%PDF-1.7"), contacts.Format{}, "this is a PDF document"},
		{"a PDF in a zip", zipped("list.csv", "%PDF-1.7"), contacts.Format{}, "this is a PDF document"},
		{"a web page", []byte("<html><table>"), contacts.Format{}, "this is a web page"},
		{"a Word document", zipped("[Content_Types].xml", "", "word/document.xml", ""), contacts.Format{}, "this is a Word document"},
		{"a binary workbook", zipped("xl/workbook.bin", ""), contacts.Format{}, "this is a binary Excel workbook (.xlsb): save it as .xlsx"},
		{"an OpenDocument sheet", zipped("mimetype", "", "content.xml", ""), contacts.Format{}, "this is an OpenDocument file"},
		{"UTF-32", []byte("\xff\xfe\x00\x00p\x00\x00\x00"), contacts.Format{}, "this is text in UTF-32"},
		{"zeros on both sides", []byte("phone\x00\x00\x01\x02\n"), contacts.Format{}, "this is a binary file"},
		{"bytes that are not text", []byte("phone,\x01\x02\xc3\xff\xfe\xfe\n"), contacts.Format{}, "this is a binary file"},
		{"no archive in spite of its beginning", []byte("PK\x03\x04nothing"), contacts.Format{}, "this begins like an Excel workbook or a zip archive, but is damaged: zip: not a valid zip file"},
		{"an empty archive", zipped(), contacts.Format{}, "the zip archive holds no file"},
		{"two files in an archive", zipped("a.csv", "phone\n", "b.csv", "phone\n"), contacts.Format{}, "the zip archive holds 2 files"},
		{"gzip that is cut off", gzipped("phone,name\n")[:20], contacts.Format{}, "the packed file is cut off"},
		{"gzip whose checksum is wrong", append(gzipped("phone,name\n0501234567,A\n")[:len(gzipped("phone,name\n0501234567,A\n"))-8], "12345678"...), contacts.Format{}, "the packed file is damaged: gzip: invalid checksum; download or copy it again"},
		{"gzip with something behind it", append(gzipped("phone,name\n0501234567,A\n"), "something else"...), contacts.Format{}, "the packed file is damaged: gzip: invalid header; download or copy it again"},
		{"an archive whose table is elsewhere", tableElsewhere(zipped("list.csv", "phone,name\n0501234567,A\n")), contacts.Format{}, "is damaged"},
		{"a workbook that is cut off", book[:len(book)/2], contacts.Format{}, "this begins like an Excel workbook"},
		{"a workbook without its parts", zipped("xl/workbook.xml", "<workbook/>"), contacts.Format{}, "workbook: "},
		{"a sheet that is not there", book, contacts.Format{Sheet: "Clients"}, `no sheet "Clients": the sheets are "Sheet1", "VIP"`},
		{"a sheet of a file that is not a workbook", []byte("phone\n"), contacts.Format{Sheet: "VIP"}, "a sheet is named, but this is not a workbook"},
		{"another encoding than asked for", []byte("phone,name\n"), contacts.Format{Encoding: contacts.UTF16LE}, "no phone column"},
		{"a gzip bomb", gzipped(strings.Repeat("\n", 80<<20)), contacts.Format{}, "it unpacks to far more than a contact list would"},
		{"a header that is broken UTF-8", []byte("phone,na\xffme\n0501234567,سارة محمد\n0501234568,سارة محمد\n"), contacts.Format{}, "line 1: not in UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, _, err := readFile(tt.file, tt.want); err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %s", err, tt.err)
			}
		})
	}
}

func TestNamesOfEncodingsAndDelimiters(t *testing.T) {
	for name, want := range map[string]contacts.Encoding{
		"UTF-8": contacts.UTF8, "utf8": contacts.UTF8, "UTF16LE": contacts.UTF16LE, "utf-16-be": contacts.UTF16BE,
		"windows-1256": contacts.Windows1256, "CP1256": contacts.Windows1256, "1252": contacts.Windows1252,
	} {
		if got, err := contacts.ParseEncoding(name); got != want || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for text, want := range map[string]contacts.Delimiter{";": ";", "semicolon": ";", "tab": "\t", `\t`: "\t", "\t": "\t", "pipe": "|", "#": "#"} {
		if got, err := contacts.ParseDelimiter(text); got != want || err != nil {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "utf", "latin"} {
		if _, err := contacts.ParseEncoding(bad); err == nil {
			t.Errorf("%q is taken for an encoding", bad)
		}
	}
	for _, bad := range []string{"", `"`, ",,", "؛", "\n"} {
		if _, err := contacts.ParseDelimiter(bad); err == nil {
			t.Errorf("%q is taken for a delimiter", bad)
		}
	}
	if text, err := contacts.Delimiter("#").MarshalText(); string(text) != "#" || err != nil {
		t.Errorf("%s, %v", text, err)
	}
}
