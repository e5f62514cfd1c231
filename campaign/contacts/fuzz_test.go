package contacts_test

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
)

// nasty are rows as spreadsheets, forms and other programs write them, and as editors
// and mail programs change them.
var nasty = []string{
	"9.66E+11,Sara,Riyadh\n5.01235E+08,Sara,Riyadh\n\"9,66501E+11\",Omar,Jeddah\n",
	"501234567,no zero\n966501234567,no plus,Riyadh\n966501234567.0,a float,Riyadh\n\"966,501,234,567.00\",an amount,\n",
	"'0501234567,a quote,\n=\"0501234567\",a formula,\n\"=\"\"0501234567\"\"\",quoted,\n",
	"\u202a+966 50\u00a0123\u202f4567\u202c,\u200f سارة \u200e,\u2067الرياض\u2069\n\u200b\ufeff0501234568\u00ad,\u2060,\n",
	"٠٥٠١٢٣٤٥٦٧,سارة,الرياض\n۰۵۰۱۲۳۴۵۶۸,نورة,\n０５０１２３４５６９,x,\n",
	"0501234567,\"never closed,Riyadh\n0501234568,Omar,Jeddah\n",
	"0501234567,\"closed \"late,Riyadh\n0501234568,clo\"sed,\"\" early\n\"\"\"\",\"\",\"\n\"\n",
	"0501234567,\"two\nlines\",\"and\r\n\r\nthree\"\n0501234568,last,without an end",
	"0501234567,Sara\n0501234567,Sara,Riyadh,x,,\n,,\n\n \n\t\n0501234568\n",
	"0501234567,lone\rreturns,\r\n0501234568,a\r\rb,c\r",
	"0501234567,\x00,NUL\n\x1a",
	"0501234567,\xc7\xe1\xd1,\xed\xa0\x80\n0501234568,\xef\xbf,cut\n",
	"0501234567," + strings.Repeat("long ", 5000) + ",x\n0501234568,\"" + strings.Repeat("\"\"\n", 990) + "\",x\n",
	strings.Repeat(",", 1500) + "\n" + strings.Repeat("\"\",", 1500) + "\n",
	"phone,name,city\n0501234567,after a second header,\n",
	"0501234567;0501234568,two numbers,\n0501234567 ext. 12,an extension,\ntel:+966-50-123-4567,a link,\n",
}

// FuzzReader feeds the reader anything. It must not panic or hang, every physical line
// must belong to exactly one row, and accepted rows must have the cells that
// encoding/csv finds in them.
func FuzzReader(f *testing.F) {
	for _, rows := range append(nasty,
		"",
		"\n",
		"0501234567,محمد العتيبي,الرياض\n0501234568,نورة بنت \"\"سعد,جدة\n",
		"٠٥٠١٢٣٤٥٦٧,\"سارة، \"\"أم علي\"\"\",\"الرياض\nحي النرجس\"\r\n",
		"+966 50 123 4567,Sara,\"Riyadh\r\nNorth\"\r\n\r\n,,\r\n",
		"0501234567,\"Sara,Riyadh\n0501234568,Omar,Jeddah\n0501234569,\"Ali\",\"Mecca\"\n",
		"0501234567,5\" pipe,Riyadh\n0501234567,\"5\" pipe\",Riyadh\n\"\n\"\"\n\"\"\"\n",
		"0501234567,Sara\n0501234567,Sara,Riyadh,x\n0501234567\n,\n",
		"9.66501E+11,=cmd(),\ta\n966501234567.0,@x,-1\n'0501234567,+1,\r\n",
		"0501234567,\"a\"\r",
		"0501234567,a\rb,c\r\r\n",
		"0501234567,\u200fa\u200e,\ufeff\n",
		"\xff\xfe,\x00,\n",
		strings.Repeat("\",\n", 50),
		strings.Repeat("\"a\n", 50),
		strings.Repeat("0501234567,\"\n\n\n", 50),
	) {
		f.Add(rows, byte(','))
		f.Add(strings.ReplaceAll(rows, ",", ";"), byte(';'))
	}
	f.Fuzz(func(t *testing.T, body string, comma byte) {
		header := strings.ReplaceAll("phone,name,city\n", ",", string(rune(comma)))
		r, rows, err := readAll(header+body, contacts.Options{Comma: rune(comma), Region: "SA", Workers: 2})
		if err != nil {
			return
		}
		checkCounts(t, r.Counts(), rows)
		physical := strings.SplitAfter(body, "\n")
		if physical[len(physical)-1] == "" {
			physical = physical[:len(physical)-1]
		}
		line := 2
		for _, row := range rows {
			if row.Line != line {
				t.Fatalf("row begins on line %d, want %d", row.Line, line)
			}
			text := row.Original + strings.Join(row.Fields, "")
			line += 1 + strings.Count(text, "\n")
			if row.Fields == nil {
				continue
			}
			raw := strings.Join(physical[row.Line-2:line-2], "")
			want := csvCells(t, raw, rune(comma))
			for len(want) < len(row.Fields) {
				want = append(want, "") // missing at the end
			}
			if beyond := want[len(row.Fields):]; strings.TrimSpace(strings.Join(beyond, "")) == "" {
				want = want[:len(row.Fields)]
			}
			got := make([]string, len(row.Fields))
			for i, cell := range row.Fields {
				got[i] = strings.ReplaceAll(cell, "\r\n", "\n") // as encoding/csv does
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("cells of line %d (-encoding/csv +got):\n%s", row.Line, diff)
			}
		}
		if want := 2 + len(physical); line != want {
			t.Fatalf("%d lines accounted for, want %d", line-2, want-2)
		}
	})
}

// FuzzOpen feeds files in any encoding and packing. A file that Open accepts is read to
// its end or to an error, with every row counted, and the same a second time.
func FuzzOpen(f *testing.F) {
	text := "phone;name\r\n0501234567;\"سارة; A.\"\r\n0501234568;5\" pipe\r\n;;\r\n"
	for _, file := range [][]byte{
		[]byte(text), []byte(bom + text), encoded(contacts.UTF16LE, "\ufeff"+text), encoded(contacts.UTF16BE, text),
		encoded(contacts.Windows1256, text), []byte(strings.ReplaceAll(text, "\r\n", "\r")), []byte("sep=|\nphone|name\n"),
		gzipped(text), zipped("list.csv", text), workbook(f, [][]any{{"phone", "name"}, {966501234567, "Sara"}, nil, {"0501", 1.5}}),
		[]byte("\xff\xfe"), []byte("PK\x03\x04"), []byte("\x1f\x8b\x08"),
		[]byte("phone"), []byte("phone\n"), []byte(bom), []byte(bom + bom + text), []byte("\r\n\n" + text), // almost nothing, two marks, empty lines first
		append(encoded(contacts.UTF16LE, "\ufeff"+text), 'x'), encoded(contacts.UTF16BE, "\ufeff"+text)[1:], // a byte too many, a byte too few
		gzipped(text)[:40], zipped("a.csv", text, "b.csv", text), zipped("__MACOSX/._list.csv", "x", "list.csv", text),
	} {
		f.Add(file)
	}
	book := bookOf(testSheet{name: "a", state: "hidden", rows: []string{"phone", "0501234567"}}, testSheet{name: "b", rows: []string{"A list", "phone|name", "!0501234567|<c><f>1</f></c>", `<c t="e"><v>#N/A</v></c>|x`}})
	f.Add(book)
	f.Add(book[:len(book)/2])
	f.Add(bookOf(testSheet{name: "b", rows: []string{"phone|name", "0501234567|a & b"}}))
	for _, rows := range nasty {
		f.Add([]byte("phone,name,city\n" + rows))
		f.Add([]byte("phone;name;city\r" + strings.ReplaceAll(strings.ReplaceAll(rows, ",", ";"), "\n", "\r")))
		f.Add(append(encoded(contacts.Windows1256, "رقم الجوال,name,city\n"), rows...)) // two encodings in one file
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		read := func() (campaign.Counts, error) {
			opened, err := contacts.Open(bytes.NewReader(file), int64(len(file)), contacts.Format{})
			if err != nil {
				return campaign.Counts{}, err
			}
			r, err := opened.Reader(contacts.Options{Region: "SA", Workers: 2})
			if err != nil {
				return campaign.Counts{}, err
			}
			defer r.Close()
			rows := 0
			for _, failed := range r.All() {
				if err = failed; err == nil {
					rows++
				}
			}
			counts := r.Counts()
			if wrong := counts.Check(); wrong != nil || counts.Rows != rows {
				t.Fatalf("%d rows handed out, counted %+v: %v", rows, counts, wrong)
			}
			return counts, err
		}
		first, firstErr := read()
		second, secondErr := read()
		if diff := cmp.Diff(first, second); diff != "" || (firstErr == nil) != (secondErr == nil) {
			t.Fatalf("read twice: %v, %v (-first +second):\n%s", firstErr, secondErr, diff)
		}
	})
}

// FuzzParse feeds the phone parser anything. A number that it accepts must be read the
// same again in E.164, and campaign.ParsePhone must accept it.
func FuzzParse(f *testing.F) {
	for _, cell := range []string{
		"+966501234567", "0501234567", "٠٥٠١٢٣٤٥٦٧", "00966 50 123 4567", "966501234567+", "9.66501234567E+11", "966501234567.0",
		"'0501234567", "\u202a+966 (0) 50\u00a0123–4567\u202c", "+54 9 11 2345 6789", "011 15 2345 6789", "+390612345678", "tel:+1 415 555 2671",
		"9.66E+11", "5.01235E+08", "9,66501234567E+11", "966,501,234,567.00", "+966501234567.", "=\"0501234567\"", "’0501234567", "٠٠٩٦٦٥٠١٢٣٤٥٦٧", "۰۵۰۱۲۳۴۵۶۷",
		"０５０１２３４５６７", "\u200b0501234567\ufeff", "+", "++966501234567", "+966+501234567", "0", "00", "000966501234567", "+0501234567", "0501234567 / 0501234568",
		"0501234567x12", "(0)(0)(0)", "\x00", "\xff0501234567", strings.Repeat("0", 128), strings.Repeat("\u200f", 43), "1-800-FLOWERS", "٫٠٥٠", "911", "+9665012345678901",
	} {
		for _, region := range []string{"", "SA", "US", "AR", "BR", "IT", "DE"} {
			f.Add(cell, region)
		}
	}
	f.Fuzz(func(t *testing.T, cell, region string) {
		parser, err := contacts.NewPhoneParser(region)
		if err != nil {
			return
		}
		phone, why := parser.Parse(cell)
		if (phone == 0) != (why != "") {
			t.Fatalf("Parse(%q) in %s: %d, %q", cell, region, uint64(phone), why)
		}
		if why != "" {
			return
		}
		if again, why := parser.Parse(phone.E164()); again != phone {
			t.Fatalf("Parse(%q) in %s: %s, and from that %d, %q", cell, region, phone.E164(), uint64(again), why)
		}
		if _, err := campaign.ParsePhone(phone.E164()); err != nil {
			t.Fatalf("Parse(%q) in %s: %s: %v", cell, region, phone.E164(), err)
		}
	})
}

// FuzzCountryColumn puts anything beside a number. An accepted number must belong to
// the country that its row names, and every row must be counted.
func FuzzCountryColumn(f *testing.F) {
	for _, cell := range []string{
		"+971", "00971", "971", "971.0", "(+971)", "+971 UAE", "UAE (+971)", "٩٧١", "+1-242", "+1 242", "1-1", "+", "00", "+999", "+97150",
		"SA", "SAU", "KSA", "U.A.E.", "Saudi Arabia", "السعودية", "الإمارات", "مصر", "🇸🇦", "🇸", "Saudi Arabia 🇸🇦", "NA", "N/A", "-", "none", "682", "Republic of", "the the the",
		"\x00", "\xff", "دولة ", "Korea, South", "=+971", "'+971", "+966+971", "SA SA", "SA AE", strings.Repeat("the ", 50),
	} {
		f.Add(cell, "501234568", "SA")
		f.Add(cell, "+966 50 123 4567", "")
		f.Add(cell, "3591234 / 3591235", "EG")
	}
	f.Fuzz(func(t *testing.T, cell, number, region string) {
		var file bytes.Buffer
		w := csv.NewWriter(&file)
		if err := w.WriteAll([][]string{{"Where", "phone", "x"}, {cell, number, "x"}}); err != nil {
			return
		}
		for _, reading := range []campaign.Reading{{CountryColumn: "Where"}, {CountryCodeColumn: "Where"}, {CountryCodeColumn: "Where", FirstOfTwo: true}} {
			r, rows, err := readAll(file.String(), contacts.Options{Region: region, Reading: reading})
			if err != nil {
				continue
			}
			checkCounts(t, r.Counts(), rows)
			for _, row := range rows {
				if (row.Phone == 0) != (row.Refusal.Reason != "") && row.Refusal.Reason != contacts.Duplicate {
					t.Fatalf("%q | %q: %d, %v", cell, number, uint64(row.Phone), row.Refusal)
				}
			}
		}
	})
}

// FuzzHeader feeds beginnings of files. Wherever the header is, the rows below it must
// be all that follow, and the same without the lines above it.
func FuzzHeader(f *testing.F) {
	for _, head := range []string{
		"phone\n", "Customers\n\nname,phone\n", "Customers,,\n,,\nname,phone,city\n", "\n\n\"ph\none\"\n", "Report,2026\nname,phone\n", "a,b\nphone,b\n", "sep=;\nx\nname;phone\n",
		"\"a,b\"\nname, \"phone\"\n", "Mobile 1,Mobile 2\n", "0501234567\nphone\n", "line,reason,original\n", "phone,line,reason,original\n", ",,,\nphone,,\n", "\ufeff\ufeffphone\n", "To\n", "قائمة\nرقم الجوال\n",
	} {
		f.Add(head, 0)
		f.Add(head, 2)
	}
	f.Fuzz(func(t *testing.T, head string, line int) {
		file := head + "0501234567,Sara,x\n0501234568\n"
		r, rows, err := readAll(file, contacts.Options{Region: "SA", HeaderLine: line})
		if err != nil {
			if strings.Contains(err.Error(), "0501234567") || strings.Contains(err.Error(), "\n") {
				t.Fatalf("a number, or more than a line: %v", err)
			}
			return
		}
		checkCounts(t, r.Counts(), rows)
		if line > 0 && r.HeaderLine() != line {
			t.Fatalf("header on line %d, not %d", r.HeaderLine(), line)
		}
		physical := strings.SplitAfter(file, "\n")
		_, below, err := readAll(strings.Join(physical[r.HeaderLine()-1:], ""), contacts.Options{Region: "SA", HeaderLine: 1})
		if err != nil {
			return // only the first line may say sep=
		}
		if len(below) != len(rows) {
			t.Fatalf("%d rows below the header on line %d, %d without what stands above", len(rows), r.HeaderLine(), len(below))
		}
	})
}

// FuzzSeveral joins what may be two numbers. What is read as one number must not have
// the digits of two, unless they are of the same person.
func FuzzSeveral(f *testing.F) {
	for _, separator := range []string{" / ", ", ", " - ", "\n", " ::: ", " or ", " أو ", " ", ";ext=", " x", "+", "", ".", ") ("} {
		for _, number := range []string{"0501234567", "+966501234567", "22158", "1234567", "050 123 4567", "12"} {
			f.Add(number, separator, "0559876543", "SA")
			f.Add(number, separator, "22159", "SH")
			f.Add(number, separator, "7654321", "BZ")
		}
	}
	f.Fuzz(func(t *testing.T, a, separator, b, region string) {
		parser, err := contacts.NewPhoneParser(region)
		if err != nil {
			return
		}
		cell := a + separator + b
		phone, why := parser.Parse(cell)
		if (phone == 0) != (why != "") {
			t.Fatalf("Parse(%q) in %s: %d, %q", cell, region, uint64(phone), why)
		}
		first, no := parser.Parse(a)
		second, not := parser.Parse(b)
		if strings.TrimSpace(separator) == "/" && no == "" && not == "" && first != second && why == "" && len(first.E164())+len(second.E164()) > len("+123456789012345")+4 {
			t.Fatalf("Parse(%q) in %s: %s, of %s and %s", cell, region, phone.E164(), first.E164(), second.E164())
		}
	})
}

// csvCells are the cells that encoding/csv finds in the text of a row.
func csvCells(t *testing.T, text string, comma rune) []string {
	r := csv.NewReader(strings.NewReader(text))
	r.Comma = comma
	records, err := r.ReadAll()
	if err != nil { // a stray quote
		r = csv.NewReader(strings.NewReader(text))
		r.Comma, r.LazyQuotes = comma, true
		records, err = r.ReadAll()
	}
	if err != nil || len(records) != 1 {
		t.Fatalf("encoding/csv: %d records, %v", len(records), err)
	}
	return records[0]
}
