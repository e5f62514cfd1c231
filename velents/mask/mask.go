// Package mask takes phone numbers out of text that others wrote: answers of the
// platform, events, and what people type. Such text passes through it once, where it
// comes in, before it is stored as a reason, logged, shown or posted.
package mask

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	minDigits     = 7 // the fewest that are taken for a phone number
	maxSeparators = 3 // that may stand between two digits of one number
)

// Numbers returns text with "…" in place of everything that may be a phone number:
// seven or more digits, of any script, with no letter and at most three other characters
// between each and the next, as in 050 - 123 - 4567. Invisible characters do not count.
//
// It errs on the side of hiding: full dates (2026-11-29), IP addresses and counts from a
// million on are hidden too. So text of our own, which has those, does not pass through it.
func Numbers(text string) string {
	var masked strings.Builder
	copied := 0 // bytes of text that masked stands for
	var start, end, digits, separators int
	endNumber := func() {
		if digits >= minDigits {
			masked.WriteString(text[copied:start])
			masked.WriteString("…")
			copied = end
		}
		digits, separators = 0, 0
	}
	for at, r := range text {
		switch {
		case unicode.IsNumber(r): // circled and raised digits included
			if digits == 0 {
				start = len(strings.TrimRight(text[:at], "+＋"))
			}
			digits, separators = digits+1, 0
			end = at + utf8.RuneLen(r)
		case unicode.IsLetter(r):
			endNumber()
		case unicode.In(r, unicode.Cf, unicode.M): // marks of direction, zero-width characters, accents
		default:
			if separators++; separators > maxSeparators {
				endNumber()
			}
		}
	}
	endNumber()
	return masked.String() + text[copied:]
}
