package contacts

import (
	"strings"
	"unicode/utf8"
)

// EscapeCell makes a cell of a CSV safe for spreadsheets, which may execute what begins
// with = + - @, their full-width forms, a tab, a carriage return or a newline. It puts
// an apostrophe before these. It does the same after each comma, semicolon, pipe, tab
// and line end within the cell, behind quotes and spaces: with another separator a
// spreadsheet begins a cell there.
//
// Phone numbers keep their plus: programs compare them, and nothing in them can be
// executed. A spreadsheet may drop the plus, which PhoneParser adds again, or save the
// number in scientific notation, which PhoneParser refuses with advice. So a number
// never silently becomes another.
//
// Cells that already have apostrophes before such a character get one more, so that
// UnescapeCell returns the original.
func EscapeCell(cell string) string {
	if !mayHoldSign(cell) {
		return cell
	}
	return eachStart(cell, func(rest string) (put, skip int) {
		if isUnsafe(strings.TrimLeft(rest, "'")) {
			return 1, 0
		}
		return 0, 0
	})
}

// UnescapeCell undoes EscapeCell.
func UnescapeCell(cell string) string {
	if !strings.Contains(cell, "'") {
		return cell
	}
	return eachStart(cell, func(rest string) (put, skip int) {
		if more, ok := strings.CutPrefix(rest, "'"); ok && isUnsafe(strings.TrimLeft(more, "'")) {
			return 0, 1
		}
		return 0, 0
	})
}

// mayHoldSign reports whether a cell holds the first byte of a sign, which few do.
func mayHoldSign(cell string) bool {
	for i := range len(cell) {
		if signBytes[cell[i]] {
			return true
		}
	}
	return false
}

var signBytes = func() (first [256]bool) {
	for _, sign := range signs {
		first[string(sign)[0]] = true
	}
	return first
}()

const (
	signs      = "=+-@\t\r\n＝＋－＠"
	separators = ",;|\t\r\n"
)

// eachStart visits the places where a spreadsheet may begin a cell: the beginning, and
// behind each separator with its quotes and spaces. decide returns for the rest of the
// cell how many apostrophes to put before it and how many of its bytes to skip.
func eachStart(cell string, decide func(rest string) (put, skip int)) string {
	var b strings.Builder
	for first := true; ; first = false {
		if !first {
			quotes := len(cell) - len(strings.TrimLeft(cell, `" `))
			b.WriteString(cell[:quotes])
			cell = cell[quotes:]
		}
		put, skip := decide(cell)
		b.WriteString("'"[:put])
		cell = cell[skip:]
		end := strings.IndexAny(cell, separators) + 1
		if end == 0 {
			b.WriteString(cell)
			return b.String()
		}
		b.WriteString(cell[:end])
		cell = cell[end:]
	}
}

// isUnsafe reports whether a spreadsheet may execute text.
func isUnsafe(text string) bool {
	first, _ := utf8.DecodeRuneInString(text)
	if !strings.ContainsRune(signs, first) {
		return false
	}
	if end := strings.IndexAny(text, separators); end > 0 {
		text = text[:end]
	}
	return !looksLikePhone(text)
}

// looksLikePhone reports whether a cell is a plus, enough digits for a number, and what
// people put between them.
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
