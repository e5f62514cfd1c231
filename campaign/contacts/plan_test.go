package contacts

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/nyaruka/phonenumbers"
	"pgregory.net/rapid"

	"campaign-runner/campaign"
)

// Where a plan is certain, the library agrees: for numbers around every length, calling
// code, trunk prefix and example number.
func TestPlansAgreeWithTheLibrary(t *testing.T) {
	regions := slices.Sorted(maps.Keys(phonenumbers.GetSupportedRegions()))
	examples := exampleNumbers()
	run := rapid.StringOfN(rapid.RuneFrom([]rune("0123456789")), 0, 19, -1)
	rapid.Check(t, func(t *rapid.T) {
		region := rapid.SampledFrom(regions).Draw(t, "region")
		home := world().byRegion[region]
		digits := rapid.OneOf(
			run,
			rapid.Custom(func(t *rapid.T) string {
				// Without a plus, with the trunk prefix, or unchanged, with a few wrong digits.
				n := rapid.SampledFrom(examples).Draw(t, "example")
				cut := rapid.IntRange(0, min(4, len(n))).Draw(t, "cut")
				return n[cut:] + rapid.StringOfN(rapid.RuneFrom([]rune("0123456789")), 0, 3, -1).Draw(t, "tail")
			}),
			rapid.Map(run, func(s string) string { return home.code + s }),
			rapid.Map(run, func(s string) string { return home.code + home.trunk.literal + s }),
			rapid.Map(run, func(s string) string { return home.trunk.literal + s }),
			rapid.Map(run, func(s string) string { return home.idd.literal + s }),
		).Draw(t, "digits")
		check := func(how string, phone campaign.Phone, why Reason, known bool, parser PhoneParser, number string) {
			if !known {
				return
			}
			wantPhone, wantWhy := parser.library(number)
			if phone != wantPhone || why != wantWhy {
				t.Fatalf("%s %s in %s: %d %q, the library says %d %q", how, number, region, uint64(phone), why, uint64(wantPhone), wantWhy)
			}
		}
		phone, why, known := world().international(digits)
		check("international", phone, why, known, PhoneParser{}, "+"+digits)
		phone, why, known = home.national(digits)
		check("national", phone, why, known, PhoneParser{home}, digits)
	})
}

// Plans save most calls of the library: they are certain about every example of a
// mobile number in nearly all countries, in every spelling.
func TestPlansKnowTheCommonNumbers(t *testing.T) {
	var international, national, all int
	for region := range phonenumbers.GetSupportedRegions() {
		n := phonenumbers.GetExampleNumberForType(region, phonenumbers.MOBILE)
		if n == nil {
			continue
		}
		all++
		if _, why, known := world().international(phonenumbers.Format(n, phonenumbers.E164)[1:]); known {
			international++
			if why != "" {
				t.Errorf("%s: example refused: %s", region, why)
			}
		}
		local := phonenumbers.NormalizeDigitsOnly(phonenumbers.Format(n, phonenumbers.NATIONAL))
		if _, why, known := world().byRegion[region].national(local); known && why == "" {
			national++
		}
	}
	if international*100 < all*95 || national*100 < all*75 {
		t.Errorf("of %d examples %d are known with their country code and %d without", all, international, national)
	}
	for _, region := range []string{"SA", "AE", "EG", "JO", "KW", "QA", "BH", "OM", "IQ", "MA", "TR", "PK", "IN", "DE", "FR", "US"} {
		n := phonenumbers.GetExampleNumberForType(region, phonenumbers.MOBILE)
		local := phonenumbers.NormalizeDigitsOnly(phonenumbers.Format(n, phonenumbers.NATIONAL))
		if _, _, known := world().byRegion[region].national(local); !known {
			t.Errorf("%s: local mobile numbers are left to the library", region)
		}
	}
}

// exampleNumbers are the library's examples of every type, as E.164 digits.
func exampleNumbers() []string {
	var examples []string
	for _, region := range slices.Sorted(maps.Keys(phonenumbers.GetSupportedRegions())) {
		for kind := phonenumbers.FIXED_LINE; kind <= phonenumbers.UAN; kind++ {
			if n := phonenumbers.GetExampleNumberForType(region, kind); n != nil {
				examples = append(examples, phonenumbers.Format(n, phonenumbers.E164)[1:])
			}
		}
	}
	for code := range phonenumbers.GetSupportedGlobalNetworkCallingCodes() {
		examples = append(examples, fmt.Sprintf("%d12345678", code))
	}
	return examples
}
