package launch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
)

// sources are the files of a request.
type sources struct {
	contacts    *source
	suppress    []*source
	fingerprint string
}

// openSources opens the files of a request and takes their fingerprint.
func (l *Launcher) openSources(ctx context.Context, req Request) (_ *sources, err error) {
	s := new(sources)
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	switch {
	case req.From != "":
		s.contacts, err = l.campaignSource(ctx, req)
	case req.File == stdin:
		s.contacts, err = spool(ctx, cmp.Or(req.Called, "standard input"), req.Stdin)
	default:
		s.contacts, err = openSource("contact file", req.File)
	}
	if err != nil {
		return nil, err
	}
	for _, path := range req.Suppress {
		list, err := openSource("suppression list", path)
		if err != nil {
			return nil, err
		}
		s.suppress = append(s.suppress, list)
	}
	if err := s.contacts.open(ctx, req.Format, s.contacts.reading(req).PhoneColumns); err != nil {
		return nil, err
	}
	for _, list := range s.suppress {
		if err := list.open(ctx, contacts.Format{}, nil); err != nil {
			return nil, err
		}
	}
	if s.fingerprint, err = s.print(req); err != nil {
		return nil, err
	}
	return s, nil
}

// apartFrom fails when the rejects would take the place of a file that is read, or
// of one that holds something else.
func (s *sources) apartFrom(rejects string) error {
	place, err := os.Stat(rejects)
	if rejects == "" || err != nil {
		return nil // there is no file to lose
	}
	if place.IsDir() {
		return fmt.Errorf("rejects file %s: it is a directory", rejects)
	}
	for _, file := range s.all() {
		if info, err := file.file.Stat(); err == nil && os.SameFile(info, place) {
			return fmt.Errorf("rejects file %s: that is the %s", rejects, file.what)
		}
	}
	if place.Mode().IsRegular() && place.Size() > 0 && !holdsRejects(rejects) {
		return fmt.Errorf("rejects file %s: there is another file of that name; choose a place with --rejects", rejects)
	}
	return nil
}

// holdsRejects reports whether a file begins as rejects do.
func holdsRejects(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return contacts.HoldsRejects(f)
}

func (s *sources) all() []*source { return append([]*source{s.contacts}, s.suppress...) }

func (s *sources) close() {
	for _, file := range s.all() {
		if file != nil {
			_ = file.file.Close() // was only read
		}
	}
}

// print is the fingerprint of all that decides what a load stores. The order of
// suppression lists and the names of files do not.
func (s *sources) print(req Request) (string, error) {
	settings := req.settings()
	settings.WebhookURL = "" // belongs to the installation
	lists := make([]string, len(s.suppress))
	for i, list := range s.suppress {
		lists[i] = hex.EncodeToString(list.sum)
	}
	slices.Sort(lists)
	text, err := json.Marshal(struct {
		Contacts string
		Suppress []string
		Settings campaign.Settings
		Format   contacts.Format
		Mapping  Mapping
		Choice   any
	}{fmt.Sprintf("%x", cmp.Or(string(s.contacts.identity), string(s.contacts.sum))), lists, settings, req.Format, req.Mapping, req.Choice.identity()})
	if err != nil {
		return "", fmt.Errorf("fingerprint: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// A list is a contact file after its header was read.
type list struct {
	source   *source
	reader   *contacts.Reader
	settings campaign.Settings
	warnings []string
}

// list opens the contact file for its last reading, and leaves out the numbers that
// are barred or on a suppression list.
func (s *sources) list(ctx context.Context, req Request, found checked, barred barred) (_ *list, err error) {
	l := &list{source: s.contacts, settings: req.settings(), warnings: slices.Concat(found.warnings, s.contacts.list.Warnings())}
	if barred, err = s.suppressed(ctx, l, barred); err != nil {
		return nil, err
	}
	opt := contacts.Options{Reading: s.contacts.reading(req), Region: l.settings.Region, Suppressed: barred.reason}
	var mapped []string
	l.reader, err = s.contacts.reader(ctx, opt, req.Choice, func(r *contacts.Reader) error {
		columns, warnings, err := columnsFor(r.Columns(), r.PhoneColumn(), found, req.Mapping)
		if err != nil {
			return err
		}
		l.settings.Columns, l.settings.PhoneColumn, l.settings.Constants = columns, r.PhoneColumn(), req.Mapping.Constants
		for i, column := range columns {
			if slices.Contains(found.keys, column.Key) {
				columns[i].Required = true
				r.Require(i, column.Key)
			}
		}
		l.settings.Reading.FoundCountryColumn, l.settings.Reading.FoundCountryCodeColumn = r.CountryColumns()
		mapped = append(r.Remarks(), warnings...)
		return nil
	})
	l.warnings = append(l.warnings, mapped...)
	return l, err
}

// suppressed reads the suppression lists, and adds their numbers to those barred.
func (s *sources) suppressed(ctx context.Context, l *list, all barred) (barred, error) {
	reading := l.settings.Reading
	reading.PhoneColumns = nil // those are the contact file's
	for _, file := range s.suppress {
		file.rewind()
		numbers, err := file.list.Numbers(contacts.Options{Region: l.settings.Region, Reading: reading, CountryIfThere: true})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file.what, err)
		}
		if err := file.unchanged(ctx); err != nil {
			return nil, err
		}
		for _, remark := range numbers.Remarks() {
			l.warnings = append(l.warnings, file.what+": "+remark)
		}
		unreadable := 0
		for _, n := range numbers.Unreadable() {
			unreadable += n
		}
		if unreadable > 0 {
			l.warnings = append(l.warnings, fmt.Sprintf("%s: %d of its lines have no usable number, so they leave nobody out", file.what, unreadable))
		}
		for _, sheets := range append(numbers.NotRead(), numbers.LeftOut()...) {
			l.warnings = append(l.warnings, fmt.Sprintf("%s: %s; they leave nobody out", file.what, sheets))
		}
		all = append(all, bar{numbers.Has, contacts.Suppressed})
	}
	return all, nil
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
		all = append(all, bar{func(p campaign.Phone) bool { return recent.Has(p.Person()) }, contacts.Recent})
	}
	return all, nil
}
