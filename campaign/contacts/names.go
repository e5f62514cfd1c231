package contacts

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"campaign-runner/campaign"
	"campaign-runner/velents/mask"
)

// SameName reports whether two names of columns or values differ only in case and in
// invisible characters around them.
func SameName(a, b string) bool { return strings.EqualFold(trimName(a), trimName(b)) }

// Nearest returns the name most like the wanted one, for a suggestion: one with a slip
// of spelling, or one that contains the other. It is empty if there is none.
func Nearest(name string, among []string) string {
	best, least := "", 1000
	key := []rune(columnKey(name))
	for _, candidate := range among {
		other := []rune(columnKey(candidate))
		short := min(len(key), len(other))
		d := distance(key, other)
		if within := short >= 3 && (strings.Contains(string(key), string(other)) || strings.Contains(string(other), string(key))); within {
			d = min(d, 2)
		}
		if d < least && d <= max(short/3, 1) {
			best, least = candidate, d
		}
	}
	return best
}

// distance counts the letters to change, to swap with the next, to add or to leave out.
func distance(a, b []rune) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		for k := range d[i] {
			switch {
			case i == 0 || k == 0:
				d[i][k] = i + k
				continue
			case a[i-1] == b[k-1]:
				d[i][k] = d[i-1][k-1]
			default:
				d[i][k] = 1 + min(d[i-1][k-1], d[i-1][k], d[i][k-1])
			}
			if i > 1 && k > 1 && a[i-1] == b[k-2] && a[i-2] == b[k-1] {
				d[i][k] = min(d[i][k], 1+d[i-2][k-2])
			}
		}
	}
	return d[len(a)][len(b)]
}

// trimName trims invisible characters around a name.
func trimName(name string) string {
	return strings.TrimFunc(name, func(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) })
}

// shown returns a column's name for a message, which must not contain a phone number.
func shown(name string) string { return mask.Numbers(name) }

func quoteFlag(name string) string {
	name = shown(name)
	if strings.ContainsFunc(name, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-.", r)
	}) {
		return fmt.Sprintf("%q", name)
	}
	return name
}

// quoteNames lists column names for a message, up to as many as a person reads.
func quoteNames(columns []string) (names []campaign.Message) {
	const most = 30
	for _, name := range columns[:min(len(columns), most)] {
		names = append(names, campaign.Text(strconv.Quote(shown(name))))
	}
	if len(columns) > most {
		names = append(names, campaign.Text(fmt.Sprintf("and %d more", len(columns)-most)))
	}
	return names
}

func listColumns(columns []string, which []int) (names []campaign.Message) {
	for _, i := range which {
		names = append(names, campaign.Text(fmt.Sprintf("%q (column %d)", shown(columns[i]), i+1)))
	}
	return names
}

// joined are messages as one text.
func joined(list []campaign.Message) string {
	return strings.Join(campaign.Strings(list), ", ")
}

// columnNamed returns the one column of the name asked for: of the exact name, or else
// of one that differs only in spelling.
func columnNamed(columns []string, asked string) (int, error) {
	asked = trimName(asked)
	matches := func(name string) bool { return name == asked }
	if !slices.ContainsFunc(columns, matches) {
		matches = func(name string) bool { return name != "" && columnKey(name) == columnKey(asked) }
	}
	var found []int
	for i, name := range columns {
		if matches(name) {
			found = append(found, i)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return 0, fmt.Errorf("several columns have this name: %s: give equal columns different names", joined(listColumns(columns, found)))
	case slices.ContainsFunc(columns, isNumberLike):
		return 0, errNumberHeader
	}
	return 0, campaign.Faulty(campaign.MsgFileNoColumn, "name", strconv.Quote(asked), "columns", quoteNames(columns))
}

// theFirst sorts columns whose names differ only in a number: Mobile 1 before Mobile 2.
func theFirst(columns []string, found []int) (sorted []int, ok bool) {
	stems, byNumber := make(map[string]bool), make(map[int]int)
	for _, i := range found {
		number := 0
		stem := strings.Map(func(r rune) rune {
			if unicode.IsDigit(r) {
				number = number*10 + int(unicode.ToLower(r)&0xf)
				return -1
			}
			return r
		}, columnKey(columns[i]))
		stems[stem], byNumber[number] = true, i
	}
	for _, number := range slices.Sorted(maps.Keys(byNumber)) {
		sorted = append(sorted, byNumber[number])
	}
	return sorted, len(stems) == 1 && len(sorted) == len(found)
}

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
