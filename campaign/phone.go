package campaign

import (
	"fmt"
	"log/slog"
	"strconv"
)

// A Phone is a telephone number: its E.164 digits as a number, without the
// plus. +966501234567 is Phone(966501234567). Zero is no number, and empty as text: an
// erased contact has none.
//
// Printing a Phone masks it, with every fmt verb, in slog and in JSON, so that a number
// cannot reach a log or an error by accident. Only E164 gives it in full. Keep Phones in
// exported fields: fmt does not call the methods of unexported ones.
type Phone uint64

// The shortest and longest number accepted, in digits without the plus. E.164
// allows 15 at most (ITU-T E.164, 6.1); nothing shorter than 7 reaches a person.
const (
	minPhoneDigits = 7
	maxPhoneDigits = 15
)

// ParsePhone reads a number written in strict E.164: a plus, then 7 to 15
// digits, the first not zero. It knows nothing of regions or punctuation.
func ParsePhone(e164 string) (Phone, error) {
	if len(e164) < 1+minPhoneDigits || len(e164) > 1+maxPhoneDigits || e164[0] != '+' || e164[1] == '0' {
		return 0, fmt.Errorf("phone: want + and %d to %d digits", minPhoneDigits, maxPhoneDigits)
	}
	var p Phone
	for _, c := range []byte(e164[1:]) {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("phone: want + and %d to %d digits", minPhoneDigits, maxPhoneDigits)
		}
		p = p*10 + Phone(c-'0')
	}
	return p, nil
}

// E164 is the number in full, as the platform wants it: "+966501234567".
func (p Phone) E164() string {
	if p == 0 {
		return ""
	}
	var buf [21]byte // the plus and 64 bits
	buf[0] = '+'
	return string(strconv.AppendUint(buf[:1], uint64(p), 10))
}

// String is the number masked to its last four digits: "+…4567".
func (p Phone) String() string {
	if p == 0 {
		return ""
	}
	return fmt.Sprintf("+…%04d", uint64(p)%10_000)
}

// Format masks the number under every verb, %d and %#v included.
func (p Phone) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(p.String())) }

// LogValue masks the number in structured logs.
func (p Phone) LogValue() slog.Value { return slog.StringValue(p.String()) }

// MarshalText masks the number in JSON, as slog writes whole structs.
func (p Phone) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Powers of ten by the digits of the part of a number that they cut off.
const (
	subscriber8 = 100_000_000
	national9   = 10 * subscriber8
	national10  = 10 * national9
	national11  = 10 * national10
)

// Person is the one number that stands for its owner. Four countries write a mobile number
// in two ways, and networks and WhatsApp use both: Mexico +52 and +521, Argentina +54 and
// +549, Brazil without and with the ninth digit, Benin without and with the 01 that all its
// numbers got. Any other number is returned unchanged.
//
// Sources: ITU E.164 notices of Mexico (2019), Argentina and Benin (2024); Anatel resolution
// 553.
func (p Phone) Person() Phone {
	switch {
	case p/national11 == 52 && p/national10%10 == 1: // +521 and ten digits
		return 52*national10 + p%national10
	case p/national11 == 54 && p/national10%10 == 9: // +549 and ten digits
		return 54*national10 + p%national10
	case p/national10 == 55 && p/(subscriber8/10)%10 >= 6: // +55, area, a mobile number of eight digits
		area, subscriber := p/subscriber8%100, p%subscriber8
		return 55*national11 + area*national9 + 9*subscriber8 + subscriber
	case p/subscriber8 == 229: // +229 and eight digits
		return 229*national10 + subscriber8 + p%subscriber8
	}
	return p
}

// OtherSpelling is the second way to write the same mobile number, in the countries that
// have two; see Person. It reports false for all other numbers.
func (p Phone) OtherSpelling() (Phone, bool) {
	person := p.Person()
	if p != person {
		return person, true
	}
	switch {
	case p/national10 == 52:
		return 521*national10 + p%national10, true
	case p/national10 == 54:
		return 549*national10 + p%national10, true
	case p/subscriber8 == 229*national10/subscriber8+1: // 01 and eight digits
		return 229*subscriber8 + p%subscriber8, true
	case p/national11 == 55 && p/subscriber8%10 == 9: // the ninth digit
		area, subscriber := p/national9%100, p%subscriber8
		if old := 55*national10 + area*subscriber8 + subscriber; old.Person() == p {
			return old, true
		}
	}
	return 0, false
}
