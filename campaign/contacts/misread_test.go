package contacts_test

import (
	"testing"

	"campaign-runner/campaign/contacts"
)

// Each of these reads as a number that somebody else may have.
func TestACellThatDoesNotMeanTheNumberItReadsAs(t *testing.T) {
	for _, tt := range []struct {
		region, cell string
		want         string
		why          contacts.Reason
	}{
		{"KW", "2024-11-23", "", contacts.NotANumber},
		{"QA", "23/11/2024", "", contacts.NotANumber},
		{"KW", "23.11.1985", "", contacts.NotANumber},
		{"LB", "3/11/2024", "", contacts.NotANumber},
		{"BH", "٢٣/١١/٢٠٢٤", "", contacts.NotANumber},
		{"LB", "03/112024", "+9613112024", ""},
		{"KW", "2411 2024", "+96524112024", ""},
		{"KW", "24-11-20-24", "+96524112024", ""},

		{"BH", "33123456.125", "", contacts.NotANumber},
		{"BH", "33 123 456.000", "+97333123456", ""},
		{"BH", "33\u202f123\u202f456.000", "+97333123456", ""},
		{"BH", "33123 456.000", "+97333123456", ""}, // as Excel shows it by # ##0.000
		{"SA", "501 234 567.00", "+966501234567", ""},

		{"SA", "2) 0501234567", "", contacts.NotANumber},
		{"SA", "2- 0501234567", "", contacts.NotANumber},
		{"SA", "2. 0501234567", "", contacts.NotANumber},
		{"SA", "20) 0501234567", "", contacts.NotANumber},
		{"SA", "20. 0501234567", "", contacts.NotANumber},
		{"", "(2) 0501234567", "", contacts.NotANumber},
		{"SA", "٢- ٠٥٠١٢٣٤٥٦٧", "", contacts.NotANumber},
		{"EG", "2) 01012345678", "+201012345678", ""}, // with the 2 as without it
		{"SA", "20-1012345678", "+201012345678", ""},
		{"SA", "(971) 50 123 4567", "+971501234567", ""},
		{"US", "1-212-555-1234", "+12125551234", ""},
		{"US", "1.212.555.1234", "+12125551234", ""},

		{"DE", "0171 1234567 (2)", "", contacts.HasExtension},
		{"SA", "0501234567 [1]", "", contacts.HasExtension},
		{"SA", "(050) 123-45-67", "+966501234567", ""},
	} {
		p, err := contacts.NewPhoneParser(tt.region)
		if err != nil {
			t.Fatal(err)
		}
		phone, why := p.Parse(tt.cell)
		got := ""
		if phone != 0 {
			got = phone.E164()
		}
		if got != tt.want || why != tt.why {
			t.Errorf("%s %q is read as %q (%s), want %q (%s)", tt.region, tt.cell, got, why, tt.want, tt.why)
		}
	}
}
