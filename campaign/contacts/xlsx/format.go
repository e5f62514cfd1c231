package xlsx

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A format is how numbers, and sometimes texts, are shown: what ECMA-376 calls a
// number format code.
//
// Two things differ from what is on the screen. Dates come out in one spelling,
// 2026-01-31, with the parts that are shown: what Excel shows depends on the
// country of who looks, and 03/04 is two days. And a whole number as long as a
// phone number keeps all its digits where the format would hide some or only puts
// commas between them: 9.67E+11 is nobody's number.
type format struct {
	sections []section // of numbers
	text     *section  // nil: texts are shown as they are
}

// A section holds for some of the numbers.
type section struct {
	parts     []part
	compare   string // "<", "<=", …; empty: by sign
	limit     float64
	whole     int // placeholders before the point, after it and of the exponent
	decimals  int
	power     int
	least     int // digits that are shown at least, before the point
	percents  int
	thousands int // times that the number is divided by a thousand
	grouped   bool
	general   bool
	plain     bool // it says nothing but how many digits, in which form
	fraction  int  // most digits of the denominator; 0: no fraction
	fixed     int  // the denominator, if it is given
	isText    bool

	isDate, year, month, day, clock, elapsed bool
}

// A part is a piece of a section.
type part struct {
	kind partKind
	text string
}

type partKind uint8

const (
	partLiteral partKind = iota
	partDigit            // text is the placeholder: 0, # or ?
	partPoint
	partPower // text is E+ or E-
	partSlash
	partNumber  // the number as General shows it, or the text
	partTime    // text is h, m or s, as often as it stands there
	partElapsed // the same, counting on beyond a day
)

// general shows numbers with all their digits.
var general = &format{sections: []section{{general: true, plain: true, parts: []part{{kind: partNumber}}}}}

func parseFormat(code string) *format {
	if code == "" || strings.EqualFold(code, "General") || code == "@" {
		return general
	}
	f := new(format)
	for _, text := range splitSections(code) {
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

// splitSections cuts a code at semicolons that are not quoted.
func splitSections(code string) (sections []string) {
	begin := 0
	for i := 0; i < len(code); i++ {
		switch code[i] {
		case '"':
			i += 1 + strings.IndexByte(code[i+1:]+`"`, '"')
		case '[':
			i += 1 + strings.IndexByte(code[i+1:]+`]`, ']')
		case '\\', '_', '*':
			i++
		case ';':
			sections = append(sections, code[begin:i])
			begin = i + 1
		}
	}
	return append(sections, code[begin:])
}

func parseSection(code string) section {
	p := sectionParser{s: section{plain: true}}
	for p.rest = code; p.rest != ""; {
		p.next()
	}
	p.commas()
	s := &p.s
	if s.isDate && s.whole > 0 && !s.elapsed { // letters that should have been quoted
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
	pending int  // commas after a digit
	point   bool // behind it
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

// commas after the last digit divide by a thousand each.
func (p *sectionParser) commas() { p.s.thousands, p.pending = p.s.thousands+p.pending, 0 }

// take takes the first n bytes.
func (p *sectionParser) take(n int) string {
	n = min(n, len(p.rest))
	text := p.rest[:n]
	p.rest = p.rest[n:]
	return text
}

// run takes the first byte as often as it stands there, in any case.
func (p *sectionParser) run() string {
	n := 1
	for n < len(p.rest) && p.rest[n]|0x20 == p.rest[0]|0x20 {
		n++
	}
	return strings.ToLower(p.take(n))
}

func (p *sectionParser) next() {
	s := &p.s
	_, size := utf8.DecodeRuneInString(p.rest)
	digits := s.whole+s.decimals > 0
	switch c := p.rest[0]; {
	case c == '"':
		p.take(1)
		text, rest, _ := strings.Cut(p.rest, `"`)
		p.rest = rest
		if text != "" {
			p.literal(text)
		}
	case c == '\\':
		p.take(1)
		_, size := utf8.DecodeRuneInString(p.rest)
		p.literal(p.take(size))
	case c == '_', c == '*': // as wide as a character, or full of it
		p.take(1)
		_, size := utf8.DecodeRuneInString(p.rest)
		p.take(size)
		if c == '_' {
			p.literal(" ")
		}
	case c == '[':
		p.take(1)
		text, rest, _ := strings.Cut(p.rest, "]")
		p.rest = rest
		p.bracket(text)
	case c == '0', c == '#', c == '?':
		if p.pending > 0 && !p.point {
			s.grouped, p.pending = true, 0
		}
		switch {
		case s.power > 0 || s.hasPower():
			s.power++
		case s.fraction > 0:
			s.fraction++
		case p.point:
			s.decimals++
		default:
			s.whole++
			if c == '0' {
				s.least++
			}
		}
		p.add(partDigit, p.take(1))
	case c == '.' && !p.point && !s.clock:
		p.commas()
		p.point = true
		p.take(1)
		p.add(partPoint, "")
	case c == '.' && s.clock: // parts of a second
		p.take(1)
		p.rest = strings.TrimLeft(p.rest, "0")
	case c == ',' && digits:
		p.take(1)
		p.pending++
	case c == '%':
		s.percents++
		p.commas()
		p.add(partLiteral, p.take(1))
	case (c == 'E' || c == 'e') && digits && !s.hasPower() && len(p.rest) > 2 && (p.rest[1] == '+' || p.rest[1] == '-') && strings.IndexByte("0#?", p.rest[2]) >= 0:
		p.commas()
		p.add(partPower, p.take(2))
	case c == '/' && digits && s.fraction == 0 && len(p.rest) > 1 && strings.IndexByte("0#?123456789", p.rest[1]) >= 0:
		p.fraction()
	case c == '@':
		p.take(1)
		s.isText = true
		p.add(partNumber, "")
	case len(p.rest) >= 7 && strings.EqualFold(p.rest[:7], "general"):
		p.take(7)
		s.general = true
		p.add(partNumber, "")
	case len(p.rest) >= 5 && strings.EqualFold(p.rest[:5], "am/pm"):
		p.take(5)
		s.isDate, s.clock = true, true
	case len(p.rest) >= 3 && strings.EqualFold(p.rest[:3], "a/p"):
		p.take(3)
		s.isDate, s.clock = true, true
	case strings.IndexByte("ymdhsYMDHS", c) >= 0:
		p.time(p.run())
	default:
		p.literal(p.take(size))
	}
}

func (s *section) hasPower() bool {
	return slices.ContainsFunc(s.parts, func(p part) bool { return p.kind == partPower })
}

// bracket takes a colour, a condition, a currency or a count of time.
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

// fraction takes the slash of a fraction and a denominator that is given.
func (p *sectionParser) fraction() {
	s := &p.s
	p.take(1)
	n := 0
	for n < len(p.rest) && p.rest[n] >= '0' && p.rest[n] <= '9' {
		n++
	}
	fixed, err := strconv.Atoi(p.rest[:n])
	if err == nil && fixed > 0 && fixed < 10_000 {
		s.fixed = fixed
		p.take(n)
	}
	n = 0
	for n < len(p.rest) && strings.IndexByte("0#?", p.rest[n]) >= 0 {
		n++
	}
	p.take(n)
	s.fraction = max(min(n, 4), 1)
	p.add(partSlash, "")
}

// time takes letters of a date or a time.
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

// number appends a number as it is shown; nothing, if nothing is.
func (f *format) number(to []byte, v float64, date1904 bool) []byte {
	begin := len(to)
	s, bare := f.section(v)
	if bare {
		v = math.Abs(v)
	}
	switch {
	case s.isDate:
		return s.date(to, v, date1904)
	case len(s.parts) == 0:
		return to
	case s.general || s.isText:
		if v < 0 && len(s.parts) > 1 {
			to, v = append(to, '-'), -v
		}
		return s.withText(to, string(appendGeneral(nil, v)))
	case s.whole+s.decimals == 0: // only words
		return s.withText(to, "")
	case s.keepsDigits(v):
		return s.digits(to, v)
	case v < 0:
		to, v = append(to, '-'), -v
	}
	switch {
	case s.fraction > 0:
		to = s.asFraction(to, v)
	case s.power > 0:
		to = s.asPower(to, v)
	default:
		v = v * math.Pow(100, float64(s.percents)) / math.Pow(1000, float64(s.thousands))
		to = s.fill(to, rounded(v, s.decimals), "")
	}
	shown := bytes.Trim(to[begin:], " ")
	if isMinusZero(shown) {
		shown = shown[1:]
	}
	return append(to[:begin], shown...)
}

func isMinusZero(text []byte) bool {
	return len(text) > 1 && text[0] == '-' && !bytes.ContainsAny(text, "123456789") && bytes.IndexByte(text, '0') >= 0
}

// section is the one that holds for a number; bare if it shows no sign by itself.
func (f *format) section(v float64) (s *section, bare bool) {
	all := f.sections
	if len(all) > 1 && (all[0].compare != "" || all[1].compare != "") {
		for i := range all {
			if all[i].holds(v, i == len(all)-1) {
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

func (s *section) holds(v float64, last bool) bool {
	switch s.compare {
	case "<":
		return v < s.limit
	case "<=":
		return v <= s.limit
	case ">":
		return v > s.limit
	case ">=":
		return v >= s.limit
	case "=":
		return v == s.limit
	case "<>":
		return v != s.limit
	}
	return last || v >= 0
}

// Numbers that may be those of phones: whole, with digits enough.
const (
	leastPhone = 1e6
	likePhone  = 1e8 // amounts hardly ever are
	pastPhone  = 1e15
)

// keepsDigits reports whether a number comes out with all its digits, though the
// section would hide some or only group them.
func (s *section) keepsDigits(v float64) bool {
	size := math.Abs(v)
	if !s.plain || v != math.Trunc(v) || size < leastPhone || size >= pastPhone {
		return false
	}
	return s.power > 0 || s.thousands > 0 || size >= likePhone
}

// digits appends a whole number, with the zeros that the section puts before it.
func (s *section) digits(to []byte, v float64) []byte {
	if v < 0 {
		to, v = append(to, '-'), -v
	}
	text := strconv.FormatFloat(v, 'f', 0, 64)
	for range s.least - len(text) {
		to = append(to, '0')
	}
	return append(to, text...)
}

// withText appends the section with a text in its place; the text alone where the
// section repeats it until no cell could hold it.
func (s *section) withText(to []byte, text string) []byte {
	begin := len(to)
	for _, p := range s.parts {
		if len(to)-begin > maxCell {
			return append(to[:begin], text...)
		}
		if p.kind == partNumber {
			to = append(to, text...)
		} else {
			to = append(to, p.text...)
		}
	}
	if s.isText {
		return to
	}
	return append(to[:begin], bytes.Trim(to[begin:], " ")...)
}

// decimal is a number of at most 15 digits that matter, as Excel has them: digits
// before and after the point.
type decimal struct{ whole, rest string }

// rounded is v with so many digits after the point, half away from zero.
func rounded(v float64, places int) decimal {
	d := exact(v)
	if len(d.rest) > places {
		up := d.rest[places] >= '5'
		all := []byte(d.whole + d.rest[:places])
		for i := len(all) - 1; up; i-- {
			if i < 0 {
				all = append([]byte{'1'}, all...)
				break
			}
			if up = all[i] == '9'; up {
				all[i] = '0'
			} else {
				all[i]++
			}
		}
		cut := len(all) - places
		d = decimal{string(all[:cut]), string(all[cut:])}
	}
	d.whole = strings.TrimLeft(d.whole, "0")
	return d
}

// exact is v to 15 digits.
func exact(v float64) decimal {
	text := strconv.FormatFloat(math.Abs(v), 'e', 14, 64)
	mantissa, power, _ := strings.Cut(text, "e")
	exponent, _ := strconv.Atoi(power)
	digits := strings.TrimRight(mantissa[:1]+mantissa[2:], "0")
	point := exponent + 1 // digits before the point
	switch {
	case digits == "":
		return decimal{}
	case point <= 0:
		return decimal{"", strings.Repeat("0", -point) + digits}
	case point >= len(digits):
		return decimal{digits + strings.Repeat("0", point-len(digits)), ""}
	}
	return decimal{digits[:point], digits[point:]}
}

// appendGeneral appends a number with all its digits, not as a narrow column
// shows it.
func appendGeneral(to []byte, v float64) []byte {
	if size := math.Abs(v); size >= 1e21 || size < 1e-9 && v != 0 {
		text := strconv.FormatFloat(v, 'E', 14, 64)
		mantissa, power, _ := strings.Cut(text, "E")
		if strings.Contains(mantissa, ".") {
			mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
		}
		return append(to, mantissa+"E"+power...)
	}
	d := exact(v)
	if v < 0 {
		to = append(to, '-')
	}
	if d.whole == "" {
		d.whole = "0"
	}
	to = append(to, d.whole...)
	if d.rest != "" {
		to = append(append(to, '.'), d.rest...)
	}
	return to
}

// fill puts digits into the placeholders. power is the exponent as text.
func (s *section) fill(to []byte, d decimal, power string) []byte {
	digits := d.whole
	whole, decimals := 0, 0 // placeholders so far
	point, behindPower := false, false
	left := func() int { return s.whole - whole } // places to the left of the next placeholder's right
	emit := func(digit byte, place int) {
		to = append(to, digit)
		if s.grouped && place > 0 && place%3 == 0 {
			to = append(to, ',')
		}
	}
	if s.whole == 0 && digits != "" { // .00 of 1.5
		to = append(to, digits...)
	}
	for _, p := range s.parts {
		switch p.kind {
		case partLiteral:
			to = append(to, p.text...)
		case partPoint:
			point = true
			to = append(to, '.')
		case partPower:
			behindPower = true
			to = append(to, p.text[:1]...)
			if strings.HasPrefix(power, "-") || p.text[1] == '+' {
				to = append(to, power[0])
			}
			to = append(to, power[1:]...)
		case partDigit:
			switch {
			case behindPower:
			case point:
				at := decimals
				decimals++
				switch {
				case at < len(d.rest) && (p.text == "0" || strings.Trim(d.rest[at:], "0") != ""):
					to = append(to, d.rest[at])
				case p.text == "0":
					to = append(to, '0')
				case p.text == "?":
					to = append(to, ' ')
				}
			default:
				place := left() - 1
				if whole == 0 { // the first takes what is too much for the others
					for len(digits) > s.whole {
						emit(digits[0], len(digits)-1)
						digits = digits[1:]
					}
				}
				whole++
				switch {
				case place < len(digits):
					emit(digits[len(digits)-1-place], place)
				case p.text == "0":
					emit('0', place)
				case p.text == "?":
					to = append(to, ' ')
				}
			}
		}
	}
	return to
}

// asPower appends a number in scientific notation.
func (s *section) asPower(to []byte, v float64) []byte {
	exponent := 0
	if v != 0 {
		exponent = int(math.Floor(math.Log10(v)))
		step := max(s.whole, 1)
		if step > 1 { // ##0.0E+0 counts in thousands
			exponent = int(math.Floor(float64(exponent)/float64(step))) * step
		}
	}
	d := rounded(v/math.Pow(10, float64(exponent)), s.decimals)
	if len(d.whole) > max(s.whole, 1) {
		exponent += max(s.whole, 1)
		d = rounded(v/math.Pow(10, float64(exponent)), s.decimals)
	}
	sign := "+"
	if exponent < 0 {
		sign, exponent = "-", -exponent
	}
	digits := strconv.Itoa(exponent)
	return s.fill(to, d, sign+strings.Repeat("0", max(s.power-len(digits), 0))+digits)
}

// asFraction appends a number as a fraction.
func (s *section) asFraction(to []byte, v float64) []byte {
	mixed := 0 // runs of placeholders before the slash
	for i, p := range s.parts {
		if p.kind == partDigit && (i == 0 || s.parts[i-1].kind != partDigit) {
			mixed++
		}
	}
	whole, rest := math.Trunc(v), v-math.Trunc(v)
	if mixed < 2 {
		whole, rest = 0, v
	}
	above, below := nearest(rest, s.fixed, int(math.Pow10(s.fraction))-1)
	if mixed > 1 && above == below {
		whole, above = whole+1, 0
	}
	for _, p := range s.parts { // words before it
		if p.kind != partLiteral {
			break
		}
		to = append(to, p.text...)
	}
	switch {
	case mixed > 1 && above == 0:
		return strconv.AppendFloat(to, whole, 'f', 0, 64)
	case mixed > 1 && whole > 0:
		to = append(strconv.AppendFloat(to, whole, 'f', 0, 64), ' ')
	}
	return strconv.AppendInt(append(strconv.AppendInt(to, int64(above), 10), '/'), int64(below), 10)
}

// nearest is the fraction nearest to v.
func nearest(v float64, fixed, most int) (above, below int) {
	if v > 1e9 {
		return int(min(v, 1e15)), 1
	}
	if fixed > 0 {
		return int(math.Round(v * float64(fixed))), fixed
	}
	best := math.Inf(1)
	for n := 1; n <= most; n++ {
		k := math.Round(v * float64(n))
		if miss := math.Abs(v - k/float64(n)); miss < best-1e-12 {
			best, above, below = miss, int(k), n
		}
	}
	return above, below
}

// The days that count as 0, and the most that Excel has.
var (
	epoch1900 = time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)
	epoch1904 = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)
)

const lastDay = 2958466 // 10000-01-01

// date appends a day, a time or a duration. What cannot be one is a number.
func (s *section) date(to []byte, v float64, date1904 bool) []byte {
	if s.elapsed && math.Abs(v) < lastDay {
		return s.duration(to, v)
	}
	if v < 0 || v >= lastDay {
		return appendGeneral(to, v)
	}
	dated := s.year || s.month || s.day
	epoch := epoch1900
	switch {
	case date1904:
		epoch = epoch1904
	case dated && v >= 60 && v < 61: // a day that never was: Lotus took 1900 for a leap year
		return append(to, "1900-02-29"...)
	case v < 60:
		epoch = epoch.AddDate(0, 0, 1)
	}
	seconds := math.Round(v * 86400)
	days := math.Floor(seconds / 86400)
	at := epoch.AddDate(0, 0, int(days)).Add(time.Duration(seconds-days*86400) * time.Second)
	layout := ""
	switch {
	case s.year && s.month && !s.day && !s.clock:
		layout = "2006-01"
	case s.year && !s.month && !s.day && !s.clock:
		layout = "2006"
	case dated && s.clock:
		layout = "2006-01-02 15:04:05"
	case dated:
		layout = "2006-01-02"
	default:
		layout = "15:04:05"
	}
	return at.AppendFormat(to, layout)
}

// duration appends hours, minutes and seconds that may be more than a day's.
func (s *section) duration(to []byte, v float64) []byte {
	if v < 0 {
		to, v = append(to, '-'), -v
	}
	seconds := int64(math.Round(v * 86400))
	hours := slices.ContainsFunc(s.parts, func(p part) bool { return p.kind == partElapsed && p.text[0] == 'h' })
	minutes := slices.ContainsFunc(s.parts, func(p part) bool { return p.kind == partElapsed && p.text[0] == 'm' })
	for _, p := range s.parts {
		n := int64(-1)
		switch {
		case p.kind == partElapsed && p.text[0] == 'h', p.kind == partTime && p.text[0] == 'h':
			n = seconds / 3600
		case p.kind == partElapsed && p.text[0] == 'm':
			n = seconds / 60
		case p.kind == partElapsed:
			n = seconds
		case p.kind == partTime && p.text[0] == 'm' && hours:
			n = seconds / 60 % 60
		case p.kind == partTime && p.text[0] == 's' && (hours || minutes):
			n = seconds % 60
		case p.kind == partLiteral:
			to = append(to, p.text...)
		}
		if n >= 0 {
			digits := strconv.FormatInt(n, 10)
			if len(digits) < len(p.text) {
				to = append(to, strings.Repeat("0", len(p.text)-len(digits))...)
			}
			to = append(to, digits...)
		}
	}
	return bytes.TrimRight(to, " ")
}
