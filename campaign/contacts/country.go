package contacts

import (
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"campaign-runner/campaign"
)

// A place is the country, and perhaps the area, of a number, as a cell beside it says.
type place struct {
	country *plan
	area    string // digits after the calling code, such as 242 in +1-242; mostly empty
}

// placeOf reads a cell that names a country, its calling code, or both: SA, SAU, Saudi
// Arabia, KSA, السعودية, +966, 00966, 966.0, (+966), "+966 KSA". Digits without a plus
// are a calling code only where codes are expected: 682 is the calling code of the Cook
// Islands, and in ISO 3166 the number of Saudi Arabia.
func placeOf(cell string, codes bool) (place, bool) {
	if len(cell) > maxNumberBytes {
		return place{}, false
	}
	cell = strings.TrimFunc(cell, isWrapping)
	var digits, letters strings.Builder
	plus := false
	if whole, isFloat := strings.CutSuffix(strings.TrimRight(cell, "0"), "."); isFloat {
		cell = whole
	}
	for _, r := range cell {
		d, isDigit := digit(r)
		switch {
		case isDigit:
			digits.WriteByte(d)
		case r == '+' || r == '＋':
			plus = true
		case unicode.IsLetter(r) || unicode.Is(unicode.M, r) || r == '.' || r == '\'' || r == '’' || r == '&' || unicode.IsSpace(r) || isFlag(r):
			letters.WriteRune(r)
		case strings.ContainsRune("()[]-–—,،:|_", r):
			letters.WriteByte(',')
		case unicode.Is(unicode.Cf, r):
		default:
			return place{}, false // N/A is not Namibia
		}
	}
	var found place
	if number := digits.String(); number != "" {
		rest, idd := strings.CutPrefix(number, "00")
		if !plus && !idd && !codes {
			return place{}, false
		}
		p := world().of(rest)
		if p == nil || !strings.HasPrefix(rest, p.code) || len(rest)-len(p.code) > maxAreaDigits {
			return place{}, false
		}
		found = place{p, rest[len(p.code):]}
	}
	for part := range strings.SplitSeq(letters.String(), ",") {
		if strings.Trim(part, " .\u00a0\t") == "" {
			continue
		}
		p := countryNamed(part)
		switch {
		case p == nil, found.country != nil && found.country.code != p.code:
			return place{}, false
		case found.country == nil || found.area == "":
			found.country = p
		}
	}
	return found, found.country != nil
}

const maxAreaDigits = 4

// isFlag reports whether r is half of a flag: a flag is two letters of a country code.
func isFlag(r rune) bool { return r >= '🇦' && r <= '🇿' }

// countryNamed returns the country of a code or a name in English or Arabic, or nil if
// there is none or more than one.
func countryNamed(name string) *plan {
	flag := false
	name = strings.Map(func(r rune) rune {
		if isFlag(r) {
			flag = true
			return 'A' + r - '🇦'
		}
		return r
	}, name)
	words := campaign.Fold(name)
	if flag { // Saudi Arabia 🇸🇦
		if i := strings.LastIndexByte(words, ' '); i >= 0 {
			if p, q := countryNamed(words[:i]), countryNamed(words[i+1:]); p == q {
				return p
			}
			return nil
		}
	}
	names := countryNames()
	for {
		if p, ok := names[bareName(words)]; ok {
			return p
		}
		rest := ""
		for _, before := range statesAre {
			if after, ok := strings.CutPrefix(words, before+" "); ok {
				rest = after
			}
		}
		if rest == "" {
			return nil
		}
		words = rest
	}
}

// bareName is a name without spaces and without the articles and other filler words of
// Arabic and English.
func bareName(words string) string {
	var kept []string
	for word := range strings.SplitSeq(words, " ") {
		switch {
		case word == "the" || word == "and" || word == "of" || word == "و":
			continue
		case strings.HasPrefix(word, "ال") && len(word) > len("الxx"):
			word = strings.TrimPrefix(word, "ال")
		case strings.HasPrefix(word, "وال") && len(word) > len("والxx"):
			word = "و" + strings.TrimPrefix(word, "وال")
		}
		kept = append(kept, word)
	}
	return strings.Join(kept, "")
}

// countryNames are the countries by every name that belongs to one of them alone,
// folded and without spaces. NA is left out: it means "not available" more often than
// Namibia.
var countryNames = sync.OnceValue(func() map[string]*plan {
	names := make(map[string]*plan)
	add := func(name string, p *plan) {
		key := bareName(campaign.Fold(name))
		if other, ok := names[key]; ok && other != p {
			p = nil
		}
		if key != "" {
			names[key] = p
		}
	}
	english, arabic := display.English.Regions(), display.Regions(language.Arabic)
	for code, p := range world().byRegion {
		region, err := language.ParseRegion(code)
		if err != nil {
			continue // codes such as AC and TA are not in every list
		}
		for _, name := range []string{code, region.ISO3(), english.Name(region), arabic.Name(region)} {
			add(name, p)
			if short, _, ok := strings.Cut(name, " ("); ok { // Myanmar (Burma)
				add(short, p)
			}
		}
	}
	for name, code := range otherNames {
		names[bareName(campaign.Fold(name))] = world().byRegion[code]
	}
	delete(names, "na")
	return names
})

// otherNames are names of countries that golang.org/x/text does not have.
var otherNames = map[string]string{
	"KSA": "SA", "K.S.A.": "SA", "Saudi": "SA", "السعودية": "SA", "العربية السعودية": "SA", "المملكة العربية السعودية": "SA", "سعودي": "SA",
	"UAE": "AE", "Emirates": "AE", "U.A.E": "AE", "الإمارات": "AE", "الامارات العربية": "AE", "الإمارات العربية المتحدة": "AE",
	"Dubai": "AE", "دبي": "AE", "Abu Dhabi": "AE", "أبوظبي": "AE",
	"مصر": "EG", "جمهورية مصر العربية": "EG", "Misr": "EG",
	"الأردن": "JO", "المملكة الأردنية الهاشمية": "JO", "فلسطين": "PS", "Palestine": "PS", "State of Palestine": "PS",
	"سوريا": "SY", "سورية": "SY", "Syrian Arab Republic": "SY", "الجمهورية العربية السورية": "SY",
	"لبنان": "LB", "عمان": "OM", "Iraq": "IQ", "اليمن": "YE", "الجمهورية اليمنية": "YE",
	"UK": "GB", "U.K.": "GB", "Great Britain": "GB", "Britain": "GB", "England": "GB", "Scotland": "GB", "Wales": "GB", "بريطانيا": "GB", "انجلترا": "GB",
	"USA": "US", "U.S.A.": "US", "U.S.": "US", "America": "US", "United States of America": "US", "أمريكا": "US", "امريكا": "US",
	"Türkiye": "TR", "Turkey": "TR", "Turkiye": "TR", "Holland": "NL", "Netherlands": "NL", "Czech Republic": "CZ", "Czechia": "CZ",
	"Russian Federation": "RU", "South Korea": "KR", "Korea, South": "KR", "Republic of Korea": "KR", "Republic of China": "TW", "Taiwan": "TW",
	"Ivory Coast": "CI", "Cape Verde": "CV", "Swaziland": "SZ", "Macedonia": "MK", "Burma": "MM", "Viet Nam": "VN",
	"Hong Kong": "HK", "Macau": "MO", "Macao": "MO", "Brunei Darussalam": "BN", "Iran, Islamic Republic of": "IR", "Vatican": "VA",
	"Deutschland": "DE", "España": "ES", "Österreich": "AT", "Schweiz": "CH", "Suisse": "CH", "Maroc": "MA", "Algérie": "DZ", "Tunisie": "TN",
	"Liban": "LB", "Égypte": "EG", "Arabie saoudite": "SA", "Emirats": "AE", "México": "MX", "Brasil": "BR", "Italia": "IT", "Belgique": "BE",
}

// statesAre are words before the names of countries, as campaign.Fold writes them.
var statesAre = []string{
	"the", "kingdom of", "state of", "sultanate of", "republic of", "arab republic of", "islamic republic of",
	"hashemite kingdom of", "federal republic of", "people s republic of", "peoples republic of",
	"دوله", "مملكه", "المملكه", "سلطنه", "جمهوريه", "الجمهوريه", "الجمهوريه العربيه",
}
