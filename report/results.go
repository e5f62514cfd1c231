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
	"campaign-runner/campaign/store"
	"campaign-runner/contacts"
)

// A Format is a way to write results.
type Format string

const (
	CSV       Format = "csv"   // cells that a spreadsheet would take for a formula are made harmless
	JSONLines Format = "jsonl" // one object per contact, its values as they stood in the file
)

// Results says which contacts to write, and how. The zero value means all of
// them, as CSV.
type Results struct {
	States []campaign.State // any of them; none: all
	Reason string           // part of the reason, in any case; empty: all
	Format Format
	BOM    bool // begin a CSV with the mark by which Excel knows UTF-8
}

// resultColumns follow the file's own columns. JSON lines hold attempts and run
// as numbers, and null where there is nothing to tell.
var resultColumns = []string{
	"phone_e164",
	"state",
	"reason",
	"attempts",
	"run",
	"changed_at", // RFC 3339, UTC; empty for a contact not touched yet
	"conversation_id",
}

// Write writes the contacts of a campaign, in the order of its file, and returns
// how many there were. It needs the memory of a few chunks.
func (q Results) Write(ctx context.Context, s *store.Store, name string, w io.Writer) (written int, err error) {
	c, err := loaded(ctx, s, name)
	if err != nil {
		return 0, err
	}
	columns := columnNames(c.Settings.Columns)
	if _, err := w.Write(q.head(columns)); err != nil {
		return 0, err
	}
	texts := reasonTexts{store: s, campaign: name}
	type part struct {
		text     []byte
		contacts int
	}
	err = eachChunk(ctx, c, func(ctx context.Context, ref store.Ref) (p part, err error) {
		chunk, err := s.ReadChunk(ctx, ref)
		if err != nil {
			return p, err
		}
		var text bytes.Buffer
		encode := q.encoder(&text, columns)
		cells := make([]string, 0, len(columns))
		for i, contact := range chunk.Contacts {
			record := chunk.Record(i)
			reason, err := texts.of(ctx, record.Reason)
			if err != nil {
				return p, err
			}
			if q.want(record.State, reason) {
				encode(append(append(cells[:0], contact.Fields...), resultCells(contact.Phone, record, reason)...))
				p.contacts++
			}
		}
		p.text = text.Bytes()
		return p, nil
	}, func(p part) error {
		_, err := w.Write(p.text)
		written += p.contacts
		return err
	})
	return written, err
}

func (q Results) want(state campaign.State, reason string) bool {
	return (len(q.States) == 0 || slices.Contains(q.States, state)) &&
		strings.Contains(strings.ToLower(reason), strings.ToLower(q.Reason))
}

// resultCells are the cells of resultColumns.
func resultCells(phone campaign.Phone, r campaign.Record, reason string) []string {
	changed := ""
	if at := r.ChangedAt(); !at.IsZero() {
		changed = at.Format(time.RFC3339)
	}
	return []string{
		phone.E164(), r.State.String(), reason,
		strconv.Itoa(int(r.Attempts)), strconv.Itoa(int(r.Run)), changed,
		"", // until events tell of conversations
	}
}

// columnNames are the file's columns and ours. A column of the file that is
// named like one of ours is marked, so that "state" means the same whatever the
// list; columns of one name are told apart.
func columnNames(file []campaign.Column) []string {
	taken := make(map[string]bool)
	var names []string
	for i, column := range file {
		name := cmp.Or(column.Name, fmt.Sprintf("column %d", i+1))
		if slices.Contains(resultColumns, strings.ToLower(name)) {
			name += " (file)"
		}
		unique := name
		for n := 2; taken[strings.ToLower(unique)]; n++ {
			unique = fmt.Sprintf("%s (%d)", name, n)
		}
		taken[strings.ToLower(unique)] = true
		names = append(names, unique)
	}
	return append(names, resultColumns...)
}

func (q Results) head(columns []string) []byte {
	if q.Format == JSONLines {
		return nil
	}
	var text bytes.Buffer
	if q.BOM {
		text.WriteString("\ufeff")
	}
	q.encoder(&text, columns)(slices.Clone(columns))
	return text.Bytes()
}

// encoder returns what writes a contact's cells to b; it may change them.
func (q Results) encoder(b *bytes.Buffer, columns []string) func(cells []string) {
	if q.Format == JSONLines {
		return jsonEncoder(b, columns)
	}
	w := csv.NewWriter(b)
	return func(cells []string) {
		for i := range len(cells) {
			cells[i] = contacts.EscapeCell(cells[i])
		}
		_ = w.Write(cells) // into memory
		w.Flush()
	}
}

func jsonEncoder(b *bytes.Buffer, columns []string) func(cells []string) {
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
	ours := len(columns) - len(resultColumns)
	return func(cells []string) {
		for i, cell := range cells {
			b.WriteByte("{,"[min(i, 1)])
			text(columns[i])
			b.WriteByte(':')
			switch {
			case i >= ours && cell == "":
				b.WriteString("null")
			case i >= ours && (columns[i] == "attempts" || columns[i] == "run"):
				b.WriteString(cell)
			default:
				text(cell)
			}
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
