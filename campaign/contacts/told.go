package contacts

import (
	"strings"

	"campaign-runner/campaign"
)

// mexican reads a mobile number of Mexico as it was until 2019, and as WhatsApp still
// writes it.
func (p *PhoneParser) mexican(cell string) (campaign.Phone, bool) {
	digits, plus := international(cell)
	if len(digits) != 13 || !strings.HasPrefix(digits, "521") || !plus && p.region != "" && p.region != "MX" {
		return 0, false
	}
	mobile, why := p.international("52" + digits[3:])
	if why != "" || mobile.E164() != "+52"+digits[3:] {
		return 0, false
	}
	return mobile.OtherSpelling()
}

// international are the digits of a cell, without the 00 that stands for a plus, and
// whether it has either.
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

// Told are the numbers that somebody else's system may mean by what it tells, the
// likeliest first: what Parse reads, and, because systems drop the plus, what it is
// with one. It is empty when it can be no number, as a name or an id is none.
func (p *PhoneParser) Told(text string) (numbers []campaign.Phone) {
	text = strings.TrimSpace(text)
	for _, address := range []string{"@s.whatsapp.net", "@c.us"} {
		text = strings.TrimSuffix(text, address)
	}
	add := func(phone campaign.Phone) {
		for _, other := range numbers {
			if other.Person() == phone.Person() {
				return
			}
		}
		numbers = append(numbers, phone)
	}
	if phone, why := p.Parse(text); why == "" {
		add(phone)
	}
	digits, plus := international(text)
	if digits == "" || plus && len(numbers) > 0 {
		return numbers
	}
	if phone, why := new(PhoneParser).Parse("+" + digits); why == "" {
		add(phone)
	}
	return numbers
}
