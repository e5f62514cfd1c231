package xlsx

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A format shows numbers, and sometimes texts. ECMA-376 calls its source a number
// format code.
//
// Two things differ from the screen. Dates have one spelling, 2026-01-31, with the
// parts that the format shows: Excel spells them by the country of the viewer, and
// 03/04 is two days. And a whole number as long as a phone number keeps all its digits
// where the format would hide some or put commas between them: nobody can call
// 9.67E+11.
type format struct {
	sections []section // of numbers
	text     *section  // nil: texts stay as they are
}

// A section is the part of a format that applies to some of the numbers.
type section struct {
	parts     []part
	compare   string // "<", "<=", …; empty: the sign of the number decides
	limit     float64
	whole     int // placeholders before the point, after it and of the exponent
	decimals  int
	power     int
	least     int // fewest digits before the point
	percents  int
	thousands int // how often the number is divided by a thousand
	grouped   bool
	general   bool
	plain     bool // it only says how digits are shown
	fraction  int  // most digits of the denominator; 0: not a fraction
	fixed     int  // the denominator, if the format gives one
	isText    bool

	isDate, year, month, day, clock, elapsed bool
}

type part struct {
	kind partKind
	text string
}

type partKind uint8

const (
	partLiteral partKind = iota
	partDigit            // text is 0, # or ?
	partPoint
	partPower // text is E+ or E-
	partSlash
	partNumber  // the number as General shows it, or the text
	partTime    // text is h, m or s, repeated as in the format
	partElapsed // the same, not limited to a day
)

// general shows numbers with all their digits.
var general = &format{sections: []section{{general: true, plain: true, parts: []part{{kind: partNumber}}}}}

func parseFormat(code string) *format {
	if code == "" || strings.EqualFold(code, "General") || code == "@" {
		return general
	}
	f := new(format)
	for _, text := range sectionPattern.FindAllString(code, -1) {
		s := parseSection(text)
		if s.isText && (len(s.parts) > 1 || len(f.sections) > 0) {
			f.text = &s
		}
		if len(f.sections) < 3 && (!s.isText || len(f.sections) == 0) {
			f.sections = append(f.sections, s)
		}
	}
	if f.text != nil && len(f.text.parts) == 1 {
		f.text = nil
	}
	return f
}

// sectionPattern matches a section, up to a semicolon that is not quoted, tokenPattern
// what has a meaning of its own in it, and denominator what stands behind the slash of a
// fraction: a number, or its placeholders.
var (
	sectionPattern = regexp.MustCompile(`(?s)(?:"[^"]*"?|\[[^\]]*\]?|[\\_*].?|[^;])*`)
	tokenPattern   = regexp.MustCompile(`(?s)^(?:"[^"]*"?|\[[^\]]*\]?|[\\_*].?|(?i:general|am/pm|a/p)|[eE][+-]|[yY]+|[mM]+|[dD]+|[hH]+|[sS]+|.)`)
	denominator    = regexp.MustCompile(`^(0*[1-9][0-9]{0,3})?([0#?]*)`)
)

func parseSection(code string) section {
	p := sectionParser{s: section{plain: true}}
	for p.rest = code; p.rest != ""; {
		p.next()
	}
	p.commas()
	s := &p.s
	if s.isDate && s.whole > 0 && !s.elapsed { // its letters should have been quoted
		s.isDate = false
		for i := range s.parts {
			if s.parts[i].kind == partTime {
				s.parts[i].kind = partLiteral
			}
		}
	}
	s.plain = s.plain && !s.isDate
	return p.s
}

type sectionParser struct {
	s       section
	rest    string
	pending int  // commas since the last digit
	point   bool // the point was seen
	last    byte // the last letter of a time
}

func (p *sectionParser) add(kind partKind, text string) {
	p.s.parts = append(p.s.parts, part{kind, text})
}

func (p *sectionParser) literal(text string) {
	p.commas()
	p.add(partLiteral, text)
	if strings.Trim(text, " ()-") != "" {
		p.s.plain = false
	}
}

// commas handles commas after the last digit: each divides by a thousand.
func (p *sectionParser) commas() { p.s.thousands, p.pending = p.s.thousands+p.pending, 0 }

func (p *sectionParser) next() {
	s := &p.s
	digits := s.whole+s.decimals > 0
	token := tokenPattern.FindString(p.rest)
	p.rest = p.rest[len(token):]
	word := strings.ToLower(token)
	switch c := word[0]; {
	case c == '"':
		if text := strings.Trim(token, `"`); text != "" {
			p.literal(text)
		}
	case c == '\\':
		p.literal(token[1:])
	case c == '_': // a space as wide as the next character
		p.literal(" ")
	case c == '*': // the next character fills the cell
	case c == '[':
		p.bracket(strings.TrimSuffix(token[1:], "]"))
	case c == '0', c == '#', c == '?':
		p.digit(token)
	case c == '.' && s.clock: // parts of a second
		p.rest = strings.TrimLeft(p.rest, "0")
	case c == '.' && !p.point:
		p.commas()
		p.point = true
		p.add(partPoint, "")
	case c == ',' && digits:
		p.pending++
	case c == '%':
		s.percents++
		p.commas()
		p.add(partLiteral, token)
	case c == 'e' && len(token) == 2 && digits && !s.hasPower() && p.rest != "" && strings.Contains("0#?", p.rest[:1]):
		p.commas()
		p.add(partPower, token)
	case c == '/' && digits && s.fraction == 0 && denominator.FindString(p.rest) != "":
		p.fraction()
	case c == '@':
		s.isText = true
		p.add(partNumber, "")
	case word == "general":
		s.general = true
		p.add(partNumber, "")
	case word == "am/pm" || word == "a/p":
		s.isDate, s.clock = true, true
	case strings.Contains("ymdhs", word[:1]):
		p.time(word)
	default:
		p.literal(token)
	}
}

func (p *sectionParser) digit(placeholder string) {
	s := &p.s
	if p.pending > 0 && !p.point {
		s.grouped, p.pending = true, 0
	}
	switch {
	case s.hasPower():
		s.power++
	case s.fraction > 0:
		s.fraction++
	case p.point:
		s.decimals++
	default:
		s.whole++
		if placeholder == "0" {
			s.least++
		}
	}
	p.add(partDigit, placeholder)
}

func (s *section) hasPower() bool {
	return slices.ContainsFunc(s.parts, func(p part) bool { return p.kind == partPower })
}

// bracket reads what stands in brackets: a colour, a comparison, a currency or a count
// of hours, minutes or seconds.
func (p *sectionParser) bracket(text string) {
	s := &p.s
	switch {
	case text == "":
	case text[0] == '$':
		currency, _, _ := strings.Cut(text[1:], "-")
		if currency != "" {
			p.literal(currency)
		}
	case text[0] == '<' || text[0] == '>' || text[0] == '=':
		sign := text[:len(text)-len(strings.TrimLeft(text, "<>="))]
		if limit, err := strconv.ParseFloat(text[len(sign):], 64); err == nil {
			s.compare, s.limit = sign, limit
		}
	case strings.Trim(strings.ToLower(text), string(text[0]|0x20)) == "" && strings.ContainsRune("hms", rune(text[0]|0x20)):
		s.isDate, s.clock, s.elapsed = true, true, true
		p.last = text[0] | 0x20
		p.add(partElapsed, strings.ToLower(text))
	}
}

// fraction takes the denominator of a fraction.
func (p *sectionParser) fraction() {
	m := denominator.FindStringSubmatch(p.rest)
	p.rest = p.rest[len(m[0]):]
	p.s.fixed, _ = strconv.Atoi(m[1]) // empty: 0
	p.s.fraction = max(min(len(m[2]), 4), 1)
	p.add(partSlash, "")
}

func (p *sectionParser) time(text string) {
	s := &p.s
	s.isDate = true
	minutes := p.last == 'h' || strings.HasPrefix(strings.ToLower(strings.TrimLeft(p.rest, ":. ")), "s")
	p.last = text[0]
	switch {
	case text[0] == 'y':
		s.year = true
	case text[0] == 'd':
		s.day = true
	case text[0] == 'm' && !minutes:
		s.month = true
	default:
		s.clock = true
	}
	p.add(partTime, text)
}

// section returns the section for a number. bare: the section shows no sign by itself.
func (f *format) section(v float64) (s *section, bare bool) {
	all := f.sections
	if len(all) > 1 && (all[0].compare != "" || all[1].compare != "") {
		for i := range all {
			if all[i].appliesTo(v, i == len(all)-1) {
				return &all[i], false
			}
		}
		return &all[len(all)-1], false
	}
	switch {
	case len(all) == 1, v > 0, v == 0 && len(all) == 2:
		return &all[0], false
	case v < 0:
		return &all[1], true
	}
	return &all[2], true
}

func (s *section) appliesTo(v float64, last bool) bool {
	if s.compare == "" {
		return last || v >= 0
	}
	sign := "="
	switch {
	case v < s.limit:
		sign = "<"
	case v > s.limit:
		sign = ">"
	}
	return strings.Contains(s.compare, sign)
}
