package xlsx

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

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

// The days that a workbook counts as 0.
var (
	epoch1900 = time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)
	epoch1904 = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)
)

const lastDay = 2958466 // 10000-01-01
