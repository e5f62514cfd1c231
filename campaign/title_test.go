package campaign

import (
	"strings"
	"testing"
)

func TestTitles(t *testing.T) {
	long := strings.Repeat("م", maxTitle)
	for _, tt := range []struct {
		name, text, want string
	}{
		{"Arabic", "حملة العيد ٢٠٢٧", "حملة العيد ٢٠٢٧"},
		{"spaces", "  Eid \u00a0 sale ", "Eid sale"},
		{"nothing", "", ""},
		{"as long as may be", long, long},
		{"a letter and its accent are one", "Ete\u0301", "Et\u00e9"},
		{"a joiner that Persian needs", "می\u200cخواهم", "می\u200cخواهم"},
		{"a phone number", "call +966501234567", "call …"},
		{"in Arabic digits", "اتصل ٠٥٠١٢٣٤٥٦٧ الآن", "اتصل … الآن"},
		{"with spaces", "call 050 123 4567", "call …"},
		{"with many spaces", "call 050   123   4567", "call …"},
		{"a number hidden by marks", "call 966\u2066501\u202e234\u2069567", "call …"},
		{"a date", "Eid 2027-03-09", "Eid 2027-03-09"},
		{"a date in Arabic digits", "العيد ٠٩/٠٣/٢٠٢٧", "العيد ٠٩/٠٣/٢٠٢٧"},
		{"a date and a number", "2027-03-09 0501234567", "…"},
		{"what looks like a date after a plus", "+20261130", "…"},
		{"marks of direction", "\u202eevil\u202c \u2067x\u2069\u200f", "evil x"},
		{"invisible characters", "a\u200bb\ufeffc\u00ad", "abc"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseTitle(tt.text)
			if err != nil || got != tt.want {
				t.Errorf("%q is read as %q, %v; want %q", tt.text, got, err, tt.want)
			}
			if again, err := ParseTitle(got); err != nil || again != got {
				t.Errorf("read again it is %q, %v", again, err)
			}
		})
	}
	for _, text := range []string{"two\nlines", "bell\a", "a\x1b[31m", "a\u0085b", "two\u2028lines", "a\xff", long + "م"} {
		if got, err := ParseTitle(text); err == nil {
			t.Errorf("%q is read as %q", text, got)
		}
	}
}

func TestSettingsTakeDigitsOfArabicKeyboards(t *testing.T) {
	given := Given{
		"title": {"حملة ٢٠٢٧"}, "channel": {"٣"}, "daily-cap": {"١٠٠٠"}, "max-failure-share": {"٢٠٪"}, "skip-contacted-within": {"٧d"},
		"hours": {"٠٩:٠٠-٢١:٠٠"}, "timezone": {"Asia/Riyadh"}, "start-at": {"۲۰۲۶-۱۲-۰۱ ۰۹:۰۰"}, "except": {"٢٠٢٧-٠٣-٠٩=closed"},
	}
	latin := Given{
		"title": {"حملة ٢٠٢٧"}, "channel": {"3"}, "daily-cap": {"1000"}, "max-failure-share": {"20%"}, "skip-contacted-within": {"7d"},
		"hours": {"09:00-21:00"}, "timezone": {"Asia/Riyadh"}, "start-at": {"2026-12-01 09:00"}, "except": {"2027-03-09=closed"},
	}
	got, err := NewSettings(given)
	if err != nil {
		t.Fatal(err)
	}
	want, err := NewSettings(latin)
	if err != nil {
		t.Fatal(err)
	}
	if all := want.Differences(got); len(all) > 0 || got.Title != "حملة ٢٠٢٧" {
		t.Errorf("title %q, differences %v", got.Title, all)
	}
}
