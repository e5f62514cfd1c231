package dashboard

import (
	"bufio"
	"cmp"
	"context"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/hours"
	"campaign-runner/campaign/launch"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/texts"
)

// Kinds of files that a draft has beside its list.
const (
	suppressFile = "suppress" // numbers that must not be contacted
	calendarFile = "calendar" // the latest counts
)

const (
	dropFile     = "drop:" // begins the wish to take a file away; its id follows
	filesSection = "#files"
)

// besides are the steps that take files.
var besides = map[string]struct {
	kind string
	form fileForm
}{
	"safety": {suppressFile, fileForm{file: maxUpload, all: maxUpload + maxForm, fields: 200, files: store.MaxAttached}},
	"when":   {calendarFile, fileForm{file: maxCalendar, all: maxCalendar + maxForm, fields: 200, files: 1}},
}

// attached are the files of a kind.
func (d draft) attached(kind string) (list []store.Attachment) {
	for _, a := range d.Attached {
		if a.Kind == kind {
			list = append(list, a)
		}
	}
	return list
}

// readStep reads the form of a step, and takes the files that came with it into the draft. It
// returns how many those are. What was filled in is read although a file is refused.
func (p *pages) readStep(w http.ResponseWriter, r *http.Request) (came int, err error) {
	beside, takes := besides[r.PathValue("step")]
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if !takes || kind != "multipart/form-data" {
		return 0, formOf(w, r)
	}
	d, err := p.draft(r)
	if err != nil {
		return 0, err
	}
	r.PostForm, err = beside.form.read(w, r, func(part *multipart.Part) error {
		came++
		if err := p.attach(r, d, beside.kind, part); err != nil {
			return err
		}
		d.Attached = append(d.Attached, store.Attachment{})
		return nil
	})
	return came, err
}

// attach takes a file into a draft.
func (p *pages) attach(r *http.Request, d draft, kind string, part *multipart.Part) error {
	from := &teller{from: part}
	file := bufio.NewReader(from)
	if _, err := file.Peek(1); err == io.EOF {
		return wishf(http.StatusBadRequest, "error.file_empty", "file", nameOf(part))
	}
	err := p.Store.Attach(r.Context(), d.Draft, kind, nameOf(part), max(r.ContentLength, 0), file)
	if from.err != nil {
		return listForm.cutOff(from.err)
	}
	for _, before := range d.attached(calendarFile) {
		if err == nil && kind == calendarFile {
			err = p.Store.Detach(r.Context(), d.ID, before.ID)
		}
	}
	return asDraft(err)
}

// A teller tells errors of what is read from those of what is written to.
type teller struct {
	from io.Reader
	err  error
}

func (t *teller) Read(p []byte) (int, error) {
	n, err := t.from.Read(p)
	if err != io.EOF {
		t.err = err
	}
	return n, err
}

// said is what was filled in of the settings of some sections, with the calendar that was
// uploaded, as the command reads it.
func (p *pages) said(ctx context.Context, d draft, sections ...campaign.Section) (campaign.Given, error) {
	all := given(d.Form, sections)
	if !slices.Contains(sections, campaign.WhenSection) {
		return all, nil
	}
	for _, a := range d.attached(calendarFile) {
		text, err := io.ReadAll(p.Store.AttachedFile(ctx, d.Draft, a))
		if err != nil {
			return nil, asDraft(err)
		}
		all["calendar"] = []string{string(text)}
	}
	return all, nil
}

// listed are the files of numbers that must not be contacted.
func (p *pages) listed(ctx context.Context, d draft) (list []launch.Input) {
	for _, a := range d.attached(suppressFile) {
		list = append(list, launch.Input{Called: a.Name, From: p.Store.AttachedFile(ctx, d.Draft, a)})
	}
	return list
}

// listings tells what the files of numbers come to.
func (p *pages) listings(ctx context.Context, d draft) (list []launch.Listing, err error) {
	if len(d.attached(suppressFile)) == 0 {
		return nil, nil
	}
	err = p.reading(ctx, func(ctx context.Context) error {
		req, agent, _, err := p.source(ctx, d)
		if err != nil {
			return err
		}
		req.Settings, err = campaign.NewSettings(given(d.Form, []campaign.Section{campaign.ListSection, campaign.SafetySection}))
		if err != nil {
			return &wishError{status: http.StatusBadRequest, err: err}
		}
		wanted, since, err := p.wanted.get(ctx, agent, wantedFor)
		if since.IsZero() {
			return err
		}
		req.Listed = p.listed(ctx, d)
		launcher := p.Agents[agent]
		list, err = launcher.Listings(ctx, req, wanted)
		return err
	})
	return list, asDraft(err)
}

// A besideFile is a file beside the list as its step shows it.
type besideFile struct {
	Name, Drop string
	Says       []texts.Line
	Remarks    []campaign.Message
	Days       []exception
}

// maxDaysShown is how many of them are shown.
const maxDaysShown = 6

// beside fills in the files of a step, and says what is wrong with them.
func (p *pages) beside(ctx context.Context, s *stepPage) error {
	var listings []launch.Listing
	var closed []hours.Dates
	var wrong error
	switch s.Step {
	case "safety":
		listings, wrong = p.listings(ctx, s.draft)
	case "when":
		closed, wrong = p.closed(ctx, s.draft)
	}
	for i, a := range s.attached(besides[s.Step].kind) {
		file := besideFile{Name: a.Name, Drop: dropFile + a.ID}
		if i < len(listings) {
			file.Says, file.Remarks = listingText(listings[i]), listings[i].Remarks
		}
		if n := len(closed); n > 0 {
			file.Says = []texts.Line{texts.Of("files.closed", "n", n)}
			file.Days = nextClosed(closed, time.Now())
		}
		s.Files = append(s.Files, file)
	}
	return wrong
}

// closed are the days of the calendar of a draft.
func (p *pages) closed(ctx context.Context, d draft) ([]hours.Dates, error) {
	if len(d.attached(calendarFile)) == 0 {
		return nil, nil
	}
	all, err := p.said(ctx, d, campaign.WhenSection)
	if err != nil {
		return nil, err
	}
	s, err := campaign.NewSettings(campaign.Given{"calendar": all["calendar"], "timezone": all["timezone"]})
	return s.Hours.Closed, err
}

// nextClosed are the next of these days. What holds on them is told where it is not that
// nobody is contacted all day.
func nextClosed(closed []hours.Dates, now time.Time) (list []exception) {
	for _, d := range closed {
		if d.To.String() < now.UTC().Format(time.DateOnly) || len(list) == maxDaysShown {
			continue
		}
		next := exception{}
		next.Dates, next.What = datesText(d)
		if next.From, next.To = daysOf(d); strings.HasSuffix(d.String(), "=closed") {
			next.What = texts.Line(nil)
		}
		list = append(list, next)
	}
	return list
}

// listingText tells what a file of numbers came to.
func listingText(l launch.Listing) []texts.Line {
	says := []texts.Line{texts.Of("files.numbers", "n", l.Numbers), texts.Of("files.left_out", "n", l.LeftOut)}
	if l.Unreadable > 0 {
		says = append(says, texts.Of("files.unreadable", "n", l.Unreadable))
	}
	return says
}

// takeFiles takes the files of another draft, or the calendar of the campaign that is copied,
// into a draft that is still being made.
func (p *pages) takeFiles(ctx context.Context, to *store.DraftWriter, from store.Draft, copied campaign.Campaign) (err error) {
	for _, a := range from.Attached {
		err = cmp.Or(err, to.Attach(a.Kind, a.Name, p.Store.AttachedFile(ctx, from, a)))
	}
	for _, text := range campaign.LaunchSettings("calendar")[0].Texts(copied.Settings) {
		err = cmp.Or(err, to.Attach(calendarFile, copied.Name, strings.NewReader(text)))
	}
	return err
}
