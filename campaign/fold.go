package campaign

import (
	"slices"
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

// ColumnKey is the name of a column without what people write differently, as one word.
func ColumnKey(name string) string { return strings.ReplaceAll(Fold(name), " ", "") }

// FindColumn is the place of the column with that name: as it is written, or else in
// another case, or else with the same ColumnKey. -1: there is none.
func FindColumn(columns []string, name string) int {
	if at := slices.Index(columns, name); at >= 0 {
		return at
	}
	if at := slices.IndexFunc(columns, func(column string) bool { return sameName(column, name) }); at >= 0 {
		return at
	}
	key := ColumnKey(name)
	return slices.IndexFunc(columns, func(column string) bool { return key != "" && ColumnKey(column) == key })
}

// ColumnNames are the columns of the campaign's list.
func (s Settings) ColumnNames() []string {
	names := make([]string, len(s.Columns))
	for i, c := range s.Columns {
		names[i] = c.Name
	}
	return names
}

// sameName compares what people write in another case, or with spaces around it.
func sameName(a, b string) bool { return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b)) }

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
