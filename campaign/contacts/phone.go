package contacts

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/nyaruka/phonenumbers"

	"campaign-runner/campaign"
)

// A PhoneParser reads phone numbers as people and their spreadsheets write them.
// Goroutines may share it.
//
// It accepts a number of a length that numbers of its country have, whether or not the
// number is in a known range: ranges change more often than this program is built, and
// a person refused for ever is worse than one request that the platform refuses. A
// number must be in a known range only where the plus is missing and the country is a
// guess, or where a zero stands that hardly any country has.
type PhoneParser struct {
	home *plan // of the region; nil: numbers need a country code
}

// NewPhoneParser reads numbers without a country code as those of a region, an ISO 3166
// alpha-2 code. Without a region it refuses them.
func NewPhoneParser(region string) (*PhoneParser, error) {
	if region == "" {
		return &PhoneParser{}, nil
	}
	upper := strings.ToUpper(region)
	if !phonenumbers.GetSupportedRegions()[upper] {
		return nil, fmt.Errorf("region %q: want an ISO 3166 code of two letters, such as SA", region)
	}
	return &PhoneParser{world().byRegion[upper]}, nil
}

// maxNumberBytes bounds a cell that can be a number: 15 digits of up to three bytes,
// with punctuation and invisible marks between them.
const maxNumberBytes = 128

// Parse reads a cell. The Reason is empty if the number can be used.
func (p *PhoneParser) Parse(cell string) (campaign.Phone, Reason) {
	r := p.readAll(cell)
	return r.phone, r.why
}

type reading struct {
	phone   campaign.Phone   // 0 if it was refused
	why     Reason           // of the refusal
	country *plan            // of the number
	doubt   Reason           // why the number may be wrong
	guessed bool             // it has no plus and was read as of another country than the region's
	several []campaign.Phone // the numbers of the cell, if there are two or more
}

// readAll reads a cell with one number, with several, or with one and an extension.
func (p *PhoneParser) readAll(cell string) reading {
	if r, ok := world().plain(cell); ok {
		return r
	}
	var r reading
	r.phone, r.guessed, r.why = p.read(cell)
	if !isOneRun(cell) {
		if r.why == "" {
			r.why = p.misread(cell, r.phone, r.guessed)
		}
		numbers, why := p.severalIn(cell, r.phone, r.guessed, r.why)
		if r.why = why; len(numbers) == 1 {
			r.phone, r.guessed = numbers[0], false
		} else {
			r.several = numbers
		}
	}
	if r.why != "" {
		r.phone = 0
		return r
	}
	var buf [20]byte
	number := strconv.AppendUint(buf[:0], uint64(r.phone), 10)
	r.country, r.doubt = world().doubt(string(number))
	if r.guessed {
		r.doubt = GuessedCode
	}
	return r
}

// isOneRun reports whether a cell is digits alone, which are at most one number.
func isOneRun(cell string) bool { return allDigits(strings.TrimPrefix(cell, "+")) }

// isLocal reports whether a number's country does not stand in its cell but is that of
// the region.
func (p *PhoneParser) isLocal(cell string, r reading) bool {
	if p.home == nil || r.guessed {
		return false
	}
	digits, plus, _ := bare(make([]byte, 0, maxNumberBytes), cell)
	switch {
	case bytes.HasPrefix(digits, []byte("00")):
		return false
	case plus:
		return bytes.HasPrefix(digits, []byte("0"))
	}
	return string(digits) != strconv.FormatUint(uint64(r.phone), 10)
}

// read reads one number. guessed: it has no plus and was read as of another country
// than the region's.
func (p *PhoneParser) read(cell string) (phone campaign.Phone, guessed bool, why Reason) {
	if phone, guessed, why = p.readNow(cell); why != "" {
		if old, ok := p.mexican(cell); ok {
			return old, false, ""
		}
	}
	return phone, guessed, why
}

// readNow is read without the numbers that the library no longer knows.
func (p *PhoneParser) readNow(cell string) (phone campaign.Phone, guessed bool, why Reason) {
	if len(cell) > maxNumberBytes {
		return 0, false, NotANumber
	}
	if cell != "" && allDigits(cell) {
		return p.parse(cell, false)
	}
	var buf [maxNumberBytes]byte
	digits, plus, why := bare(buf[:0], cell)
	if why != "" {
		return 0, false, why
	}
	return p.parse(string(digits), plus)
}

func (p *PhoneParser) parse(digits string, plus bool) (phone campaign.Phone, guessed bool, why Reason) {
	rest, idd := strings.CutPrefix(digits, "00")
	switch {
	case idd:
		// 00 stands for the plus nearly everywhere, even where the region dials another prefix.
		if phone, why = p.international(rest); why != "" && !plus && p.home != nil {
			phone, why = p.national(digits)
		}
	case plus && digits[0] != '0': // +050… is a local number with a stray plus
		phone, why = p.international(digits)
	case p.home == nil:
		return p.unmarked(digits)
	case digits[0] == '0' || len(digits) < minUnmarked:
		phone, why = p.national(digits)
	default:
		var known bool
		if phone, why, known = p.home.national(digits); !known || why != "" || !strings.HasPrefix(digits, p.home.code) {
			return p.unmarked(digits)
		} // else 966501234567 in Saudi Arabia
	}
	return phone, false, why
}

// minUnmarked is the fewest digits with which a country code counts without its plus. A
// shorter one may be a local number: 531234567 is a Saudi mobile number without its 0,
// or a number in Cuba.
const minUnmarked = 11

// unmarked decides a number that may begin with its country code but has no plus: many
// exports drop it. A number that is valid in the region belongs to the region.
func (p *PhoneParser) unmarked(digits string) (phone campaign.Phone, guessed bool, why Reason) {
	if p.home != nil {
		if n, err := phonenumbers.Parse(digits, p.home.region); err == nil && phonenumbers.IsValidNumber(n) {
			phone, why := fromLibrary(n)
			return phone, false, why
		}
	}
	if len(digits) >= minUnmarked {
		if n, err := phonenumbers.Parse("+"+digits, ""); err == nil && phonenumbers.IsValidNumber(n) {
			phone, why := fromLibrary(n)
			return phone, why == "" && (p.home == nil || p.home.code != strconv.Itoa(int(n.GetCountryCode()))), why
		}
	}
	switch {
	case p.home != nil:
		phone, why = p.national(digits)
	case len(digits) < minDigits:
		why = TooShort
	case len(digits) > maxDigits:
		why = TooLong
	default:
		why = NoCountryCode
	}
	return phone, false, why
}

func (p *PhoneParser) international(digits string) (campaign.Phone, Reason) {
	if phone, why, known := world().international(digits); known {
		return phone, why
	}
	return p.library("+" + digits)
}

func (p *PhoneParser) national(digits string) (campaign.Phone, Reason) {
	if phone, why, known := p.home.national(digits); known {
		return phone, why
	}
	phone, why := p.library(digits)
	if why != "" {
		return 0, why
	}
	// A follow-up reads it again, from E.164.
	if again, why := p.international(phone.E164()[1:]); why != "" || again != phone {
		return 0, WrongLength
	}
	return phone, ""
}

func (p *PhoneParser) library(number string) (campaign.Phone, Reason) {
	region := ""
	if p.home != nil {
		region = p.home.region
	}
	n, err := phonenumbers.Parse(number, region)
	switch {
	case err == nil && !keepsDigits(number, n):
		return 0, WrongLength
	case err == nil:
		return fromLibrary(n)
	case errors.Is(err, phonenumbers.ErrNumTooLong):
		return 0, TooLong
	case !errors.Is(err, phonenumbers.ErrInvalidCountryCode):
		return 0, TooShort
	default:
		return 0, UnknownCode
	}
}

// keepsDigits reports whether the library has left a number with its plus as it was, but
// for its trunk prefix. It also takes off what is dialled to choose a carrier, or to let
// the other side pay: +86129526438981 becomes +866438981, which is somebody else.
func keepsDigits(number string, n *phonenumbers.PhoneNumber) bool {
	code := strconv.Itoa(int(n.GetCountryCode()))
	digits, isWhole := strings.CutPrefix(number, "+"+code)
	prefix, isEnd := strings.CutSuffix(digits, phonenumbers.GetNationalSignificantNumber(n))
	if !isWhole || !isEnd || strings.Trim(prefix, "0") == "" {
		return true
	}
	of := world().of(code)
	return of != nil && prefix == of.dialled
}

// fromLibrary takes a number that the library has read, if its length is right.
func fromLibrary(n *phonenumbers.PhoneNumber) (campaign.Phone, Reason) {
	switch phonenumbers.IsPossibleNumberWithReason(n) {
	case phonenumbers.IS_POSSIBLE:
	case phonenumbers.TOO_LONG:
		return 0, TooLong
	case phonenumbers.INVALID_LENGTH:
		return 0, WrongLength
	default: // too short, or without its area code
		return 0, TooShort
	}
	code := strconv.Itoa(int(n.GetCountryCode()))
	digits := phonenumbers.GetNationalSignificantNumber(n)
	if p := world().of(code); p != nil && p.isDoubtful(digits) && !phonenumbers.IsValidNumber(n) {
		if why := p.check(len(strings.TrimPrefix(digits, p.dialled))); why != "" {
			return 0, why
		}
		return 0, WrongLength
	}
	phone, why, _ := e164(code, digits)
	return phone, why
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

var (
	schemePattern     = regexp.MustCompile(`^[A-Za-z]{1,10}:`)             // tel:, whatsapp:, or the p: of lead exports
	groupedPattern    = regexp.MustCompile(`^\d{1,3}(,\d{3}){2,}(\.0+)?$`) // 966,501,234,567.00: shown as an amount
	scientificPattern = regexp.MustCompile(`^\+?(\d)(?:[.,](\d+))?[eE]\+?(\d{1,2})$`)
)

// bare reduces a cell to the ASCII digits of its number, and whether it has a plus. It
// drops punctuation, spaces and invisible marks. Anything else, letters above all,
// makes the cell no number: the library would turn letters into digits and drop
// extensions.
func bare(digits []byte, cell string) (_ []byte, plus bool, why Reason) {
	cell = strings.TrimFunc(cell, isWrapping)
	if cell == "" {
		return nil, false, EmptyNumber
	}
	if strings.IndexByte(cell, ':') > 0 {
		cell = cell[len(schemePattern.FindString(cell)):]
	}
	if m := scientificPattern.FindStringSubmatch(cell); m != nil {
		if strconv.Itoa(len(m[2])) != strings.TrimLeft(m[3], "0") {
			return nil, false, Scientific
		}
		return append(append(digits, m[1]...), m[2]...), false, "" // no digit is missing
	}
	if groupedPattern.MatchString(cell) {
		cell = strings.ReplaceAll(cell, ",", "")
	}
	dots, afterDot, closed, bareAmount := 0, 0, false, true
	for _, r := range cell {
		switch {
		case r == '.':
			dots++
			afterDot = len(digits)
		case r == '+' || r == '＋':
			closed = len(digits) > 0 // right-to-left text often ends with its plus
			plus = true
		case isPunctuation(r):
			bareAmount = bareAmount && unicode.IsSpace(r) // 33 123 456.000
		default:
			d, ok := digit(r)
			if !ok || closed {
				return nil, false, NotANumber
			}
			digits = append(digits, d)
		}
	}
	// 966501234567.0, and 33123456.000 where money has three decimals: a spreadsheet made it
	// an amount. In 050123.000 and 800-5550.000 the dot stands between groups.
	tail := digits[afterDot:]
	bareAmount = bareAmount && afterDot >= minDigits && digits[0] != '0'
	if dots == 1 && len(tail) > 0 && strings.Trim(string(tail), "0") == "" && (len(tail) <= 2 || bareAmount) {
		digits = digits[:afterDot]
	}
	if len(digits) == 0 {
		return nil, false, NotANumber
	}
	return digits, plus, ""
}

func digit(r rune) (byte, bool) {
	for _, zero := range [...]rune{'0', '٠', '۰', '０'} { // ASCII, Arabic-Indic, Extended Arabic-Indic, full width
		if r >= zero && r <= zero+9 {
			return byte(r-zero) + '0', true
		}
	}
	return 0, false
}

// isWrapping reports whether r may stand around a number: spaces, invisible marks, and
// what tells a spreadsheet that a cell is text: '050, ="050".
func isWrapping(r rune) bool {
	return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) || strings.ContainsRune(`'’‘"=`, r)
}

func isPunctuation(r rune) bool {
	return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) || strings.ContainsRune(`-‐‑‒–—―−()[]/`, r)
}

// mexican reads a mobile number of Mexico in the form used until 2019, which WhatsApp
// still uses.
func (p *PhoneParser) mexican(cell string) (campaign.Phone, bool) {
	digits, plus := international(cell)
	if len(digits) != 13 || !strings.HasPrefix(digits, "521") || !plus && p.home != nil && p.home.region != "MX" {
		return 0, false
	}
	mobile, why := p.international("52" + digits[3:])
	if why != "" || mobile.E164() != "+52"+digits[3:] {
		return 0, false
	}
	return mobile.OtherSpelling()
}

// international returns the digits of a cell without a leading 00, and whether it has a
// plus or 00.
func international(cell string) (digits string, plus bool) {
	if len(cell) > maxNumberBytes {
		return "", false
	}
	var buf [maxNumberBytes]byte
	read, plus, why := bare(buf[:0], cell)
	if why != "" {
		return "", false
	}
	digits, zeros := strings.CutPrefix(string(read), "00")
	return digits, plus || zeros
}
