package contacts

import (
	"regexp"
	"strconv"
	"strings"

	"campaign-runner/campaign"
)

// Cells that read as a number, which they do not mean.
var (
	// 23/11/2024 has as many digits as numbers of the Gulf.
	datePattern = regexp.MustCompile(`^(?:(?:19|20)\d\d[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](?:19|20)\d\d)$`)
	// 33123456.125 is a quantity.
	quantityPattern = regexp.MustCompile(`^\+?[1-9]\d{6,}\.\d*[1-9]\d*$`)
	// 0171 1234567 (2) is somebody's second number.
	notePattern = regexp.MustCompile(`^(.*\d)[\s\p{Zs}]*[(\[]\d{1,2}[)\]]$`)
	// 2) 0501234567 and 2. 0501234567 are the second of a list.
	placePattern = regexp.MustCompile(`^\d{1,3}(?:[)\]]|\.[\s\p{Zs}])`)
	firstGroup   = regexp.MustCompile(`^\D*(\d+)`)
)

// misread returns why a cell does not mean the number that it reads as; empty if it does.
func (p *PhoneParser) misread(cell string, phone campaign.Phone, guessed bool) Reason {
	digits, dots, marks := 0, 0, 0 // an expression takes longer than the rest of the reading
	text := strings.Map(func(r rune) rune {
		if d, ok := digit(r); ok {
			digits++
			return rune(d)
		}
		if r == '.' {
			dots++
		}
		if r == '.' || r == '-' || r == '/' {
			marks++
		}
		return r
	}, strings.TrimFunc(cell, isWrapping))
	last := text[len(text)-1]
	switch {
	case marks == 2 && digits <= maxDateDigits && datePattern.MatchString(text), dots == 1 && quantityPattern.MatchString(text):
		return NotANumber
	case last == ')' || last == ']':
		if m := notePattern.FindStringSubmatch(text); m != nil {
			if _, ok := p.isNumber(m[1]); ok {
				return HasExtension
			}
		}
	}
	if !guessed {
		return ""
	}
	// The calling code of a guess ends with a group of digits, or goes on in it.
	country := world().of(strconv.FormatUint(uint64(phone), 10))
	first := firstGroup.FindStringSubmatch(text)
	if placePattern.MatchString(text) || country != nil && len(first) > 1 && len(first[1]) < len(country.code) {
		return NotANumber
	}
	return ""
}

const maxDateDigits = 8
