package contacts_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
)

func TestRejects(t *testing.T) {
	file := "phone,name,note\n" +
		"0501234567,Sara,ok\n" +
		"+966501234567,سارة,=HYPERLINK(\"http://x\")\n" +
		"12,\"Um \"\"Ali\"\"\",-\n" +
		"0501234568,Omar,,x\n" +
		"\n" +
		"0501234569,\"Ali,x\n"
	_, rows, err := readAll(strings.Replace(file, `=HYPERLINK("http://x")`, "=A1", 1), contacts.Options{Region: "SA"})
	if err != nil {
		t.Fatal(err)
	}
	got := writeRejects(t, []string{"phone", "name", "note"}, rows)
	want := "\ufeffphone,name,note,line,reason,original\n" +
		"+966501234567,سارة,'=A1,3,duplicate of line 2,\n" +
		"12,\"Um \"\"Ali\"\"\",'-,4,number too short,\n" +
		",,,5,too many cells,\"0501234568,Omar,,x\"\n" +
		",,,6,empty line,\n" +
		",,,7,broken quotes,\"0501234569,\"\"Ali,x\"\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rejects (-want +got):\n%s", diff)
	}
}

func writeRejects(t *testing.T, columns []string, rows []contacts.Row) string {
	t.Helper()
	var out bytes.Buffer
	w, err := contacts.NewRejectWriter(&out, columns)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if row.Refusal.Reason == "" {
			continue
		}
		if err := w.Write(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// A row refused only because of where it stood, such as a duplicate, is a contact when
// the rejects are read as a file.
func TestRejectsAreAContactFile(t *testing.T) {
	_, rows, err := readAll("phone\n+966501234567\n+966501234567\n+966501234568\n0501234568\n", contacts.Options{Region: "SA"})
	if err != nil {
		t.Fatal(err)
	}
	_, again, err := readAll(writeRejects(t, []string{"phone"}, rows), contacts.Options{Region: "SA"})
	if err != nil {
		t.Fatal(err)
	}
	var phones []campaign.Phone
	for _, row := range again {
		phones = append(phones, row.Phone)
	}
	if diff := cmp.Diff([]campaign.Phone{966501234567, 966501234568}, phones); diff != "" {
		t.Error(diff)
	}
}

// Corrected rejects have the columns and cells of the original file, whatever a
// spreadsheet made of the delimiters.
func TestCorrectedRejects(t *testing.T) {
	_, rows, err := readAll("=phone,name\n12,=A1\n13,'-x\n0501234567,a,b\n", contacts.Options{Region: "SA", Reading: asking("=phone")})
	if err != nil {
		t.Fatal(err)
	}
	text := writeRejects(t, []string{"=phone", "name"}, rows)
	text = strings.ReplaceAll(strings.ReplaceAll(text, ",", ";"), "12;", "0501234568;")
	f, err := open([]byte(text), contacts.Format{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := f.Reader(contacts.Options{Region: "SA"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var again []contacts.Row
	for row, err := range r.All() {
		if err != nil {
			t.Fatal(err)
		}
		again = append(again, row)
	}
	want := []string{"2 0501234568|=A1", "3 number too short: 13|'-x", "4 empty number: |"}
	if diff := cmp.Diff(want, lines(again)) + cmp.Diff([]string{"=phone", "name"}, r.Columns()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRejectsThatCannotBeWritten(t *testing.T) {
	full := errors.New("disk full")
	if _, err := contacts.NewRejectWriter(failAfter(0, full), nil); !errors.Is(err, full) {
		t.Errorf("byte order mark: %v", err)
	}
	w, err := contacts.NewRejectWriter(failAfter(1, full), []string{"phone"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); !errors.Is(err, full) {
		t.Errorf("flush: %v", err)
	}
}

// failAfter is a writer whose first n writes succeed.
func failAfter(n int, err error) writerFunc {
	return func(p []byte) (int, error) {
		if n--; n < 0 {
			return 0, err
		}
		return len(p), nil
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestEscapeCell(t *testing.T) {
	for _, tt := range []struct{ name, cell, want string }{
		{"a formula", "=1+1", "'=1+1"},
		{"a plus", "+1", "'+1"},
		{"a minus", "-1", "'-1"},
		{"an at sign", "@SUM(A1)", "'@SUM(A1)"},
		{"a tab", "\t=1", "'\t'=1"},
		{"a carriage return", "\r=1", "'\r'=1"},
		{"a newline", "\n=1", "'\n'=1"},
		{"a tab before a word", "\tx", "'\tx"},
		{"a formula after a semicolon", "x;=1+1", "x;'=1+1"},
		{"a formula after a comma and a space", "x, =1+1", "x, '=1+1"},
		{"a formula after a pipe", "x|@SUM(A1)", "x|'@SUM(A1)"},
		{"a formula on a second line", "x\n=1", "x\n'=1"},
		{"a formula after a tab within", "x\t-1+2", "x\t'-1+2"},
		{"a formula in quotes after a separator", `x;"=1+1"`, `x;"'=1+1"`},
		{"an apostrophe before a formula after a separator", "x;'=1", "x;''=1"},
		{"two numbers", "+966501234567;+966501234568", "+966501234567;+966501234568"},
		{"a number, then a formula", "+966501234567;=1", "+966501234567;'=1"},
		{"an e-mail address after a comma", "Sara, a@b.example", "Sara, a@b.example"},
		{"a full-width formula", "＝1", "'＝1"},
		{"an apostrophe before a formula", "'=1", "''=1"},
		{"a number in E.164", "+966501234567", "+966501234567"},
		{"a number as people write it", "+966 (50) 123-45.67", "+966 (50) 123-45.67"},
		{"a sum that looks like a number at first", "+966501234567+1", "'+966501234567+1"},
		{"a call that looks like a number at first", "+(cmd)1234567", "'+(cmd)1234567"},
		{"a local number", "0501234567", "0501234567"},
		{"zero", "0", "0"},
		{"a word", "Sara", "Sara"},
		{"an Arabic name", "سارة", "سارة"},
		{"a sign within", "a=b", "a=b"},
		{"only an apostrophe", "'", "'"},
		{"empty", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := contacts.EscapeCell(tt.cell)
			if got != tt.want {
				t.Errorf("EscapeCell = %q, want %q", got, tt.want)
			}
			if back := contacts.UnescapeCell(got); back != tt.cell {
				t.Errorf("UnescapeCell = %q, want %q", back, tt.cell)
			}
		})
	}
}

var plainNumber = regexp.MustCompile(`^\+\d[\d ().-]{6,}$`)

func TestEscapingIsSafeAndReversible(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cell := rapid.StringOf(rapid.SampledFrom([]rune("'=+-@\t\r\n＝＋01a\",;| س"))).Draw(t, "cell")
		escaped := contacts.EscapeCell(cell)
		if back := contacts.UnescapeCell(escaped); back != cell {
			t.Fatalf("%q escaped is %q and comes back as %q", cell, escaped, back)
		}
		if strings.IndexAny(escaped, "=+-@\t\r\n＝＋－＠") == 0 && !plainNumber.MatchString(escaped) {
			t.Fatalf("%q escaped is %q", cell, escaped)
		}
		// No cell may begin so that a spreadsheet with another separator makes of it;
		// LazyQuotes is how spreadsheets read a quote within a cell.
		for _, comma := range ",;|\t" {
			var file bytes.Buffer
			w := csv.NewWriter(&file)
			_ = w.Write([]string{"x", escaped, "y"})
			w.Flush()
			r := csv.NewReader(&file)
			r.Comma, r.LazyQuotes, r.FieldsPerRecord = comma, true, -1
			rows, err := r.ReadAll()
			if err != nil {
				t.Fatalf("%q: %v", escaped, err)
			}
			for _, row := range rows {
				for _, got := range row {
					if comma != ',' {
						got = strings.Trim(got, `" `) // some readers remove quotes anywhere
					}
					if strings.IndexAny(got, "=+-@\t\r\n＝＋－＠") == 0 && got != escaped && !plainNumber.MatchString(got) {
						t.Fatalf("%q escaped is %q, which with %q becomes %q", cell, escaped, comma, got)
					}
				}
			}
		}
		// A row also keeps its shape in CSV, among others that need no quotes.
		var out bytes.Buffer
		w := csv.NewWriter(&out)
		if err := w.Write([]string{escaped, "x"}); err != nil {
			t.Fatal(err)
		}
		w.Flush()
		_, rows, err := readAll("phone,note\n"+out.String()+"a,x\nb,y\n", contacts.Options{})
		if err != nil || len(rows) != 3 || len(rows[0].Fields) != 2 || contacts.UnescapeCell(rows[0].Fields[0]) != cell {
			t.Fatalf("%q through CSV: %v, %v", cell, lines(rows), err)
		}
	})
}

func TestHoldsRejects(t *testing.T) {
	var rejects bytes.Buffer
	w, err := contacts.NewRejectWriter(&rejects, []string{"phone", "a,b"})
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		rejects.String():                   true,
		"phone,name\n+966501234567,Sara\n": false,
		"line,reason\n":                    false,
		"":                                 false,
		"\"":                               false,
	} {
		if got := contacts.HoldsRejects(strings.NewReader(text)); got != want {
			t.Errorf("HoldsRejects(%q) = %v", text, got)
		}
	}
}

// With nothing wrong in it a row was left out on purpose. The lists that can be asked again are.
func TestWhatWasLeftOutOnPurposeStaysOut(t *testing.T) {
	for reason, want := range map[contacts.Reason]contacts.Reason{
		contacts.Suppressed: contacts.Suppressed, contacts.HiddenRow: contacts.HiddenRow,
		contacts.NotChosen: contacts.NotChosen, contacts.Elsewhere: contacts.NotChosen,
		contacts.DoNotContact: "", contacts.Recent: "", contacts.TooShort: "", "": "",
	} {
		_, rows, err := readAll(fmt.Sprintf("phone,line,reason,original\n+966501234567,2,%s,\n", reason), contacts.Options{})
		if err != nil || len(rows) != 1 || rows[0].Refusal.Reason != want {
			t.Errorf("%q: %v, %v, want %q", reason, rows, err, want)
		}
	}
}

// Without their reasons, rows that were not chosen would become contacts.
func TestRejectsWithoutTheirReasonsAreRefused(t *testing.T) {
	for file, want := range map[string]string{
		"phone,line,original\n+966501234567,2,\n":         `line 1: these are rejects without their column "reason": give them back with it`,
		"phone,line,reason,original\n+966501234567,2,,\n": "",
		"line,original,phone\n2,x,+966501234567\n":        "", // another list with such columns
	} {
		_, _, err := readAll(file, contacts.Options{})
		if got := fmt.Sprint(err); err == nil && want != "" || err != nil && got != want {
			t.Errorf("%q: %v, want %q", file, err, want)
		}
	}
}
