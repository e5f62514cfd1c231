package report

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
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
// how many there were. It takes the memory of a few chunks.
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
	e := &exporter{
		Results: q, store: s, campaign: c, header: header,
		columns: columnsOf(c, keys), reasons: &reasons{store: s, campaign: name},
	}
	if err := e.fits(); err != nil {
		return 0, err
	}
	add, end, err := q.output(w, e.columns)
	if err != nil {
		return 0, err
	}
	e.before.pass(0, 0)
	err = eachChunk(ctx, c, e.chunk, func(p part) error {
		written += p.contacts
		return add(p)
	})
	if err != nil {
		return written, err
	}
	return written, end()
}

// An exporter encodes the chunks of one campaign.
type exporter struct {
	Results
	store    chunks
	campaign campaign.Campaign
	header   []string // of the file
	columns  columns
	reasons  *reasons
	before   relay        // contacts in the chunks before
	size     atomic.Int64 // of the last part's text, and some more: about what the next one takes
}

// ErrTooLarge: a sheet cannot hold the results.
var ErrTooLarge = errors.New("write .csv instead")

// fits fails when a sheet cannot hold the results, as far as that is known beforehand.
func (e *exporter) fits() error {
	if e.Format != XLSX {
		return nil
	}
	if n := len(e.columns.names()); n > maxSheetColumns {
		return fmt.Errorf("workbook: %d columns, and a sheet holds %d: %w", n, maxSheetColumns, ErrTooLarge)
	}
	if all := len(e.States) == 0 && e.Reason == "" && len(e.Where) == 0; all {
		return e.fitsRows(e.campaign.Counts.Contacts)
	}
	return nil
}

func (e *exporter) fitsRows(contacts int) error {
	if contacts >= maxSheetRows { // the first row is the header
		return fmt.Errorf("workbook: a sheet holds %d rows: %w", maxSheetRows, ErrTooLarge)
	}
	return nil
}

// A part is what a chunk adds to the results.
type part struct {
	text     []byte
	packed   []byte // of a workbook; see there
	contacts int
}

func (e *exporter) chunk(ctx context.Context, ref store.Ref) (p part, err error) {
	rows, err := e.rows(ctx, ref)
	if err != nil {
		return p, err
	}
	before := 0
	if e.Format == XLSX { // its rows are numbered
		if before, err = e.before.take(ctx, ref.Chunk); err != nil {
			return p, err
		}
		after := before
		for _, err := range rows {
			if err != nil {
				return p, err
			}
			after++
		}
		e.before.pass(ref.Chunk+1, after)
		if err := e.fitsRows(after); err != nil {
			return p, err
		}
	}
	var text bytes.Buffer
	text.Grow(int(e.size.Load()))
	encode, flush := e.Format.encoder(&text, e.columns, before+2)
	for r, err := range rows {
		if err != nil {
			return p, err
		}
		encode(r)
		p.contacts++
	}
	flush()
	e.size.Store(int64(text.Len() + text.Len()/16))
	if p.text = text.Bytes(); e.Format == XLSX {
		p.packed = packed(p.text, more)
	}
	return p, nil
}

// rows reads a chunk and returns its contacts that are wanted.
func (e *exporter) rows(ctx context.Context, ref store.Ref) (iter.Seq2[row, error], error) {
	chunk, err := e.store.ReadChunk(ctx, ref)
	if err != nil {
		return nil, err
	}
	outcomes, err := e.store.Outcomes(ctx, ref)
	if err != nil {
		return nil, err
	}
	tickets, err := ticketsOf(ctx, e.store, e.campaign, ref)
	if err != nil {
		return nil, err
	}
	var follows map[int]campaign.Follow
	if len(tickets) > 0 && e.campaign.Settings.TicketReplies {
		if follows, err = e.store.Follows(ctx, ref); err != nil {
			return nil, err
		}
	}
	return func(yield func(row, error) bool) {
		for i, contact := range chunk.Contacts {
			r := row{Contact: contact, Facts: campaign.Facts{Record: chunk.Record(i), Outcome: outcomes[i]}, ticket: tickets[i], follow: follows[i]}
			if len(e.Where) > 0 || len(e.campaign.Settings.Then) > 0 {
				r.Cell = campaign.Cells(e.header, contact.Fields)
			}
			var err error
			if r.Reason, err = e.reasons.of(ctx, r.Record.Reason); err != nil || e.wants(r.Facts) {
				if !yield(r, err) {
					return
				}
			}
		}
	}, nil
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
	follow campaign.Follow // of the ticket
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
	if len(of.Settings.Then) > 0 { // next_at: as far as is known now
		columns = append(columns,
			column{"rung", number, func(r row) string { return strconv.Itoa(int(r.Record.Rung)) }},
			column{"next_at", text, func(r row) string {
				next, is := RungOf(of, r.Facts)
				if !is {
					return ""
				}
				return timeCell(next.At)
			}})
	}
	if len(of.Settings.TicketRules) > 0 { // the Support Center's id, or the state of a ticket that has none yet
		columns = append(columns, column{"ticket_id", text, func(r row) string { return cmp.Or(r.ticket.ID, string(r.ticket.State)) }})
	}
	if of.Settings.TicketReplies { // as last read back from the Support Center
		columns = append(columns,
			column{"ticket_status", text, func(r row) string { return r.follow.Status }},
			column{"ticket_last_reply", text, func(r row) string { return r.follow.LastReply() }})
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

// cells adds what a contact has in all columns.
func (c columns) cells(to []string, r row) []string {
	to = append(to, r.Fields...)
	for _, our := range c.ours {
		to = append(to, our.cell(r))
	}
	learned := r.Outcome.Learned()
	for _, key := range c.keys {
		to = append(to, campaign.CellOf(learned[key]))
	}
	return to
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
