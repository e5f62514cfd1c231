package dashboard

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"campaign-runner/campaign"
	"campaign-runner/campaign/launch"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/texts"
)

// An addition is the page that adds contacts to a campaign: first it takes the list, then it
// shows what would be added.
type addition struct {
	To      campaign.Campaign
	State   campaign.Phase // of the campaign
	ID      string         // of the draft with the list; empty: there is none yet
	Preview preview        // what would be added
	Problem texts.Line     // what is wrong; empty: nothing yet
	MaxMB   int
	Sheet   string
}

// Runs reports whether the campaign is over, and runs again with more contacts.
func (a addition) Runs() bool {
	return a.State == campaign.Finished || a.State == campaign.CanceledPhase
}

// Waits reports whether the campaign is paused.
func (a addition) Waits() bool { return a.State == campaign.Paused }

// Columns are those that the list must have.
func (a addition) Columns() []any { return names(a.To.Settings) }

// appendTo is the field of a draft whose list is added to a campaign, in place of one that
// becomes a campaign.
const appendTo = "append"

// appendForm serves the page that takes a list.
func (p *pages) appendForm(w http.ResponseWriter, r *http.Request, c campaign.Campaign) error {
	p.showAddition(w, r, http.StatusOK, addition{To: c})
	return nil
}

func (p *pages) showAddition(w http.ResponseWriter, r *http.Request, status int, a addition) {
	a.MaxMB = maxUpload >> 20
	here := "/campaigns/" + a.To.Name + "/append"
	if a.ID != "" {
		here += "/" + a.ID
	}
	p.show(w, r, status, "append", view{
		Title: texts.Of("append.of", "campaign", texts.Name(a.To.Name)), Nav: "campaigns", Here: p.link(here), Flash: p.done(r), Body: a,
	})
}

// appendList takes a list that is to be added to a campaign.
func (p *pages) appendList(w http.ResponseWriter, r *http.Request) {
	c, err := p.readable(r)
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	form, file, err := p.receive(w, r)
	if err == nil && file == nil {
		err = wishf(http.StatusBadRequest, "error.no_file")
	}
	var made store.Draft
	if err == nil {
		made, err = file.End(bySteps(url.Values{appendTo: {c.Name}, "sheet": {form.Get("sheet")}}))
		err = asDraft(err)
	}
	switch {
	case isDown(err):
		p.refuse(w, r, err)
	case err != nil:
		p.forget(r.Context(), file)
		p.showAddition(w, r, statusOf(err), addition{To: c, Problem: lineOf(err), Sheet: form.Get("sheet")})
	default:
		http.Redirect(w, r, p.link("/campaigns/"+c.Name+"/append/"+made.ID), http.StatusSeeOther)
	}
}

// appends reads the draft of a list that is to be added to a campaign.
func (p *pages) appends(r *http.Request, c campaign.Campaign) (draft, error) {
	d, err := p.draft(r)
	if err == nil && d.Appends() != c.Name {
		err = asDraft(store.ErrNoDraft)
	}
	return d, err
}

// appendPreview shows what a list would add.
func (p *pages) appendPreview(w http.ResponseWriter, r *http.Request, c campaign.Campaign) error {
	d, err := p.appends(r, c)
	if err != nil {
		return err
	}
	return p.showAppend(w, r, c, d, nil)
}

// showAppend shows what a list would add. failed is why it was not added.
func (p *pages) showAppend(w http.ResponseWriter, r *http.Request, c campaign.Campaign, d draft, failed error) error {
	a := addition{To: c, ID: d.ID}
	status := http.StatusOK
	tally, err := p.Store.Tally(r.Context(), c.Name)
	if err == nil {
		a.State = tally.Phase(c.Phase)
		a.Preview, err = p.rehearseAppend(r.Context(), c, d, p.who(r), "")
	}
	switch {
	case isDown(err):
		return err
	case err != nil:
		failed = err
	}
	if failed != nil {
		status, a.Problem = statusOf(failed), lineOf(failed)
	}
	a.Preview.Problem = nil
	if err != nil {
		a.Preview.Problem = a.Problem
	}
	p.showAddition(w, r, status, a)
	return nil
}

// appender adds to campaigns. The platform is not asked: they know their columns.
func (p *pages) appender(by string) *launch.Launcher {
	return &launch.Launcher{Store: p.Store, By: by, Beside: report.Beside(p.store)}
}

func (p *pages) appendRequest(ctx context.Context, c campaign.Campaign, d draft) launch.Request {
	req := launch.Request{Name: c.Name, File: "-", Stdin: p.Store.DraftFile(ctx, d.Draft), Called: d.called()}
	req.Format.Sheet = strings.TrimSpace(d.Form.Get("sheet"))
	return req
}

// rehearseAppend does everything that an append does except storing; see rehearse.
func (p *pages) rehearseAppend(ctx context.Context, c campaign.Campaign, d draft, by, rejects string) (preview, error) {
	shown := preview{draft: d, File: d.File, Settings: c.Settings}
	err := p.reading(ctx, func(ctx context.Context) (err error) {
		l, req := p.appender(by), p.appendRequest(ctx, c, d)
		l.Note = func(text string) { shown.Notes = append(shown.Notes, texts.Technical(text)) }
		req.DryRun, req.RejectsFile = true, rejects
		shown.Summary, err = l.Append(ctx, req)
		return err
	})
	return shown, asDraft(err)
}

// appendRefused serves the lines of a list that would be refused.
func (p *pages) appendRefused(w http.ResponseWriter, r *http.Request, c campaign.Campaign) error {
	d, err := p.appends(r, c)
	if err != nil {
		return err
	}
	return asWish(p.sendRefused(w, r, c.Name, func(path string) (preview, error) {
		return p.rehearseAppend(r.Context(), c, d, p.who(r), path)
	}))
}

// appended adds a list to a campaign, if it adds no more than its page has shown, to a
// campaign with the settings that it has shown.
func (p *pages) appended(w http.ResponseWriter, r *http.Request, c campaign.Campaign) error {
	d, err := p.appends(r, c)
	if err != nil {
		return err
	}
	seen, err := strconv.Atoi(r.PostForm.Get("seen"))
	if err != nil || seen < 1 {
		return wishf(http.StatusBadRequest, "error.unseen")
	}
	if r.PostForm.Get("version") != strconv.Itoa(c.Version) {
		return p.showAppend(w, r, c, d, wishf(http.StatusConflict, "append.meanwhile"))
	}
	// A person who closes the page has still asked for it.
	ctx := context.WithoutCancel(r.Context())
	sum, err := p.launchDraft(ctx, d.ID, func() (launch.Summary, bool, error) {
		l, req := p.appender(p.who(r)), p.appendRequest(ctx, c, d)
		l.Queue, l.With, req.AtMost = p.queue(r), d.makers(), seen
		sum, err := l.Append(ctx, req)
		return sum, true, err // the same list added again changes nothing
	})
	switch {
	case errors.Is(err, launch.ErrMoreAdded):
		return p.showAppend(w, r, c, d, &wishError{status: http.StatusConflict, err: err})
	case err != nil:
		return asWish(asDraft(err))
	}
	p.did(w, r, "/campaigns/"+c.Name, texts.Of("did.append", "n", sum.Contacts))
	return nil
}
