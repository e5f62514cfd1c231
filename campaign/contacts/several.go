package contacts

import (
	"bytes"
	"math/bits"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"campaign-runner/campaign"
)

var (
	// betweenNumbers separates numbers, or at most the groups of a number.
	betweenNumbers = regexp.MustCompile(`:::|[/;,|،؛\\\n\r\t&]+|[\s\p{Z}](?i:or|and|ou|und|oder|o|y|أو|او|و)[\s\p{Z}]|[\s\p{Z}](?:أو|او|و)[\s\p{Z}]*`)
	// betweenGroups separates the groups of a number, and sometimes numbers.
	betweenGroups = regexp.MustCompile(`[\s\p{Z}\p{Cf}\-‐‑‒–—―−().\[\]]+`)
	// lastDigits stand for a second number with another ending: 0501234567/8.
	lastDigits       = regexp.MustCompile(`^(.*\p{Nd}{5})[\s\p{Z}]*[/\\][\s\p{Z}]*(\p{Nd}{1,3})[\s\p{Z}]*$`)
	extensionPattern = regexp.MustCompile(`(?i)^(.*\d\)?)[\s\p{Z}]*[,;(]?[\s\p{Z}]*(?:;?ext(?:ension|n)?[\s.:=#]*|x[\s.:]*|#+|int\.?|تحويل[ةه]?|داخلي|فرعي|доб\.?)[\s\p{Z}.:#]*\p{Nd}{1,7}\)?[\s\p{Z}]*$`)
)

const (
	maxCellNumbers = 20  // more are not numbers of one person
	maxCellBytes   = 400 // longer cells are not searched for numbers
	maxCellGroups  = 10  // groups of digits that may be several numbers
	minGroupDigits = 3   // digits of a number: none shorter reaches a person
)

// severalIn decides a cell that may hold several numbers, or an extension. one, guessed
// and why are what came of reading it as one number.
//
// Two numbers can look like one where numbers are short: 1234567 7654321 has a length
// that foreign numbers have. So a cell that is cut at a separator, or between two
// groups, is two numbers if each part is a number by itself. But a cell that as a whole
// is a number of the region, or has its plus, is two numbers only if both parts are in
// known ranges; and if the whole is, too, and no separator stands between them, they
// must be written alike.
func (p *PhoneParser) severalIn(cell string, one campaign.Phone, guessed bool, why Reason) ([]campaign.Phone, Reason) {
	if pair := p.endingsIn(cell, one, why); pair != nil {
		return pair, TwoNumbers
	}
	switch {
	case why == EmptyNumber, why == Scientific, len(cell) > maxCellBytes, why == "" && p.isTooShortForTwo(cell):
		return nil, why
	case why != "":
		if m := extensionPattern.FindStringSubmatch(cell); m != nil {
			if _, _, no := p.read(m[1]); no == "" {
				return nil, HasExtension
			}
		}
	}
	numbers, parts := p.numbersIn(cell)
	if len(numbers) < 2 {
		return nil, why
	}
	if why == "" && !guessed {
		for _, number := range numbers {
			if !isKnown(number) {
				return nil, ""
			}
		}
		if isKnown(one) && !betweenNumbers.MatchString(strings.TrimSpace(cell)) && !alike(parts) {
			return nil, ""
		}
	}
	if !slices.ContainsFunc(numbers, func(n campaign.Phone) bool { return n != numbers[0] }) {
		return numbers[:1], "" // written twice
	}
	return numbers, TwoNumbers
}

// endingsIn returns a number and a second one written as its last digits. It is nil if
// the cell is something else, or is a number as a whole.
func (p *PhoneParser) endingsIn(cell string, one campaign.Phone, why Reason) []campaign.Phone {
	if len(cell) > maxCellBytes || why == "" && isKnown(one) || !strings.ContainsAny(cell, `/\`) {
		return nil
	}
	m := lastDigits.FindStringSubmatch(cell)
	if m == nil {
		return nil
	}
	first, ok := p.isNumber(m[1])
	if !ok || !isKnown(first) {
		return nil
	}
	scale, end := campaign.Phone(1), campaign.Phone(0)
	for _, r := range m[2] {
		d, _ := digit(r)
		scale, end = scale*10, end*10+campaign.Phone(d-'0')
	}
	return []campaign.Phone{first, first/scale*scale + end}
}

func (p *PhoneParser) isTooShortForTwo(cell string) bool {
	digits, pluses, zeros := 0, 0, 0
	for _, r := range cell {
		if d, ok := digit(r); ok {
			if digits++; d == '0' && zeros == digits-1 {
				zeros++
			}
		} else if r == '+' || r == '＋' {
			pluses++
		}
	}
	const marked, idd = minDigits, minDigits + 2 // with a plus, and with 00
	local := marked
	if p.home != nil {
		local = bits.TrailingZeros32(p.home.lengths | p.home.main.lengths)
	}
	first, second := local, min(local, idd)
	switch {
	case pluses > 0:
		first = min(first, marked)
	case zeros > 1:
		first = min(first, idd)
	}
	if pluses > 1 {
		second = min(second, marked)
	}
	return digits < first+second
}

// numbersIn splits a cell into numbers, if it holds nothing else.
func (p *PhoneParser) numbersIn(cell string) (numbers []campaign.Phone, parts []string) {
	for _, part := range betweenNumbers.Split(cell, maxCellNumbers+1) {
		if !slices.ContainsFunc([]rune(part), isMeant) {
			continue
		}
		if phone, ok := p.isNumber(part); ok {
			numbers, parts = append(numbers, phone), append(parts, part)
			continue
		}
		within, written := p.groupsIn(part)
		if within == nil {
			return p.groupsIn(cell)
		}
		numbers, parts = append(numbers, within...), append(parts, written...)
	}
	if len(parts) == 1 {
		return p.groupsIn(cell)
	}
	return numbers, parts
}

// isMeant reports whether a character is not a space, a mark or punctuation.
func isMeant(r rune) bool { return !isPunctuation(r) && !isWrapping(r) && r != '.' }

// groupsIn splits a text into numbers between groups of digits, each as short as
// possible.
func (p *PhoneParser) groupsIn(text string) (numbers []campaign.Phone, parts []string) {
	cuts := []int{0}
	for _, at := range betweenGroups.FindAllStringIndex(text, -1) {
		if at[0] > 0 && at[1] < len(text) {
			cuts = append(cuts, at[1])
		}
	}
	for i, r := range text { // +966501234567+966559876543
		if (r == '+' || r == '＋') && i > 0 && !slices.Contains(cuts, i) {
			cuts = append(cuts, i)
		}
	}
	if len(cuts) < 2 || len(cuts) > maxCellGroups {
		return nil, nil
	}
	slices.Sort(cuts)
	cuts = append(cuts, len(text))
	dead := make([]bool, len(cuts)) // the rest from there is not numbers
	var from func(i int) bool
	from = func(i int) bool {
		if i == len(cuts)-1 {
			return true
		}
		if dead[i] {
			return false
		}
		for k := i + 1; k < len(cuts); k++ {
			if i == 0 && k == len(cuts)-1 {
				break // the whole is at most one number
			}
			if phone, ok := p.isNumber(text[cuts[i]:cuts[k]]); ok {
				numbers, parts = append(numbers, phone), append(parts, text[cuts[i]:cuts[k]])
				if from(k) {
					return true
				}
				numbers, parts = numbers[:len(numbers)-1], parts[:len(parts)-1]
			}
		}
		dead[i] = true
		return false
	}
	if !from(0) {
		return nil, nil
	}
	return numbers, parts
}

func (p *PhoneParser) isNumber(part string) (campaign.Phone, bool) {
	digits := 0
	for _, r := range part {
		if _, ok := digit(r); ok {
			digits++
		} else if unicode.IsLetter(r) {
			return 0, false
		}
	}
	if digits < minGroupDigits || digits > maxNumberDigits {
		return 0, false
	}
	phone, _, why := p.read(part)
	return phone, why == ""
}

// maxNumberDigits is the most digits a number is written with: its own, and 00 or a
// carrier code before them.
const maxNumberDigits = maxDigits + 4

// alike reports whether parts are written in the same way: with a plus, with 00, with a
// 0, or with equally many digits.
func alike(parts []string) bool {
	type style struct {
		mark   string
		digits int
	}
	styleOf := func(part string) style {
		digits, plus, _ := bare(nil, part)
		switch {
		case plus:
			return style{mark: "+"}
		case bytes.HasPrefix(digits, []byte("00")):
			return style{mark: "00"}
		case bytes.HasPrefix(digits, []byte("0")):
			return style{mark: "0"}
		}
		return style{digits: len(digits)}
	}
	first := styleOf(parts[0])
	return !slices.ContainsFunc(parts, func(part string) bool { return styleOf(part) != first })
}
