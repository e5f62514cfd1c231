package events

import (
	"hash/fnv"
	"strconv"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
	"campaign-runner/velents"
)

// numbersIn reads numbers as they were read from the campaign's list.
func numbersIn(s campaign.Settings) *contacts.PhoneParser {
	if parser, err := contacts.NewPhoneParser(s.Region); err == nil {
		return parser
	}
	return new(contacts.PhoneParser) // without a region only international numbers can be read
}

// NumbersTold are the numbers that told, which stands where an event has its number, may
// mean to a campaign, the likeliest first.
func NumbersTold(s campaign.Settings, told string) []campaign.Phone { return numbersIn(s).Told(told) }

// conversationOf is the platform's name for a conversation, bounded.
func conversationOf(e velents.Event) string {
	if len(e.ConversationID) <= maxConversationBytes {
		return e.ConversationID
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(e.ConversationID))
	return e.ConversationID[:maxConversationBytes/2] + "…" + strconv.FormatUint(h.Sum64(), 16)
}

const maxConversationBytes = 200

// Mask is what is shown of the text that stands where an event has its number: the last
// four characters.
func Mask(told string) string {
	if phones := new(contacts.PhoneParser).Told(told); len(phones) > 0 {
		return phones[0].String()
	}
	letters := []rune(told)
	if len(letters) == 0 {
		return ""
	}
	return "…" + string(letters[max(0, len(letters)-4, len(letters)/2):])
}

// Describe says what an event is, for people. The number is masked.
func Describe(body []byte) (event, phone, conversation string) {
	says, err := velents.ParseEvent(body)
	if err != nil {
		return "?", "", ""
	}
	if numbers := new(contacts.PhoneParser).Told(says.Phone); len(numbers) > 0 {
		phone = numbers[0].String()
	}
	return string(says.Type), phone, says.ConversationID
}
