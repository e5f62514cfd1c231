package launch

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
	"campaign-runner/campaign/contacts/scratch"
	"campaign-runner/campaign/store"
)

// A Choice says which of the rows become contacts. The others are counted and listed
// as not chosen.
type Choice struct {
	Where  campaign.Rules // all must be true: of a line of the file, or with From of the contact
	Sample int            // this many contacts, the same ones each time; 0: all. Counted after refusals and duplicates
	Limit  int            // the first of those; 0: all
	NotIn  []string       // campaigns whose contacts are left out
}

func (c Choice) check() error {
	switch {
	case c.Sample < 0:
		return fmt.Errorf("--sample %d: want 1 or more contacts", c.Sample)
	case c.Limit < 0:
		return fmt.Errorf("--limit %d: want 1 or more contacts", c.Limit)
	}
	for _, name := range c.NotIn {
		if err := campaign.CheckName(name); err != nil {
			return fmt.Errorf("--not-in %q: %w", name, err)
		}
	}
	return nil
}

// identity is what tells one choice from another.
func (c Choice) identity() any {
	rules := make([]string, len(c.Where))
	for i, rule := range c.Where {
		rules[i] = rule.String()
	}
	others := slices.Sorted(slices.Values(c.NotIn))
	return []any{rules, c.Sample, c.Limit, slices.Compact(others)}
}

// reader opens the file for its last reading, so that the choice is made in it.
// prepare is called with each reader before its first row: a sample takes a reading of
// its own, to find out which contacts it may take.
func (s *source) reader(ctx context.Context, opt contacts.Options, choice Choice, prepare func(*contacts.Reader) error) (*contacts.Reader, error) {
	var cells func(fields []string) func(string) string
	switch {
	case s.chosen != nil:
		opt.Choice.Row = func(line int, _ []string) bool { return s.chosen[line] }
	case len(choice.Where) > 0:
		opt.Choice.Row = func(_ int, fields []string) bool { return choice.Where.Of(campaign.Facts{Cell: cells(fields)}) }
	}
	opt.ReuseFields = true
	open := func() (*contacts.Reader, error) {
		s.rewind()
		r, err := s.list.Reader(opt)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.what, err)
		}
		if s.chosen == nil {
			choice.Where, err = choice.Where.On(r.Columns())
		}
		cells = func(fields []string) func(string) string { return campaign.Cells(r.Columns(), fields) }
		if err = cmp.Or(err, prepare(r)); err != nil {
			_ = r.Close() // was only read
			return nil, fmt.Errorf("%s: %w", s.what, err)
		}
		return r, nil
	}
	if choice.Sample > 0 {
		r, err := open()
		if err != nil {
			return nil, err
		}
		defer r.Close()
		sampler := contacts.NewSampler(choice.Sample)
		for row, err := range r.All() {
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.what, err)
			}
			if row.Refusal.Reason == "" {
				sampler.Add(row.Phone)
			}
		}
		if err := s.unchanged(ctx); err != nil {
			return nil, err
		}
		opt.Choice.Sample = sampler.Sample()
	}
	opt.Choice.Limit = choice.Limit
	return open()
}

// campaignSource is a source of another campaign's contacts: a file without a name
// that has the campaign's columns, and each contact's number as it was called. The
// rules are asked at once, so that all readings make one choice.
func (l *Launcher) campaignSource(ctx context.Context, req Request) (*source, error) {
	if l.Store == nil {
		return nil, errors.New("--from: a dry run does not ask Redis for a campaign's contacts")
	}
	c, err := l.Store.Campaign(ctx, req.From)
	if err := cmp.Or(err, c.Loaded()); err != nil {
		return nil, fmt.Errorf("--from: %w", err)
	}
	header := c.Settings.ColumnNames()
	where, err := req.Choice.Where.On(header)
	if err != nil {
		return nil, fmt.Errorf("--from %s: %w", req.From, err)
	}
	file, err := scratch.File()
	if err != nil {
		return nil, fmt.Errorf("--from %s: %w", req.From, err)
	}
	taken, err := l.Store.Now(ctx)
	var chosen map[int]bool
	var open int
	if err == nil {
		chosen, open, err = l.spoolCampaign(ctx, c, where, file)
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("--from %s: %w", req.From, err)
	}
	src, err := newSource("contacts of campaign "+c.Name, file)
	if err != nil {
		return nil, err
	}
	src.chosen, src.phoneColumn, src.taken, src.toContact = chosen, header[c.Settings.PhoneColumn], taken, open
	sum := sha256.Sum256([]byte("campaign\x00" + c.Name + "\x00" + c.Fingerprint))
	src.identity = sum[:]
	return src, nil
}

// followUp notes when contacts were taken from another campaign, and warns of those that it
// is still to contact.
func (l *list) followUp(req Request) {
	l.settings.FollowsUpFrom = l.source.taken
	switch n := l.source.toContact; {
	case n == 0:
	case req.Settings.SkipContactedDays == 0:
		l.warnings = append(l.warnings, campaign.Say(campaign.MsgBothContact, "campaign", req.From, "contacts", n))
	default:
		l.warnings = append(l.warnings, campaign.Say(campaign.MsgStillToContact, "campaign", req.From, "contacts", n))
	}
}

// spoolCampaign writes the contacts of a campaign in order, and returns the lines that
// the rules choose, and of how many of them a request is pending or on its way.
func (l *Launcher) spoolCampaign(ctx context.Context, c campaign.Campaign, where campaign.Rules, file io.Writer) (chosen map[int]bool, open int, err error) {
	reason, outcome, _ := where.Need()
	var reasons map[campaign.Reason]campaign.Message
	if reason {
		if reasons, err = l.Store.Reasons(ctx, c.Name); err != nil {
			return nil, 0, err
		}
	}
	chosen = make(map[int]bool)
	header, line := c.Settings.ColumnNames(), 1
	var text bytes.Buffer
	w := csv.NewWriter(&text)
	write := func(cells []string) error {
		if err := w.Write(cells); err != nil {
			return err
		}
		w.Flush()
		line += bytes.Count(text.Bytes(), []byte{'\n'})
		_, err := text.WriteTo(file)
		return err
	}
	if err := write(header); err != nil {
		return nil, 0, err
	}
	for n := range c.Chunks {
		ref := store.Ref{Campaign: c.Name, Chunk: n}
		chunk, err := l.Store.ReadChunk(ctx, ref)
		if err != nil {
			return nil, 0, err
		}
		var outcomes map[int]campaign.Outcome
		if outcome {
			if outcomes, err = l.Store.Outcomes(ctx, ref); err != nil {
				return nil, 0, err
			}
		}
		for i, contact := range chunk.Contacts {
			r, o := chunk.Record(i), outcomes[i]
			if r.Erased {
				continue
			}
			if where.Of(campaign.Facts{Record: r, Reason: reasons[r.Reason], Outcome: o, Cell: campaign.Cells(header, contact.Fields)}) {
				chosen[line] = true
				if r.State.Open() {
					open++
				}
			}
			cells := slices.Clone(contact.Fields)
			cells[c.Settings.PhoneColumn] = contact.Phone.E164()
			if err := write(cells); err != nil {
				return nil, 0, err
			}
		}
	}
	return chosen, open, nil
}

// barred are the numbers that must not be contacted.
type barred []bar

// A bar is some of them, and why.
type bar struct {
	has func(campaign.Phone) bool
	why contacts.Reason
}

// reason is why a number is barred, by the first bar that has it; empty: it is not.
func (b barred) reason(p campaign.Phone) contacts.Reason {
	for _, some := range b {
		if some.has(p) {
			return some.why
		}
	}
	return ""
}

// barred are the numbers that a request leaves out: those in campaigns that it names,
// those on the do-not-contact list, and those contacted lately if it says so. The
// last two are checked again before each request to the platform. A dry run without a
// Store knows neither.
func (l *Launcher) barred(ctx context.Context, req Request) (all barred, err error) {
	for _, name := range req.Choice.NotIn {
		if l.Store == nil {
			return nil, errors.New("--not-in: a dry run does not ask Redis who is in a campaign")
		}
		c, err := l.Store.Campaign(ctx, name)
		if err := cmp.Or(err, c.Loaded()); err != nil {
			return nil, fmt.Errorf("--not-in: %w", err)
		}
		known, err := l.Store.ReadPhones(ctx, c)
		if err != nil {
			return nil, fmt.Errorf("--not-in %s: %w", name, err)
		}
		all = append(all, bar{known.Has, contacts.Elsewhere})
	}
	if l.Store == nil {
		return all, nil
	}
	suppressed, err := l.Store.ReadSuppressed(ctx)
	if err != nil {
		return nil, err
	}
	all = append(all, bar{suppressed.Has, contacts.DoNotContact})
	if days := req.Settings.SkipContactedDays; days > 0 {
		now, err := l.Store.Now(ctx)
		if err != nil {
			return nil, err
		}
		recent, err := l.Store.ReadContacted(ctx, now, days)
		if err != nil {
			return nil, err
		}
		has := func(p campaign.Phone) bool { return recent.Has(p.Person()) }
		if req.From != "" {
			if has, err = l.recentElsewhere(ctx, req, has, campaign.ContactedSince(now, days)); err != nil {
				return nil, err
			}
		}
		all = append(all, bar{has, contacts.Recent})
	}
	return all, nil
}

// recentElsewhere narrows recent to the contacts of the campaign that is followed up whom
// another one may have contacted, too.
func (l *Launcher) recentElsewhere(ctx context.Context, req Request, recent func(campaign.Phone) bool, since time.Time) (func(campaign.Phone) bool, error) {
	c, err := l.Store.Campaign(ctx, req.From)
	if err != nil {
		return nil, fmt.Errorf("--from: %w", err)
	}
	var phones []campaign.Phone
	for n := range c.Chunks {
		chunk, err := l.Store.ReadChunk(ctx, store.Ref{Campaign: c.Name, Chunk: n})
		if err != nil {
			return nil, fmt.Errorf("--from: %w", err)
		}
		for _, contact := range chunk.Contacts {
			if contact.Phone != 0 && recent(contact.Phone) {
				phones = append(phones, contact.Phone)
			}
		}
	}
	by, purged, err := l.Store.ContactedElsewhere(ctx, since, phones, nil, store.Spared{Campaign: req.From}, store.Spared{Campaign: req.Name})
	if err != nil {
		return nil, err
	}
	if purged != "" {
		l.note("campaign %s was purged, so it is not known whom it contacted: everybody who was contacted lately is left out", purged)
	}
	others := make(map[campaign.Phone]bool, len(phones))
	for i, phone := range phones {
		others[phone.Person()] = by[i] || purged != ""
	}
	return func(p campaign.Phone) bool {
		other, known := others[p.Person()]
		return recent(p) && (other || !known)
	}, nil
}
