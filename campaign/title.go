package campaign

import (
	"errors"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"campaign-runner/velents/mask"
)

// maxTitle is the longest title, in characters.
const maxTitle = 100

// ParseTitle reads what people call a campaign, in any script, beside its name. It stands
// in lists, notices and reports, and outlives a purge, so what may be a phone number in it
// is hidden; a date is none. Marks of direction and others that nobody sees are dropped, as
// they would turn around what stands beside the title.
func ParseTitle(text string) (string, error) {
	if !utf8.ValidString(text) {
		return "", errors.New("want text in UTF-8")
	}
	if strings.ContainsFunc(text, unicode.IsControl) || strings.ContainsAny(text, "\u2028\u2029") {
		return "", errors.New("want one line without control characters")
	}
	text = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) && r != '\u200c' && r != '\u200d' { // those two join letters, or do not
			return -1
		}
		return r
	}, text)
	text = hideNumbers(norm.NFC.String(strings.Join(strings.Fields(text), " ")))
	if n := utf8.RuneCountInString(text); n > maxTitle {
		return "", Faulty(MsgWantShorter, "most", maxTitle, "have", n)
	}
	return text, nil
}

// figuresOfAll are digits of any script with what stands between the parts of a date.
var figuresOfAll = regexp.MustCompile(`\p{Nd}[\p{Nd}./_-]*`)

// hideNumbers hides what may be a phone number, but for dates of which every part stands
// for itself.
func hideNumbers(text string) string {
	hidden := mask.Numbers(text)
	if hidden == text {
		return text
	}
	var b strings.Builder
	from := 0
	for _, at := range figuresOfAll.FindAllStringIndex(text, -1) {
		groups := digitGroup.FindAllString(LatinDigits(text[at[0]:at[1]]), -1)
		n := dateIn(groups)
		if n == 0 || n < len(groups) || strings.HasSuffix(text[:at[0]], "+") {
			continue
		}
		b.WriteString(text[from:at[0]])
		b.WriteString(dateMark)
		from = at[1]
	}
	rest := b.String() + text[from:]
	if from == 0 || mask.Numbers(rest) != rest {
		return hidden // without its dates it still may hold one
	}
	return text
}

// dateMark stands for a date while the rest of a title is looked at: other digits before
// and after it would be one number.
const dateMark = "-"

// LatinDigits is a text with the digits of Arabic and Persian keyboards, and the signs that
// go with them, as the rest of the world writes them.
func LatinDigits(text string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '٪':
			return '%'
		case '٫':
			return '.'
		case '،':
			return ','
		case '؛':
			return ';'
		}
		return latinDigit(r)
	}, text)
}

// latinDigit is a digit of an Arabic or Persian keyboard as a Latin one. Others stay.
func latinDigit(r rune) rune {
	switch {
	case '٠' <= r && r <= '٩':
		return r - '٠' + '0'
	case '۰' <= r && r <= '۹':
		return r - '۰' + '0'
	}
	return r
}
