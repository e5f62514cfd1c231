package campaign

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Fold removes what people write differently: case, accents, vowel marks, invisible marks,
// stretched letters, and the forms of Arabic letters. Everything that is neither letter nor
// digit separates words, and one space stands between words; digits are Latin. Names of
// columns, countries and stop words are compared by it.
func Fold(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	gap := false
	text = strings.ToLower(text)
	if !simple(text) {
		text = strings.ToLower(norm.NFKD.String(text)) // again: a styled capital becomes a plain one
	}
	for _, r := range text {
		switch {
		case !usual(r) && (unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Cf, r) || r == 'ـ' || r == 'ء' || r == '\'' || r == '’'): // accents, marks of direction, a stretched letter, a hamza that many leave out, don't
		case usual(r) || unicode.IsLetter(r) || unicode.Is(unicode.Mc, r) || unicode.IsDigit(r):
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

// usual reports what need not be looked up: most letters and digits of texts.
func usual(r rune) bool {
	return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || 'آ' <= r && r <= 'غ' || 'ف' <= r && r <= 'ي'
}

// simple reports whether a text has only signs that stand for themselves, or of which letter
// knows what they are composed of: ASCII, and what Arabic keyboards write.
func simple(text string) bool {
	for _, r := range text {
		switch {
		case r < utf8.RuneSelf, 'ء' <= r && r <= 'ٴ', '٪' <= r && r <= 'ٮ', 'ٹ' <= r && r <= 'ڿ', r == '،', r == '؛', r == '؟':
		default:
			return false
		}
	}
	return true
}

// ColumnKey is the folded name of a column, as one word.
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

// letter is a letter in one form for all keyboards: Persian and Urdu keyboards have forms of
// their own, and in Arabic people write a final ى for ي and ه for ة.
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
	case 'ٱ', 'آ', 'أ', 'إ':
		return 'ا'
	case 'ؤ':
		return 'و'
	case 'ئ':
		return 'ي'
	}
	return latinDigit(r)
}

// A Needle is a text to be found in others, however people write either: as they do, or
// folded. The zero Needle is in every text.
type Needle struct{ lower, folded string }

// NewNeedle returns the needle of a text.
func NewNeedle(text string) Needle { return Needle{strings.ToLower(text), Fold(text)} }

// In reports whether it is a part of a text.
func (n Needle) In(text string) bool {
	return strings.Contains(strings.ToLower(text), n.lower) || n.folded != "" && strings.Contains(Fold(text), n.folded)
}
