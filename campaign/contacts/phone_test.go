package contacts_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
)

func TestOneNumberManyWaysToWriteIt(t *testing.T) {
	parser, err := contacts.NewPhoneParser("SA")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, cell string }{
		{"E.164", "+966501234567"},
		{"with spaces", "+966 50 123 4567"},
		{"with dashes", "+966-50-123-4567"},
		{"with dots", "+966.50.123.4567"},
		{"with brackets", "+966 (50) 123-4567"},
		{"with the trunk zero in brackets", "+966 (0) 50 123 4567"},
		{"with the trunk zero after the code", "9660501234567"},
		{"with slashes", "050/123/4567"},
		{"00 for the plus", "00966501234567"},
		{"00 for the plus, with spaces", "00966 50 123 4567"},
		{"plus and 00", "+00966501234567"},
		{"two pluses", "++966501234567"},
		{"a plus before a local number", "+0501234567"},
		{"local", "0501234567"},
		{"local with spaces", "050 123 4567"},
		{"local that lost its zero", "501234567"},
		{"country code without plus", "966501234567"},
		{"country code without plus, with spaces", "966 50 123 4567"},
		{"plus at the end, as right-to-left text has it", "966501234567+"},
		{"Arabic-Indic digits", "٠٥٠١٢٣٤٥٦٧"},
		{"Arabic-Indic digits with country code", "+٩٦٦٥٠١٢٣٤٥٦٧"},
		{"Extended Arabic-Indic digits", "۰۵۰۱۲۳۴۵۶۷"},
		{"full-width digits", "＋９６６５０１２３４５６７"},
		{"apostrophe in front", "'0501234567"},
		{"apostrophe before a plus", "'+966501234567"},
		{"typographic apostrophe", "’0501234567"},
		{"formula that keeps text", `="0501234567"`},
		{"bidi marks around it", "\u202a+966501234567\u202c"},
		{"bidi isolates and a left-to-right mark", "\u2066\u200e+966 50 123 4567\u2069"},
		{"no-break and narrow spaces", "\u00a0+966\u00a050\u202f123\u20094567"},
		{"zero-width marks", "\u200b050\u200c123\u200d4567\ufeff"},
		{"soft hyphen", "050\u00ad1234567"},
		{"non-breaking hyphens and en dashes", "050‑123–4567"},
		{"spaces and tabs around", " \t0501234567 "},
		{"an amount", "966501234567.0"},
		{"an amount with two decimals", "501234567.00"},
		{"an amount with three decimals", "501234567.000"},
		{"an amount with four decimals and a plus", "+966501234567.0000"},
		{"an amount with thousands and three decimals", "501,234,567.000"},
		{"an amount with thousands set apart", "966,501,234,567"},
		{"an amount with thousands and decimals", "501,234,567.00"},
		{"an amount with an apostrophe", "'966501234567.0"},
		{"an amount in Arabic-Indic digits", "٩٦٦٥٠١٢٣٤٥٦٧.٠"},
		{"an amount in Arabic-Indic digits with three decimals", "٥٠١٢٣٤٥٦٧.٠٠٠"},
		{"scientific notation that kept every digit", "9.66501234567E+11"},
		{"scientific notation of a local number", "5.01234567e+08"},
		{"tel:", "tel:+966501234567"},
		{"whatsapp:", "whatsapp:+966501234567"},
		{"p: of lead exports", "p:+966501234567"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			phone, why := parser.Parse(tt.cell)
			if phone != 966501234567 || why != "" {
				t.Errorf("Parse = %d, %q", uint64(phone), why)
			}
		})
	}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name, region, cell string
		want               campaign.Phone
		why                contacts.Reason
	}{
		{"another country in full", "SA", "+971501234567", 971501234567, ""},
		{"another country without plus", "SA", "971501234567", 971501234567, ""},
		{"another country after 00", "SA", "0020 100 123 4567", 201001234567, ""},
		{"another country after 00 where 011 is dialled", "US", "00966501234567", 966501234567, ""},
		{"another country after 011", "US", "011966501234567", 966501234567, ""},
		{"a prefix of its own in Korea", "KR", "001966501234567", 966501234567, ""},
		{"without plus and without region", "", "966501234567", 966501234567, ""},
		{"lower-case region", "sa", "0501234567", 966501234567, ""},
		{"a range not in use yet is left to the platform", "", "+966521234567", 966521234567, ""},
		{"Italian numbers keep their zero", "IT", "06 1234 5678", 390612345678, ""},
		{"Italian mobile without plus", "IT", "393331234567", 393331234567, ""},
		{"Argentinian mobile as dialled there", "AR", "011 15 2345 6789", 5491123456789, ""},
		{"Brazilian number with a carrier's code", "BR", "0 15 21 98765 4321", 5521987654321, ""},
		{"a valid local number is not taken for a foreign one", "CN", "13812345678", 8613812345678, ""},

		{"empty", "SA", "", 0, contacts.EmptyNumber},
		{"blank", "SA", " \u00a0\u200b", 0, contacts.EmptyNumber},
		{"letters", "SA", "unknown", 0, contacts.NotANumber},
		{"Arabic letters", "SA", "لا يوجد", 0, contacts.NotANumber},
		{"only punctuation", "SA", "-", 0, contacts.NotANumber},
		{"only a plus", "SA", "+", 0, contacts.NotANumber},
		{"letters are not turned into digits", "SA", "0501 FLOWERS", 0, contacts.NotANumber},
		{"an extension", "SA", "0112345678 ext 12", 0, contacts.HasExtension},
		{"a name behind it", "SA", "0501234567 Ahmed", 0, contacts.NotANumber},
		{"two numbers", "SA", "0501234567 / 0551234567", 0, contacts.TwoNumbers},
		{"two numbers with a comma", "SA", "0501234567, 0551234567", 0, contacts.TwoNumbers},
		{"a plus amid the digits", "SA", "050+1234567", 0, contacts.NotANumber},
		{"broken text", "SA", "050\xff1234567", 0, contacts.NotANumber},
		{"a whole story", "SA", strings.Repeat("0 ", 100), 0, contacts.NotANumber},
		{"too short", "SA", "+966123", 0, contacts.TooShort},
		{"too short, local", "SA", "050123", 0, contacts.TooShort},
		{"a local number without its area", "SA", "1234567", 0, contacts.TooShort},
		{"nothing after 00", "SA", "00", 0, contacts.TooShort},
		{"too short for anybody", "", "12345", 0, contacts.TooShort},
		{"enough digits for its country, too few for E.164", "", "+491234", 0, contacts.TooShort},
		{"the shortest there is", "", "+2904567", 2904567, ""},
		{"too long", "SA", "+96650123456789", 0, contacts.TooLong},
		{"too long, local", "SA", "050123456789", 0, contacts.TooLong},
		{"too long for anybody", "", "9665012345678901", 0, contacts.TooLong},
		{"longer than E.164 though known", "", "+49123456789012345", 0, contacts.TooLong},
		{"long, and of no country in full", "SA", "99912345678", 0, contacts.TooLong},
		{"far too long", "SA", "+966" + strings.Repeat("1", 40), 0, contacts.TooLong},
		{"a length between those of the country", "", "+53123456789", 0, contacts.WrongLength},
		{"local, one digit short", "SA", "050123456", 0, contacts.TooShort},
		{"one digit short with the trunk zero kept", "SA", "+966050123456", 0, contacts.TooShort},
		{"one digit short with the trunk one kept", "US", "1415555267", 0, contacts.TooShort},
		{"a zero where the country has none", "KW", "05012345", 0, contacts.WrongLength},
		{"no region", "", "0501234567", 0, contacts.NoCountryCode},
		{"no region and no zero", "", "501234567", 0, contacts.NoCountryCode},
		{"no region, and valid in Cuba", "", "531234567", 0, contacts.NoCountryCode},
		{"no region and a plus before the zero", "", "+0501234567", 0, contacts.NoCountryCode},
		{"no such country", "", "+999501234567", 0, contacts.UnknownCode},
		{"no such country, with region", "SA", "+999501234567", 0, contacts.UnknownCode},
		{"scientific notation", "SA", "9.66501E+11", 0, contacts.Scientific},
		{"scientific notation with a comma", "SA", "9,66501E+11", 0, contacts.Scientific},
		{"scientific notation, local", "SA", "5.01235E+08", 0, contacts.Scientific},
		{"scientific notation of which a zero may be missing", "SA", "9.6650123456E+11", 0, contacts.Scientific},
	} {
		t.Run(tt.name, func(t *testing.T) {
			parser, err := contacts.NewPhoneParser(tt.region)
			if err != nil {
				t.Fatal(err)
			}
			got, why := parser.Parse(tt.cell)
			if got != tt.want || why != tt.why {
				t.Errorf("Parse(%q) = %d, %q, want %d, %q", tt.cell, uint64(got), why, uint64(tt.want), tt.why)
			}
		})
	}
}

// Spreadsheets show money of these countries with three decimals. With its zeros each of
// these is a number of somebody else, in another country.
func TestDecimalsOfAnAmountAreNoDigits(t *testing.T) {
	for _, tt := range []struct{ region, cell, want string }{
		{"BH", "33123456.000", "+97333123456"},
		{"OM", "79123456.000", "+96879123456"},
		{"KW", "60312345.000", "+96560312345"},
		{"TN", "27123456.000", "+21627123456"},
		{"QA", "33123456.000", "+97433123456"},
		{"BH", "33,123,456.000", "+97333123456"},
		{"", "+49301234567.000", "+49301234567"},
		{"SA", "050123.4000", "+966501234000"}, // the dot stands between groups
		{"SA", "0501234.000", "+966501234000"}, // and here: no amount begins with a zero
		{"US", "212-5550.000", "+12125550000"}, // and here: no amount has other signs
	} {
		p, err := contacts.NewPhoneParser(tt.region)
		if err != nil {
			t.Fatal(err)
		}
		if phone, why := p.Parse(tt.cell); phone.E164() != tt.want {
			t.Errorf("%s %q is read as %s (%s), want %s", tt.region, tt.cell, phone.E164(), why, tt.want)
		}
	}
}

func TestUnknownRegion(t *testing.T) {
	for _, region := range []string{"XX", "Saudi", "966", "001"} {
		if _, err := contacts.NewPhoneParser(region); err == nil || !strings.Contains(err.Error(), region) {
			t.Errorf("region %s: error %v", region, err)
		}
	}
}

func TestACountryCodeWithoutItsPlusCountsFromElevenDigits(t *testing.T) {
	parser, err := contacts.NewPhoneParser("")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"4740612345":  "", // a Norwegian mobile number, or a local one of ten digits
		"96550012345": "+96550012345",
	} {
		phone, why := parser.Parse(text)
		if got := ""; want == "" {
			if why != contacts.NoCountryCode {
				t.Errorf("%s is %v, %q, want none", text, phone, why)
			}
		} else if got = phone.E164(); why != "" || got != want {
			t.Errorf("%s is %s, %q, want %s", text, got, why, want)
		}
	}
}

// Digits that choose a carrier, or let the other side pay, are part of no number. With its
// plus a number that begins with them is nobody's, and without them somebody else's.
func TestNoDigitsOfANumberWithItsPlusAreDropped(t *testing.T) {
	for _, tt := range []struct{ region, cell, want string }{
		{"", "+86129526438981", ""},
		{"BR", "+559042416561", ""},
		{"BR", "09042416561", ""},
		{"CN", "0129526438981", ""},
		{"", "+966 (0) 50 123 4567", "+966501234567"},
		{"", "+7 8 912 345-67-89", "+79123456789"},
	} {
		p, err := contacts.NewPhoneParser(tt.region)
		if err != nil {
			t.Fatal(err)
		}
		if phone, why := p.Parse(tt.cell); phone.E164() != tt.want {
			t.Errorf("%s %q is read as %s (%s), want %q", tt.region, tt.cell, phone.E164(), why, tt.want)
		}
	}
}

func TestANumberThatWasReadIsReadTheSameAgain(t *testing.T) {
	regions := slices.Sorted(maps.Keys(phonenumbers.GetSupportedRegions()))
	random := rand.New(rand.NewPCG(1, 2))
	read := 0
	for range 40_000 {
		region := regions[random.IntN(len(regions))]
		digits := make([]byte, 5+random.IntN(9))
		for i := range digits {
			digits[i] = '0' + byte(random.IntN(10))
		}
		cell := []string{"0", "", "+" + strconv.Itoa(phonenumbers.GetCountryCodeForRegion(region)), "00"}[random.IntN(4)] + string(digits)
		p, err := contacts.NewPhoneParser(region)
		if err != nil {
			t.Fatal(err)
		}
		phone, why := p.Parse(cell)
		if why != "" {
			continue
		}
		read++
		for _, other := range []string{"", region, "SA"} {
			p, _ := contacts.NewPhoneParser(other)
			if again, why := p.Parse(phone.E164()); again != phone {
				t.Errorf("%s %q is read as %s, and that, in %q, as %s (%s)", region, cell, phone.E164(), other, again.E164(), why)
			}
		}
	}
	if read < 5_000 {
		t.Errorf("%d of 40,000 were read", read)
	}
}
