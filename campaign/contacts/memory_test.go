package contacts_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"campaign-runner/campaign/contacts"
)

// hostileFile names the environment variable with the file that this process is started
// to read.
const hostileFile = "CONTACTS_TEST_HOSTILE_FILE"

// maxResident is the most memory that reading may take, whatever the file holds.
const maxResident = 300 << 10 // kB

func TestMain(m *testing.M) {
	if path := os.Getenv(hostileFile); path != "" {
		readHostile(path)
		return
	}
	os.Exit(m.Run())
}

// readHostile reads a file as contacts and as numbers, and prints the errors and the
// peak memory of this process.
func readHostile(path string) {
	file, err := os.Open(path)
	if err != nil {
		panic(err)
	}
	info, err := file.Stat()
	if err != nil {
		panic(err)
	}
	for _, want := range []contacts.Format{{}, {AllSheets: true}} {
		rows := 0
		var kept []contacts.Row // as a load keeps chunks
		fmt.Println("contacts:", func() error {
			f, err := contacts.Open(file, info.Size(), want, "")
			if err != nil {
				return err
			}
			r, err := f.Reader(contacts.Options{Region: "SA"})
			if err != nil {
				return err
			}
			defer r.Close()
			for row, err := range r.All() {
				if err != nil {
					return err
				}
				rows++
				if row.Refusal.Reason == "" {
					if kept = append(kept, row); len(kept) == 1000 {
						kept = nil
					}
				}
			}
			return nil
		}(), rows, "rows")
	}
	fmt.Println("numbers:", func() error {
		f, err := contacts.Open(file, info.Size(), contacts.Format{}, "")
		if err != nil {
			return err
		}
		_, err = f.Numbers(contacts.Options{Region: "SA"})
		return err
	}())
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s\n", regexp.MustCompile(`VmHWM:\s*(\d+) kB`).Find(status))
}

// A member is a part of an archive, written while it is packed.
type member struct {
	name  string
	write func(io.Writer)
}

func text(parts ...string) func(io.Writer) {
	return func(w io.Writer) {
		for _, p := range parts {
			_, _ = io.WriteString(w, p) // closing the archive reports failures
		}
	}
}

// times is a repeated text between two others.
func times(before string, n int, repeated, after string) func(io.Writer) {
	return func(w io.Writer) {
		many := max(1, (1<<16)/len(repeated))
		block := strings.Repeat(repeated, many)
		_, _ = io.WriteString(w, before)
		for ; n >= many; n -= many {
			_, _ = io.WriteString(w, block)
		}
		_, _ = io.WriteString(w, strings.Repeat(repeated, n)+after)
	}
}

const (
	mainSpace = `xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"`
	relType   = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
	relHead   = `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">`
	relFoot   = `<Relationship Id="rId2" Type="` + relType + `styles" Target="styles.xml"/><Relationship Id="rId3" Type="` + relType + `sharedStrings" Target="sharedStrings.xml"/></Relationships>`
	sheetHead = `<worksheet ` + mainSpace + `><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>phone</t></is></c><c r="B1" t="inlineStr"><is><t>name</t></is></c></row>`
	sheetFoot = `</sheetData></worksheet>`
)

// hostileBook is a workbook with some parts replaced.
func hostileBook(t *testing.T, path string, others ...member) {
	t.Helper()
	members := []member{
		{"[Content_Types].xml", text(`<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>`)},
		{"xl/workbook.xml", text(`<workbook `, mainSpace, `><sheets><sheet name="S" sheetId="1" r:id="rId1"/></sheets></workbook>`)},
		{"xl/_rels/workbook.xml.rels", text(relHead, `<Relationship Id="rId1" Type="`, relType, `worksheet" Target="worksheets/sheet1.xml"/>`, relFoot)},
		{"xl/styles.xml", text(`<styleSheet `, mainSpace, `><cellXfs><xf/></cellXfs></styleSheet>`)},
		{"xl/sharedStrings.xml", text(`<sst `, mainSpace, `/>`)},
		{"xl/worksheets/sheet1.xml", text(sheetHead, `<row r="2"><c r="A2"><v>501234567</v></c></row>`, sheetFoot)},
	}
	for _, other := range others {
		for i := range members {
			if members[i].name == other.name {
				members[i] = other
			}
		}
	}
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z := zip.NewWriter(file)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	for _, m := range members {
		w, err := z.Create(m.name)
		if err != nil {
			t.Fatal(err)
		}
		m.write(w)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
}

func hostileText(t *testing.T, path string, write func(io.Writer)) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z := gzip.NewWriter(file)
	write(z)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestHostileFilesTakeLittleMemory(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("takes a minute, and measures what only a usual build takes: make test runs it apart")
	}
	const sheet, styles, texts, book, rels = "xl/worksheets/sheet1.xml", "xl/styles.xml", "xl/sharedStrings.xml", "xl/workbook.xml", "xl/_rels/workbook.xml.rels"
	columns := "phone" + strings.Repeat(",x", 999)
	for _, tt := range []struct {
		name  string
		write func(path string)
	}{
		{"texts without end", func(p string) {
			hostileBook(t, p, member{texts, times(`<sst `+mainSpace+`>`, 20<<20, `<si/>`, `</sst>`)})
		}},
		{"one text in every cell", func(p string) {
			hostileBook(t, p, member{texts, text(`<sst `, mainSpace, `><si><t>`, strings.Repeat("x", 1<<20-100), `</t></si></sst>`)},
				member{sheet, times(sheetHead, 1<<20-1, `<row><c><v>501234567</v></c><c t="s"><v>0</v></c></row>`, sheetFoot)})
		}},
		{"one text in every cell of a row", func(p string) {
			hostileBook(t, p, member{texts, text(`<sst `, mainSpace, `><si><t>`, strings.Repeat("x", 1<<20-100), `</t></si></sst>`)},
				member{sheet, times(sheetHead+`<row>`, 1<<14, `<c t="s"><v>0</v></c>`, `</row>`+sheetFoot)})
		}},
		{"a format that repeats a text", func(p string) {
			hostileBook(t, p, member{texts, text(`<sst `, mainSpace, `><si><t>`, strings.Repeat("x", 1<<20-100), `</t></si></sst>`)},
				member{styles, text(`<styleSheet `, mainSpace, `><numFmts><numFmt numFmtId="170" formatCode="`, strings.Repeat("@", 1000), `"/></numFmts><cellXfs><xf/><xf numFmtId="170"/></cellXfs></styleSheet>`)},
				member{sheet, times(sheetHead, 100, `<row><c><v>501234567</v></c><c t="s" s="1"><v>0</v></c></row>`, sheetFoot)})
		}},
		{"long texts", func(p string) {
			hostileBook(t, p, member{texts, times(`<sst `+mainSpace+`>`, 600, `<si><t>`+strings.Repeat("long ", 200_000)+`</t></si>`, `</sst>`)})
		}},
		{"texts of many runs", func(p string) {
			hostileBook(t, p, member{texts, times(`<sst `+mainSpace+`><si>`, 10<<20, `<r><t>a</t></r>`, `</si></sst>`)})
		}},
		{"styles without end", func(p string) {
			hostileBook(t, p, member{styles, times(`<styleSheet `+mainSpace+`><cellXfs>`, 10<<20, `<xf/>`, `</cellXfs></styleSheet>`)})
		}},
		{"number formats without end", func(p string) {
			hostileBook(t, p, member{styles, func(w io.Writer) {
				_, _ = io.WriteString(w, `<styleSheet `+mainSpace+`><numFmts>`)
				for i := range 16_000 {
					fmt.Fprintf(w, `<numFmt numFmtId="%d" formatCode="%s"/>`, i, strings.Repeat("0", 1000))
				}
				_, _ = io.WriteString(w, `</numFmts><cellXfs>`)
				for i := range 16_000 {
					fmt.Fprintf(w, `<xf numFmtId="%d"/>`, i)
				}
				_, _ = io.WriteString(w, `</cellXfs></styleSheet>`)
			}}, member{sheet, func(w io.Writer) {
				_, _ = io.WriteString(w, sheetHead)
				for i := range 16_000 {
					fmt.Fprintf(w, `<row><c><v>501234567</v></c><c s="%d"><v>0.5</v></c></row>`, i)
				}
				_, _ = io.WriteString(w, sheetFoot)
			}})
		}},
		{"a row of a million columns", func(p string) {
			hostileBook(t, p, member{sheet, times(sheetHead+`<row>`, 1<<20, `<c><v>1</v></c>`, `</row>`+sheetFoot)})
		}},
		{"rows of all columns", func(p string) {
			hostileBook(t, p, member{sheet, times(sheetHead, 200, `<row>`+strings.Repeat(`<c><v>1</v></c>`, 1<<14)+`</row>`, sheetFoot)})
		}},
		{"a header of all columns", func(p string) {
			hostileBook(t, p, member{sheet, times(`<worksheet `+mainSpace+`><sheetData>`, 200, `<row>`+strings.Repeat(`<c t="b"><v>1</v></c>`, 1<<14)+`</row>`, sheetFoot)})
		}},
		{"the last row of a sheet", func(p string) {
			hostileBook(t, p, member{sheet, text(sheetHead, `<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>`, sheetFoot)})
		}},
		{"a cell without end", func(p string) {
			hostileBook(t, p, member{sheet, times(sheetHead+`<row><c t="inlineStr"><is><t>`, 100<<20, `x`, `</t></is></c></row>`+sheetFoot)})
		}},
		{"a tag without end", func(p string) {
			hostileBook(t, p, member{sheet, times(sheetHead+`<row x="`, 100<<20, `x`, `"/>`+sheetFoot)})
		}},
		{"attributes without end", func(p string) {
			hostileBook(t, p, member{sheet, times(sheetHead+`<row`, 10<<20, ` x="y"`, `/>`+sheetFoot)})
		}},
		{"namespaces within each other", func(p string) {
			hostileBook(t, p, member{sheet, times(sheetHead, 1000, `<x xmlns:`+strings.Repeat("a", 500_000)+`="b">`, sheetFoot)})
		}},
		{"elements within each other", func(p string) {
			hostileBook(t, p, member{sheet, times(sheetHead, 50<<20, `<x>`, sheetFoot)})
		}},
		{"a comment without end", func(p string) {
			hostileBook(t, p, member{sheet, times(sheetHead+`<!--`, 100<<20, `x`, `-->`+sheetFoot)})
		}},
		{"columns without end", func(p string) {
			hostileBook(t, p, member{sheet, times(`<worksheet `+mainSpace+`><cols>`, 5<<20, `<col min="1" max="1" hidden="1"/>`, `</cols><sheetData/></worksheet>`)})
		}},
		{"sheets without end", func(p string) {
			hostileBook(t, p, member{book, times(`<workbook `+mainSpace+`><sheets>`, 1<<20, `<sheet name="`+strings.Repeat("x", 500)+`" r:id="rId1"/>`, `</sheets></workbook>`)})
		}},
		{"many sheets of one part", func(p string) {
			hostileBook(t, p, member{book, times(`<workbook `+mainSpace+`><sheets>`, 4000, `<sheet name="x" r:id="rId1"/>`, `</sheets></workbook>`)},
				member{sheet, times(sheetHead, 1<<20-1, `<row><c><v>501234567</v></c></row>`, sheetFoot)})
		}},
		{"relationships without end", func(p string) {
			hostileBook(t, p, member{rels, times(relHead, 400, `<Relationship Id="x" Type="y" Target="`+strings.Repeat("x", 900_000)+`"/>`, relFoot)})
		}},
		{"an archive of many parts", func(p string) {
			var b bytes.Buffer
			z := zip.NewWriter(&b)
			for i := range 80_000 {
				if _, err := z.CreateRaw(&zip.FileHeader{Name: strconv.Itoa(i)}); err != nil {
					t.Fatal(err)
				}
			}
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(p, b.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"a list in a zip that never ends", func(p string) {
			hostileBookOf(t, p, member{"list.csv", times("phone\n", 100<<20, "\n", "")})
		}},
		{"a zip in a zip", func(p string) {
			inner := zipped("list.csv", "phone\n")
			hostileBookOf(t, p, member{"list.csv", text(string(inner))})
		}},
		{"line ends below many columns", func(p string) { hostileText(t, p, times(columns+"\n", 60<<20, "\n", "")) }},
		{"numbers below many columns", func(p string) { hostileText(t, p, times(columns+"\n", 4<<20, "0501234567\n", "")) }},
		{"separators below many columns", func(p string) { hostileText(t, p, times(columns+"\n", 60<<20, ",", "\n")) }},
		{"a million columns", func(p string) { hostileText(t, p, times("phone", 1<<20, ",x", "\n0501234567\n")) }},
		{"a million cells in every row", func(p string) {
			hostileText(t, p, times("phone\n", 60, "0501234567"+strings.Repeat(",", 1<<20-100)+"\n", ""))
		}},
		{"a quote that is never closed", func(p string) { hostileText(t, p, times("phone,name\n0501234567,\"", 60<<20, "x\n", "")) }},
		{"a line that never ends", func(p string) { hostileText(t, p, times("phone,name\n0501234567,", 60<<20, "x", "")) }},
		{"quotes without end", func(p string) { hostileText(t, p, times("phone,name\n", 60<<20, "\"", "")) }},
		{"a quote in every line", func(p string) { hostileText(t, p, times("phone,name\n", 10<<20, "\"a\n", "")) }},
		{"one contact among thousands of lines", func(p string) {
			var lines bytes.Buffer
			r := rand.New(rand.NewPCG(1, 2))
			for range 1000 {
				fmt.Fprintf(&lines, "%d,%s\n", r.IntN(100_000), strings.Repeat("y", 240))
			}
			hostileText(t, p, func(w io.Writer) {
				_, _ = io.WriteString(w, "phone,name\n")
				for i := range 999 {
					fmt.Fprintf(w, "05%08d,a\n%s", i, lines.Bytes())
				}
			})
		}},
		{"UTF-16 without end", func(p string) {
			hostileText(t, p, times("\xff\xfep\x00h\x00o\x00n\x00e\x00\n\x00", 30<<20, "\n\x00", ""))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "hostile")
			tt.write(path)
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
			cmd.Env = append(os.Environ(), hostileFile+"="+path, "GOGC=25") // what is held counts, not when it is collected
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%.2000s", err, out)
			}
			found := regexp.MustCompile(`VmHWM:\s*(\d+) kB`).FindSubmatch(out)
			if found == nil {
				t.Skip("this system does not tell how much memory a process had")
			}
			if most, _ := strconv.Atoi(string(found[1])); most > maxResident {
				t.Errorf("%d MB\n%s", most>>10, out)
			} else {
				t.Logf("%d MB\n%.600s", most>>10, out)
			}
		})
	}
}

// hostileBookOf is an archive of one member.
func hostileBookOf(t *testing.T, path string, m member) {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create(m.name)
	if err != nil {
		t.Fatal(err)
	}
	m.write(w)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}
