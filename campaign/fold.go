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
		case unicode.Is(unicode.Mn, r), unicode.Is(unicode.Cf, r), r == 'ـ', r == 'ء', r == '\'', r == '’': // accents, marks of direction, a drawn-out letter, a hamza that many leave out, don't
		case unicode.IsLetter(r) || unicode.Is(unicode.Mc, r) || unicode.IsDigit(r):
			if gap && b.Len() > 0 {
				b.WriteByte(' ')
			}
			gap = false
			b.WriteRune(letter(r))
		default:
			gap = true
		}
	}
	return b.String()
}

// letter is a letter in the form that all keyboards share: Persian and Urdu ones have
// forms of their own, and in Arabic a final ى stands for ي and ه for ة in what people
// write.
func letter(r rune) rune {
	switch r {
	case 'ı':
		return 'i' // its capital is that of i
	case 'ی', 'ى', 'ے':
		return 'ي'
	case 'ک':
		return 'ك'
	case 'ة', 'ہ', 'ھ', 'ە':
		return 'ه'
	case 'ٱ':
		return 'ا'
	}
	return r
}
