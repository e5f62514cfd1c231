package contacts

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"
)

func TestTwoNumbersInACell(t *testing.T) {
	for _, tt := range []struct {
		name, region, cell string
		want               Reason
	}{
		{"a slash", "SA", "0501234567 / 0559876543", TwoNumbers},
		{"a comma", "SA", "0501234568, 0559876544", TwoNumbers},
		{"a dash", "SA", "0501234569 - 0559876545", TwoNumbers},
		{"a dash without spaces", "SA", "0501234569-0559876545", TwoNumbers},
		{"a space", "SA", "0501234570 0559876546", TwoNumbers},
		{"a newline", "SA", "0501234571\n0559876547", TwoNumbers},
		{"a semicolon", "SA", "0501234572;0559876548", TwoNumbers},
		{"a pipe", "SA", "0501234572|0559876548", TwoNumbers},
		{"three colons, as Google Contacts writes them", "SA", "+966 50 123 4567 ::: +966 55 987 6543", TwoNumbers},
		{"أو", "SA", "0501234573 أو 0559876549", TwoNumbers},
		{"أو against the second", "SA", "0501234573 أو0559876549", TwoNumbers},
		{"و against the second", "SA", "0501234573 و0559876549", TwoNumbers},
		{"or", "SA", "0501234573 or 0559876549", TwoNumbers},
		{"two pluses", "SA", "+966501234573+966559876549", TwoNumbers},
		{"Arabic digits and an Arabic comma", "SA", "٠٥٠١٢٣٤٥٦٧، ٠٥٥٩٨٧٦٥٤٣", TwoNumbers},
		{"three numbers", "SA", "0501234567/0559876543/0559876544", TwoNumbers},
		{"groups within each", "SA", "050 123 4567 055 987 6543", TwoNumbers},
		{"in brackets", "SA", "0501234567 (0559876543)", TwoNumbers},
		{"the last digit of a second one", "SA", "0501234567/8", TwoNumbers},
		{"the last two digits of a second one", "SA", "0501234567 / 43", TwoNumbers},
		{"the last digits of a number as a whole", "DE", "030 123456/78", ""},
		{"one local, one in full", "SA", "0501234567 / +971 50 123 4567", TwoNumbers},
		{"seven digits each, which make a foreign number", "BZ", "6221234 6221235", TwoNumbers},
		{"the same number twice", "SA", "0501234567 / +966 50 123 4567", ""},
		{"slashes between groups", "SA", "050/123/4567", ""},
		{"a German area behind a slash", "DE", "030/12345678", ""},
		{"a number in three groups", "DE", "+49 89 1234 56789", ""},
		{"an Austrian number in groups", "AT", "+43 664 123 4567", ""},
		{"a number and a word", "SA", "0501234567 / none", NotANumber},
		{"too many digits", "SA", "+966 50 1234 5678 9012", TooLong},

		{"an extension", "SA", "0112345678 ext 12", HasExtension},
		{"x", "SA", "0112345678x123", HasExtension},
		{"ext. with a dot", "SA", "+966 11 234 5678 Ext. 12", HasExtension},
		{";ext=", "SA", "tel:+966112345678;ext=12", HasExtension},
		{"تحويلة", "SA", "0112345678 تحويلة 12", HasExtension},
		{"a number sign", "SA", "0112345678 #12", HasExtension},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := NewPhoneParser(tt.region)
			if err != nil {
				t.Fatal(err)
			}
			if _, why := p.Parse(tt.cell); why != tt.want {
				t.Errorf("Parse(%q): %q, want %q", tt.cell, why, tt.want)
			}
		})
	}
}

// In no country are two numbers in a cell read as one, though two short ones have the
// length of a foreign number.
func TestTwoNumbersNeverMerge(t *testing.T) {
	weak := []string{" ", " - ", "-"}
	strong := []string{" / ", "/", ", ", ",", ";", "|", "\n", " ::: ", " or ", " أو ", " & "}
	cells, wrong := 0, 0
	for _, region := range slices.Sorted(maps.Keys(phonenumbers.GetSupportedRegions())) {
		p, err := NewPhoneParser(region)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range []phonenumbers.PhoneNumberType{phonenumbers.MOBILE, phonenumbers.FIXED_LINE} {
			firsts, seconds := twoExamples(region, kind)
			for _, a := range firsts {
				first, no := p.Parse(a)
				for _, b := range seconds {
					second, not := p.Parse(b)
					if no != "" || not != "" {
						continue
					}
					for _, separator := range append(weak, strong[cells%len(strong)]) {
						cells++
						got, why := p.Parse(a + separator + b)
						if why == TwoNumbers || why == "" && first == second && got == first {
							continue
						}
						if wrong++; wrong < 20 {
							t.Errorf("%s: %q: %d %q", region, a+separator+b, uint64(got), why)
						}
					}
				}
			}
		}
	}
	if wrong > 0 || cells < 10_000 {
		t.Errorf("%d of %d cells", wrong, cells)
	}
}

// twoExamples are two numbers of a country, each as people write it.
func twoExamples(region string, kind phonenumbers.PhoneNumberType) (first, second []string) {
	n := phonenumbers.GetExampleNumberForType(region, kind)
	if n == nil {
		return nil, nil
	}
	e164 := phonenumbers.Format(n, phonenumbers.E164)
	next := e164[:len(e164)-1] + strconv.Itoa(int(e164[len(e164)-1]-'0'+1)%10)
	written := func(number string) []string {
		n, err := phonenumbers.Parse(number, "")
		if err != nil || !phonenumbers.IsValidNumber(n) {
			return nil
		}
		national := phonenumbers.Format(n, phonenumbers.NATIONAL)
		return []string{number, strings.TrimPrefix(number, "+"), phonenumbers.GetNationalSignificantNumber(n), national, phonenumbers.NormalizeDigitsOnly(national)}
	}
	if written(next) == nil {
		next = e164
	}
	return written(e164), written(next)
}
