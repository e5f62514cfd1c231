package xlsx

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// number appends a number as the format shows it, which may be nothing.
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
	case s.whole+s.decimals == 0: // only literal text
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

// Whole numbers of this size may be phone numbers.
const (
	leastPhone = 1e6
	likePhone  = 1e8 // amounts are hardly ever as large
	pastPhone  = 1e15
)

// keepsDigits reports whether a number is shown with all its digits although the
// section would hide or group some.
func (s *section) keepsDigits(v float64) bool {
	size := math.Abs(v)
	if !s.plain || v != math.Trunc(v) || size < leastPhone || size >= pastPhone {
		return false
	}
	return s.power > 0 || s.thousands > 0 || size >= likePhone
}

// digits appends a whole number with the leading zeros that the section adds.
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

// withText appends the section with a text in it, or the text alone if the result would
// be too long for a cell.
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

// fill puts digits into the placeholders. power is the exponent as text.
func (s *section) fill(to []byte, d decimal, power string) []byte {
	whole, decimals := 0, 0 // placeholders so far
	point, behindPower := false, false
	if s.whole == 0 { // .00 of 1.5
		to = append(to, d.whole...)
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
			to = append(to, p.text[0])
			if power[0] == '-' || p.text[1] == '+' {
				to = append(to, power[0])
			}
			to = append(to, power[1:]...)
		case partDigit:
			switch {
			case behindPower:
			case point:
				to = appendDecimal(to, p.text, d.rest[min(decimals, len(d.rest)):])
				decimals++
			default:
				to = s.appendWhole(to, p.text, d.whole, whole)
				whole++
			}
		}
	}
	return to
}

// appendDecimal fills a placeholder after the point with the first of the digits left.
func appendDecimal(to []byte, placeholder, left string) []byte {
	switch {
	case left != "" && (placeholder == "0" || strings.Trim(left, "0") != ""):
		return append(to, left[0])
	case placeholder == "0":
		return append(to, '0')
	case placeholder == "?":
		return append(to, ' ')
	}
	return to
}

// appendWhole fills the placeholder before the point that has n before it.
func (s *section) appendWhole(to []byte, placeholder, digits string, n int) []byte {
	emit := func(digit byte, place int) { // place counts from the ones
		to = append(to, digit)
		if s.grouped && place > 0 && place%3 == 0 {
			to = append(to, ',')
		}
	}
	if n == 0 { // the first takes the digits that have no placeholder
		for len(digits) > s.whole {
			emit(digits[0], len(digits)-1)
			digits = digits[1:]
		}
	}
	switch place := s.whole - n - 1; {
	case place < len(digits):
		emit(digits[len(digits)-1-place], place)
	case placeholder == "0":
		emit('0', place)
	case placeholder == "?":
		to = append(to, ' ')
	}
	return to
}

func (s *section) asPower(to []byte, v float64) []byte {
	exponent := 0
	if v != 0 {
		exponent = int(math.Floor(math.Log10(v)))
		step := max(s.whole, 1)
		if step > 1 { // ##0.0E+0 has exponents 0, 3, 6 …
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
	for _, p := range s.parts { // literal text before it
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

// nearest returns the fraction nearest to v, with the fixed denominator or one of at
// most most.
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

// A decimal is a number of at most 15 significant digits, as in Excel: the digits
// before and after the point.
type decimal struct{ whole, rest string }

// rounded returns v with the given number of decimal places, half away from zero.
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

// exact returns v to 15 digits.
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

// appendGeneral appends a number with all its digits, whatever the width of its column.
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

// date appends a day, a time or a duration. A number out of range stays a number.
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
	case dated && v >= 60 && v < 61: // Lotus took 1900 for a leap year
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

// duration appends hours, minutes and seconds, which may exceed a day.
func (s *section) duration(to []byte, v float64) []byte {
	if v < 0 {
		to, v = append(to, '-'), -v
	}
	seconds := int64(math.Round(v * 86400))
	counts := func(unit byte) bool {
		return slices.ContainsFunc(s.parts, func(p part) bool { return p.kind == partElapsed && p.text[0] == unit })
	}
	hours, minutes := counts('h'), counts('m')
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
			to = fmt.Appendf(to, "%0*d", len(p.text), n)
		}
	}
	return bytes.TrimRight(to, " ")
}

// The days that a workbook counts as 0.
var (
	epoch1900 = time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)
	epoch1904 = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)
)

const lastDay = 2958466 // 10000-01-01
