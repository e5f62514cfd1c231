package dashboard

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/launch"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/texts"
)

// A launchForm is the page that a campaign is launched from.
type launchForm struct {
	Agents   []string
	Channels []Channel
	Given    url.Values // what was filled in before
	Problem  texts.Line // what is wrong with it; empty: nothing yet
	MaxMB    int
}

// Value is what was filled in, or what stands there at first.
func (f launchForm) Value(field string) string {
	if given, ok := f.Given[field]; ok {
		return given[0]
	}
	if field == "channel" && len(f.Channels) > 0 {
		return f.Channels[0].Name
	}
	return ""
}

// A formField is a setting as it stands on the form.
type formField struct {
	campaign.Setting
	Name  string
	Value string
}

// Label, Hint and Example are what stands beside and in the field.
func (f formField) Label() texts.Setting   { return texts.Setting{Setting: f.Setting} }
func (f formField) Hint() *texts.Setting   { return f.part(f.Setting.Hint, "hint") }
func (f formField) Example() texts.Setting { return texts.Setting{Setting: f.Setting, Part: "example"} }

// part is a text beside the field; nil: it has none.
func (f formField) part(english, part string) *texts.Setting {
	if english == "" {
		return nil
	}
	return &texts.Setting{Setting: f.Setting, Part: part}
}

// Options are what can be chosen.
func (f formField) Options() (list []option) {
	for _, choice := range f.Choices {
		list = append(list, option{choice, texts.Of("choice", "what", texts.Word{Family: "choice." + f.Flag, Text: choice}), choice == f.Value})
	}
	return list
}

// label is what people call a setting.
func label(flag string) any {
	switch flag {
	case "channel":
		return texts.Of("new.channel")
	case "agent":
		return texts.Of("facts.agent")
	}
	for _, s := range campaign.LaunchSettings(flag) {
		if s.Label != "" {
			return texts.Setting{Setting: s}
		}
	}
	return texts.Name(strings.ReplaceAll(flag, "-", " "))
}

// fieldName is the name that a setting has on the form.
func fieldName(s campaign.Setting) string { return strings.ReplaceAll(s.Flag, "-", "_") }

func (f launchForm) fields(section campaign.Section, switches bool) (fields []formField) {
	for _, s := range campaign.LaunchSettings() {
		if s.Label == "" || s.Section != section || s.Switch != switches {
			continue
		}
		field := formField{s, fieldName(s), s.Default}
		if _, ok := f.Given[field.Name]; ok || f.Given != nil && s.Switch {
			field.Value = f.Given.Get(field.Name)
		}
		fields = append(fields, field)
	}
	return fields
}

func (f launchForm) List() []formField     { return f.fields(campaign.ListSection, false) }
func (f launchForm) When() []formField     { return f.fields(campaign.WhenSection, false) }
func (f launchForm) Safety() []formField   { return f.fields(campaign.SafetySection, false) }
func (f launchForm) More() []formField     { return f.fields(campaign.MoreSection, false) }
func (f launchForm) Switches() []formField { return f.fields(campaign.MoreSection, true) }

// Changed reports whether something was filled in among fields.
func (f launchForm) Changed(fields []formField) bool {
	return slices.ContainsFunc(fields, func(field formField) bool { return field.Value != field.Default })
}

func (p *pages) newForm(given url.Values, problem texts.Line) view {
	return view{Title: texts.Of("page.new"), Nav: "new", Body: launchForm{
		Agents: slices.Sorted(maps.Keys(p.Agents)), Channels: p.Channels, Given: given, Problem: problem, MaxMB: maxUpload >> 20,
	}}
}

func (p *pages) form(w http.ResponseWriter, r *http.Request) {
	asked := r.URL.Query()
	if !asked.Has("from") {
		p.show(w, r, http.StatusOK, "new", p.newForm(nil, nil))
		return
	}
	c, err := p.store.Campaign(r.Context(), asked.Get("from"))
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	given := url.Values{"from": {c.Name}, "where": {asked.Get("where")}, "agent": {c.Settings.Agent}}
	// A follow-up mostly takes another channel.
	if asked.Has("channel") {
		given.Set("channel", asked.Get("channel"))
	} else if i := slices.IndexFunc(p.Channels, func(other Channel) bool { return other.ID != c.Settings.ChannelID }); i >= 0 {
		given.Set("channel", p.Channels[i].Name)
	}
	p.show(w, r, http.StatusOK, "new", p.newForm(given, nil))
}

// A preview is what would be launched.
type preview struct {
	ID       string
	File     string
	Settings campaign.Settings
	Summary  launch.Summary
	Notes    []texts.Technical // remarks of the preflight
	Minutes  int               // for which the list is kept
}

// Refusals are why lines are no contacts, the most frequent first.
func (p preview) Refusals() []report.Reason {
	return refused(p.Summary.Refused)
}

// Countries are how many contacts are of each, the most first.
func (p preview) Countries() []report.Reason { return report.Refusals(p.Summary.Countries) }

// Doubts are why numbers may be wrong.
func (p preview) Doubts() []report.Reason { return report.Refusals(p.Summary.Doubtful) }

// PhoneColumns are where the numbers come from, if there are several columns.
func (p preview) PhoneColumns() []report.Reason { return report.Refusals(p.Summary.PhoneColumns) }

// Refused is how many lines those are.
func (p preview) Refused() int { return p.Summary.Rows - p.Summary.Contacts - p.Summary.NotChosen }

// Estimate is how long the campaign takes if all goes well.
func (p preview) Estimate() texts.Line {
	return about(time.Duration(p.Summary.EstimatedSeconds) * time.Second)
}

// preview takes a list, does everything that a launch does except storing, and shows
// the result.
func (p *pages) preview(w http.ResponseWriter, r *http.Request) {
	given, up, err := p.uploads.receive(w, r)
	if err == nil && up == nil && given.Get("from") != "" {
		up, err = p.followUp(r.Context(), given.Get("from"), given.Get("agent"))
	}
	if err == nil {
		err = p.ready(up, given)
	}
	if err == nil {
		err = p.uploads.enter()
	}
	if err != nil {
		if up != nil {
			up.close()
		}
		p.problem(w, r, given, err)
		return
	}
	shown, err := p.rehearse(r.Context(), up, p.who(r))
	if err != nil {
		up.close()
		p.uploads.leave()
		p.problem(w, r, given, err)
		return
	}
	shown.ID = p.uploads.keep(up, shown)
	p.showPreview(w, r, shown)
}

// previewed serves a preview once more, as in another language.
func (p *pages) previewed(w http.ResponseWriter, r *http.Request) {
	up, ok := p.uploads.find(r.PathValue("id"))
	if !ok {
		p.refuse(w, r, errExpired)
		return
	}
	p.showPreview(w, r, up.shown)
}

func (p *pages) showPreview(w http.ResponseWriter, r *http.Request, shown preview) {
	title := texts.Of("preview.title", "campaign", texts.Name(shown.Summary.Campaign))
	p.show(w, r, http.StatusOK, "preview", view{Title: title, Nav: "new", Here: p.link("/new/" + shown.ID), Body: shown})
}

// followUp is in place of an upload: the contacts of a campaign. For its own agent their
// columns mean what they meant to it.
func (p *pages) followUp(ctx context.Context, name, agent string) (*upload, error) {
	c, err := p.store.Campaign(ctx, name)
	if err != nil {
		return nil, asWish(err)
	}
	up := &upload{request: launch.Request{From: name, Called: "contacts of campaign " + name}}
	if c.Settings.Agent == strings.TrimSpace(agent) {
		up.request.Mapping.Constants, up.request.Mapping.Columns = c.Settings.Constants, make(map[string]string)
		for _, column := range c.Settings.Columns {
			if column.Key != "" {
				up.request.Mapping.Columns[column.Name] = column.Key
			}
		}
	}
	return up, nil
}

// problem shows the form again, with what is wrong.
func (p *pages) problem(w http.ResponseWriter, r *http.Request, given url.Values, err error) {
	status := http.StatusUnprocessableEntity
	var wish *wishError
	if errors.As(err, &wish) {
		status = wish.status
	}
	v := p.newForm(given, lineOf(err))
	v.Here = p.link("/new") // what was filled in may hold a number, and stands in no address
	if from := given.Get("from"); from != "" {
		v.Here += "?" + url.Values{"from": {from}, "where": {given.Get("where")}}.Encode()
	}
	p.show(w, r, status, "new", v)
}

// ready makes a request of what was filled in.
func (p *pages) ready(up *upload, form url.Values) error {
	if up == nil {
		return wishf(http.StatusBadRequest, "error.no_file")
	}
	text := func(field string) string { return strings.TrimSpace(form.Get(field)) }
	up.agent = text("agent")
	if _, ok := p.Agents[up.agent]; !ok {
		return wishf(http.StatusBadRequest, "error.agent", "agent", up.agent)
	}
	channel, err := p.channelID(text("channel"))
	if err != nil {
		return err
	}
	given := campaign.Given{"agent": {up.agent}, "channel": {channel}}
	for _, s := range campaign.LaunchSettings() {
		value := text(fieldName(s))
		if s.Label == "" || value == "" || s.Number && value == "0" { // as for a field that is empty
			continue
		}
		if s.Switch {
			value = "true"
		}
		if _, err := strconv.Atoi(value); err == nil {
			value += s.Suffix
		}
		given[s.Flag] = []string{value}
	}
	if where := text("where"); up.request.From != "" && where != "" {
		rule, err := campaign.ParseRule(where)
		if err != nil {
			return &wishError{status: http.StatusBadRequest, err: err}
		}
		up.request.Choice.Where = campaign.Rules{rule}
	}
	up.request.Name = text("name")
	up.request.Format.Sheet = text("sheet")
	up.request.Format.AllSheets = form.Has("all_sheets")
	up.request.Format.SkipHiddenRows = form.Has("skip_hidden_rows")
	up.request.Mapping.SendExtra = form.Has("send_extra")
	if up.request.Settings, err = campaign.NewSettings(given); err != nil {
		return &wishError{status: http.StatusBadRequest, err: err}
	}
	up.request.Settings.WebhookURL = p.WebhookURL
	if up.request.Settings.KeepDays == 0 {
		up.request.Settings.KeepDays = p.KeepDays
	}
	if err := up.request.Check(); err != nil {
		return &wishError{status: http.StatusBadRequest, err: err}
	}
	return nil
}

// channelID is the id of a channel that was named, or given as one.
func (p *pages) channelID(text string) (string, error) {
	for _, c := range p.Channels {
		if strings.EqualFold(c.Name, text) {
			return strconv.Itoa(c.ID), nil
		}
	}
	if _, err := strconv.Atoi(text); err != nil {
		return "", wishf(http.StatusBadRequest, "error.channel", "channel", text)
	}
	return text, nil
}

// maxRehearsal bounds how long a person waits at a page while a list is read.
// A workbook of a million rows takes a tenth of it.
const maxRehearsal = 2 * time.Minute

var errTooSlow = wishf(http.StatusUnprocessableEntity, "error.too_slow", "n", int(maxRehearsal.Minutes()))

// rehearse does everything that a launch by somebody does except storing.
func (p *pages) rehearse(ctx context.Context, up *upload, by string) (preview, error) {
	switch c, err := p.store.Campaign(ctx, up.request.Name); {
	case err == nil && c.Phase != campaign.Loading:
		return preview{}, wishf(http.StatusConflict, "error.taken", "campaign", texts.Name(c.Name))
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return preview{}, err
	}
	shown := preview{Settings: up.request.Settings, File: strings.TrimPrefix(up.request.Called, "contact file "), Minutes: int(uploadLife.Minutes())}
	ctx, cancel := context.WithTimeoutCause(ctx, maxRehearsal, errTooSlow)
	defer cancel()
	l := p.Agents[up.agent]
	l.By, l.Beside = by, report.Beside(p.store)
	l.Note = func(text string) { shown.Notes = append(shown.Notes, texts.Technical(text)) }
	err := up.read(func(req launch.Request) (err error) {
		req.DryRun = true
		shown.Summary, err = l.Launch(ctx, req)
		return err
	})
	return shown, err
}

// launch launches what has been shown.
func (p *pages) launch(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	up, ok := p.uploads.find(id)
	if !ok {
		p.refuse(w, r, errExpired)
		return
	}
	var sum launch.Summary
	err := up.read(func(req launch.Request) (err error) {
		l := p.Agents[up.agent]
		l.Queue, l.By, l.Beside = p.queue(r), p.who(r), report.Beside(p.store)
		// A person who closes the page has still asked for it.
		sum, err = l.Launch(context.WithoutCancel(r.Context()), req)
		return err
	})
	if err != nil {
		p.refuse(w, r, asWish(err))
		return
	}
	p.uploads.drop(id)
	p.did(w, r, "/campaigns/"+sum.Campaign, texts.Of("did.launch", "n", sum.Contacts))
}

func (p *pages) discard(w http.ResponseWriter, r *http.Request) {
	p.uploads.drop(r.PathValue("id"))
	p.did(w, r, "/", texts.Of("did.discard"))
}
