package contacts_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
)

// readAll reads a file to its end or first error.
func readAll(file string, opt contacts.Options) (*contacts.Reader, []contacts.Row, error) {
	r, err := contacts.NewReader(strings.NewReader(file), opt)
	if err != nil {
		return nil, nil, err
	}
	var rows []contacts.Row
	for row, err := range r.All() {
		if err != nil {
			return r, rows, err
		}
		rows = append(rows, row)
	}
	return r, rows, nil
}

// suppress makes a suppression list of a set of numbers.
func suppress(has func(campaign.Phone) bool) func(campaign.Phone) contacts.Reason {
	return func(p campaign.Phone) contacts.Reason {
		if has(p) {
			return contacts.Suppressed
		}
		return ""
	}
}

// lines shows a row on each line: where it begins and what became of it.
func lines(rows []contacts.Row) []string {
	var out []string
	for _, row := range rows {
		what := strings.Join(row.Fields, "|")
		if row.Refusal.Reason != "" {
			what = row.Refusal.String() + ": " + strings.Join(row.Fields, "|") + row.Original
		}
		out = append(out, fmt.Sprintf("%d %s", row.Line, what))
	}
	return out
}

func TestRows(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		want       []string
	}{
		{"contacts in the order of the file", "phone,name\n+966501234567,سارة\n+966501234568,Omar\n", []string{"2 +966501234567|سارة", "3 +966501234568|Omar"}},
		{"no newline at the end", "phone,name\n+966501234567,Sara", []string{"2 +966501234567|Sara"}},
		{"Windows line ends", "phone,name\r\n+966501234567,Sara\r\n+966501234568,Omar", []string{"2 +966501234567|Sara", "3 +966501234568|Omar"}},
		{"a byte order mark", "\ufeffphone,name\n+966501234567,Sara\n", []string{"2 +966501234567|Sara"}},
		{"a byte order mark before a quoted header", "\ufeff\"phone\",\"name\"\n+966501234567,Sara\n", []string{"2 +966501234567|Sara"}},
		{"only a header", "phone,name\n", nil},
		{"only a header without newline", "phone", nil},
		{"empty lines are lines", "phone,name\n\n+966501234567,Sara\n\n\r\n", []string{"2 empty line: ", "3 +966501234567|Sara", "4 empty line: ", "5 empty line: "}},
		{"blank cells make an empty line, however many", "phone,name\n,\n , \n,,,\n\"\",\n", []string{"2 empty line: ,", "3 empty line:  , ", "4 empty line: ,,,", "5 empty line: \"\","}},
		{"cells stay as they are", "phone,name\n 0501234567 ,  Sara \n", []string{"2  0501234567 |  Sara "}},
		{"quoted cells", "phone,name\n\"0501234567\",\"Sara, \"\"Um Ali\"\"\"\n", []string{`2 0501234567|Sara, "Um Ali"`}},
		{"lines within quotes count", "phone,name\n0501234567,\"Sara\nA.\"\n0501234568,Omar\n", []string{"2 0501234567|Sara\nA.", "4 0501234568|Omar"}},
		{"Windows line ends within quotes", "phone,name\r\n0501234567,\"Sara\r\nA.\"\r\n", []string{"2 0501234567|Sara\r\nA."}},
		{"a quoted cell ends the file after a carriage return", "phone,name\n0501234567,\"Sara\"\r", []string{"2 0501234567|Sara"}},
		{"too many cells", "phone,name\n0501234567,Sara,x\n", []string{"2 too many cells: 0501234567,Sara,x"}},
		{"cells that are missing at the end are empty", "phone,name,note\n0501234567\n0501234568,Omar\n", []string{"2 0501234567||", "3 0501234568|Omar|"}},
		{"the number is missing at the end", "name,phone\nSara\n", []string{"2 empty number: Sara|"}},
		{"blank cells beyond the header are nothing", "phone,name\n0501234567,Sara,\n0501234568,Omar, ,\"\",\n", []string{"2 0501234567|Sara", "3 0501234568|Omar"}},
		{"a filled cell behind a blank one beyond the header", "phone,name\n0501234567,Sara,,x\n", []string{"2 too many cells: 0501234567,Sara,,x"}},
		{"a NUL costs its line", "phone,name\n0501234567,A\n0501234568,\x00\n0501234569,C\n", []string{"2 0501234567|A", "3 a NUL character: 0501234568,\ufffd", "4 0501234569|C"}},
		{"duplicates, the first stays", "phone,name\n0501234567,A\n+966501234567,B\n٠٥٠١٢٣٤٥٦٧,C\n", []string{"2 0501234567|A", "3 duplicate of line 2: +966501234567|B", "4 duplicate of line 2: ٠٥٠١٢٣٤٥٦٧|C"}},
		{"bad numbers keep their cells", "name,phone\nSara,123\nOmar,\n", []string{"2 number too short: Sara|123", "3 empty number: Omar|"}},
		{"a suppressed number is so each time", "phone\n0509999999\n0509999999\n", []string{"2 on a suppression list: 0509999999", "3 on a suppression list: 0509999999"}},
		{"a quote amid a cell is itself", "phone,name\n0501234567,5\" pipe\n0501234568,Omar\n", []string{"2 0501234567|5\" pipe", "3 0501234568|Omar"}},
		{"a quote amid a quoted cell is itself when no separator follows", "phone,name\n0501234567,\"5\" pipe, \"\"wide\"\"\"\n", []string{"2 0501234567|5\" pipe, \"wide\""}},
		{"a quote that makes the cells too few", "phone,name\n\"0501234567\"x,Sara,\"\n", []string{"2 broken quotes: \"0501234567\"x,Sara,\""}},
		{"text behind a closing quote", "phone,name\n0501234567,\"Sara\" A.\n0501234568,Omar\n", []string{"2 broken quotes: 0501234567,\"Sara\" A.", "3 0501234568|Omar"}},
		{"a carriage return behind a closing quote", "phone,name\n0501234567,\"Sara\"\rA\n", []string{"2 broken quotes: 0501234567,\"Sara\"\rA"}},
		{"a quote that is never closed costs one line", "phone,name\n0501234567,\"Sara\n0501234568,Omar\n0501234569,Ali\n", []string{"2 broken quotes: 0501234567,\"Sara", "3 0501234568|Omar", "4 0501234569|Ali"}},
		{"a quote closed by another row's costs one line", "phone,name\n0501234567,\"Sara\n0501234568,\"Omar\"\n", []string{"2 broken quotes: 0501234567,\"Sara", "3 0501234568|Omar"}},
		{"a quote never closed in the last cell", "phone,name\n0501234567,\"", []string{"2 broken quotes: 0501234567,\""}},
		{"only a quote opened", "phone,name\n\"", []string{"2 broken quotes: \""}},
		{"an opening quote lost", "phone,name\n0501234567,Sara\"\n0501234568,Omar\n", []string{"2 0501234567|Sara\"", "3 0501234568|Omar"}},
		{"a line that tells the delimiter", "sep=,\nphone,name\n0501234567,Sara\n", []string{"3 0501234567|Sara"}},
		{"a quoted cell over too many lines", "phone,name\n0501234567,\"Sara" + strings.Repeat("\n", 1000) + "\"\n", append([]string{"2 broken quotes: 0501234567,\"Sara"}, emptyLines(3, 1001, "1002 broken quotes: \"")...)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, workers := range []int{1, 3} {
				r, rows, err := readAll(tt.file, contacts.Options{Region: "SA", Workers: workers, Suppressed: suppress(func(p campaign.Phone) bool { return p == 966509999999 })})
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, lines(rows)); diff != "" {
					t.Errorf("rows (-want +got):\n%s", diff)
				}
				checkCounts(t, r.Counts(), rows)
			}
		})
	}
}

// emptyLines are the rows of the blank lines from first to last, and more.
func emptyLines(first, last int, more string) []string {
	var rows []string
	for n := first; n <= last; n++ {
		rows = append(rows, fmt.Sprintf("%d empty line: ", n))
	}
	return append(rows, more)
}

// checkCounts counts the rows again.
func checkCounts(t interface {
	Helper()
	Errorf(string, ...any)
}, got campaign.Counts, rows []contacts.Row) {
	t.Helper()
	if err := got.Check(); err != nil {
		t.Errorf("%v", err)
	}
	want := campaign.Counts{Rows: len(rows)}
	for _, row := range rows {
		switch row.Refusal.Reason {
		case "":
			want.Contacts++
			continue
		case contacts.Duplicate:
			want.Duplicates++
		case contacts.Suppressed, contacts.DoNotContact, contacts.Recent:
			want.Suppressed++
		default:
			want.Invalid++
		}
		if want.Refused == nil {
			want.Refused = make(map[string]int)
		}
		want.Refused[string(row.Refusal.Reason)]++
	}
	countries := 0
	for _, n := range got.Countries {
		countries += n
	}
	if countries != got.Contacts {
		t.Errorf("%d contacts, but %d by country", got.Contacts, countries)
	}
	if diff := cmp.Diff(want, plain(got)); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

// plain removes the counts about contacts.
func plain(c campaign.Counts) campaign.Counts {
	c.Countries, c.Doubtful, c.PhoneColumns = nil, nil, nil
	return c
}

func TestHeader(t *testing.T) {
	for _, tt := range []struct {
		name, header, asked string
		want                int
	}{
		{"phone", "name,phone", "", 1},
		{"any case, spaces around", "name, PHONE Number ", "", 1},
		{"dashes", "phone-number", "", 0},
		{"underscores", "full_name,mobile_no", "", 1},
		{"MSISDN", "MSISDN", "", 0},
		{"الجوال", "الاسم,الجوال", "", 1},
		{"رقم الجوال", "الاسم,رقم الجوال", "", 1},
		{"رقم_الهاتف", "رقم_الهاتف,الاسم", "", 0},
		{"vowel marks and stretched letters", "الاسم,رقم الجـــوّال", "", 1},
		{"invisible marks", "الاسم,\u200fرقم\u00a0الجوال\u200e", "", 1},
		{"asked for", "phone,second", "second", 1},
		{"asked for in another case", "phone,Second Phone", "second_phone", 1},
		{"asked for exactly, among names that are alike", "Phone,phone", "phone", 1},
		{"equal names beside the phone column", "phone,note,note", "", 0},
		{"columns without a name", "phone,,", "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, _, err := readAll(tt.header+"\n", contacts.Options{Reading: asking(tt.asked)})
			if err != nil {
				t.Fatal(err)
			}
			if got := r.PhoneColumn(); got != tt.want {
				t.Errorf("phone column %d of %q, want %d", got, r.Columns(), tt.want)
			}
		})
	}
}

func TestHeaderNamesAreTrimmed(t *testing.T) {
	r, _, err := readAll("\ufeff phone , \u200fالاسم\u200e,a b\n", contacts.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"phone", "الاسم", "a b"}, r.Columns()); diff != "" {
		t.Error(diff)
	}
}

func TestSeparators(t *testing.T) {
	for _, comma := range []rune{',', ';', '\t', '|'} {
		file := strings.ReplaceAll("phone;name\n0501234567;\"Sara; A.\"\n", ";", string(comma))
		_, rows, err := readAll(file, contacts.Options{Comma: comma, Region: "SA"})
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"2 0501234567|Sara" + string(comma) + " A."}
		if diff := cmp.Diff(want, lines(rows)); diff != "" {
			t.Errorf("%q: %s", comma, diff)
		}
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		opt        contacts.Options
		want       string // in the error
	}{
		{"empty", "", contacts.Options{}, "the file is empty"},
		{"only blank lines", "\ufeff\n \r\n", contacts.Options{}, "the file is empty"},
		{"a first line without names", ",,\n0501234567,,\n", contacts.Options{}, "line 2 holds a number"},
		{"no phone column", "name,city\n", contacts.Options{}, `no phone column: the columns are "name", "city"`},
		{"no phone column among many", strings.Repeat("a,", 40) + "\n", contacts.Options{}, "and 11 more"},
		{"no header", "+966501234567,Sara\n", contacts.Options{}, "line 1 holds a number"},
		{"two phone columns", "phone,name,WhatsApp\n", contacts.Options{}, `"phone" (column 1), "WhatsApp" (column 3): choose one with --phone-column`},
		{"the phone column twice", "phone,name,phone\n", contacts.Options{Reading: asking("phone")}, `"phone" (column 1), "phone" (column 3)`},
		{"the column asked for is missing", "phone,name\n", contacts.Options{Reading: asking("mobile")}, `no column "mobile": the columns are "phone", "name"`},
		{"semicolons", "phone;name\n", contacts.Options{}, "separated by semicolons"},
		{"tabs", "phone\tname\n", contacts.Options{}, "separated by tabs"},
		{"commas read as semicolons", "phone,name\n", contacts.Options{Comma: ';'}, "separated by commas"},
		{"lone carriage returns", "phone,name\r0501234567,Sara\r", contacts.Options{}, "lone carriage returns"},
		{"a header with broken quotes", "phone,\"name\n", contacts.Options{}, "line 1: broken quotes"},
		{"a header that never ends", strings.Repeat("a,", 1<<18), contacts.Options{}, "line 1: longer than"},
		{"too many columns", strings.Repeat("a,", 1000) + "phone\n", contacts.Options{}, "line 1: more than 1000 columns"},
		{"an Excel workbook", "PK\x03\x04\x14\x00", contacts.Options{}, "an Excel workbook or another zip archive: save it as"},
		{"an old Excel workbook", "\xd0\xcf\x11\xe0\xa1\xb1", contacts.Options{}, "an old Excel workbook"},
		{"gzip", "\x1f\x8b\x08\x00", contacts.Options{}, "a gzip archive"},
		{"PDF", "%PDF-1.7", contacts.Options{}, "a PDF document"},
		{"UTF-16", "\xff\xfep\x00h\x00", contacts.Options{}, "UTF-16"},
		{"UTF-16, other order", "\xfe\xff\x00p\x00h", contacts.Options{}, "UTF-16"},
		{"UTF-16 without a mark", "p\x00h\x00o\x00n\x00e\x00", contacts.Options{}, "text in UTF-16"},
		{"a web page with the name of a workbook", " <HTML><table>", contacts.Options{}, "a web page"},
		{"a header in another encoding", "phone,\xc7\xe1\xc7\xd3\xe3\n", contacts.Options{}, "line 1: not in UTF-8"},
		{"NUL upon NUL", "phone,name\n0501234567,\x00\x00\x01\x00\x02\x00\x00\x03\n", contacts.Options{}, "a binary file"},
		{"a line without end", "phone,name\n0501234567," + strings.Repeat("a", 3<<20), contacts.Options{}, "line 2: longer than 1048576 bytes"},
		{"an unknown region", "phone\n", contacts.Options{Region: "XX"}, `region "XX"`},
		{"a separator that is none", "phone\n", contacts.Options{Comma: '"'}, "comma"},
		{"a separator that is no ASCII", "phone\n", contacts.Options{Comma: '،'}, "comma"},
		{"a newline for a separator", "phone\n", contacts.Options{Comma: '\n'}, "comma"},
		{"fewer than no workers", "phone\n", contacts.Options{Workers: -1}, "workers -1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := readAll(tt.file, tt.opt)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "0501234567") {
				t.Errorf("error shows a number: %v", err)
			}
		})
	}
}

func TestRowsBeforeAnErrorAreHandedOut(t *testing.T) {
	broken := errors.New("disk on fire")
	file := io.MultiReader(strings.NewReader("phone,name\n0501234567,A\n0501234568,B\n"+strings.Repeat("0501234567,A\n", 50_000)), iotest.ErrReader(broken))
	r, err := contacts.NewReader(file, contacts.Options{Region: "SA"})
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, err = range r.All() {
		if err == nil {
			rows++
		}
	}
	if !errors.Is(err, broken) || rows < 2 || r.Counts().Rows != rows {
		t.Errorf("%d rows, counts %+v, error %v", rows, r.Counts(), err)
	}
}

// A cell cut within a character costs only its line.
func TestALineThatIsNotUTF8IsRefusedAlone(t *testing.T) {
	file := "phone,name\n0501234567,A\n0501234568,سارة\n0501234569,سار\xd8\n0501234560,C\n"
	r, rows, err := readAll(file, contacts.Options{Region: "SA"})
	if err != nil || len(rows) != 4 || r.Counts().Contacts != 3 {
		t.Fatalf("%d rows, counts %+v, error %v", len(rows), r.Counts(), err)
	}
	if got := rows[2]; got.Refusal.Reason != contacts.NotUTF8 || got.Original != "0501234569,سار\ufffd" {
		t.Errorf("%+v", got)
	}
}

func TestErrorsOfTheSource(t *testing.T) {
	broken := errors.New("disk on fire")
	if _, err := contacts.NewReader(iotest.ErrReader(broken), contacts.Options{}); !errors.Is(err, broken) {
		t.Errorf("while reading the header: %v", err)
	}
	if _, err := contacts.NewReader(noProgress{}, contacts.Options{}); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("without progress: %v", err)
	}
	file := "phone\n" + strings.Repeat("0501234567\n", 50_000)
	r, err := contacts.NewReader(io.MultiReader(strings.NewReader(file), iotest.ErrReader(broken)), contacts.Options{Region: "SA"})
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, err = range r.All() {
		if err == nil {
			rows++
		}
	}
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "line 50002") || rows != 50_000 {
		t.Errorf("%d rows, then %v", rows, err)
	}
}

type noProgress struct{}

func (noProgress) Read([]byte) (int, error) { return 0, nil }

func TestReadingMayStop(t *testing.T) {
	r, err := contacts.NewReader(strings.NewReader("phone\n"+strings.Repeat("0501234567\n", 100_000)), contacts.Options{Region: "SA"})
	if err != nil {
		t.Fatal(err)
	}
	for range r.All() {
		break
	}
	if n := r.Counts().Rows; n != 1 {
		t.Errorf("%d rows counted", n)
	}
}

// Rows are the same wherever blocks end, however the source is read and however long
// the rows are.
func TestRowsDoNotDependOnBlocks(t *testing.T) {
	var file strings.Builder
	file.WriteString("phone,name\n")
	for i := range 3000 {
		switch i % 5 {
		case 0:
			fmt.Fprintf(&file, "05%08d,\"%s\"\n", i, strings.Repeat("س\n", i%500))
		case 1:
			fmt.Fprintf(&file, "05%08d,\"%s\n", i, strings.Repeat("x", i))
		case 2:
			fmt.Fprintf(&file, "05%08d,\"%s\"\"\"\r\n", i, strings.Repeat("\"\"", i%700))
		case 3:
			fmt.Fprintf(&file, "\"05%08d\n\",%s\n", i, strings.Repeat("x", 800))
		default:
			fmt.Fprintf(&file, "\n05%08d,Sara\n", i)
		}
	}
	_, want, err := readAll(file.String(), contacts.Options{Region: "SA", Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	for name, source := range map[string]io.Reader{
		"half a read at a time": iotest.HalfReader(strings.NewReader(file.String())),
		"error with the data":   iotest.DataErrReader(strings.NewReader(file.String())),
		"a byte at a time":      iotest.OneByteReader(strings.NewReader(file.String())),
	} {
		r, err := contacts.NewReader(source, contacts.Options{Region: "SA"})
		if err != nil {
			t.Fatal(err)
		}
		i := 0
		for got, err := range r.All() {
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want[i].Original+strings.Join(want[i].Fields, "|"), got.Original+strings.Join(got.Fields, "|")); diff != "" || got.Line != want[i].Line {
				t.Fatalf("%s: row %d, line %d: %s", name, i, got.Line, diff)
			}
			i++
		}
		if i != len(want) {
			t.Errorf("%s: %d rows, want %d", name, i, len(want))
		}
	}
}

// A file of rows made to be good or bad has exactly the intended counts.
func TestCountsAreRightByConstruction(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var file bytes.Buffer
		file.WriteString("name,phone,city\n")
		var want campaign.Counts
		refuse := func(group *int, reason contacts.Reason) {
			if want.Refused == nil {
				want.Refused = make(map[string]int)
			}
			*group++
			want.Refused[string(reason)]++
		}
		n := rapid.IntRange(0, 200).Draw(t, "rows")
		want.Rows = n
		for i := range n {
			kind := rapid.IntRange(0, 8).Draw(t, "kind")
			if kind == 1 && want.Contacts == 0 {
				kind = 0
			}
			switch kind {
			case 0:
				fmt.Fprintf(&file, "\"نورة, %d\",+96650%07d,\"Riyadh\nNorth\"\n", i, want.Contacts)
				want.Contacts++
			case 1:
				fmt.Fprintf(&file, "Sara,050 %07d,Jeddah\n", rapid.IntRange(0, want.Contacts-1).Draw(t, "again"))
				refuse(&want.Duplicates, contacts.Duplicate)
			case 2:
				fmt.Fprintf(&file, "Sara,0599%06d,Jeddah\n", i)
				refuse(&want.Suppressed, contacts.Suppressed)
			case 3:
				file.WriteString("Sara,none,Jeddah\n")
				refuse(&want.Invalid, contacts.NotANumber)
			case 4:
				file.WriteString("Sara,05012,Jeddah\n")
				refuse(&want.Invalid, contacts.TooShort)
			case 5:
				fmt.Fprintf(&file, "Sara,050%07d,Jeddah,x\n", i)
				refuse(&want.Invalid, contacts.TooManyCells)
			case 6:
				file.WriteString("Sara\n")
				refuse(&want.Invalid, contacts.EmptyNumber)
			case 7:
				file.WriteString("\n")
				refuse(&want.Invalid, contacts.EmptyLine)
			case 8:
				fmt.Fprintf(&file, "Sara,050%07d,\"Jeddah\" N\n", i)
				refuse(&want.Invalid, contacts.BrokenQuotes)
			}
		}
		r, rows, err := readAll(file.String(), contacts.Options{Region: "SA", Suppressed: suppress(func(p campaign.Phone) bool { return p/1_000_000 == 966599 })})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, plain(r.Counts())); diff != "" {
			t.Fatalf("counts (-want +got):\n%s", diff)
		}
		checkCounts(t, r.Counts(), rows)
	})
}

// asking asks for phone columns.
func asking(columns ...string) campaign.Reading { return campaign.Reading{PhoneColumns: columns} }

// TestReadingMakesLittleGarbage counts what more rows take when their cells need not stay.
func TestReadingMakesLittleGarbage(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates, too")
	}
	read := func(rows int) float64 {
		var text bytes.Buffer
		text.WriteString("phone,name,city\n")
		for i := range rows {
			fmt.Fprintf(&text, "+9665%08d,محمد,Riyadh\n", i)
		}
		return testing.AllocsPerRun(3, func() {
			f, err := contacts.Open(bytes.NewReader(text.Bytes()), int64(text.Len()), contacts.Format{})
			if err != nil {
				t.Fatal(err)
			}
			r, err := f.Reader(contacts.Options{ReuseFields: true})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			for _, err := range r.All() {
				if err != nil {
					t.Fatal(err)
				}
			}
			if n := r.Counts().Contacts; n != rows {
				t.Fatalf("%d contacts, want %d", n, rows)
			}
		})
	}
	const rows = 50_000
	if more := read(3*rows) - read(rows); more > 2*rows/100 {
		t.Errorf("%.0f more allocations for %d more rows, want one for a hundred at most", more, 2*rows)
	}
}

// TestFieldsAreUsedAgainOnlyIfAllowed keeps the cells of all rows.
func TestFieldsAreUsedAgainOnlyIfAllowed(t *testing.T) {
	const rows = 60_000 // many blocks
	var file bytes.Buffer
	file.WriteString("phone,n\n")
	for i := range rows {
		fmt.Fprintf(&file, "+9665%08d,%d\n", i, i)
	}
	for _, reuse := range []bool{false, true} {
		r, err := contacts.NewReader(bytes.NewReader(file.Bytes()), contacts.Options{ReuseFields: reuse, Workers: 2})
		if err != nil {
			t.Fatal(err)
		}
		var kept [][]string
		i, changed := 0, 0
		for row, err := range r.All() {
			if err != nil {
				t.Fatal(err)
			}
			if row.Fields[1] != strconv.Itoa(i) { // whatever happens to it later
				t.Fatalf("row %d is %q", i, row.Fields)
			}
			kept = append(kept, row.Fields)
			i++
		}
		for i, fields := range kept {
			if fields[1] != strconv.Itoa(i) {
				changed++
			}
		}
		if reuse != (changed > 0) {
			t.Errorf("used again: %v, and %d rows changed", reuse, changed)
		}
	}
}
