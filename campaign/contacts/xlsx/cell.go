package xlsx

import (
	"bytes"
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
	r.kind = append(r.kind[:0], s.attr("t")...)
	begin := len(r.arena)
	if err := r.content(style); err != nil {
		return err
	}
	if len(r.arena) > maxRow {
		return fmt.Errorf("a row of more than %d bytes", maxRow)
	}
	r.row.Cells[r.column-1] = r.arena[begin:len(r.arena):len(r.arena)]
	return nil
}

// content appends to the arena what people see in the cell that was just opened.
func (r *Rows) content(style int) error {
	s := r.xml
	var formula, hasValue, inline bool
	r.value = r.value[:0]
	begin := len(r.arena)
	err := s.children(func() (err error) {
		switch {
		case s.opened("v") && !hasValue:
			hasValue = true
			r.value, err = s.value(r.value)
		case s.opened("is") && !inline:
			inline = true
			r.arena, err = s.richText(r.arena)
		case s.opened("v"), s.opened("is"):
			err = errors.New("a cell with two values")
		case s.opened("f"):
			formula = true
		}
		return err
	})
	switch isText := string(r.kind) == "inlineStr"; {
	case err != nil:
		return err
	case inline && (isText || !hasValue):
		r.arena = r.styles.text(r.arena, begin, style)
		return nil
	case inline:
		r.arena = r.arena[:begin]
	}
	if len(r.value) == 0 {
		if kind := string(r.kind); formula && (!hasValue || kind != "str" && kind != "inlineStr") {
			r.arena = append(r.arena, NoValue...)
		}
		return nil
	}
	return r.show(style)
}

// show appends the value as cells of its kind show it.
func (r *Rows) show(style int) (err error) {
	begin := len(r.arena)
	switch string(r.kind) {
	case "", "n": // a number
		r.arena = r.styles.number(r.arena, trimBlank(r.value), style)
	case "s": // a text that cells share
		n, ok := number(trimBlank(r.value))
		if !ok {
			n = -1
		}
		if r.arena, err = r.texts.get(r.arena, n); err != nil {
			return err
		}
		r.arena = r.styles.text(r.arena, begin, style)
	case "b":
		switch string(trimBlank(r.value)) {
		case "1", "true":
			r.arena = append(r.arena, "TRUE"...)
		case "0", "false":
			r.arena = append(r.arena, "FALSE"...)
		default:
			return errors.New("a cell that is neither true nor false")
		}
	case "e": // an error, such as #N/A
		r.arena = append(r.arena, r.value...)
	case "d":
		r.arena = append(r.arena, isoDate(string(r.value))...)
	default: // the text of a formula, or inline
		r.arena = unescape(append(r.arena, r.value...), begin)
		r.arena = r.styles.text(r.arena, begin, style)
	}
	return nil
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

func trimBlank(value []byte) []byte { return bytes.Trim(value, " \t\r\n") }

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
