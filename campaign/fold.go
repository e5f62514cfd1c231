package campaign

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Fold is a text without what people write differently: case, accents and vowel
// marks, marks that cannot be seen, letters stretched to look well, and the forms of
// Arabic letters. Its words are parted by one space; whatever is neither letter nor
// digit parts words. Header names, countries and stop words are compared by it.
func Fold(text string) string {
	var b strings.Builder
	gap := false
	for _, r := range norm.NFKD.String(strings.ToLower(text)) {
		switch {
		case unicode.Is(unicode.Mn, r), unicode.Is(unicode.Cf, r), r == 'ـ', r == '\'', r == '’': // accents, marks of direction, a drawn-out letter, don't
		case unicode.IsLetter(r) || unicode.Is(unicode.Mc, r) || unicode.IsDigit(r):
			if gap && b.Len() > 0 {
				b.WriteByte(' ')
			}
			gap = false
			if to, ok := sameLetters[r]; ok {
				r = to
			}
			b.WriteRune(r)
		default:
			gap = true
		}
	}
	return b.String()
}

// sameLetters are letters that people write for one another and that decomposing
// leaves apart.
var sameLetters = map[rune]rune{
	'ı': 'i', // its capital is that of i
	'ة': 'ه', 'ى': 'ي', 'ی': 'ي', 'ک': 'ك', 'ٱ': 'ا', 'ہ': 'ه', 'ھ': 'ه',
}
