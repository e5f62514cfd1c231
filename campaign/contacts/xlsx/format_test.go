package xlsx

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"
)

// shown is a number as a format code shows it.
func shown(code string, value string) string {
	st := &styles{cells: []uint32{0, 200}, codes: map[int]string{200: code}, made: make(map[int]*format)}
	return string(st.number(nil, []byte(value), 1))
}

func TestNumbersAreReadAsPeopleSeeThem(t *testing.T) {
	for _, tt := range []struct{ code, value, want string }{
		{"General", "501234567", "501234567"},
		{"General", "9.66501234567E11", "966501234567"},
		{"General", "0.28999999999999998", "0.29"},
		{"General", "1E-3", "0.001"},
		{"General", "-1.5", "-1.5"},
		{"General", "1E+30", "1E+30"},
		{"General", "12345678901234567890", "12345678901234567890"},
		{"@", "0501", "0501"},

		{"0%", "0.15", "15%"},
		{"0.00%", "0.28999999999999998", "29.00%"},
		{"0.0%", "-0.0125", "-1.3%"},
		{"00000", "7", "00007"},
		{"00000", "123456", "123456"},
		{"0000000000", "501234570", "0501234570"},
		{"0", "2.5", "3"},
		{"0", "-0.4", "0"},
		{"0.00", "1.005", "1.01"},
		{"0.00", "999.999", "1000.00"},
		{"#.##", "0.5", ".5"},
		{"0.##", "5", "5."},
		{"0.0?", "1.5", "1.5"},
		{"#,##0", "1234567", "1,234,567"},
		{"#,##0.00", "-1234.5", "-1,234.50"},
		{"#,##0.00", "0", "0.00"},
		{`#,##0.00" SAR"`, "1234.5599999999999", "1,234.56 SAR"},
		{`#,##0.00\ "ر.س"`, "1234.5", "1,234.50 ر.س"},
		{"[$SAR-401] #,##0.00", "12", "SAR 12.00"},
		{"[$€-2] #,##0", "-1200", "-€ 1,200"},
		{`_-* #,##0.00\ _€_-;\-* #,##0.00\ _€_-;_-* "-"??\ _€_-;_-@_-`, "1234.5", "1,234.50"},
		{`_-* #,##0.00\ _€_-;\-* #,##0.00\ _€_-;_-* "-"??\ _€_-;_-@_-`, "-1234.5", "-1,234.50"},
		{`_(* #,##0_);_(* \(#,##0\);_(* "-"_);_(@_)`, "-1200", "(1,200)"},
		{`_(* #,##0_);_(* \(#,##0\);_(* "-"_);_(@_)`, "0", "-"},
		{"0,", "123456", "123"},
		{`0.0,,"M"`, "12345678", "12.3M"},
		{"[Red]0;[Blue]0", "-5", "5"},
		{`"yes";"yes";"no"`, "1", "yes"},
		{`"yes";"yes";"no"`, "0", "no"},
		{`[>=1000]#,##0,"K";0`, "12345", "12K"},
		{`[>=1000]#,##0,"K";0`, "999", "999"},
		{`[=1]"male";[=2]"female";"?"`, "2", "female"},
		{`[=1]"male";[=2]"female";"?"`, "3", "?"},
		{";;;", "501234567", "501234567"}, // the format hides a number
		{"# ?/?", "1.5", "1 1/2"},
		{"# ??/??", "0.33333333", "1/3"},
		{"# ?/4", "2.75", "2 3/4"},
		{"?/?", "1.5", "3/2"},
		{"# ?/?", "3", "3"},
		{"0.00E+00", "12345", "1.23E+04"},
		{"0.00E+00", "0.00012", "1.20E-04"},
		{"0.0E-0", "12345", "1.2E4"},
		{"##0.0E+0", "12345", "12.3E+3"},
		{"0.00E+00", "9.9999E5", "1.00E+06"},

		// Phone numbers keep their digits.
		{"#,##0", "966501234567", "966501234567"},
		{"#,##0.00", "501234567", "501234567"},
		{"0.00E+00", "966501234567", "966501234567"},
		{"0E+00", "50123456", "50123456"},
		{"0,", "1234567", "1234567"},
		{"0%", "501234567", "501234567"},
		{`"+"0`, "966501234567", "+966501234567"},
		{`"+966 "0`, "501234567", "+966 501234567"},
		{`\+000000000000`, "966501234567", "+966501234567"},
		{`000\-000\-0000`, "501234567", "0501234567"},
		{`"("000")"000-0000`, "501234567", "0501234567"},
		{`General" SAR"`, "-12.5", "-12.5 SAR"},
		{`"+966"@`, "501234567", "+966501234567"},

		{"m/d/yyyy", "46053", "2026-01-31"},
		{"dd/mm/yyyy", "46053", "2026-01-31"},
		{`d "of" mmmm`, "46053", "2026-01-31"},
		{"[$-2000401]mmmm", "46053", "2026-01-31"},
		{"mmm-yy", "46053", "2026-01"},
		{"yyyy", "46053", "2026"},
		{"m/d/yy h:mm", "46053.395833333336", "2026-01-31 09:30:00"},
		{"h:mm AM/PM", "0.75", "18:00:00"},
		{"mm:ss", "0.0062500000000000003", "00:09:00"},
		{"[h]:mm", "1.75", "42:00"},
		{"[h]:mm:ss", "46.604166666666664", "1118:30:00"},
		{"[hh]:mm", "0.041666666666666664", "01:00"},
		{"[mm]:ss", "0.0625", "90:00"},
		{"[ss]", "0.0625", "5400"},
		{"[h]:mm", "-0.5", "-12:00"},
		{"[h]", "501234567", "501234567"}, // a phone number, which hours would change
		{"yyyy-mm-dd", "1", "1900-01-01"},
		{"yyyy-mm-dd", "59", "1900-02-28"},
		{"yyyy-mm-dd", "60", "1900-02-29"},
		{"yyyy-mm-dd", "61", "1900-03-01"},
		{"yyyy-mm-dd", "-5", "-5"},
		{"yyyy-mm-dd", "501234567", "501234567"},
		{"yyyy-mm-dd hh:mm:ss", "46053.999999", "2026-02-01 00:00:00"},
	} {
		t.Run(tt.code+" of "+tt.value, func(t *testing.T) {
			if got := shown(tt.code, tt.value); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// excelize shows the same where it is right. Left out is what it shows wrongly, such as
// fractions, or differently on purpose, such as dates.
func TestNumbersAreShownAsExcelizeShowsThem(t *testing.T) {
	book := excelize.NewFile()
	defer book.Close()
	for _, code := range []string{"0", "0.00", "#,##0", "#,##0.00", "0%", "0.00%", "00000", "#,##0.0#", `0.00" kg"`, "0.0000", `"x"0`} {
		style, err := book.NewStyle(&excelize.Style{CustomNumFmt: &code})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range []float64{0, 1, 7, 12.5, 99.994, 1234.56, 999999, 0.29, 0.015625, -3, -1234.25} {
			if err := book.SetCellValue("Sheet1", "A1", v); err != nil {
				t.Fatal(err)
			}
			if err := book.SetCellStyle("Sheet1", "A1", "A1", style); err != nil {
				t.Fatal(err)
			}
			want, err := book.GetCellValue("Sheet1", "A1")
			if err != nil {
				t.Fatal(err)
			}
			if got := shown(code, strconv.FormatFloat(v, 'f', -1, 64)); got != want {
				t.Errorf("%s of %v: %q, excelize %q", code, v, got, want)
			}
		}
	}
}

func TestTextsAreShownAsTheirFormatShowsThem(t *testing.T) {
	for _, tt := range []struct{ code, text, want string }{
		{"@", "0501234567", "0501234567"},
		{`"+966 "@`, "501234567", "+966 501234567"},
		{`0;0;0;"Mr. "@`, "Ali", "Mr. Ali"},
		{"0.00", "Ali", "Ali"},
		{";;;", "Ali", "Ali"},
		{"@@", "Ali", "AliAli"},
		{strings.Repeat("@", 1000), strings.Repeat("x", maxCell), strings.Repeat("x", maxCell)},
	} {
		st := &styles{cells: []uint32{0, 200}, codes: map[int]string{200: tt.code}, made: make(map[int]*format)}
		if got := st.text([]byte("x"+tt.text), 1, 1); string(got) != "x"+tt.want {
			t.Errorf("%s: %.100s, want %.100s", tt.code, got, tt.want)
		}
	}
}

// FuzzFormat checks that no code and no number make the formatter fail, and that a
// number as long as a phone number loses no digit to a code without words.
func FuzzFormat(f *testing.F) {
	for _, code := range []string{"General", "0.00", "#,##0_);[Red](#,##0)", "# ??/??", "##0.0E+0", "[h]:mm:ss.00", `[<=9999999]###\-####;\(###\)\ ###\-####`, "@", ";;;", "yyyy\"x", "[", "0,,.,0%%", "E+", "\\", "_", "*"} {
		f.Add(code, 966501234567.0)
		f.Add(code, -0.5)
	}
	f.Fuzz(func(t *testing.T, code string, v float64) {
		if len(code) > maxCode {
			return
		}
		fm := parseFormat(code)
		got := fm.number(nil, v, false)
		if len(got) > 10*maxCode+1000 {
			t.Fatalf("%d bytes", len(got))
		}
		s, _ := fm.section(v)
		if v >= likePhone && v < pastPhone && v == float64(int64(v)) && s.plain && s.whole > 0 {
			if digits := strconv.FormatInt(int64(v), 10); !bytes.Contains(got, []byte(digits)) {
				t.Fatalf("%q shows %s as %s", code, digits, got)
			}
		}
		fm.text.orNothing()
	})
}

func (s *section) orNothing() {
	if s != nil {
		_ = s.withText(nil, "x")
	}
}
