package launch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
)

// An Input is a file that is read once, from where it comes.
type Input struct {
	Called string // what people call it
	From   io.Reader
}

// A Listing is a file of numbers that must not be contacted, as it was read.
type Listing struct {
	File       string `json:"file"`
	Numbers    int    `json:"numbers"`          // different ones
	LeftOut    int    `json:"left_out"`         // lines of the contact file that it leaves out, and nothing before it
	Unreadable int    `json:"unreadable_lines"` // they leave nobody out

	Remarks []campaign.Message `json:"-"` // on how it was read, without its name

	has func(campaign.Phone) bool
}

// suppressionList begins the name of such a file as errors tell it.
const suppressionList = "suppression list"

func nameOfListing(s *source) string { return strings.TrimPrefix(s.what, suppressionList+" ") }

// openSuppress opens the files of numbers that must not be contacted. One that cannot be
// opened is an error: without it people would be contacted who must not be.
func (s *sources) openSuppress(ctx context.Context, req Request) error {
	for _, path := range req.Suppress {
		list, err := openSource(suppressionList, path)
		if err != nil {
			return err
		}
		s.suppress = append(s.suppress, list)
	}
	for _, in := range req.Listed {
		list, err := spool(ctx, suppressionList+" "+in.Called, in.From)
		if err != nil {
			return ofListing(&source{what: suppressionList + " " + in.Called}, err)
		}
		s.suppress = append(s.suppress, list)
	}
	return nil
}

// ofListing says of which file an error is.
func ofListing(s *source, err error) error {
	why := campaign.Told(err)
	var unknown *contacts.NoPhonesError
	if errors.As(err, &unknown) {
		why = campaign.Say(campaign.MsgListNoPhone, "columns", namesOf(unknown.Columns))
	} else if !why.Coded() {
		why = campaign.Text(strings.TrimPrefix(why.String(), s.what+": "))
	}
	return campaign.Because(err, campaign.MsgListFault, "file", nameOfListing(s), "why", why)
}

// suppressed reads the suppression lists, and adds their numbers to those barred.
func (s *sources) suppressed(ctx context.Context, l *list, all barred) (barred, error) {
	reading := l.settings.Reading
	reading.PhoneColumns = nil // those are the contact file's
	for _, file := range s.suppress {
		file.rewind()
		numbers, err := file.list.Numbers(contacts.Options{Region: l.settings.Region, Reading: reading, CountryIfThere: true})
		if err != nil {
			return nil, ofListing(file, err)
		}
		if err := file.unchanged(ctx); err != nil {
			return nil, err
		}
		read := Listing{File: nameOfListing(file), Numbers: numbers.Len(), Remarks: numbers.Remarks(), has: numbers.Has}
		for _, remark := range read.Remarks {
			l.warnings = append(l.warnings, campaign.Say(campaign.MsgOfList, "file", read.File, "remark", remark))
		}
		for _, n := range numbers.Unreadable() {
			read.Unreadable += n
		}
		if read.Unreadable > 0 {
			l.warnings = append(l.warnings, campaign.Say(campaign.MsgListUnreadable, "file", read.File, "lines", read.Unreadable))
		}
		for _, sheets := range append(numbers.NotRead(), numbers.LeftOut()...) {
			read.Remarks = append(read.Remarks, sheets)
			l.warnings = append(l.warnings, campaign.Say(campaign.MsgListSheets, "file", read.File, "sheets", sheets))
		}
		l.listings = append(l.listings, read)
		all = append(all, bar{numbers.Has, contacts.Suppressed})
	}
	return all, nil
}

// leaves counts a refused row for the file that leaves it out.
func (l *list) leaves(row contacts.Row) {
	if row.Refusal.Reason != contacts.Suppressed {
		return
	}
	for i := range l.listings {
		if l.listings[i].has(row.Phone) {
			l.listings[i].LeftOut++
			return
		}
	}
}

// Listings reads the files of numbers that must not be contacted, and the whole contact file,
// to tell whom each leaves out. Of the settings only those of the list matter. The platform is
// not asked; wanted is what it has said.
func (l *Launcher) Listings(ctx context.Context, req Request, wanted Wanted) ([]Listing, error) {
	src, err := l.openSources(ctx, req)
	if err != nil {
		return nil, err
	}
	defer src.close()
	barred, err := l.barred(ctx, req)
	if err != nil {
		return nil, err
	}
	list, err := src.list(ctx, req, wanted.found, barred)
	if err != nil {
		return nil, err
	}
	defer list.reader.Close()
	for row, err := range list.reader.All() {
		if err != nil {
			return nil, fmt.Errorf("%s: %w", src.contacts.what, err)
		}
		list.leaves(row)
	}
	return list.listings, src.contacts.unchanged(ctx)
}
