package campaign

import (
	"fmt"
	"strconv"
	"strings"
)

// A Share is a part of a whole, in ten-thousandths: 500 is 5%.
type Share int

// Whole is the share of all.
const Whole Share = 10_000

// ParseShare reads a share in per cent: 5%, 0.5% or 100%.
func ParseShare(text string) (Share, error) {
	number, percent := strings.CutSuffix(text, "%")
	whole, part, _ := strings.Cut(number, ".")
	n, err := strconv.ParseUint(whole+(part + "00")[:2], 10, 16)
	if !percent || whole == "" || err != nil || len(part) > 2 || Share(n) > Whole {
		return 0, Faulty(MsgWantShare, "text", text)
	}
	return Share(n), nil
}

func (s Share) String() string {
	text := fmt.Sprintf("%d.%02d", s/100, s%100)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".") + "%"
}

// Exceeded reports whether some of all are more than the share.
func (s Share) Exceeded(some, all int) bool { return some*int(Whole) > int(s)*all }

func (s Share) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s *Share) UnmarshalText(text []byte) (err error) {
	*s, err = ParseShare(string(text))
	return err
}
