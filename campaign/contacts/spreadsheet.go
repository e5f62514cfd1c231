package contacts

import (
	"strings"
	"unicode/utf8"
)

// EscapeCell makes a cell safe for a spreadsheet that opens the CSV: what begins
// with = + - @, their full-width forms, tab, carriage return or newline, which a
// spreadsheet may execute, gets an apostrophe in front. So does what begins so after
// a comma, semicolon, pipe, tab or line end within the cell, and whatever quotes and
// spaces follow that: a spreadsheet that is told another separator begins a cell there.
//
// Phone numbers stay as they are, plus and all: programs compare them, and
// nothing in them can be executed. A spreadsheet may drop their plus, which
// PhoneParser puts back, or save them in scientific notation, which it refuses
// with advice, so a number is never quietly another one afterwards.
//
// Cells that already are apostrophes before any of these get one more, so that
// UnescapeCell gives back exactly what was there.
func EscapeCell(cell string) string {
	if !strings.ContainsAny(cell, signs) {
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

const (
	signs      = "=+-@\t\r\n＝＋－＠"
	separators = ",;|\t\r\n"
)

// eachStart goes through the places where a spreadsheet may begin a cell: the
// beginning, and after each separator. There, behind quotes and spaces, decide says
// of the rest of the cell how many apostrophes are put before it and how many of its
// bytes are left out.
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

// isUnsafe reports whether a spreadsheet may execute what begins so.
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
