package xlsx

import (
	"bytes"
	"fmt"
	"strconv"
)

// Bounds of the styles. Excel allows 65,490 styles and codes of 255 characters.
const (
	maxStyles = 1 << 20
	maxCodes  = 1 << 14
	maxCode   = 1024
	maxMade   = 256 // parsed number formats that are kept
)

type styles struct {
	date1904 bool
	cells    []uint32       // number format, by style
	codes    map[int]string // the workbook's own codes, by number format
	made     map[int]*format
}

func (b *Book) readStyles() (*styles, error) {
	st := &styles{date1904: b.date1904, codes: make(map[int]string), made: make(map[int]*format)}
	if b.styles == "" {
		return st, nil
	}
	err := b.read(b.styles, "styleSheet", func(s *scanner) error {
		switch {
		case s.opened("numFmts"):
			return s.children(func() error {
				id, err := strconv.Atoi(string(s.attr("numFmtId")))
				if err != nil || !s.opened("numFmt") {
					return nil
				}
				code := s.attr("formatCode")
				if len(code) > maxCode || len(st.codes) == maxCodes {
					return fmt.Errorf("more than %d number formats, or one of more than %d bytes", maxCodes, maxCode)
				}
				st.codes[id] = string(code)
				return nil
			})
		case s.opened("cellXfs"):
			return s.children(func() error {
				if !s.opened("xf") {
					return nil
				}
				id, _ := number(s.attr("numFmtId"))
				if len(st.cells) == maxStyles || id > 1<<30 {
					return fmt.Errorf("more than %d styles, or one beyond all measure", maxStyles)
				}
				st.cells = append(st.cells, uint32(id))
				return nil
			})
		}
		return nil
	})
	return st, err
}

func (st *styles) format(style int) *format {
	if style >= len(st.cells) {
		return general
	}
	id := int(st.cells[style])
	f := st.made[id]
	if f == nil {
		code, own := st.codes[id]
		if !own {
			code = builtIn(id)
		}
		if f = parseFormat(code); len(st.made) == maxMade {
			clear(st.made)
		}
		st.made[id] = f
	}
	return f
}

func (st *styles) number(to, raw []byte, style int) []byte {
	f := st.format(style)
	if f == general && isWhole(raw) {
		return append(to, raw...)
	}
	v, ok := parseNumber(raw)
	if !ok {
		return append(to, raw...)
	}
	begin := len(to)
	if to = f.number(to, v, st.date1904); len(to) > begin {
		return to
	}
	return appendGeneral(to, v) // the format hides a number that is there
}

// text shows the text to[begin:] as its format does.
func (st *styles) text(to []byte, begin, style int) []byte {
	if style == 0 {
		return to
	}
	f := st.format(style)
	if f.text == nil || len(to) == begin {
		return to
	}
	text := string(to[begin:])
	return f.text.withText(to[:begin], text)
}

func isWhole(raw []byte) bool {
	if len(raw) > 0 && (raw[0] == '+' || raw[0] == '-') {
		raw = raw[1:]
	}
	for _, b := range raw {
		if b < '0' || b > '9' {
			return false
		}
	}
	return len(raw) > 0
}

func parseNumber(raw []byte) (float64, bool) {
	if len(raw) == 0 || len(raw) > 400 || len(bytes.Trim(raw, "0123456789+-.eE")) > 0 {
		return 0, false
	}
	v, err := strconv.ParseFloat(string(raw), 64)
	return v, err == nil
}

// builtIn returns the code of a number format that workbooks do not spell out. Date
// formats differ by country; only the parts that they show matter.
func builtIn(id int) string {
	switch {
	case id == 27, id >= 30 && id <= 31, id == 28, id == 29, id == 36, id >= 50 && id <= 54, id == 57, id == 58:
		return "yyyy-mm-dd"
	case id >= 32 && id <= 35, id == 55, id == 56:
		return "h:mm:ss"
	case id >= 0 && id < len(builtIns):
		return builtIns[id]
	}
	return ""
}

var builtIns = [...]string{
	1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00",
	5: `"$"#,##0_);("$"#,##0)`, 6: `"$"#,##0_);("$"#,##0)`, 7: `"$"#,##0.00_);("$"#,##0.00)`, 8: `"$"#,##0.00_);("$"#,##0.00)`,
	9: "0%", 10: "0.00%", 11: "0.00E+00", 12: "# ?/?", 13: "# ??/??",
	14: "m/d/yyyy", 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm AM/PM", 19: "h:mm:ss AM/PM", 20: "h:mm", 21: "h:mm:ss", 22: "m/d/yyyy h:mm",
	37: "#,##0_);(#,##0)", 38: "#,##0_);(#,##0)", 39: "#,##0.00_);(#,##0.00)", 40: "#,##0.00_);(#,##0.00)",
	41: "#,##0_);(#,##0)", 42: `"$"#,##0_);("$"#,##0)`, 43: "#,##0.00_);(#,##0.00)", 44: `"$"#,##0.00_);("$"#,##0.00)`,
	45: "mm:ss", 46: "[h]:mm:ss", 47: "mm:ss", 48: "##0.0E+0", 49: "@",
}
