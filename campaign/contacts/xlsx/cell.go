package xlsx

import (
	"errors"
	"fmt"
	"strings"
)

func (r *Rows) cell() error {
	s := r.xml
	switch {
	case s.opened("row"):
		return errMisplaced
	case !s.opened("c"):
		return r.pass(len(s.open))
	}
	r.column++
	if ref := s.attr("r"); ref != nil {
		column, row, ok := reference(ref)
		if !ok || row != r.row.Number {
			return fmt.Errorf("a cell named %.20q", ref)
		}
		r.column = column
	}
	if r.column > maxColumns {
		return fmt.Errorf("more than %d columns", maxColumns)
	}
	for len(r.row.Cells) < r.column {
		r.row.Cells = append(r.row.Cells, nil)
	}
	if r.row.Cells[r.column-1] != nil {
		return fmt.Errorf("the cell in column %d twice", r.column)
	}
	style, _ := number(s.attr("s"))
	kind := kindOf(s.attr("t"))
	begin := len(r.arena)
	if err := r.content(kind, style); err != nil {
		return err
	}
	if len(r.arena) > maxRow {
		return fmt.Errorf("a row of more than %d bytes", maxRow)
	}
	r.row.Cells[r.column-1] = r.arena[begin:len(r.arena):len(r.arena)]
	return nil
}

// content appends to the arena what people see in the cell that was just opened.
func (r *Rows) content(kind cellKind, style int) error {
	s := r.xml
	var formula, hasValue, inline bool
	r.value = r.value[:0]
	begin := len(r.arena)
	for depth := len(s.open); ; {
		token, err := s.next()
		if err != nil {
			return err
		}
		if token == tokenClose && len(s.open) < depth {
			break
		}
		if token != tokenOpen {
			continue
		}
		switch {
		case s.opened("v") && !hasValue:
			hasValue = true
			r.value, err = s.value(r.value)
		case s.opened("is") && !inline:
			inline = true
			r.arena, err = s.richText(r.arena)
		case s.opened("v"), s.opened("is"):
			return errors.New("a cell with two values")
		case s.opened("f"):
			formula = true
			fallthrough
		default:
			err = s.skip()
		}
		if err != nil {
			return err
		}
	}
	switch {
	case inline && (kind == kindInline || !hasValue):
		r.arena = r.styles.text(r.arena, begin, style)
		return nil
	case inline:
		r.arena = r.arena[:begin]
	}
	if len(r.value) == 0 {
		if formula && (!hasValue || kind != kindText && kind != kindInline) {
			r.arena = append(r.arena, NoValue...)
		}
		return nil
	}
	return r.show(kind, style)
}

func (r *Rows) show(kind cellKind, style int) (err error) {
	begin := len(r.arena)
	switch kind {
	case kindShared:
		n, ok := number(trimBlank(r.value))
		if !ok {
			n = -1
		}
		if r.arena, err = r.texts.get(r.arena, n); err != nil {
			return err
		}
		r.arena = r.styles.text(r.arena, begin, style)
	case kindText, kindInline, kindUnknown:
		r.arena = unescape(append(r.arena, r.value...), begin)
		r.arena = r.styles.text(r.arena, begin, style)
	case kindBool:
		switch string(trimBlank(r.value)) {
		case "1", "true":
			r.arena = append(r.arena, "TRUE"...)
		case "0", "false":
			r.arena = append(r.arena, "FALSE"...)
		default:
			return errors.New("a cell that is neither true nor false")
		}
	case kindError:
		r.arena = append(r.arena, r.value...)
	case kindDate:
		r.arena = append(r.arena, isoDate(string(r.value))...)
	default:
		r.arena = r.styles.number(r.arena, trimBlank(r.value), style)
	}
	return nil
}

type cellKind uint8

const (
	kindNumber cellKind = iota
	kindShared
	kindText // a formula's result
	kindInline
	kindBool
	kindError
	kindDate
	kindUnknown
)

func kindOf(text []byte) cellKind {
	switch string(text) {
	case "", "n":
		return kindNumber
	case "s":
		return kindShared
	case "str":
		return kindText
	case "inlineStr":
		return kindInline
	case "b":
		return kindBool
	case "e":
		return kindError
	case "d":
		return kindDate
	}
	return kindUnknown
}

// NoValue is the text of a cell whose formula has no stored value, because the program
// that wrote the file did not calculate it. Texts cannot hold this character.
const NoValue = "\ufdd0"

// isoDate shortens a date that is stored as text: no midnight, no fraction of a second.
func isoDate(text string) string {
	day, clock, ok := strings.Cut(strings.TrimSuffix(text, "Z"), "T")
	clock, fraction, _ := strings.Cut(clock, ".")
	if strings.Trim(fraction, "0123456789") != "" {
		return text
	}
	if !ok || clock == "00:00:00" {
		return day
	}
	return day + " " + clock
}

func trimBlank(value []byte) []byte {
	for len(value) > 0 && isBlank(value[0]) {
		value = value[1:]
	}
	for len(value) > 0 && isBlank(value[len(value)-1]) {
		value = value[:len(value)-1]
	}
	return value
}

// reference reads a cell's name, such as B7.
func reference(ref []byte) (column, row int, ok bool) {
	i := 0
	for ; i < len(ref); i++ {
		b := ref[i] &^ 0x20
		if b < 'A' || b > 'Z' {
			break
		}
		if column = column*26 + int(b-'A') + 1; column > maxColumns {
			return 0, 0, false
		}
	}
	row, ok = number(ref[i:])
	return column, row, ok && i > 0
}
