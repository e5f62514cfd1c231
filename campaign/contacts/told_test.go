package contacts

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign"
)

func TestTold(t *testing.T) {
	const saudi = "+966501234567"
	for _, tt := range []struct {
		name, region, text string
		want               []string
	}{
		{"as it was sent", "SA", "+966501234567", []string{saudi}},
		{"without its plus", "", "966501234567", []string{saudi}},
		{"with 00", "US", "00966501234567", []string{saudi}},
		{"with the scheme of WhatsApp", "SA", "whatsapp:+966501234567", []string{saudi}},
		{"with the scheme of telephones", "", "tel:+966-50-123-4567", []string{saudi}},
		{"as an address of WhatsApp", "", "966501234567@s.whatsapp.net", []string{saudi}},
		{"as another", "", "966501234567@c.us", []string{saudi}},
		{"in Arabic digits", "", "٩٦٦٥٠١٢٣٤٥٦٧", []string{saudi}},
		{"in Arabic digits, with spaces and marks", "SA", "\u200f+٩٦٦ ٥٠ ١٢٣ ٤٥٦٧\u200e", []string{saudi}},
		{"in Persian digits", "SA", "۰۵۰۱۲۳۴۵۶۷", []string{saudi}},
		{"with punctuation", "", "+966 (50) 123-45.67", []string{saudi}},
		{"with the trunk zero kept", "", "9660501234567", []string{saudi}},
		{"with the trunk zero kept, and a plus", "US", "+966 (0)50 123 4567", []string{saudi}},
		{"as dialled at home", "SA", "0501234567", []string{saudi}},
		{"as dialled at home, without the zero", "SA", "501234567", []string{saudi}},
		{"as a number of JSON", "", "9.66501234567e+11", []string{saudi}},
		{"as a fraction", "", "966501234567.0", []string{saudi}},
		{"of a land whose numbers are short, without a plus", "", "4520123456", []string{"+4520123456"}},
		{"or, where the region knows it, first the region's", "EG", "4520123456", []string{"+204520123456", "+4520123456"}},
		{"of Mexico, as WhatsApp writes it", "SA", "5215512345678", []string{"+5215512345678"}},
		{"with a plus", "", "+5215512345678", []string{"+5215512345678"}},
		{"of Brazil without the ninth digit and the plus", "", "551187654321", []string{"+551187654321"}},
		{"a user's id", "SA", "SA.1349502617838", nil},
		{"an id of the network", "SA", "134950261783812@lid", nil},
		{"a long id of digits", "SA", "13491208655302741918", nil},
		{"a word", "SA", "anonymous", nil},
		{"nothing", "SA", "", nil},
		{"of no country", "", "+999501234567", nil},
		{"of home, when no home is known", "", "0501234567", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			parser, err := NewPhoneParser(tt.region)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, phone := range parser.Told(tt.text) {
				got = append(got, phone.E164())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestFormerMexicanNumbers(t *testing.T) {
	for _, tt := range []struct{ name, region, cell, want string }{
		{"with a plus", "SA", "+52 1 55 1234 5678", "+5215512345678"},
		{"with 00", "US", "005215512345678", "+5215512345678"},
		{"at home, without a plus", "MX", "5215512345678", "+5215512345678"},
		{"without a home", "", "5215512345678", "+5215512345678"},
		{"the present form", "", "+525512345678", "+525512345678"},
		{"too short", "", "+521551234567", "+521551234567"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			parser, err := NewPhoneParser(tt.region)
			if err != nil {
				t.Fatal(err)
			}
			if got, why := parser.Parse(tt.cell); why != "" || got.E164() != tt.want {
				t.Errorf("got %s, %q", got.E164(), why)
			}
		})
	}
}

// A person in the list in one spelling is not contacted again in the other. The first
// spelling is kept.
func TestDuplicatesInTheOtherSpelling(t *testing.T) {
	var x index
	for i, cell := range []string{"+5215512345678", "+525512345678", "+551187654321", "+5511987654321", "+541123456789", "+5491123456789", "+966501234567"} {
		phone, err := campaign.ParsePhone(cell)
		if err != nil {
			t.Fatal(err)
		}
		first, added := x.add(phone, i+1)
		if twice := i < 6 && i%2 == 1; added == twice || twice && first != i {
			t.Errorf("%s: added %v, first on line %d", cell, added, first)
		}
	}
	if !x.has(525512345678) || !x.has(5511987654321) || x.has(525512345679) {
		t.Error("the other spelling is not found, or a stranger is")
	}
	for phone := range x.all() {
		if phone == 525512345678 {
			t.Error("the second spelling took the first's place")
		}
	}
}
