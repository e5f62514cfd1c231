package contacts

import (
	"encoding/binary"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/nyaruka/phonenumbers"

	"campaign-runner/campaign"
)

// ranges are the known numbers of a country: the library's patterns of all kinds of
// numbers in one automaton over digits. The library takes 20 to 30 µs to match a
// number with them, the automaton a step for each digit; a test holds the two equal.
type ranges struct {
	next  [][10]uint32
	match []uint32 // by state: bit k: the digits so far match kinds[k]
	sure  []uint32 // by state: bit n: every number of n digits that begins so is valid
	kinds []uint32 // by kind: bit n: its numbers may have n digits. The first is all numbers of the country.
}

// none is the state out of which no number comes.
const none = 0

// valid reports whether the library calls the number valid, given the digits after
// the calling code.
func (r *ranges) valid(digits string) bool {
	state, n := uint32(1), bit(len(digits))
	for i := range len(digits) {
		if state = r.next[state][digits[i]-'0']; r.sure[state]&n != 0 {
			return true // the first digits mostly decide
		}
		if state == none {
			return false
		}
	}
	return false
}

// mobile reports whether the number is one of mobile phones.
func (r *ranges) mobile(digits string) bool { return r.isOf(digits, 1, 2) }

// isOf reports whether a number is of one of the kinds from first to before last.
func (r *ranges) isOf(digits string, first, last int) bool {
	state := uint32(1)
	for i := range len(digits) {
		if state = r.next[state][digits[i]-'0']; state == none {
			return false
		}
	}
	return r.ends(state, len(digits), first, last)
}

// ends reports whether a number of n digits may end in a state, as one of some kinds.
func (r *ranges) ends(state uint32, n, first, last int) bool {
	if r.match[state]&1 == 0 || r.kinds[0]&bit(n) == 0 {
		return false
	}
	for k := first; k < last; k++ {
		if r.match[state]&(1<<k) != 0 && r.kinds[k]&bit(n) != 0 {
			return true
		}
	}
	return false
}

// newRanges makes the automaton of a country, state by state: a state is the set of
// the places in the patterns that so many digits may have led to.
func newRanges(m *phonenumbers.PhoneMetadata) *ranges {
	r := new(ranges)
	var progs []*syntax.Prog
	for _, desc := range []*phonenumbers.PhoneNumberDesc{
		m.GetGeneralDesc(), m.GetMobile(), m.GetFixedLine(), m.GetPremiumRate(), m.GetTollFree(), m.GetSharedCost(),
		m.GetVoip(), m.GetPersonalNumber(), m.GetPager(), m.GetUan(), m.GetVoicemail(),
	} {
		pattern := desc.GetNationalNumberPattern()
		if pattern == "" && len(progs) > 1 {
			continue
		}
		parsed, err := syntax.Parse("(?:"+pattern+")", syntax.Perl)
		if err != nil {
			panic(err) // embedded in the library, which compiles it too
		}
		prog, err := syntax.Compile(parsed.Simplify())
		if err != nil {
			panic(err)
		}
		lengths := ^uint32(0)
		if possible := desc.GetPossibleLength(); len(possible) > 0 {
			lengths = 0
			for _, n := range possible {
				lengths |= bit(int(n))
			}
		}
		progs, r.kinds = append(progs, prog), append(r.kinds, lengths)
	}

	known := map[string]uint32{}
	var places [][]uint32 // by state
	var depths []int      // by state: digits
	state := func(set []uint32, depth int) uint32 {
		slices.Sort(set)
		set = slices.Compact(set)
		if len(set) == 0 || depth > maxNational {
			set, depth = nil, 0
		}
		key := []byte{byte(depth)}
		for _, place := range set {
			key = binary.LittleEndian.AppendUint32(key, place)
		}
		if s, ok := known[string(key)]; ok {
			return s
		}
		s := uint32(len(places))
		known[string(key)] = s
		var match uint32
		for _, place := range set {
			if k, pc := place>>kindShift, place&(1<<kindShift-1); progs[k].Inst[pc].Op == syntax.InstMatch {
				match |= 1 << k
			}
		}
		places, depths, r.match, r.next = append(places, set), append(depths, depth), append(r.match, match), append(r.next, [10]uint32{})
		return s
	}
	state(nil, 0) // none
	var start []uint32
	for k, prog := range progs {
		start = reach(start, prog, uint32(k), uint32(prog.Start))
	}
	state(start, 0)
	for s := 1; s < len(places); s++ {
		for digit := range 10 {
			var set []uint32
			for _, place := range places[s] {
				k, pc := place>>kindShift, place&(1<<kindShift-1)
				if inst := &progs[k].Inst[pc]; inst.Op != syntax.InstMatch && inst.MatchRune(rune('0'+digit)) {
					set = reach(set, progs[k], k, inst.Out)
				}
			}
			to := state(set, depths[s]+1)
			r.next[s][digit] = to
		}
	}
	r.sure = make([]uint32, len(places))
	for s := len(places) - 1; s > 0; s-- { // those that follow come behind
		r.sure[s] = ^uint32(0)
		for _, to := range r.next[s] {
			r.sure[s] &= r.sure[to]
		}
		if r.sure[s] &^= bit(depths[s]); r.ends(uint32(s), depths[s], 1, len(r.kinds)) {
			r.sure[s] |= bit(depths[s])
		}
	}
	return r
}

// maxNational is the most digits after a calling code in the library.
const maxNational = 17

// kindShift parts the kind and the instruction in a place.
const kindShift = 24

// reach adds the places of a pattern at which a digit is read next, from an
// instruction on.
func reach(set []uint32, prog *syntax.Prog, kind, pc uint32) []uint32 {
	switch inst := &prog.Inst[pc]; inst.Op {
	case syntax.InstAlt, syntax.InstAltMatch:
		return reach(reach(set, prog, kind, inst.Out), prog, kind, inst.Arg)
	case syntax.InstCapture, syntax.InstNop:
		return reach(set, prog, kind, inst.Out)
	case syntax.InstFail, syntax.InstEmptyWidth: // a test holds that there is none of the latter
		return set
	default:
		return append(set, kind<<kindShift|pc)
	}
}

// at finds the country of a number in E.164 without its plus, among those that share
// its calling code, and whether the number is in a range that is known there. Nil: no
// country has its calling code.
func (w *plans) at(number string) (p *plan, known bool) {
	main := w.of(number)
	if main == nil {
		return nil, false
	}
	digits := number[len(main.code):]
	if len(main.sharing) == 0 {
		return main, main.ranges().valid(digits)
	}
	shared := strings.Clone(digits) // what is matched with a pattern is kept on the heap; other numbers are not
	for _, p := range main.sharing {
		if p.leading.isSet() {
			if p.leading.matches(shared) {
				return p, p.ranges().valid(shared)
			}
		} else if p.ranges().valid(shared) {
			return p, true
		}
	}
	return main, false
}

// doubt tells why a number in E.164 without its plus may be wrong though it has a
// length that numbers of its country have; empty if it is in a known range. p is its
// country.
func (w *plans) doubt(number string) (p *plan, why doubt) {
	p, known := w.at(number)
	if known || p == nil {
		return p, noDoubt
	}
	if phone, err := campaign.ParsePhone("+" + number); err == nil {
		if other, ok := phone.OtherSpelling(); ok && isKnown(other) {
			return p, noDoubt // as it was written once
		}
	}
	if len(number) > len(p.code)+1 {
		if _, known := w.at(number[:len(number)-1]); known {
			return p, digitTooMany
		}
	}
	if len(number) < maxDigits {
		longer := []byte(number + "0")
		for ; longer[len(number)] <= '9'; longer[len(number)]++ {
			if _, known := w.at(string(longer)); known {
				return p, digitTooFew
			}
		}
	}
	return p, unknownRange
}
