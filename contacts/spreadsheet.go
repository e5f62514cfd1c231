package contacts

import (
	"strings"
	"unicode/utf8"
)

// EscapeCell makes a cell safe for a spreadsheet that opens the CSV, by an
// apostrophe in front:
//
//   - cells that begin with = + - @, their full-width forms, tab, carriage
//     return or newline, which a spreadsheet may execute;
//   - digits that it would rewrite: 0501234567 would lose its 0, and
//     966501234567 would become 9.66501E+11 and lose its digits when saved.
//
// Cells that already are apostrophes before any of these get one more, so that
// UnescapeCell gives back exactly what was there. PhoneParser reads numbers with
// the apostrophe and without.
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

// maxShownDigits is how many digits a spreadsheet shows before it turns to
// scientific notation.
const maxShownDigits = 11

func isUnsafe(cell string) bool {
	if first, _ := utf8.DecodeRuneInString(cell); strings.ContainsRune("=+-@\t\r\n＝＋－＠", first) {
		return true
	}
	return len(cell) > 1 && allDigits(cell) && (cell[0] == '0' || len(cell) > maxShownDigits)
}
