package launch

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
	"campaign-runner/campaign/store"
)

// Append adds the contacts of a file to a campaign that has been loaded, and sets it
// running again if it was canceled or finished. The file has the campaign's columns, in
// any order. Numbers that are in the campaign already are duplicates. Nobody of the
// file is contacted before all of it is stored. The same file appended again changes
// nothing and tells the same. ErrMoreAdded if it has more contacts than AtMost.
//
// Of Settings only the phone columns count, and Mapping does not: the campaign has them.
func (l *Launcher) Append(ctx context.Context, req Request) (Summary, error) {
	c, err := l.growing(ctx, req)
	if err != nil {
		return Summary{}, err
	}
	req.Mapping, req.Settings = Mapping{}, appendSettings(c.Settings, req.Settings.Reading.PhoneColumns)
	src, err := l.openSources(ctx, req)
	if err != nil {
		return Summary{}, err
	}
	defer src.close()
	done, again, err := l.Store.Appended(ctx, c.Name, src.fingerprint)
	if err != nil {
		return Summary{}, err
	}
	var out loaded
	added := c
	if again {
		added.Counts, added.Chunks = done.Counts, done.Chunks
		out.work, err = unmixed(added)
	} else {
		ahead := l.beside(ctx, "", c.Settings.Agent) // with what the campaign has to send already
		out, err = l.appendList(ctx, req, c, src)
		added.Counts, added.Chunks, out.before, out.beside = out.counts, out.chunks, c.Counts.Contacts, ahead
	}
	if err != nil {
		return Summary{}, err
	}
	added.Settings.Canary = 0 // it was for the first list
	added.Settings.Lane = c.Settings.LaneFor(c.Chunks + added.Chunks)
	s, err := l.summary(ctx, req, added, src, out, 0)
	if err != nil || req.DryRun {
		return s, err
	}
	if c, err = l.Store.Campaign(ctx, req.Name); err != nil { // which may run again
		return Summary{}, err
	}
	if err := l.release(ctx, c); err != nil {
		return Summary{}, err
	}
	tally, err := l.Store.Tally(ctx, req.Name)
	s.State = tally.Phase(c.Phase)
	return s, err
}

// ErrMoreAdded: a list has more new contacts than a person has seen.
var ErrMoreAdded = campaign.Faulty(campaign.MsgMoreAdded)

// growing is the campaign that a request adds to.
func (l *Launcher) growing(ctx context.Context, req Request) (campaign.Campaign, error) {
	if err := campaign.CheckName(req.Name); err != nil {
		return campaign.Campaign{}, err
	}
	c, err := l.Store.Campaign(ctx, req.Name)
	switch {
	case err != nil:
	case c.Phase == campaign.Loading:
		err = fmt.Errorf("append to %s: it is still loading", req.Name)
	case c.Kept() != nil:
		err = c.Kept()
	case c.Chunks == 0:
		err = fmt.Errorf("append to %s: it has no contacts; load the file under this name instead", req.Name)
	default:
		err = req.Choice.check()
	}
	return c, err
}

// appendSettings are the campaign's settings for reading another file.
func appendSettings(s campaign.Settings, phoneColumns []string) campaign.Settings {
	s.Reading = s.Reading.Again()
	switch {
	case len(phoneColumns) > 0:
		s.Reading.PhoneColumns = phoneColumns
	case len(s.Reading.PhoneColumns) == 0:
		s.Reading.PhoneColumns = []string{s.Columns[s.PhoneColumn].Name}
	}
	return s
}

// appendList reads a list and stores it behind the campaign's contacts.
func (l *Launcher) appendList(ctx context.Context, req Request, c campaign.Campaign, src *sources) (loaded, error) {
	if req.DryRun {
		in := l.intake(c, c.Settings.ColumnNames(), req.RejectsFile)
		defer in.rejects.local.discard()
		return l.readMore(ctx, req, c, src, in)
	}
	if err := l.Queue.CancelLeftovers(ctx, c); err != nil {
		return loaded{}, err
	}
	to, err := l.Store.BeginAppend(ctx, c.Name, src.fingerprint)
	if err != nil {
		return loaded{}, err
	}
	to.By, to.With = l.By, l.With
	seen := c.Canceled
	c = to.Campaign()
	in := l.intake(c, c.Settings.ColumnNames(), req.RejectsFile)
	defer in.rejects.local.discard()
	out, err := in.keep(ctx, to, func() (loaded, error) {
		if err := l.hasRoom(ctx, c.Name, src.contacts.size); err != nil {
			return loaded{}, err
		}
		return l.readMore(ctx, req, c, src, in)
	})
	if err == nil && c.Canceled != seen {
		err = store.ErrCanceled
	}
	if err == nil && req.AtMost > 0 && out.counts.Contacts > req.AtMost {
		err = ErrMoreAdded
	}
	if err != nil {
		return loaded{}, abandon(ctx, to, &UnfinishedError{Campaign: c.Name, Append: true, Err: err})
	}
	// From here on a Ctrl-C would leave open whether they are part of it.
	if _, err := to.Finish(context.WithoutCancel(ctx), store.Appended{Counts: out.counts, Chunks: out.chunks}); errors.Is(err, store.ErrCanceled) {
		return loaded{}, abandon(ctx, to, &UnfinishedError{Campaign: c.Name, Append: true, Err: err})
	} else if err != nil {
		return loaded{}, fmt.Errorf("%w; whether they were added is not known: the same command finds out", err)
	}
	l.record(ctx, c.Name, store.ActionAppend, src.contacts, out.counts)
	return out, nil
}

// readMore reads another file of a campaign, without the numbers that it has already.
func (l *Launcher) readMore(ctx context.Context, req Request, c campaign.Campaign, src *sources, in *intake) (loaded, error) {
	known, err := l.Store.ReadPhones(ctx, c)
	if err != nil {
		return loaded{}, err
	}
	more, err := l.barred(ctx, req)
	if err != nil {
		return loaded{}, err
	}
	list := &list{source: src.contacts, settings: req.Settings, warnings: src.contacts.list.Warnings()}
	barred, err := src.suppressed(ctx, list, append(barred{{known.Has, contacts.Duplicate}}, more...))
	if err != nil {
		return loaded{}, err
	}
	var unknown []string
	opt := contacts.Options{Reading: req.Settings.Reading, Region: c.Settings.Region, Suppressed: barred.reason}
	list.reader, err = src.contacts.reader(ctx, opt, req.Choice, func(r *contacts.Reader) (err error) {
		if in.order, unknown, err = sameColumns(r.Columns(), c.Settings); err != nil {
			return err
		}
		for i, column := range c.Settings.Columns {
			if column.Required {
				r.Require(in.order[i], column.Key)
			}
		}
		return placesLeftOut(unknown, c.Settings)
	})
	if err != nil {
		return loaded{}, err
	}
	defer list.reader.Close()
	list.warnings = append(list.warnings, list.reader.Remarks()...)
	if c.Counts.Refused[string(contacts.Suppressed)] > 0 && len(req.Suppress) == 0 {
		list.warnings = append(list.warnings, campaign.Say(campaign.MsgReadNoStopList))
	}
	if len(unknown) > 0 {
		list.warnings = append(list.warnings, campaign.Say(campaign.MsgReadUnknown, "columns", namesOf(unknown)))
	}
	return in.read(ctx, list)
}

// placesLeftOut refuses a file with a column of countries that the campaign's first
// file did not have: read as of the region, its numbers would be those of strangers.
func placesLeftOut(unknown []string, s campaign.Settings) error {
	r := s.Reading
	if s.Region == "" || r.CountryColumn == campaign.NoColumn || r.CountryCodeColumn == campaign.NoColumn ||
		r.FoundCountryColumn != "" || r.FoundCountryCodeColumn != "" {
		return nil
	}
	if at := slices.IndexFunc(unknown, contacts.NamesPlace); at >= 0 {
		return fmt.Errorf("column %q may say whose country the numbers are of, and the campaign reads them as of %s: take it out if they are, or else write them with a plus and take it out", unknown[at], s.Region)
	}
	return nil
}

// sameColumns finds the campaign's columns in a file: for each of them the file's.
// Equal names are told apart by their order. Columns the campaign does not have are
// unknown.
func sameColumns(header []string, s campaign.Settings) (order []int, unknown []string, err error) {
	taken := make([]bool, len(header))
	var missing []string
	for _, column := range s.Columns {
		at := -1
		for i, name := range header {
			if at < 0 && !taken[i] && contacts.SameName(name, column.Name) {
				at, taken[i] = i, true
			}
		}
		if at < 0 {
			missing = append(missing, column.Name)
		}
		order = append(order, at)
	}
	if len(missing) > 0 {
		return nil, nil, fmt.Errorf("the file lacks columns of the campaign: %s; its columns are %s", quoted(missing), quoted(header))
	}
	for i, name := range header {
		if !taken[i] {
			unknown = append(unknown, name)
		}
	}
	return order, unknown, nil
}
