package events

import (
	"context"
	"errors"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
	"campaign-runner/campaign/store"
	"campaign-runner/velents"
)

// A report is an event with what it says, and about which contact.
type report struct {
	store.Event
	says    velents.Event
	fault   error            // why only a wish in it can be of use
	wish    string           // why its contact must not be contacted again, see optOutOf; mostly empty
	numbers []campaign.Phone // that it may tell, the likeliest first; the one in the list alone when there is one
	listed  bool             // the number in the list was found
	ordinal int              // of the contact in the list; -1: it is not known
	index   int              // of the contact in its chunk
	late    bool             // the campaign is over: only a wish in it counts
}

// read reads events of one campaign and finds their contacts. A campaign that does not
// exist, or not yet, has no name.
func (a *Applier) read(ctx context.Context, name string, events []store.Event) (c campaign.Campaign, reports []report, indexed bool, err error) {
	if c, err = a.campaign(ctx, name); err != nil {
		return c, nil, false, err
	}
	reports = a.reportsOf(c.Settings, events)
	late, err := a.late(ctx, c)
	if err != nil {
		return c, nil, false, err
	}
	for i := range reports {
		reports[i].late = late
	}
	indexed, err = a.find(ctx, c, reports)
	return c, reports, indexed, err
}

func (a *Applier) campaign(ctx context.Context, name string) (campaign.Campaign, error) {
	c, err := a.store.Campaign(ctx, name)
	if errors.Is(err, store.ErrNotFound) || err == nil && c.Phase == campaign.Loading {
		return campaign.Campaign{}, nil
	}
	return c, err
}

// reportsOf reads events. find finds their contacts.
func (a *Applier) reportsOf(s campaign.Settings, events []store.Event) []report {
	parser := numbersIn(s)
	reports := make([]report, len(events))
	for i, e := range events {
		says, err := a.reader.ReadAgain(e.Body)
		if errors.Is(err, velents.ErrNobody) && e.Contact > 0 {
			err = nil // the link says whose it is
		}
		reports[i] = report{Event: e, says: says, fault: err, wish: optOutOf(s, says), numbers: parser.Told(says.Phone), ordinal: e.Contact - 1}
	}
	return reports
}

// find finds the contacts of events: by the link, else by number, else by what earlier
// events told of the conversation. indexed says whether the campaign knows its contacts by
// number.
func (a *Applier) find(ctx context.Context, c campaign.Campaign, reports []report) (indexed bool, err error) {
	if c.Name == "" || c.Kept() != nil {
		return false, nil
	}
	var phones []campaign.Phone
	for _, r := range reports {
		if r.Contact == 0 {
			phones = append(phones, r.numbers...)
		}
	}
	places, err := a.store.FindAll(ctx, c, phones)
	if err != nil {
		return false, err
	}
	for i := range reports {
		if reports[i].Contact == 0 {
			reports[i].findByNumber(places)
		}
	}
	return places != nil, a.findByConversation(ctx, c, reports)
}

func (r *report) findByNumber(places map[campaign.Phone]int) {
	for _, phone := range r.numbers {
		if ordinal, found := places[phone]; found {
			r.ordinal, r.numbers, r.listed = ordinal, []campaign.Phone{phone}, true
			return
		}
	}
}

// findByConversation stores whose conversations are known, and asks whose the others are.
func (a *Applier) findByConversation(ctx context.Context, c campaign.Campaign, reports []report) error {
	told := make(map[string]int) // by events of this very batch
	var asked []string
	for _, r := range reports {
		conversation := conversationOf(r.says)
		switch other, known := told[conversation]; {
		case conversation == "", r.Contact > 0, r.late && r.ordinal >= 0:
		case r.ordinal < 0:
			asked = append(asked, conversation)
		case known && other != r.ordinal:
			if err := a.store.AddConversations(ctx, c, map[string]int{conversation: other}); err != nil {
				return err
			}
			fallthrough // and the store sees that two contacts claim it
		default:
			told[conversation] = r.ordinal
		}
	}
	if err := a.learnConversations(ctx, c, told); err != nil {
		return err
	}
	known, err := a.store.FindConversations(ctx, c.Name, asked)
	if err != nil {
		return err
	}
	for i := range reports {
		r := &reports[i]
		if ordinal, found := known[conversationOf(r.says)]; found && r.ordinal < 0 {
			r.ordinal = ordinal
		}
	}
	return nil
}

// learnConversations stores whose conversations are, where that is new: most events tell
// of one that is known, and reading costs Redis less than writing.
func (a *Applier) learnConversations(ctx context.Context, c campaign.Campaign, told map[string]int) error {
	known, err := a.store.FindConversations(ctx, c.Name, slices.Collect(maps.Keys(told)))
	if err != nil {
		return err
	}
	maps.DeleteFunc(told, func(conversation string, ordinal int) bool {
		stored, is := known[conversation]
		return is && stored == ordinal
	})
	return a.store.AddConversations(ctx, c, told)
}

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
