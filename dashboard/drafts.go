package dashboard

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/texts"
)

// A draft is a campaign that is being made, with all that was filled in so far.
type draft struct {
	store.Draft
	Form url.Values
}

func (p *pages) draftOf(d store.Draft) draft {
	made := draft{d, make(url.Values)}
	for _, text := range d.Steps {
		fields, _ := url.ParseQuery(text) // it was encoded by us; what is damaged is asked for again
		maps.Copy(made.Form, fields)
	}
	for flag, said := range p.Defaults {
		setting := campaign.LaunchSettings(flag)[0]
		field, text := fieldName(setting), strings.TrimSuffix(said[0], setting.Suffix)
		if setting.Label == "" { // it stands on no page
			field, text = keptField+flag, said[0]
		}
		if strings.TrimSpace(made.Form.Get(field)) == "" {
			made.Form.Set(field, text)
		}
	}
	return made
}

// said reports whether a step was filled in.
func (d draft) said(step string) bool { _, said := d.Steps[step]; return said }

// From is the campaign whose contacts are taken; empty: they are in a file.
func (d draft) From() string { return d.Form.Get("from") }

// madeBy is the field of a step that holds who has filled it in.
const madeBy = "by"

// makers are who has uploaded the list and filled in the steps, as a campaign's log has them.
func (d draft) makers() (list []string) {
	names := []string{d.By}
	for _, text := range d.Steps {
		if fields, _ := url.ParseQuery(text); fields.Has(madeBy) {
			names = append(names, fields.Get(madeBy))
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		list = append(list, campaign.OnPages(name))
	}
	return list
}

// Mark tells what was filled in from what somebody has changed since.
func (d draft) Mark() string {
	sum := sha256.New()
	for _, step := range slices.Sorted(maps.Keys(d.Steps)) {
		fmt.Fprintf(sum, "%q %q\n", step, d.Steps[step])
	}
	for _, a := range d.Attached {
		fmt.Fprintf(sum, "file %q\n", a.ID)
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// Name is what the campaign is to be called: as filled in, or as proposed.
func (d draft) Name() string {
	if d.Form.Has("name") {
		return strings.TrimSpace(d.Form.Get("name"))
	}
	return d.Form.Get("proposed")
}

// Appends is the campaign that its list is to be added to; empty: it becomes one.
func (d draft) Appends() string { return d.Form.Get(appendTo) }

// Title is what people call it.
func (d draft) Title() string { return cmp.Or(strings.TrimSpace(d.Form.Get("title")), d.Name()) }

// contactFile begins the name of a file as errors tell it.
const contactFile = "contact file "

// called is what errors call the list.
func (d draft) called() string {
	if d.From() != "" {
		return "contacts of campaign " + d.From()
	}
	return contactFile + d.File
}

// draft reads the draft of a page.
func (p *pages) draft(r *http.Request) (draft, error) {
	d, err := p.Store.Draft(r.Context(), r.PathValue("id"))
	return p.draftOf(d), asDraft(err)
}

// drafts are all that wait, the latest first.
func (p *pages) drafts(ctx context.Context) ([]draft, error) {
	list, err := p.Store.Drafts(ctx)
	all := make([]draft, len(list))
	for i, d := range list {
		all[i] = p.draftOf(d)
	}
	return all, err
}

// A beginning is the page that a campaign is begun on.
type beginning struct {
	Agents  []string
	Given   url.Values // what is known already
	Problem texts.Line // what is wrong; empty: nothing yet
	MaxMB   int
	Drafts  []draft
}

// Value is what is known already.
func (b beginning) Value(field string) string { return b.Given.Get(field) }

// Kept are the fields that are known already.
func (b beginning) Kept() (list []field) {
	for _, name := range []string{"from", "where", "copy", "agent", "channel"} {
		if b.Given.Has(name) {
			list = append(list, field{name, b.Given.Get(name)})
		}
	}
	return list
}

// begin serves the page on which a campaign is begun: by a file, or with the contacts or the
// settings of another.
func (p *pages) begin(w http.ResponseWriter, r *http.Request) {
	given, err := p.origin(r.Context(), r.URL.Query())
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	p.showBeginning(w, r, http.StatusOK, given, nil)
}

func (p *pages) showBeginning(w http.ResponseWriter, r *http.Request, status int, given url.Values, problem texts.Line) {
	list, err := p.drafts(context.WithoutCancel(r.Context())) // who has sent half an upload is told so
	if err != nil && problem == nil {
		p.refuse(w, r, err)
		return
	}
	v := view{Title: texts.Of("page.new"), Nav: "new", Flash: p.done(r), Body: beginning{
		Agents: p.agents(), Given: given, Problem: problem, MaxMB: maxUpload >> 20, Drafts: list,
	}}
	if r.Method == http.MethodPost {
		v.Here = p.link("/new")
		switch {
		case given.Get("from") != "":
			v.Here += "?" + url.Values{"from": {given.Get("from")}, "where": {given.Get("where")}}.Encode()
		case given.Get("copy") != "":
			v.Here += "?" + url.Values{"copy": {given.Get("copy")}}.Encode()
		}
	}
	p.show(w, r, status, "new", v)
}

func (p *pages) agents() []string { return slices.Sorted(maps.Keys(p.Agents)) }

// origin is what an address says of a campaign that is to be made: that it follows
// another up, or has its settings.
func (p *pages) origin(ctx context.Context, asked url.Values) (url.Values, error) {
	given := make(url.Values)
	if name := asked.Get("copy"); name != "" {
		c, err := p.Store.Campaign(ctx, name)
		return url.Values{"copy": {c.Name}}, err
	}
	if !asked.Has("from") {
		return given, nil
	}
	c, err := p.Store.Campaign(ctx, asked.Get("from"))
	if err != nil {
		return nil, err
	}
	given = url.Values{"from": {c.Name}, "where": {asked.Get("where")}, "agent": {c.Settings.Agent}}
	// A follow-up mostly takes another channel.
	if asked.Has("channel") {
		given.Set("channel", asked.Get("channel"))
	} else if i := slices.IndexFunc(p.Channels, func(other Channel) bool { return other.ID != c.Settings.ChannelID }); i >= 0 {
		given.Set("channel", p.Channels[i].Name)
	}
	return given, nil
}

// begun takes the list of a new campaign.
func (p *pages) begun(w http.ResponseWriter, r *http.Request) {
	form, file, err := p.receive(w, r)
	switch {
	case err != nil:
	case file != nil:
		form.Del("from") // the contacts are in the file
	case form.Get("from") != "":
		file, err = p.withoutFile(r, form)
	}
	if err == nil && file == nil {
		err = wishf(http.StatusBadRequest, "error.no_file")
	}
	var made store.Draft
	if err == nil {
		made, err = p.endUpload(r.Context(), file, form)
	}
	if err != nil {
		p.forget(r.Context(), file)
		status := http.StatusServiceUnavailable
		var wish *wishError
		if errors.As(err, &wish) {
			status = wish.status
		}
		p.showBeginning(w, r, status, form, lineOf(err))
		return
	}
	http.Redirect(w, r, p.link("/new/"+made.ID), http.StatusSeeOther)
}

// withoutFile begins a draft with the contacts of a campaign.
func (p *pages) withoutFile(r *http.Request, form url.Values) (*store.DraftWriter, error) {
	_, err := p.Store.Campaign(r.Context(), form.Get("from"))
	if err == nil {
		var file *store.DraftWriter
		if file, err = p.Store.BeginDraft(r.Context(), visitorOf(r).Name, "", 0); err == nil {
			return file, nil
		}
	}
	return nil, asWish(asDraft(err))
}

// endUpload ends an upload: from now on its draft is there, with what came along, with the
// settings of the campaign that is copied, or in place of another draft.
func (p *pages) endUpload(ctx context.Context, file *store.DraftWriter, said url.Values) (store.Draft, error) {
	form := make(url.Values)
	var before draft
	var c campaign.Campaign
	var err error
	if id := said.Get("draft"); id != "" {
		if before, err = p.inPlaceOf(ctx, id); err != nil {
			return store.Draft{}, err
		}
		form = before.Form
	} else if name := said.Get("copy"); name != "" {
		if c, err = p.Store.Campaign(ctx, name); err != nil {
			return store.Draft{}, asWish(err)
		}
		form = p.copyOf(c)
	}
	maps.Copy(form, said)
	settle(form)
	if !form.Has("proposed") {
		name, err := p.propose(ctx)
		if err != nil {
			return store.Draft{}, err
		}
		form.Set("proposed", name)
	}
	if err := p.takeFiles(ctx, file, before.Draft, c); err != nil {
		return store.Draft{}, asDraft(err)
	}
	d, err := file.End(bySteps(form))
	if err == nil && before.ID != "" {
		p.replaced(ctx, before.Draft)
	}
	return d, asDraft(err)
}

// bySteps are the fields of a form, encoded, by the step that they belong to. Others are
// left out.
func bySteps(form url.Values) map[string]string {
	parts := make(map[string]url.Values)
	for field, values := range form {
		if step := stepOf(field); step != "" {
			if parts[step] == nil {
				parts[step] = make(url.Values)
			}
			parts[step][field] = values
		}
	}
	all := make(map[string]string)
	for step, fields := range parts {
		all[step] = fields.Encode()
	}
	return all
}

// propose finds a name that no campaign and no draft has.
func (p *pages) propose(ctx context.Context) (string, error) {
	now, err := p.Store.About(ctx)
	if err != nil {
		return "", err
	}
	names, err := p.Store.Names(ctx)
	if err != nil {
		return "", err
	}
	drafts, err := p.drafts(ctx)
	for _, d := range drafts {
		names = append(names, d.Name())
	}
	for n := 1; ; n++ {
		if name := fmt.Sprintf("c-%s-%d", now.UTC().Format("20060102"), n); !slices.Contains(names, name) {
			return name, err
		}
	}
}

// goOn leads to the first step of a draft that was not filled in.
func (p *pages) goOn(w http.ResponseWriter, r *http.Request) {
	d, err := p.draft(r)
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	if to := d.Appends(); to != "" {
		http.Redirect(w, r, p.link("/campaigns/"+to+"/append/"+d.ID), http.StatusSeeOther)
		return
	}
	next := review
	for _, s := range steps {
		if !d.said(s.name) {
			next = s.name
			break
		}
	}
	http.Redirect(w, r, p.link("/new/"+d.ID+"/"+next), http.StatusSeeOther)
}

func (p *pages) discard(w http.ResponseWriter, r *http.Request) {
	if err := p.Store.DiscardDraft(r.Context(), r.PathValue("id")); err != nil {
		p.refuse(w, r, asDraft(err))
		return
	}
	p.did(w, r, "/new", texts.Of("did.discard"))
}

// nameTaken is an error if there is a campaign of that name that a launch would not load.
func (p *pages) nameTaken(ctx context.Context, name string) error {
	switch c, err := p.Store.Campaign(ctx, name); {
	case err == nil && c.Phase != campaign.Loading:
		return wishf(http.StatusConflict, "error.taken", "campaign", texts.Name(c.Name))
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return err
	}
	return nil
}
