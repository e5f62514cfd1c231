package contacts

import (
	"strings"
	"unicode/utf8"
)

// EscapeCell makes a cell safe for a spreadsheet that opens the CSV: one that
// begins with = + - @, their full-width forms, tab, carriage return or newline,
// which a spreadsheet may execute, gets an apostrophe in front.
//
// Phone numbers stay as they are, plus and all: programs compare them, and
// nothing in them can be executed. A spreadsheet may drop their plus, which
// PhoneParser puts back, or save them in scientific notation, which it refuses
// with advice, so a number is never quietly another one afterwards.
//
// Cells that already are apostrophes before any of these get one more, so that
// UnescapeCell gives back exactly what was there.
func EscapeCell(cell string) string {
	if isUnsafe(strings.TrimLeft(cell, "'")) {
		return "'" + cell
	}
	return cell
}

// UnescapeCell undoes EscapeCell.
func UnescapeCell(cell string) string {
	if rest, ok := strings.CutPrefix(cell, "'"); ok && isUnsafe(strings.TrimLeft(rest, "'")) {
		return rest
	}
	return cell
}

func isUnsafe(cell string) bool {
	first, _ := utf8.DecodeRuneInString(cell)
	return strings.ContainsRune("=+-@\t\r\n＝＋－＠", first) && !looksLikePhone(cell)
}

// looksLikePhone reports whether a cell is a plus, digits enough for a number,
// and what people put between them.
func looksLikePhone(cell string) bool {
	number, ok := strings.CutPrefix(cell, "+")
	digits := 0
	for _, c := range number {
		if c >= '0' && c <= '9' {
			digits++
		} else if !strings.ContainsRune(" ().-", c) || digits == 0 {
			return false
		}
	}
	return ok && digits >= 7
}
