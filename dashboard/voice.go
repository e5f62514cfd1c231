package dashboard

import (
	"html/template"
	"regexp"
	"strings"
	"time"

	"campaign-runner/campaign"
)

// pageVoice says messages on pages: without commands, since the pages have buttons, and
// with times that written shows in the reader's zone.
var pageVoice = campaign.Voice{
	Words: map[campaign.Code]string{
		campaign.MsgLoadDied:     "its load has stopped; launch the same list once more",
		campaign.MsgScheduled:    "it starts at {start}",
		campaign.MsgToStart:      "{reason}; it goes on when somebody starts it",
		campaign.MsgPaused:       "paused: {reason}",
		campaign.MsgNoWorker:     "no worker is there for agent {agent}; it goes on when one is started",
		campaign.MsgQuotaBlocked: "waiting for the quota: {reason}; the next request leaves at {next}",
		campaign.MsgAllHeld:      "{contacts:contact is left that|contacts are left that} cannot be contacted: {reason}",
		campaign.MsgUnapproved:   "it waits for approval by somebody else than {makers}",
		campaign.MsgWillWait:     "with more than {above:contact|contacts} it waits for the approval of somebody else than {maker}",
		campaign.MsgBlocked:      "the platform allows agent {agent} no request before {until}",
		campaign.MsgTwoNumbers:   "lines with two numbers in a cell: {lines}; they are left out",
		campaign.MsgHeld:         "contacts that are held: {contacts}; their numbers tell no time zone, or their hours never come",
	},
	Time: func(at, _ time.Time) string { return at.UTC().Format(time.RFC3339) },
}

// instant matches a time in a text, of ours or of somebody else's.
var instant = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)`)

// say is a message as a page shows it.
func say(m campaign.Message) template.HTML { return written(pageVoice.Say(m)) }

// plain is a message where a page can show no markup.
func plain(m campaign.Message) string { return pageVoice.Say(m) }

// written is a text with its times in the reader's zone.
func written(text string) template.HTML {
	var b strings.Builder
	for {
		place := instant.FindStringIndex(text)
		if place == nil {
			break
		}
		b.WriteString(template.HTMLEscapeString(text[:place[0]]))
		at, err := time.Parse(time.RFC3339, text[place[0]:place[1]])
		if err != nil {
			b.WriteString(text[place[0]:place[1]]) // digits and signs
		} else {
			b.WriteString(string(soonTag(at)))
		}
		text = text[place[1]:]
	}
	b.WriteString(template.HTMLEscapeString(text))
	return template.HTML(b.String())
}
