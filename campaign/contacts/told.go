package contacts

import (
	"strings"

	"campaign-runner/campaign"
)

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
