package contacts

import (
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/nyaruka/phonenumbers"

	"campaign-runner/campaign"
)

// A plan is what the library's metadata say about the numbers of one country: enough to
// decide the common ones without the library, which takes 20 to 30 µs each. What a plan
// cannot decide is left to the library; a test holds the two equal.
type plan struct {
	code    string                // country calling code
	region  string                // ISO 3166 alpha-2; 001 for numbers that belong to no country
	index   int                   // its place among all plans
	leading prefix                // of its numbers, where countries share the calling code
	sharing []*plan               // of the main plan: all that share the calling code, in the order of the library
	ranges  func() *ranges        // built on first use
	idd     prefix                // dialled before a foreign number
	trunk   prefix                // dialled before a number of the country: the 0 of 0501234567
	dialled string                // the trunk prefix in plain digits
	simple  bool                  // the trunk prefix is plain digits and is dropped, not rewritten
	general func() *regexp.Regexp // matches every number of the country; compiled on first use
	lengths uint32                // bit n: numbers may have n digits after the calling code
	local   uint32                // bit n: numbers of n digits work only within an area
	main    *plan                 // whose lengths hold for all that share the calling code
}

// A prefix matches the first digits of a number. The zero prefix matches none.
type prefix struct {
	literal string // a few digits in most countries
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
		general: sync.OnceValue(func() *regexp.Regexp {
			return regexp.MustCompile("^(?:" + m.GetGeneralDesc().GetNationalNumberPattern() + ")$")
		}),
	}
	p.simple = p.trunk.pattern == nil && m.GetNationalPrefixTransformRule() == ""
	p.lengths = lengthSet(m.GetGeneralDesc().GetPossibleLength())
	p.local = lengthSet(m.GetGeneralDesc().GetPossibleLengthLocalOnly())
	return p
}

// at is the plan's index. Numbers without a plan count for the first one.
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

func lengthSet(lengths []int32) (set uint32) {
	for _, n := range lengths {
		set |= bit(int(n))
	}
	return set
}

// check returns why a number with n digits after the calling code cannot be one of the
// country's.
func (p *plan) check(n int) Reason {
	switch b := bit(n); {
	case p.lengths&b != 0 && p.local&b == 0:
		return ""
	case p.local&b != 0 || p.lengths&(b-1) == 0: // none is shorter
		return TooShort
	case p.lengths>>n == 0:
		return TooLong
	default:
		return WrongLength
	}
}

// isDoubtful reports whether the digits after the calling code begin with a trunk
// prefix. 050123456 in Saudi Arabia lacks a digit, but with its 0 it has a possible
// length.
func (p *plan) isDoubtful(digits string) bool {
	return strings.HasPrefix(digits, "0") || p.dialled != "" && strings.HasPrefix(digits, p.dialled)
}

type plans struct {
	all      []*plan // by index
	byRegion map[string]*plan
	byCode   [1000]*plan // by the first three digits of an international number
}

var world = sync.OnceValue(func() *plans {
	w := &plans{byRegion: make(map[string]*plan)}
	metadata, err := phonenumbers.MetadataCollection()
	if err != nil {
		panic(err) // embedded in the library, which has read it already
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

// of returns the plan of a number by its first digits, or nil.
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

// international decides a number that begins with its calling code. known is false if
// the plan cannot decide.
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

// plain reads a plus and digits, as most lists have them. ok is false if that takes a
// closer look.
func (w *plans) plain(cell string) (r reading, ok bool) {
	if len(cell) <= minDigits || len(cell) > 1+maxDigits || cell[0] != '+' || cell[1] == '0' {
		return r, false
	}
	for _, c := range []byte(cell[1:]) {
		if c < '0' || c > '9' {
			return r, false
		}
		r.phone = r.phone*10 + campaign.Phone(c-'0')
	}
	p := w.of(cell[1:])
	if p == nil {
		return r, false
	}
	digits := cell[1+len(p.code):]
	if p.trunk.matches(digits) || p.main.isDoubtful(digits) || p.main.check(len(digits)) != "" {
		return r, false
	}
	if r.country = p; len(p.sharing) > 0 || !p.ranges().valid(digits) {
		r.country, r.doubt = w.doubt(cell[1:])
	}
	return r, true
}

func (p *plan) national(digits string) (phone campaign.Phone, why Reason, known bool) {
	if !p.simple || len(digits) < 4 || p.idd.matches(digits) {
		return 0, "", false
	}
	if rest, ok := strings.CutPrefix(digits, p.code); ok {
		// The calling code without a plus, or digits that only look like it.
		if p.trunk.matches(rest) || p.general().MatchString(digits) || !p.general().MatchString(rest) {
			return 0, "", false
		}
		return p.significant(rest)
	}
	if p.trunk.matches(digits) {
		rest := digits[len(p.trunk.literal):]
		if p.check(len(rest)) != "" || p.general().MatchString(digits) {
			return 0, "", false
		}
		return p.significant(rest)
	}
	return p.significant(digits)
}

func (p *plan) significant(digits string) (phone campaign.Phone, why Reason, known bool) {
	if p.trunk.matches(digits) || p.main.isDoubtful(digits) {
		return 0, "", false
	}
	if why := p.main.check(len(digits)); why != "" {
		return 0, why, true
	}
	return e164(p.code, digits)
}

// E.164 allows at most 15 digits, though some countries have longer numbers; no person has
// fewer than 7. As in campaign.ParsePhone.
const minDigits, maxDigits = 7, 15

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
