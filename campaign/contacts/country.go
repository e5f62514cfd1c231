package contacts

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"campaign-runner/campaign"
)

// A place is whose a number is, as a cell beside it says.
type place struct {
	country *plan
	area    string // digits between the calling code and the number: 242 of +1-242; mostly empty
}

// placeOf reads a cell that names a country or its calling code, or both: SA, SAU,
// Saudi Arabia, KSA, السعودية, +966, 00966, 966.0, (+966), "+966 KSA". Digits without
// a plus are a calling code only where codes are expected: 682 is Saudi Arabia by its
// number at ISO, and the Cook Islands by their calling code.
func placeOf(cell string, codes bool) (place, bool) {
	if len(cell) > maxNumberBytes {
		return place{}, false
	}
	cell = strings.TrimFunc(cell, isWrapping)
	var digits, letters strings.Builder
	plus := false
	for _, r := range strings.TrimSuffix(strings.TrimSuffix(cell, ".0"), ".00") {
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
			return place{}, false // N/A is no Namibia
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

// maxAreaDigits bounds what may follow the calling code in a cell.
const maxAreaDigits = 4

// isFlag reports whether r is half a flag: two of them are the letters of a country.
func isFlag(r rune) bool { return r >= '🇦' && r <= '🇿' }

// countryNamed is the country of a code or a name in English or Arabic; nil if it is
// none, or not one only.
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
		if p, ok := names[strings.ReplaceAll(bareWords(words), " ", "")]; ok {
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

// bareWords leaves out what Arabic and English put between and before words.
func bareWords(words string) string {
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
	return strings.Join(kept, " ")
}

// countryNames are the countries by every name that one of them alone has, folded and
// without spaces. NA is left out: it is more often "not available" than Namibia.
var countryNames = sync.OnceValue(func() map[string]*plan {
	names := make(map[string]*plan)
	add := func(name string, p *plan) {
		key := strings.ReplaceAll(bareWords(campaign.Fold(name)), " ", "")
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
			continue // codes of no state, such as AC and TA, are not in every list
		}
		for _, name := range []string{code, region.ISO3(), english.Name(region), arabic.Name(region)} {
			add(name, p)
			if short, _, ok := strings.Cut(name, " ("); ok { // Myanmar (Burma)
				add(short, p)
			}
		}
	}
	for name, code := range otherNames {
		names[strings.ReplaceAll(bareWords(campaign.Fold(name)), " ", "")] = world().byRegion[code]
	}
	delete(names, "na")
	return names
})

// A beside is a column beside the number that says whose country it is of.
type beside struct {
	column int
	codes  bool // calling codes are expected, without a plus too
}

// findPlaces finds the columns that say whose country a number is of, and fails where
// that is not certain: a number that goes to another country reaches a stranger.
func (c *Reader) findPlaces(opt Options, sample [][]string) error {
	asked := func(flag, name string, codes bool) (bool, error) {
		if name == "" || name == campaign.NoColumn {
			return name != "", nil
		}
		i, err := columnNamed(c.columns, name)
		if err != nil && opt.CountryIfThere {
			return false, nil
		}
		if err != nil {
			return true, fmt.Errorf("%s: %w", flag, err)
		}
		c.places = append(c.places, beside{i, codes})
		return true, nil
	}
	codesAsked, err := asked("--country-code-column", opt.CountryCodeColumn, true)
	if err != nil {
		return err
	}
	landsAsked, err := asked("--country-column", opt.CountryColumn, false)
	if err != nil || len(c.places) > 0 {
		return err
	}
	for _, kind := range []struct {
		names *regexp.Regexp
		codes bool
		weak  bool
		own   bool // of the same thing as the number: Billing Country beside Billing Phone
		asked bool
	}{
		{codeNames, true, false, true, codesAsked}, {landNames, false, false, true, landsAsked},
		{codeNames, true, false, false, codesAsked}, {landNames, false, false, false, landsAsked}, {weakNames, true, true, false, codesAsked},
	} {
		var found []int
		for i, name := range c.columns {
			if kind.own {
				name = c.besidePhone(name)
			}
			if !kind.asked && kind.names.MatchString(nameKey(name)) && c.isNoPhone(i) {
				found = append(found, i)
			}
		}
		switch {
		case len(found) == 0:
			continue
		case kind.weak && (len(found) > 1 || !mostPlus(sample, found[0])):
			if len(found) == 1 && c.mayBeCodes(sample, found[0], true) {
				return c.ask(beside{found[0], true}, "it is not certain that its cells are calling codes")
			}
			continue
		case len(found) > 1:
			return fmt.Errorf("columns %d %q and %d %q may both say whose country the numbers are of: choose one with --country-column or --country-code-column; none: neither does",
				found[0]+1, shown(c.columns[found[0]]), found[1]+1, shown(c.columns[found[1]]))
		}
		in := beside{found[0], kind.codes}
		if why := c.uncertain(in, opt, sample); why != "" {
			return c.ask(in, why)
		}
		c.places = append(c.places, in)
		return nil
	}
	if codesAsked || landsAsked {
		return nil
	}
	for i := range c.columns { // a calling code under any other name
		if c.isNoPhone(i) && c.mayBeCodes(sample, i, false) {
			return c.ask(beside{i, true}, "it is not certain that its cells are calling codes")
		}
	}
	return nil
}

// ask refuses a file until somebody says what a column means.
func (c *Reader) ask(in beside, why string) error {
	name := quoteFlag(c.columns[in.column])
	return fmt.Errorf("column %d %q may say whose country the numbers are of, but %s: give --country-column %s or --country-code-column %s if it does, %s none if it does not",
		in.column+1, shown(c.columns[in.column]), why, name, name, flagOf(in.codes))
}

// besidePhone is what a name adds to the words that it begins with as the name of the
// phone column does: Country of "Billing Country" beside "Billing Phone". It is empty
// where they begin alike with no word.
func (c *Reader) besidePhone(name string) string {
	if len(c.phones) == 0 {
		return ""
	}
	phone, words := strings.Fields(campaign.Fold(c.columns[c.phones[0]])), strings.Fields(campaign.Fold(name))
	same := 0
	for same < min(len(phone), len(words)) && phone[same] == words[same] {
		same++
	}
	if same == 0 || !isPhoneName(strings.Join(phone[same:], " ")) {
		return ""
	}
	return strings.Join(words[same:], " ")
}

func flagOf(codes bool) string {
	if codes {
		return "--country-code-column"
	}
	return "--country-column"
}

func (c *Reader) isNoPhone(column int) bool {
	for _, p := range c.phones {
		if p == column {
			return false
		}
	}
	return true
}

// mostPlus reports whether nine in ten filled cells of a column are calling codes with
// their plus.
func mostPlus(sample [][]string, column int) bool {
	filled, codes := 0, 0
	for _, row := range sample {
		cell := cellOf(row, column)
		if !isFilled(cell) {
			continue
		}
		filled++
		if where, ok := placeOf(cell, false); ok && strings.Contains(cell, where.country.code) {
			codes++
		}
	}
	return codes > 0 && codes*10 >= filled*9
}

// mayBeCodes reports whether all filled cells of a column could be calling codes that
// would make some numbers those of another country. They may be numbers of something
// else, too, unless that of the region is among them, or all have a plus or 00.
func (c *Reader) mayBeCodes(sample [][]string, column int, named bool) bool {
	home, marked, matters := false, true, false
	for _, row := range sample {
		cell := cellOf(row, column)
		if !isFilled(cell) {
			continue
		}
		where, ok := placeOf(cell, true)
		if !ok || !strings.ContainsFunc(cell, unicode.IsDigit) {
			return false
		}
		if _, ok := placeOf(cell, false); !ok {
			marked = false
		}
		if c.parser.home != nil && where.country.code == c.parser.home.code {
			home = named || len(where.country.code) > 2 // 20 may be somebody's age
			continue
		}
		number := cellOf(row, c.phones[0])
		r := c.parser.readAll(number)
		matters = matters || r.why == "" && c.parser.isLocal(number, r)
	}
	return matters && (home || marked)
}

// uncertain tells why a column cannot be trusted to say whose the numbers are; empty
// if it can. It looks whether the cells are countries, and whether the numbers are
// such as people in those countries have: a column of nationalities stands beside
// numbers of the country where all of them live.
func (c *Reader) uncertain(in beside, opt Options, sample [][]string) string {
	var filled, named, fits, elsewhere, misfits int
	for _, row := range sample {
		cell := cellOf(row, in.column)
		if !isFilled(cell) {
			continue
		}
		filled++
		where, ok := placeOf(cell, in.codes)
		if !ok {
			continue
		}
		named++
		for _, column := range c.phones {
			number := cellOf(row, column)
			if !isFilled(number) {
				continue
			}
			parser := parserOf(where.country)
			r := parser.readAll(number)
			switch {
			case r.why == "" && !hasCode(r.phone, where.country.code):
				elsewhere++
			case where.area != "", r.why == "" && !parser.isLocal(number, r),
				r.why == "" && isKnown(r.phone) && !c.isRatherLocal(number, r.phone, in.codes):
				fits++
			case opt.Region == "": // there is nothing to compare it with
				if r.why != "" && !in.codes {
					misfits++
				}
			default: // a number of the region, though not of the country named
				if phone, guessed, why := c.parser.read(number); why == "" && !guessed && isKnown(phone) {
					misfits++
				}
			}
			break
		}
	}
	switch {
	case named*10 < filled*9:
		return fmt.Sprintf("only %d of its %d cells name a country", named, filled)
	case in.codes && misfits > fits:
		return fmt.Sprintf("its numbers do not fit it (%d of %d)", misfits, misfits+fits)
	case !in.codes && opt.Region != "" && misfits*10 > misfits+fits, !in.codes && misfits > fits:
		return fmt.Sprintf("numbers beside it are none of the country it names (%d of %d)", misfits, misfits+fits)
	case !in.codes && elsewhere > fits && elsewhere >= 3:
		return fmt.Sprintf("numbers beside it are of another country (%d of %d)", elsewhere, elsewhere+fits)
	}
	return ""
}

func cellOf(row []string, column int) string {
	if column < len(row) {
		return row[column]
	}
	return ""
}

func hasCode(phone campaign.Phone, code string) bool {
	var buf [20]byte
	return strings.HasPrefix(string(strconv.AppendUint(buf[:0], uint64(phone), 10)), code)
}

func isKnown(phone campaign.Phone) bool {
	_, known := world().at(strconv.FormatUint(uint64(phone), 10))
	return known
}

// parserOf reads numbers as people in a country write them.
func parserOf(p *plan) *PhoneParser { return &PhoneParser{region: p.region, home: p} }

// placed is what a row says of its number's country.
type placed struct {
	place
	codes   bool // by its calling code
	named   bool // a cell names a country
	unclear bool // a cell names something else
}

// placeIn reads the cells of a row that say whose country its number is of. seen
// keeps what was read before.
func (c *Reader) placeIn(row []string, seen map[string]placed) (found placed) {
	for _, in := range c.places {
		cell := row[in.column]
		if !isFilled(cell) {
			continue
		}
		read, ok := seen[cell]
		if !ok {
			read.place, read.named = placeOf(cell, in.codes)
			read.codes, read.unclear = in.codes, !read.named
			if len(seen) < maxPlacesSeen {
				seen[strings.Clone(cell)] = read
			}
		}
		if read.named {
			return read
		}
		found = read
	}
	return found
}

// maxPlacesSeen bounds the cells that are kept.
const maxPlacesSeen = 1000

// readPlaced reads a number beside which its country stands.
func (c *Reader) readPlaced(cell string, in placed) reading {
	switch {
	case !in.named && !in.unclear:
		r := c.parser.readAll(cell)
		if r.why == "" && r.doubt == "" && c.parser.isLocal(cell, r) {
			r.doubt = NoPlace
		}
		return r
	case !in.named:
		r := (&PhoneParser{}).readAll(cell)
		if r.why == NoCountryCode || r.doubt == GuessedCode {
			return reading{why: UnknownPlace}
		}
		return r
	}
	parser := parserOf(in.country)
	r := parser.readAll(cell)
	if in.area != "" {
		r = withArea(parser, cell, in, r)
	}
	switch {
	case r.why != "":
		return r
	case !hasCode(r.phone, in.country.code):
		return reading{why: OtherCountry}
	case c.parser.region == "" || c.parser.home.code == in.country.code || !parser.isLocal(cell, r):
	case !isKnown(r.phone):
		// As of the region it is somebody's number, as of the row's country nobody's.
		if phone, guessed, why := c.parser.read(cell); why == "" && !guessed && isKnown(phone) {
			return reading{why: OtherCountry}
		}
	case c.isRatherLocal(cell, r.phone, in.codes):
		return reading{why: OtherCountry}
	}
	return r
}

// isRatherLocal reports whether a number is one of a mobile phone in the region, and of
// something else in the country that stands beside it: 0501234567 beside Egypt may be a
// line in Mansoura, or an Egyptian's mobile phone in Saudi Arabia. A calling code beside
// it leaves no doubt.
func (c *Reader) isRatherLocal(cell string, as campaign.Phone, codes bool) bool {
	if codes || c.parser.region == "" || isMobile(as) {
		return false
	}
	phone, guessed, why := c.parser.read(cell)
	return why == "" && !guessed && phone != as && isMobile(phone)
}

func isMobile(phone campaign.Phone) bool {
	number := strconv.FormatUint(uint64(phone), 10)
	p, known := world().at(number)
	return known && p.ranges().mobile(number[len(p.code):])
}

// withArea puts an area that stands beside the calling code before the number, unless
// the number has it already. Where both or neither make a number, it is not clear.
func withArea(parser *PhoneParser, cell string, in placed, whole reading) reading {
	digits, plus, why := bare(nil, cell)
	if why != "" || plus {
		return whole
	}
	joined := parser.readAll("+" + in.country.code + in.area + string(digits))
	without, with := whole.why == "" && isKnown(whole.phone), joined.why == "" && isKnown(joined.phone)
	switch {
	case with && !without:
		return joined
	case without && !with:
		if !hasCode(whole.phone, in.country.code+in.area) {
			return reading{why: OtherCountry}
		}
		return whole
	}
	return reading{why: UnknownPlace}
}
