package contacts_test

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
	"campaign-runner/contacts"
)

// FuzzReader feeds the reader anything. It must not panic or hang, every
// physical line must belong to exactly one row, and rows that are accepted must
// have the cells that encoding/csv finds in them.
func FuzzReader(f *testing.F) {
	for _, rows := range []string{
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
	} {
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

// FuzzOpen feeds files in any encoding and packing. What Open takes is read to its
// end or to an error, with every row counted, and the same a second time.
func FuzzOpen(f *testing.F) {
	text := "phone;name\r\n0501234567;\"سارة; A.\"\r\n0501234568;5\" pipe\r\n;;\r\n"
	for _, file := range [][]byte{
		[]byte(text), []byte(bom + text), encoded(contacts.UTF16LE, "\ufeff"+text), encoded(contacts.UTF16BE, text),
		encoded(contacts.Windows1256, text), []byte(strings.ReplaceAll(text, "\r\n", "\r")), []byte("sep=|\nphone|name\n"),
		gzipped(text), zipped("list.csv", text), workbook(f, [][]any{{"phone", "name"}, {966501234567, "Sara"}, nil, {"0501", 1.5}}),
		[]byte("\xff\xfe"), []byte("PK\x03\x04"), []byte("\x1f\x8b\x08"),
	} {
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		read := func() (campaign.Counts, error) {
			opened, err := contacts.Open(bytes.NewReader(file), int64(len(file)), contacts.Format{}, "")
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

// FuzzParse feeds the phone parser anything. What it accepts is a number that
// it reads the same again in E.164, and that campaign.ParsePhone takes.
func FuzzParse(f *testing.F) {
	for _, cell := range []string{
		"+966501234567", "0501234567", "٠٥٠١٢٣٤٥٦٧", "00966 50 123 4567", "966501234567+", "9.66501234567E+11", "966501234567.0",
		"'0501234567", "\u202a+966 (0) 50\u00a0123–4567\u202c", "+54 9 11 2345 6789", "011 15 2345 6789", "+390612345678", "tel:+1 415 555 2671",
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

// csvCells is what encoding/csv makes of the text of one row.
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
