package contacts

import (
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/nyaruka/phonenumbers"
	"pgregory.net/rapid"

	"campaign-runner/campaign"
)

// The library agrees on the country of a number and on whether it is valid: for numbers
// around every example, and for any digits after every calling code.
func TestRangesAgreeWithTheLibrary(t *testing.T) {
	examples := exampleNumbers()
	codes := slices.Sorted(maps.Keys(phonenumbers.GetSupportedCallingCodes()))
	digits := func(least, most int) *rapid.Generator[string] {
		return rapid.StringOfN(rapid.RuneFrom([]rune("0123456789")), least, most, -1)
	}
	check := func(t interface{ Fatalf(string, ...any) }, number string) {
		phone, err := campaign.ParsePhone("+" + number)
		if err != nil {
			return
		}
		n, err := phonenumbers.Parse(phone.E164(), "")
		if err != nil || phonenumbers.Format(n, phonenumbers.E164) != phone.E164() {
			return // the library reads another number, which we do not accept
		}
		p, known := world().at(number)
		if want := phonenumbers.IsValidNumber(n); known != want {
			t.Fatalf("%s: known %v, the library says %v", number, known, want)
		}
		if want := phonenumbers.GetRegionCodeForNumber(n); want != "" && p.region != want {
			t.Fatalf("%s: of %s, the library says %s", number, p.region, want)
		}
	}
	for _, number := range examples {
		check(t, number)
	}
	rapid.Check(t, func(t *rapid.T) {
		for range 20 {
			check(t, rapid.OneOf(
				rapid.Custom(func(t *rapid.T) string {
					n := []byte(rapid.SampledFrom(examples).Draw(t, "example"))
					for range rapid.IntRange(1, 3).Draw(t, "changes") {
						n[rapid.IntRange(1, len(n)-1).Draw(t, "at")] = byte('0' + rapid.IntRange(0, 9).Draw(t, "digit"))
					}
					return string(n) + digits(0, 2).Draw(t, "tail")
				}),
				rapid.Custom(func(t *rapid.T) string {
					return strconv.Itoa(rapid.SampledFrom(codes).Draw(t, "code")) + digits(4, 12).Draw(t, "rest")
				}),
			).Draw(t, "number"))
		}
	})
}

func TestDoubts(t *testing.T) {
	for _, tt := range []struct {
		name, number, region string
		want                 Reason
	}{
		{"a mobile number", "966501234567", "SA", ""},
		{"a range that is not in use", "966521234567", "SA", UnknownRange},
		{"one digit too many", "9665012345678", "SA", DigitTooMany},
		{"one digit too few", "96892123456", "OM", ""},
		{"Canada, which shares its code", "14165550123", "CA", ""},
		{"an island that shares a code", "447781123456", "GG", ""},
		{"Mexico as it was", "5215512345678", "MX", ""},
		{"Brazil without its ninth digit", "551187654321", "BR", ""},
		{"a number of no country", "80012345678", "001", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, why := world().doubt(tt.number)
			if p.region != tt.region || why != tt.want {
				t.Errorf("of %s, %q", p.region, why)
			}
		})
	}
}

func BenchmarkDoubt(b *testing.B) {
	world().doubt("966501234567")
	for b.Loop() {
		world().doubt("966501234567")
	}
}
