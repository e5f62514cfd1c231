package contacts

import (
	"strings"
	"unicode"

	"github.com/nyaruka/phonenumbers"

	"campaign-runner/campaign"
)

// A Finder finds one person's number in text that others wrote.
type Finder struct {
	phone  campaign.Phone
	digits []string // of both spellings, as dialled from anywhere in the country and without the country code
}

// minMention is the fewest digits by which a number is known: shorter ones are those of
// dates, amounts and ids as well.
const minMention = 7

// NewFinder finds the number of a person.
func NewFinder(phone campaign.Phone) Finder {
	f := Finder{phone: phone}
	spellings := []campaign.Phone{phone}
	if other, ok := phone.OtherSpelling(); ok {
		spellings = append(spellings, other)
	}
	for _, p := range spellings {
		digits := strings.TrimPrefix(p.E164(), "+")
		if n, err := phonenumbers.Parse(p.E164(), ""); err == nil {
			if national := phonenumbers.GetNationalSignificantNumber(n); len(national) >= minMention {
				digits = national // the international form ends with it
			}
		}
		f.digits = append(f.digits, digits)
	}
	return f
}

// In reports whether text may hold the number: in any script, with or without country code
// and trunk zero, with up to two other characters between its digits. It errs on the side
// of finding it.
func (f Finder) In(text string) bool {
	var run strings.Builder
	separators := 0
	found := func() bool {
		digits := run.String()
		run.Reset()
		separators = 0
		for _, d := range f.digits {
			if strings.Contains(digits, d) {
				return true
			}
		}
		return false
	}
	for _, r := range text {
		value := digitOf(r)
		switch {
		case value >= 0:
			run.WriteByte(byte('0' + value))
			separators = 0
		case unicode.IsLetter(r):
			if found() {
				return true
			}
		case unicode.In(r, unicode.Cf, unicode.M):
		default:
			if separators++; separators > 2 && found() {
				return true
			}
		}
	}
	return found()
}

// digitOf is the value of a decimal digit of any script; -1 of anything else. The digits of
// a script follow one another, and every block of them begins at a multiple of ten above
// its first.
func digitOf(r rune) int {
	if r < unicode.MaxASCII {
		if r >= '0' && r <= '9' {
			return int(r - '0')
		}
		return -1
	}
	if !unicode.Is(unicode.Nd, r) {
		return -1
	}
	zero := r
	for unicode.Is(unicode.Nd, zero-1) && r-zero < 50 { // the mathematical digits are five blocks in a row
		zero--
	}
	return int(r-zero) % 10
}

// Is reports whether numbers that an event or a row may mean hold the person's.
func (f Finder) Is(numbers []campaign.Phone) bool {
	for _, n := range numbers {
		if n.Person() == f.phone.Person() {
			return true
		}
	}
	return false
}
