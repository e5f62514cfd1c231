package contacts

import (
	"regexp"
	"strings"
	"unicode"

	"campaign-runner/campaign"
)

// phoneNames matches the names of columns of phone numbers: words for a phone, for a
// number and for its owner. A new header word goes into one of these lists, as nameKey
// writes it.
var phoneNames = regexp.MustCompile(`^(?:` + numberWords + `|` + ownerWords + `)*(?:` + phoneWords + `)(?:` + phoneWords + `|` + numberWords + `|` + ownerWords + `)*$`)

const (
	phoneWords = `phone|mobile|mob|cell|cellular|handphone|smartphone|msisdn|whatsapp|whats|wa|tel|telephone|telefon|telefono|telefone|telefoon|telefonu|gsm|e164|` +
		`mobil|mobiltelefon|handy|portable|movil|celular|fone|cep|ceptelefonu|rufnummer|contact(?:number|num|no|nr)s?|phn|ph|` +
		`(?:ال)?(?:هاتف|هواتف|جوال|جوالات|موبايل|موبيل|محمول|نقال|متحرك|واتساب|واتس|واتسب|تلفون|تليفون|تلفونات|خلوي|خليوي|جهازاتصال)|(?:رقم|ارقام)(?:ال|لل)?(?:تواصل|اتصال)`
	numberWords = `number|numbers|numero|numara|numarasi|nummer|num|nr|no|nos|nbr|n|de|du|del|value|s|` +
		`(?:ال|لل)?(?:رقم|ارقام|نمره)`
	ownerWords = `contact|customer|client|member|lead|guest|student|patient|employee|buyer|user|subscriber|donor|primary|main|personal|private|default|` +
		`billing|valid|full|my|your|the|recommended|required|mandatory|optional|withcountrycode|withcode|countrycodeincluded|intl|international|kunde|kunden|client|cliente|` +
		`(?:ال|لل)?(?:عميل|عملاء|زبون|زبائن|شخصي|اساسي|رئيسي|خاص|مستخدم|طالب|موظف|مشترك|متبرع|ضيف|مريض|به|بالعميل)`
)

// numberNames are names that other columns have, too: their cells must be phone numbers.
var numberNames = regexp.MustCompile(`^(?:number|numbers|to|recipients?|destination|contact|(?:ال)?(?:رقم|ارقام))$`)

// Names of columns with the country of a number, as nameKey writes them.
var (
	codeNames = regexp.MustCompile(`^(?:(?:phone|mobile|tel|telephone|whatsapp|country|intl|international)?(?:country|intl|international|dial|dialing|dialling|calling|isd|idd)(?:country|dial|dialing|dialling|calling|phone|mobile)?(?:code|codes|prefix|key)|isd|(?:phone|mobile|tel|telephone|whatsapp)code|countryphonecode|codedupays|indicatif(?:pays|telephonique)?|codepays|codigo(?:de)?pais|ulkekodu|landesvorwahl|landervorwahl|landerkennzahl|(?:ال)?(?:مفتاح|رمز|كود|نداء)(?:ال)?(?:دوله|بلد|دولي|دوليه|اتصال)(?:ال)?(?:دولي)?)$`)
	landNames = regexp.MustCompile(`^(?:(?:phone|mobile|tel|telephone|whatsapp)?country(?:name|region|orregion|territory|iso|iso2|iso3|isocode|ofresidence|ofphone)?|residencecountry|iso2|iso3|countrycodeiso|isocountry(?:code)?|alpha2|pays|pais|land|ulke|(?:اسم)?(?:ال)?(?:دوله|بلد)(?:الاقامه)?)$`)
	// weakNames have many meanings: they count only where nearly every cell has a plus.
	weakNames = regexp.MustCompile(`^(?:prefix|code|cc|key|(?:ال)?(?:مفتاح|رمز|كود|بادئه))$`)
)

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

// isPhoneName reports whether a column of this name holds phone numbers. A number may
// stand between its words: Phone 1 - Value.
func isPhoneName(name string) bool {
	key := nameKey(name)
	if phoneNames.MatchString(key) || key == "e" && columnKey(name) == "e164" {
		return true
	}
	return phoneNames.MatchString(strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}, key))
}

// columnKey reduces a column name to one word, without differences of spelling.
func columnKey(name string) string { return campaign.ColumnKey(name) }

// nameKey is columnKey without digits at the end.
func nameKey(name string) string { return strings.TrimRightFunc(columnKey(name), unicode.IsDigit) }

// NamesPlace reports whether a column of this name may hold the country of the number
// beside it.
func NamesPlace(name string) bool {
	key := nameKey(name)
	return codeNames.MatchString(key) || landNames.MatchString(key)
}
