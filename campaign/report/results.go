package report

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// Results says which contacts to write, and how. The zero value writes all of them
// as CSV.
type Results struct {
	States []campaign.State // any of them; none: all
	Reason string           // part of the reason, in any case; empty: all
	Where  campaign.Rules
	Format Format
	BOM    bool // begin a CSV with the mark by which Excel knows UTF-8
}

// Write writes the contacts of a campaign, in the order of its file, and returns
// how many there were. It takes the memory of a few chunks; a workbook lies in a
// temporary file until it is complete.
func (q Results) Write(ctx context.Context, s Store, name string, w io.Writer) (written int, err error) {
	c, err := loaded(ctx, s, name)
	if err != nil {
		return 0, err
	}
	header := c.Settings.ColumnNames()
	if q.Where, err = q.Where.On(header); err != nil {
		return 0, err
	}
	keys, err := s.ExtractionKeys(ctx, name)
	if err != nil {
		return 0, err
	}
	e := exporter{q, s, c, header, columnsOf(c, keys), &reasons{store: s, campaign: name}}
	out, err := q.Format.output(w, e.columns)
	if err != nil {
		return 0, err
	}
	defer out.close()
	if _, err := out.Write(q.Format.head(e.columns, q.BOM)); err != nil {
		return 0, err
	}
	err = eachChunk(ctx, c, e.chunk, func(p part) error {
		_, err := out.Write(p.text)
		written += p.contacts
		return err
	})
	if err != nil {
		return written, err
	}
	return written, out.end()
}

// An exporter encodes the chunks of one campaign.
type exporter struct {
	Results
	store    chunks
	campaign campaign.Campaign
	header   []string // of the file
	columns  columns
	reasons  *reasons
}

// A part is what a chunk adds to the results.
type part struct {
	text     []byte
	contacts int
}

func (e exporter) chunk(ctx context.Context, ref store.Ref) (p part, err error) {
	chunk, err := e.store.ReadChunk(ctx, ref)
	if err != nil {
		return p, err
	}
	outcomes, err := e.store.Outcomes(ctx, ref)
	if err != nil {
		return p, err
	}
	tickets, err := ticketsOf(ctx, e.store, e.campaign, ref)
	if err != nil {
		return p, err
	}
	var text bytes.Buffer
	encode := e.Format.encoder(&text, e.columns)
	for i, contact := range chunk.Contacts {
		record, outcome := chunk.Record(i), outcomes[i]
		reason, err := e.reasons.of(ctx, record.Reason)
		if err != nil {
			return p, err
		}
		facts := campaign.Facts{Record: record, Reason: reason, Outcome: outcome, Cell: campaign.Cells(e.header, contact.Fields)}
		if e.wants(facts) {
			encode(row{contact, facts, tickets[i]})
			p.contacts++
		}
	}
	p.text = text.Bytes()
	return p, nil
}

func (q Results) wants(f campaign.Facts) bool {
	return (len(q.States) == 0 || slices.Contains(q.States, f.Record.State)) && q.Where.Of(f) &&
		f.Reason.Matches(q.Reason)
}

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
func ourColumns(of campaign.Campaign) []column {
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
	if len(of.Settings.TicketRules) > 0 { // the Support Center's id, or the state of a ticket that has none yet
		columns = append(columns, column{"ticket_id", text, func(r row) string { return cmp.Or(r.ticket.ID, string(r.ticket.State)) }})
	}
	if of.Erased > 0 { // such a row has no number and no cells
		columns = append(columns, column{"erased", truth, func(r row) string {
			if !r.Record.Erased {
				return ""
			}
			return "true"
		}})
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
func columnsOf(of campaign.Campaign, keys []string) columns {
	c := columns{ours: ourColumns(of), keys: keys}
	taken := make(map[string]bool)
	for i, column := range of.Settings.Columns {
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
