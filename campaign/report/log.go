package report

import (
	"context"
	"fmt"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// A Decision is one entry of a campaign's log.
type Decision struct {
	At     time.Time        `json:"at"`
	By     string           `json:"by"` // a user, a worker or a rule
	Action store.Action     `json:"action"`
	Text   campaign.Message `json:"text"`

	// Of a change to a chunk.
	Chunk *int   `json:"chunk,omitempty"`
	Batch string `json:"batch,omitempty"` // as the platform shows it, of a Batch request
	Fates []Fate `json:"contacts,omitempty"`
}

// A Fate is what a decision did to contacts of a chunk.
type Fate struct {
	From   string           `json:"from"` // state
	To     string           `json:"to"`
	Reason campaign.Message `json:"reason"`
	Count  int              `json:"count"`
	Places string           `json:"places"` // in the chunk, from 0: "0-98,100"
}

// A Log reads the log of a campaign, the oldest entry first.
type Log struct {
	campaign campaign.Campaign
	reader   *store.LogReader
	reasons  reasons
	only     *place
}

// place is a contact's chunk and its index there.
type place struct{ chunk, index int }

// ReadLog starts at the oldest entry of a campaign's log. With a phone it leaves out
// what concerns other contacts.
func ReadLog(ctx context.Context, s Store, name string, phone campaign.Phone) (*Log, error) {
	c, err := s.Campaign(ctx, name)
	if err != nil {
		return nil, err
	}
	l := &Log{campaign: c, reader: s.ReadLog(name), reasons: reasons{store: s, campaign: name}}
	if phone != 0 {
		at, err := placeOf(ctx, s, name, phone)
		if err != nil {
			return nil, err
		}
		l.only = &at
	}
	return l, nil
}

// ReadContactLog is ReadLog with a contact's place instead of its number.
func ReadContactLog(ctx context.Context, s Store, name string, ref store.Ref, index int) (*Log, error) {
	l, err := ReadLog(ctx, s, name, 0)
	if err == nil {
		l.only = &place{ref.Chunk, index}
	}
	return l, err
}

// placeOf is the place of the contact with a number.
func placeOf(ctx context.Context, s Store, name string, phone campaign.Phone) (place, error) {
	for from := 0; from >= 0; {
		page, err := Filter{Phone: phone}.List(ctx, s, name, from, false, 1)
		if err != nil {
			return place{}, err
		}
		if len(page.Contacts) > 0 {
			return place{page.Contacts[0].Ref.Chunk, page.Contacts[0].Index}, nil
		}
		from = page.After
	}
	return place{}, fmt.Errorf("campaign %s: no contact %v in it", name, phone)
}

// Next is the next entry; ok is false at the present end.
func (l *Log) Next(ctx context.Context) (d Decision, ok bool, err error) {
	for {
		entry, ok, err := l.reader.Next(ctx)
		if err != nil || !ok {
			return Decision{}, false, err
		}
		d, err := l.decision(ctx, entry)
		if err != nil {
			return Decision{}, false, err
		}
		if d.Chunk == nil || len(d.Fates) > 0 {
			return d, true, nil
		}
	}
}

// decision is an entry as people read it; without fates when it concerns other
// contacts.
func (l *Log) decision(ctx context.Context, e store.Decision) (Decision, error) {
	d := Decision{At: e.At, By: e.By, Action: e.Action, Text: e.Text}
	if len(e.Moved) == 0 {
		return d, nil
	}
	d.Chunk = &e.Chunk
	if e.Request != "" && l.campaign.Settings.Mode == campaign.Batch {
		d.Batch = campaign.BatchPrefix(l.campaign.Name, e.Chunk) + e.Request
	}
	for _, moved := range e.Moved {
		if l.only != nil {
			if e.Chunk != l.only.chunk || !moved.Has(l.only.index) {
				continue
			}
			moved.Contacts = []store.Span{{From: l.only.index, To: l.only.index}}
		}
		reason, err := l.reasons.of(ctx, moved.Reason)
		if err != nil {
			return d, err
		}
		d.Fates = append(d.Fates, Fate{moved.From.String(), moved.To.String(), reason, moved.Count(), placesOf(moved.Contacts)})
	}
	return d, nil
}

func placesOf(spans []store.Span) string {
	texts := make([]string, len(spans))
	for i, s := range spans {
		texts[i] = fmt.Sprint(s.From)
		if s.To > s.From {
			texts[i] += fmt.Sprintf("-%d", s.To)
		}
	}
	return strings.Join(texts, ",")
}

// A LogPage is a part of a campaign's log, the latest entry first.
type LogPage struct {
	Entries []Decision
	Next    store.LogPlace // where the page of earlier entries begins
	More    bool           // there is one
}

// ReadLogPage reads up to n entries of a campaign's log, from a place backwards; with
// whole, of decisions about the campaign as a whole alone.
func ReadLogPage(ctx context.Context, s Store, c campaign.Campaign, at store.LogPlace, whole bool, n int) (LogPage, error) {
	l := Log{campaign: c, reasons: reasons{store: s, campaign: c.Name}}
	found, next, more, err := s.LogPage(ctx, c.Name, at, whole, n)
	page := LogPage{Next: next, More: more}
	for _, entry := range found {
		d, err := l.decision(ctx, entry)
		if err != nil {
			return page, err
		}
		page.Entries = append(page.Entries, d)
	}
	return page, err
}
