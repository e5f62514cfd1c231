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

// Append adds the contacts of a file to a campaign that has been loaded, and sets
// it running again if it was canceled or finished. The file's columns are those of
// the campaign, in any order; numbers that are in the campaign already are
// duplicates. Nobody of the file is contacted before all of it is stored. The same
// file appended again changes nothing and tells the same.
//
// Of the request, Mapping and Settings are not asked but for the phone columns: the
// campaign has them.
func (l *Launcher) Append(ctx context.Context, req Request) (Summary, error) {
	if err := campaign.CheckName(req.Name); err != nil {
		return Summary{}, err
	}
	c, err := l.Store.Campaign(ctx, req.Name)
	switch {
	case err != nil:
		return Summary{}, err
	case c.Phase == campaign.Loading:
		return Summary{}, fmt.Errorf("append to %s: it is still loading", req.Name)
	case c.Kept() != nil:
		return Summary{}, c.Kept()
	case c.Chunks == 0:
		return Summary{}, fmt.Errorf("append to %s: nobody is in it; load the file under this name instead", req.Name)
	}
	if err := req.Choice.check(); err != nil {
		return Summary{}, err
	}
	asked := req.Settings.Reading.PhoneColumns
	req.Settings, req.Mapping = c.Settings, Mapping{}
	req.Settings.Reading = c.Settings.Reading.Again()
	switch {
	case len(asked) > 0:
		req.Settings.Reading.PhoneColumns = asked
	case len(c.Settings.Reading.PhoneColumns) == 0:
		req.Settings.Reading.PhoneColumns = []string{c.Settings.Columns[c.Settings.PhoneColumn].Name}
	}
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
	var warnings []string
	if !again {
		if out, warnings, err = l.appendList(ctx, req, c, src); err != nil {
			return Summary{}, err
		}
		done = store.Appended{Counts: out.counts, Chunks: out.chunks}
		if !req.DryRun {
			if c, err = l.Store.Campaign(ctx, req.Name); err != nil {
				return Summary{}, err
			}
		}
	}
	added := c
	added.Counts, added.Chunks = done.Counts, done.Chunks
	now, err := l.now(ctx, req.DryRun)
	if err != nil {
		return Summary{}, err
	}
	mix := out.mix
	if again {
		if mix, err = unmixed(added); err != nil {
			return Summary{}, err
		}
	}
	s := summarize(added, outlook(added.Settings, mix, l.Rate, 0, l.blockedUntil(ctx, added.Settings.Agent, now), now))
	s.readFrom(src.contacts.list, out)
	s.DryRun = req.DryRun
	s.warn(append(warnings, out.warnings...)...)
	if req.DryRun {
		return s, nil
	}
	if err := l.release(ctx, c); err != nil {
		return Summary{}, err
	}
	tally, err := l.Store.Tally(ctx, req.Name)
	s.State = tally.Phase(c.Phase)
	return s, err
}

// appendList reads a list and stores it behind the campaign's contacts.
func (l *Launcher) appendList(ctx context.Context, req Request, c campaign.Campaign, src *sources) (_ loaded, warnings []string, err error) {
	var to *store.Append
	if !req.DryRun {
		if err := l.Queue.CancelLeftovers(ctx, c); err != nil {
			return loaded{}, nil, err
		}
		if to, err = l.Store.BeginAppend(ctx, c.Name, src.fingerprint); err != nil {
			return loaded{}, nil, err
		}
		c = to.Campaign()
	}
	fail := func(err error) error {
		if to == nil || errors.Is(err, store.ErrLoadLost) {
			return err
		}
		err = l.abandon(ctx, to, c.Name, err)
		if unfinished := (*UnfinishedError)(nil); errors.As(err, &unfinished) {
			unfinished.Append = true
		}
		return err
	}
	in := &intake{name: c.Name, settings: c.Settings, progress: l.progress, rejects: rejects{columns: c.Settings.ColumnNames(), more: c.Counts.Rows > c.Counts.Contacts}}
	in.rejects.local.path = req.RejectsFile
	defer in.rejects.local.discard()
	in.rejects.keep = func([]byte) error { return nil }
	if to != nil {
		in.load = to
		in.rejects.keep = func(part []byte) error { return to.AddRejects(ctx, part) }
		if err := l.hasRoom(ctx, c.Name, src.contacts.size); err != nil {
			return loaded{}, nil, fail(err)
		}
	}
	known, err := l.Store.ReadPhones(ctx, c)
	if err != nil {
		return loaded{}, nil, fail(err)
	}
	lasting, err := l.lasting(ctx, req)
	if err != nil {
		return loaded{}, nil, fail(err)
	}
	list := &list{source: src.contacts, settings: req.Settings, warnings: src.contacts.list.Warnings()}
	held, err := src.suppressed(ctx, list)
	if err != nil {
		return loaded{}, nil, fail(err)
	}
	others, err := l.others(ctx, req.Choice.NotIn)
	if err != nil {
		return loaded{}, nil, fail(err)
	}
	held = append(append(append(hold{{known.Has, contacts.Duplicate}}, others...), held...), lasting...)
	var unknown []string
	opt := contacts.Options{Reading: req.Settings.Reading, Region: c.Settings.Region, Suppressed: held.reason}
	list.reader, err = src.contacts.reader(ctx, opt, req.Choice, func(r *contacts.Reader) (err error) {
		if in.order, unknown, err = sameColumns(r.Columns(), c.Settings); err != nil {
			return err
		}
		if err := placesLeftOut(unknown, c.Settings); err != nil {
			return err
		}
		for i, column := range c.Settings.Columns {
			if column.Required {
				r.Require(in.order[i], column.Key)
			}
		}
		return nil
	})
	if err != nil {
		return loaded{}, nil, fail(err)
	}
	defer list.reader.Close()
	list.warnings = append(list.warnings, list.reader.Remarks()...)
	if len(unknown) > 0 {
		list.warnings = append(list.warnings, fmt.Sprintf("the campaign has no column %s: left out", quoted(unknown)))
	}
	out, err := in.read(ctx, list)
	if err == nil && to != nil {
		err = to.AddIndex(ctx, list.reader.Contacts())
	}
	if err != nil {
		return loaded{}, nil, fail(err)
	}
	if to == nil {
		return out, list.warnings, nil
	}
	// From here on a Ctrl-C would leave open whether they are part of it.
	if _, err := to.Finish(context.WithoutCancel(ctx), store.Appended{Counts: out.counts, Chunks: out.chunks}); err != nil {
		return loaded{}, nil, fmt.Errorf("%w; whether they were added is not known: the same command finds out", err)
	}
	l.record(ctx, c.Name, store.ActionAppend, src.contacts, out.counts)
	return out, list.warnings, nil
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
