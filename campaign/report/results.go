package report

import (
	"bytes"
	"context"
	"io"
	"slices"

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
	e := exporter{q, s, c, header, columnsOf(c.Settings, keys), &reasons{store: s, campaign: name}}
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
