package contacts

import (
	"strings"

	"campaign-runner/campaign"
)

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

// Told returns the numbers that another system may mean by a text, the likeliest first:
// what Parse reads, and the same with a plus, because systems drop it. It is empty if
// the text cannot be a number, such as a name or an id.
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
