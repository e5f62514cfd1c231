package contacts

import (
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/nyaruka/phonenumbers"

	"campaign-runner/campaign"
)

// A plan is what the library's metadata says of the numbers of one country:
// enough to decide the common ones without the library, which takes 20 to 30 µs
// for each. Where a plan does not know for certain, it says so and the library
// decides; a test holds the two equal.
type plan struct {
	code    string         // country calling code
	region  string         // ISO 3166 alpha-2; 001 of numbers that belong to no country
	index   int            // its place among all plans
	leading prefix         // of the countries that share the calling code: numbers that begin so are its own
	sharing []*plan        // the countries that share the calling code, itself included, in the order of the library; of the main one only
	ranges  func() *ranges // made when first asked for
	idd     prefix         // dialled before a foreign number
	trunk   prefix         // dialled before a number of the country: the 0 of 0501234567
	dialled string         // the trunk prefix in plain digits
	simple  bool           // the trunk prefix is plain digits and is dropped, not rewritten
	general *regexp.Regexp // every number of the country matches it
	lengths uint32         // bit n: numbers may have n digits after the calling code
	local   uint32         // bit n: numbers of n digits can be dialled within an area only
	main    *plan          // of the countries that share the calling code, the one whose lengths hold for all
}

// A prefix matches the beginning of a run of digits; the zero prefix matches none.
type prefix struct {
	literal string // for most countries a few digits
	pattern *regexp.Regexp
}

func newPrefix(pattern string) prefix {
	if pattern == "" {
		return prefix{}
	}
	if literal, whole := regexp.MustCompile(pattern).LiteralPrefix(); whole {
		return prefix{literal: literal}
	}
	return prefix{pattern: regexp.MustCompile("^(?:" + pattern + ")")}
}

func (p prefix) isSet() bool { return p.pattern != nil || p.literal != "" }

func (p prefix) matches(digits string) bool {
	if p.pattern != nil {
		return p.pattern.MatchString(digits)
	}
	return p.literal != "" && strings.HasPrefix(digits, p.literal)
}

func newPlan(m *phonenumbers.PhoneMetadata) *plan {
	p := &plan{
		code:    strconv.Itoa(int(m.GetCountryCode())),
		region:  m.GetId(),
		leading: newPrefix(m.GetLeadingDigits()),
		ranges:  sync.OnceValue(func() *ranges { return newRanges(m) }),
		idd:     newPrefix(m.GetInternationalPrefix()),
		trunk:   newPrefix(m.GetNationalPrefixForParsing()),
		dialled: m.GetNationalPrefix(),
		general: regexp.MustCompile("^(?:" + m.GetGeneralDesc().GetNationalNumberPattern() + ")$"),
	}
	p.simple = p.trunk.pattern == nil && m.GetNationalPrefixTransformRule() == ""
	for _, n := range m.GetGeneralDesc().GetPossibleLength() {
		p.lengths |= bit(int(n))
	}
	for _, n := range m.GetGeneralDesc().GetPossibleLengthLocalOnly() {
		p.local |= bit(int(n))
	}
	return p
}

// at is the plan's place among all. A number without one is in the first place.
func (p *plan) at() uint16 {
	if p == nil {
		return 0
	}
	return uint16(p.index)
}

func bit(n int) uint32 {
	if n < 0 || n > 31 {
		return 0
	}
	return 1 << n
}

// check tells why a number of so many digits after the calling code cannot be
// one of the country's; empty if it can.
func (p *plan) check(n int) Reason {
	switch b := bit(n); {
	case p.lengths&b != 0 && p.local&b == 0:
		return ""
	case p.local&b != 0 || p.lengths&(b-1) == 0: // none shorter: below the least
		return TooShort
	case p.lengths>>n == 0:
		return TooLong
	default:
		return WrongLength
	}
}

// isDoubtful reports whether the digits after the calling code begin with what
// only precedes them in most countries. 050123456 in Saudi Arabia lacks a digit,
// yet with its 0 it has a length that numbers have there.
func (p *plan) isDoubtful(digits string) bool {
	return strings.HasPrefix(digits, "0") || p.dialled != "" && strings.HasPrefix(digits, p.dialled)
}

// plans are the numbering plans of the world.
type plans struct {
	all      []*plan // by index
	byRegion map[string]*plan
	byCode   [1000]*plan // by the first three digits of an international number
}

var world = sync.OnceValue(func() *plans {
	w := &plans{byRegion: make(map[string]*plan)}
	metadata, err := phonenumbers.MetadataCollection()
	if err != nil {
		panic(err) // embedded in the library, which has read it before us
	}
	for _, m := range metadata.GetMetadata() {
		p := newPlan(m)
		p.index = len(w.all)
		w.all = append(w.all, p)
		code, region := int(m.GetCountryCode()), m.GetId()
		if region != phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY {
			w.byRegion[region] = p
		}
		if region != phonenumbers.GetRegionCodeForCountryCode(code) {
			continue
		}
		first, last := code, code
		for first < 100 {
			first, last = first*10, last*10+9
		}
		for i := first; i <= last; i++ {
			w.byCode[i] = p
		}
	}
	for _, p := range w.byRegion {
		p.main = w.of(p.code)
	}
	for code := range phonenumbers.GetSupportedCallingCodes() {
		regions := phonenumbers.GetRegionCodesForCountryCode(code)
		if len(regions) < 2 {
			continue
		}
		main := w.byRegion[regions[0]]
		for _, region := range regions {
			main.sharing = append(main.sharing, w.byRegion[region])
		}
	}
	for _, p := range w.byCode {
		if p != nil {
			p.main = p
		}
	}
	return w
})

// of is the plan of a number by its first digits, nil if there is none.
func (w *plans) of(digits string) *plan {
	i := 0
	for k := range 3 {
		i *= 10
		if k < len(digits) {
			i += int(digits[k] - '0')
		}
	}
	return w.byCode[i]
}

// international decides a number that begins with its calling code. It is
// unknown when the plan cannot tell.
func (w *plans) international(digits string) (phone campaign.Phone, why Reason, known bool) {
	if len(digits) < 4 || digits[0] == '0' {
		return 0, "", false
	}
	p := w.of(digits)
	if p == nil {
		return 0, "", false
	}
	return p.significant(digits[len(p.code):])
}

// national decides a number as it is dialled within the country.
func (p *plan) national(digits string) (phone campaign.Phone, why Reason, known bool) {
	if !p.simple || len(digits) < 4 || p.idd.matches(digits) {
		return 0, "", false
	}
	if rest, ok := strings.CutPrefix(digits, p.code); ok {
		// The calling code without a plus, or digits that happen to be like it.
		if p.trunk.matches(rest) || p.general.MatchString(digits) || !p.general.MatchString(rest) {
			return 0, "", false
		}
		return p.significant(rest)
	}
	if p.trunk.matches(digits) {
		rest := digits[len(p.trunk.literal):]
		if p.check(len(rest)) != "" || p.general.MatchString(digits) {
			return 0, "", false
		}
		return p.significant(rest)
	}
	return p.significant(digits)
}

// significant decides the digits that follow the calling code.
func (p *plan) significant(digits string) (phone campaign.Phone, why Reason, known bool) {
	if p.trunk.matches(digits) || p.main.isDoubtful(digits) {
		return 0, "", false
	}
	if why := p.main.check(len(digits)); why != "" {
		return 0, why, true
	}
	return e164(p.code, digits)
}

// E.164 numbers have 15 digits at most, though some countries have longer ones;
// none shorter than 7 reaches a person. As in campaign.ParsePhone.
const minDigits, maxDigits = 7, 15

// e164 puts a number together.
func e164(code, digits string) (phone campaign.Phone, why Reason, known bool) {
	switch n := len(code) + len(digits); {
	case n < minDigits:
		return 0, TooShort, true
	case n > maxDigits:
		return 0, TooLong, true
	}
	for i := range len(code) {
		phone = phone*10 + campaign.Phone(code[i]-'0')
	}
	for i := range len(digits) {
		phone = phone*10 + campaign.Phone(digits[i]-'0')
	}
	return phone, "", true
}
