package mask

import (
	"regexp"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

func TestNumbers(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"as the platform writes it", "no +966501234567 here", "no … here"},
		{"without a plus", "no 966501234567 here", "no … here"},
		{"with zeros in front", "no 00966501234567 here", "no … here"},
		{"as people at home write it", "no 0501234567 here", "no … here"},
		{"seven digits", "no 1234567 here", "no … here"},
		{"spaces", "no +966 50 123 4567 here", "no … here"},
		{"a space after each digit", "no 9 6 6 5 0 1 2 3 4 5 6 7 here", "no … here"},
		{"two spaces", "no 966  50  123  4567 here", "no … here"},
		{"dashes", "no 966-50-123-4567 here", "no … here"},
		{"dots", "no 966.50.123.4567 here", "no … here"},
		{"slashes", "no 966/50/1234567 here", "no … here"},
		{"underscores", "no 050_123_4567 here", "no … here"},
		{"commas", "no 050,123,4567 here", "no … here"},
		{"parentheses", "no +966 (50) 123-4567 here", "no … here"},
		{"two separators", "no 050. 123- 4567 here", "no … here"},
		{"spaced dashes", "no 050 - 123 - 4567 here", "no … here"},
		{"doubled dashes", "no 050--123--4567 here", "no … here"},
		{"slash and star", "no 050*/123*/4567 here", "no … here"},
		{"no-break spaces", "no 966\u00a050\u00a0123\u00a04567 here", "no … here"},
		{"narrow no-break spaces", "no 966\u202f50\u202f123\u202f4567 here", "no … here"},
		{"thin spaces", "no 966\u200950\u2009123\u20094567 here", "no … here"},
		{"tabs", "no 966\t50\t123\t4567 here", "no … here"},
		{"over two lines", "no 966 50\r\n123 4567 here", "no … here"},
		{"hyphens that do not break", "no 966\u201150\u2011123\u20114567 here", "no … here"},
		{"en dashes", "no 966–50–123–4567 here", "no … here"},
		{"minus signs", "no 966−50−123−4567 here", "no … here"},
		{"middle dots", "no 966·50·123·4567 here", "no … here"},
		{"marks of direction around it", "no \u200e+966501234567\u200f here", "no \u200e…\u200f here"},
		{"marks of direction in it", "no \u202a+966\u200f501\u200e234567\u202c here", "no \u202a…\u202c here"},
		{"zero-width spaces", "no 966\u200b50\u200b123\u200b4567 here", "no … here"},
		{"many zero-width spaces", "no 966" + strings.Repeat("\u200b", 9) + "501234567 here", "no … here"},
		{"zero-width joiners beside spaces", "no 966 \u200d 50 \u200d 123 \u200d 4567 here", "no … here"},
		{"soft hyphens", "no 966\u00ad501\u00ad234\u00ad567 here", "no … here"},
		{"word joiners and a BOM", "no \ufeff966\u2060501\u2060234567 here", "no \ufeff… here"},
		{"Arabic digits", "no ٠٥٠١٢٣٤٥٦٧ here", "no … here"},
		{"Arabic digits in groups", "لا ٠٥٠ ١٢٣ ٤٥٦٧ هنا", "لا … هنا"},
		{"Persian digits", "no ۰۹۱۲۳۴۵۶۷۸۹ here", "no … here"},
		{"Devanagari digits", "no ९८७६५४३२१० here", "no … here"},
		{"full-width digits and plus", "no ＋９６６５０１２３４５６７ here", "no … here"},
		{"mathematical digits", "no 𝟗𝟔𝟔𝟓𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕 here", "no … here"},
		{"circled and raised digits", "no ⑤⓪①²³⁴⁵ here", "no … here"},
		{"keycaps", "no 5\ufe0f\u20e3 0\ufe0f\u20e3 1\ufe0f\u20e3 2\ufe0f\u20e3 3\ufe0f\u20e3 4\ufe0f\u20e3 5\ufe0f\u20e3 here", "no …\ufe0f\u20e3 here"},
		{"mixed scripts", "no +966 ٥٠ 123 ４５６７ here", "no … here"},
		{"in JSON", `{"phone":"+966501234567","line":3}`, `{"phone":"…","line":3}`},
		{"a number in JSON", `{"phone":966501234567}`, `{"phone":…}`},
		{"in HTML", "<td>+966501234567</td>", "<td>…</td>"},
		{"in a link", `<a href="tel:+966-50-123-4567">`, `<a href="tel:…">`},
		{"with an escaped plus", "GET /x?phone=%2B966501234567&y=1", "GET /x?phone=%2B…&y=1"},
		{"with escaped spaces", "phone=966%2050%20123%204567&y", "phone=…&y"},
		{"after a scheme", "whatsapp:+966501234567", "whatsapp:…"},
		{"within a word", "user966501234567x", "user…x"},
		{"in a mail address", "966501234567@s.whatsapp.net", "…@s.whatsapp.net"},
		{"two of them", "+966501234567 or call +966501234568", "… or call …"},
		{"two in a list", "+966501234567, +966501234568", "…"},
		{"beside a short number", "row 3: 0501234567 (12)", "row …)"},
		{"invalid UTF-8", "\xff0501234567\xff", "\xff…\xff"},
		{"a date", "since 2026-11-29 already", "since … already"},
		{"a date and a time", "at 2025-11-13 50 123 4567 here", "at … here"},
		{"an address", "dial tcp 192.168.100.20:8443: refused", "dial tcp …: refused"},

		{"nothing", "", ""},
		{"no number", "The phone field is required.", "The phone field is required."},
		{"a line", "The rows.123.phone field is required.", "The rows.123.phone field is required."},
		{"six digits", "order 123456 is unknown", "order 123456 is unknown"},
		{"six digits in groups", "1, 2, 3, 4, 5, 6", "1, 2, 3, 4, 5, 6"},
		{"letters between", "3 of 500 contacts in chunk 1234", "3 of 500 contacts in chunk 1234"},
		{"four separators", "123456 [ — 123456", "123456 [ — 123456"},
		{"a time", "until 23:24:50", "until 23:24:50"},
		{"a date without its year", "on 29 Nov 2026", "on 29 Nov 2026"},
		{"Persian with joiners", "می\u200cخواهم", "می\u200cخواهم"},
		{"Arabic", "رقم غير صالح", "رقم غير صالح"},
		{"masked already", "+…4567", "+…4567"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Numbers(tt.text); got != tt.want {
				t.Errorf("Numbers(%q) = %q, want %q", tt.text, got, tt.want)
			}
		})
	}
}

// number is the rule written another way, for a text without invisible characters.
var number = regexp.MustCompile(`\p{Nd}(?:[^\p{L}\p{Nd}]{0,3}\p{Nd}){6}`)

func holdsNumber(text string) bool {
	return number.MatchString(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, text))
}

// check finds what may never come of a text.
func check(t interface{ Errorf(string, ...any) }, text string) {
	got := Numbers(text)
	switch {
	case holdsNumber(got):
		t.Errorf("Numbers(%q) = %q holds a number", text, got)
	case Numbers(got) != got:
		t.Errorf("Numbers(%q) = %q, and masked again %q", text, got, Numbers(got))
	case !strings.ContainsFunc(text, unicode.IsNumber) && got != text:
		t.Errorf("Numbers(%q) = %q, without a digit", text, got)
	}
}

func TestNoNumberIsLeft(t *testing.T) {
	digit := rapid.RuneFrom(nil, unicode.Nd)
	other := rapid.SampledFrom([]rune(" -./(),+:%_\t\n\u00a0\u2009\u2011\u200b\u200e\u200f\u00ad\u0301aBم…"))
	rapid.Check(t, func(t *rapid.T) {
		check(t, string(rapid.SliceOfN(rapid.OneOf(digit, digit, digit, other, rapid.Rune()), 0, 60).Draw(t, "text")))
	})
}

func FuzzNumbers(f *testing.F) {
	for _, text := range []string{"+966 50 123 4567", "٠٥٠-١٢٣\u200b٤٥٦٧", "123,,,1234567,,+12", "\xff0\xff5\xff0123456"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { check(t, text) })
}
