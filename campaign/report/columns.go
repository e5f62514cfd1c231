package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"campaign-runner/campaign"
)

// A column is one of ours in the results; cell is empty where there is nothing to
// tell. JSON lines then hold null, otherwise numbers and true as such.
type column struct {
	name string
	kind kind
	cell func(row) string
}

type kind int

const (
	text kind = iota
	number
	truth // "true", or empty
)

// A row is a contact with all that its columns tell.
type row struct {
	campaign.Contact
	campaign.Facts
	ticket campaign.Ticket
}

// ourColumns follow those of the file. Times are RFC 3339, UTC.
func ourColumns(s campaign.Settings) []column {
	columns := []column{
		{"phone_e164", text, func(r row) string { return r.Phone.E164() }},
		{"state", text, func(r row) string { return r.Record.State.String() }},
		{"reason", text, func(r row) string { return r.Reason.String() }},
		{"attempts", number, func(r row) string { return strconv.Itoa(int(r.Record.Attempts)) }},
		{"run", number, func(r row) string { return strconv.Itoa(int(r.Record.Run)) }},
		{"changed_at", text, func(r row) string { return timeCell(r.Record.ChangedAt()) }}, // empty until something happens to the contact
		{"conversation_id", text, func(r row) string { return r.Outcome.Conversation }},
		{"started_at", text, func(r row) string { return timeCell(r.Outcome.Started) }},
		{"ended_at", text, func(r row) string { return timeCell(r.Outcome.Ended) }},
		{"messages", number, func(r row) string {
			if !r.Outcome.Known() {
				return ""
			}
			return strconv.Itoa(r.Outcome.Messages())
		}},
		{"may_have_been_reached", truth, func(r row) string {
			if !r.Record.MayHaveBeenReached() {
				return ""
			}
			return "true"
		}},
	}
	if len(s.TicketRules) > 0 { // the Support Center's id, or the state of a ticket that has none yet
		columns = append(columns, column{"ticket_id", text, func(r row) string { return cmp.Or(r.ticket.ID, string(r.ticket.State)) }})
	}
	return columns
}

func timeCell(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.Format(time.RFC3339)
}

// columns are those of a campaign's results: the file's, ours, and one for each key
// that the agent has extracted for any contact.
type columns struct {
	file []string
	ours []column
	keys []string
}

// columnsOf marks a column of the file that is named like one of ours, so that
// "state" means the same in every file, and numbers columns of the same name.
func columnsOf(s campaign.Settings, keys []string) columns {
	c := columns{ours: ourColumns(s), keys: keys}
	taken := make(map[string]bool)
	for i, column := range s.Columns {
		name := cmp.Or(column.Name, fmt.Sprintf("column %d", i+1))
		if lower := strings.ToLower(name); c.isOurs(lower) || strings.HasPrefix(lower, campaign.ExtractionPrefix) {
			name += " (file)"
		}
		unique := name
		for n := 2; taken[strings.ToLower(unique)]; n++ {
			unique = fmt.Sprintf("%s (%d)", name, n)
		}
		taken[strings.ToLower(unique)] = true
		c.file = append(c.file, unique)
	}
	return c
}

func (c columns) isOurs(name string) bool {
	return slices.ContainsFunc(c.ours, func(our column) bool { return our.name == name })
}

// kind is that of column i of all.
func (c columns) kind(i int) kind {
	if our := i - len(c.file); our >= 0 && our < len(c.ours) {
		return c.ours[our].kind
	}
	return text
}

// names are the heads of all columns.
func (c columns) names() []string {
	names := slices.Clone(c.file)
	for _, our := range c.ours {
		names = append(names, our.name)
	}
	for _, key := range c.keys {
		names = append(names, campaign.ExtractionPrefix+key)
	}
	return names
}
