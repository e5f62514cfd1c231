package report

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
	"campaign-runner/campaign/store"
)

// A Format is a way to write results.
type Format string

const (
	CSV       Format = "csv"   // cells that a spreadsheet would take for a formula are made harmless
	JSONLines Format = "jsonl" // one object per contact, its values as they stood in the file
	XLSX      Format = "xlsx"  // a workbook of one sheet, every cell text but for our counts
)

// Results says which contacts to write, and how. The zero value means all of
// them, as CSV.
type Results struct {
	States []campaign.State // any of them; none: all
	Reason string           // part of the reason, in any case; empty: all
	Where  campaign.Rules
	Format Format
	BOM    bool // begin a CSV with the mark by which Excel knows UTF-8
}

// resultColumns follow the file's own columns. Times are RFC 3339, UTC. JSON
// lines hold counts as numbers, what is true as such, and null where there is
// nothing to tell.
var resultColumns = []string{
	"phone_e164",
	"state",
	"reason",
	"attempts",
	"run",
	"changed_at", // empty for a contact not touched yet
	"conversation_id",
	"started_at",
	"ended_at",
	"messages",
	"may_have_been_reached", // true: nobody knows whether the platform reached it; else empty
	// and last, one for each key that the agent has learned of anybody
}

// ticketColumn follows them when the campaign makes tickets: the Support Center's
// id of the contact's ticket or, of one that has none yet, where it stands.
const ticketColumn = "ticket_id"

// isCount says which of our columns are numbers.
func isCount(column string) bool {
	return column == "attempts" || column == "run" || column == "messages"
}

// Write writes the contacts of a campaign, in the order of its file, and returns
// how many there were. It needs the memory of a few chunks; a workbook lies in a
// temporary file until it is complete.
func (q Results) Write(ctx context.Context, s *store.Store, name string, w io.Writer) (written int, err error) {
	c, err := loaded(ctx, s, name)
	if err != nil {
		return 0, err
	}
	header := c.Settings.ColumnNames()
	if err := q.Where.Check(header); err != nil {
		return 0, err
	}
	keys, err := s.ExtractionKeys(ctx, name)
	if err != nil {
		return 0, err
	}
	columns := columnsOf(c.Settings, keys)
	out, err := q.output(w, columns.names)
	if err != nil {
		return 0, err
	}
	defer out.close()
	if _, err := out.Write(q.head(columns)); err != nil {
		return 0, err
	}
	known := reasons{store: s, campaign: name}
	type part struct {
		text     []byte
		contacts int
	}
	err = eachChunk(ctx, c, func(ctx context.Context, ref store.Ref) (p part, err error) {
		chunk, err := s.ReadChunk(ctx, ref)
		if err != nil {
			return p, err
		}
		outcomes, err := s.Outcomes(ctx, ref)
		if err != nil {
			return p, err
		}
		tickets, err := ticketsOf(ctx, s, c, ref)
		if err != nil {
			return p, err
		}
		var text bytes.Buffer
		encode := q.encoder(&text, columns)
		cells, values := make([]string, 0, len(columns.names)), make([]json.RawMessage, len(keys))
		for i, contact := range chunk.Contacts {
			record := chunk.Record(i)
			reason, err := known.of(ctx, record.Reason)
			if err != nil {
				return p, err
			}
			outcome := outcomes[i]
			learned := outcome.Learned()
			facts := campaign.Facts{Record: record, Reason: reason, Outcome: outcome, Learned: learned, Cell: campaign.Cells(header, contact.Fields)}
			if q.want(facts) {
				for k, key := range keys {
					values[k] = learned[key]
				}
				cells = append(append(cells[:0], contact.Fields...), resultCells(contact.Phone, record, reason.String(), outcome)...)
				if len(c.Settings.TicketRules) > 0 {
					cells = append(cells, cmp.Or(tickets[i].ID, string(tickets[i].State)))
				}
				encode(cells, values)
				p.contacts++
			}
		}
		p.text = text.Bytes()
		return p, nil
	}, func(p part) error {
		_, err := out.Write(p.text)
		written += p.contacts
		return err
	})
	if err != nil {
		return written, err
	}
	return written, out.end()
}

// An output takes results as they are encoded: whole rows at a time.
type output interface {
	io.Writer
	end() error // completes what was written
	close()     // in any case
}

func (q Results) output(w io.Writer, columns []string) (output, error) {
	if q.Format == XLSX {
		return newWorkbook(w, columns)
	}
	return plainOutput{w}, nil
}

type plainOutput struct{ io.Writer }

func (plainOutput) end() error { return nil }
func (plainOutput) close()     {}

func (q Results) want(f campaign.Facts) bool {
	return (len(q.States) == 0 || slices.Contains(q.States, f.Record.State)) && q.Where.Of(f) &&
		f.Reason.Matches(q.Reason)
}

// resultCells are the cells of resultColumns.
func resultCells(phone campaign.Phone, r campaign.Record, reason string, o campaign.Outcome) []string {
	messages, reached := "", ""
	if o.Known() {
		messages = strconv.Itoa(o.Messages())
	}
	if r.MayHaveBeenReached() {
		reached = "true"
	}
	return []string{
		phone.E164(), r.State.String(), reason,
		strconv.Itoa(int(r.Attempts)), strconv.Itoa(int(r.Run)), timeCell(r.ChangedAt()),
		o.Conversation, timeCell(o.Started), timeCell(o.Ended), messages, reached,
	}
}

func timeCell(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.Format(time.RFC3339)
}

// columns are those of the results: the file's, ours, and one for each key that
// the agent has learned of anybody.
type columns struct {
	names      []string
	file, keys int // the first and the last of them
}

// columnsOf are the columns of a campaign's results. A column of the file that is
// named like one of ours is marked, so that "state" means the same whatever the
// list; columns of one name are told apart.
func columnsOf(s campaign.Settings, keys []string) columns {
	ours := resultColumns
	if len(s.TicketRules) > 0 {
		ours = append(slices.Clone(ours), ticketColumn)
	}
	taken := make(map[string]bool)
	var names []string
	for i, column := range s.Columns {
		name := cmp.Or(column.Name, fmt.Sprintf("column %d", i+1))
		if lower := strings.ToLower(name); slices.Contains(ours, lower) || strings.HasPrefix(lower, campaign.ExtractionPrefix) {
			name += " (file)"
		}
		unique := name
		for n := 2; taken[strings.ToLower(unique)]; n++ {
			unique = fmt.Sprintf("%s (%d)", name, n)
		}
		taken[strings.ToLower(unique)] = true
		names = append(names, unique)
	}
	names = append(names, ours...)
	for _, key := range keys {
		names = append(names, campaign.ExtractionPrefix+key)
	}
	return columns{names, len(s.Columns), len(keys)}
}

func (q Results) head(c columns) []byte {
	if q.Format == JSONLines {
		return nil
	}
	var text bytes.Buffer
	if q.BOM {
		text.WriteString("\ufeff")
	}
	q.encoder(&text, c)(slices.Clone(c.names), nil)
	return text.Bytes()
}

// encoder returns what writes to b the cells of a contact, which it may change,
// and its values for the last columns, as many as there are keys.
func (q Results) encoder(b *bytes.Buffer, c columns) func(cells []string, values []json.RawMessage) {
	if q.Format == JSONLines {
		return jsonEncoder(b, c)
	}
	w := csv.NewWriter(b)
	return func(cells []string, values []json.RawMessage) {
		for _, value := range values {
			cells = append(cells, campaign.CellOf(value))
		}
		for i := range cells {
			if q.Format != XLSX { // where text is text
				cells[i] = contacts.EscapeCell(cells[i])
			}
		}
		_ = w.Write(cells) // into memory
		w.Flush()
	}
}

func jsonEncoder(b *bytes.Buffer, c columns) func(cells []string, values []json.RawMessage) {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	text := func(s string) {
		if plain(s) { // nearly always, and four times as fast
			b.WriteByte('"')
			b.WriteString(s)
			b.WriteByte('"')
			return
		}
		_ = e.Encode(s)         // a string, into memory
		b.Truncate(b.Len() - 1) // the line feed after it
	}
	return func(cells []string, values []json.RawMessage) {
		for i, cell := range cells {
			b.WriteByte("{,"[min(i, 1)])
			text(c.names[i])
			b.WriteByte(':')
			switch {
			case i >= c.file && cell == "":
				b.WriteString("null")
			case i >= c.file && (isCount(c.names[i]) || c.names[i] == "may_have_been_reached"):
				b.WriteString(cell)
			default:
				text(cell)
			}
		}
		for i, value := range values {
			b.WriteByte(',')
			text(c.names[len(cells)+i])
			b.WriteByte(':')
			if value == nil {
				value = json.RawMessage("null")
			}
			b.Write(value)
		}
		b.WriteString("}\n")
	}
}

// plain reports whether s stands in JSON as it is.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' {
			return false
		}
	}
	return utf8.ValidString(s)
}
