package dashboard

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"campaign-runner/campaign"
	"campaign-runner/campaign/texts"
)

// A making is a step of making a campaign: a page of its own with the settings of some
// sections.
type making struct {
	name     string
	title    string // as the catalogue knows it
	sections []campaign.Section
}

// steps are what is filled in after the list has come, in order.
var steps = []making{
	{"agent", "step.agent", []campaign.Section{campaign.NameSection}},
	{"list", "step.list", []campaign.Section{campaign.ListSection}},
	{"when", "step.when", []campaign.Section{campaign.WhenSection}},
	{"safety", "step.safety", []campaign.Section{campaign.SafetySection, campaign.MoreSection}},
	{"follow", "step.follow", []campaign.Section{campaign.FollowSection}},
}

// review is the step after them, beginningStep the one before.
const (
	review        = "review"
	beginningStep = "file"
)

// otherFields are those that are no setting, by their step.
var otherFields = map[string]string{
	appendTo: beginningStep, "from": beginningStep, "where": beginningStep, "copy": beginningStep, "proposed": beginningStep,
	"name": "agent", "agent": "agent", "channel": "agent",
	"sheet": "list", "all_sheets": "list", "skip_hidden_rows": "list", "send_extra": "list",
}

// stepOf is the step that a field belongs to; empty: none.
func stepOf(field string) string {
	if step, ok := otherFields[field]; ok {
		return step
	}
	if strings.HasPrefix(field, keptField) {
		return beginningStep
	}
	if strings.HasPrefix(field, valueField) || strings.HasPrefix(field, fixedField) {
		return "list"
	}
	if strings.HasPrefix(field, pickField) {
		return "when"
	}
	for _, setting := range campaign.LaunchSettings() {
		if setting.Label == "" || setting.File || fieldName(setting) != field {
			continue
		}
		for _, s := range steps {
			if slices.Contains(s.sections, setting.Section) {
				return s.name
			}
		}
	}
	return ""
}

// A stepPage is a step as it is shown.
type stepPage struct {
	draft
	Step     string
	Agents   []string
	Channels []Channel
	Problem  texts.Line // what is wrong with it; empty: nothing yet
	Listing  *glimpse   // of the list's step: its first rows; nil: they cannot be read
	Files    []besideFile
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

// Changed reports whether something was filled in among fields.
func (s stepPage) Changed(fields []formField) bool {
	return slices.ContainsFunc(fields, func(field formField) bool { return field.Value != field.Default })
}

// Said reports whether the step was filled in before.
func (s stepPage) Said() bool { return s.said(s.Step) }

// Value is what was filled in.
func (s stepPage) Value(field string) string { return s.Form.Get(field) }

// Channel is the one that is chosen: as filled in, or the first.
func (s stepPage) Channel() string {
	if s.Form.Has("channel") || len(s.Channels) == 0 {
		return s.Form.Get("channel")
	}
	return s.Channels[0].Name
}

// A mark is a step among all, as people see how far they are.
type mark struct {
	Name       string
	Title      texts.Line
	Done, Here bool
}

// marks are all steps, the list and the review among them.
func (d draft) marks(here string) []mark {
	list := []mark{{beginningStep, texts.Of("step.file"), true, false}}
	for _, s := range steps {
		list = append(list, mark{s.name, texts.Of(s.title), d.said(s.name), s.name == here})
	}
	return append(list, mark{review, texts.Of("step.review"), false, here == review})
}

func (s stepPage) Marks() []mark { return s.marks(s.Step) }

// Heading is what the step is called.
func (s stepPage) Heading() texts.Line { return texts.Of(steps[placeOf(s.Step)].title) }

// step serves a step of a draft.
func (p *pages) step(w http.ResponseWriter, r *http.Request) {
	step := r.PathValue("step")
	d, err := p.draft(r)
	if err == nil && placeOf(step) < 0 {
		err = wishf(http.StatusNotFound, "error.nothing_here")
	}
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	p.showStep(w, r, http.StatusOK, d, step, nil)
}

func (p *pages) showStep(w http.ResponseWriter, r *http.Request, status int, d draft, step string, problem texts.Line) {
	body := stepPage{draft: d, Step: step, Agents: p.agents(), Channels: p.Channels, Problem: problem}
	if step == "list" {
		l, err := p.glance(r.Context(), d, firstRows)
		if err == nil {
			body.Listing = &l
			err = l.wrong()
		}
		if err != nil && problem == nil {
			body.Problem = lineOf(err)
		}
	}
	if err := p.beside(r.Context(), &body); err != nil && problem == nil {
		body.Problem = lineOf(err)
	}
	p.show(w, r, status, "step", view{
		Title: texts.Of("step.title", "step", body.Heading(), "campaign", d.Title()), Nav: "new", Here: p.link("/new/" + d.ID + "/" + step), Body: body,
	})
}

// stepped keeps what was filled in, whether it is right or not, and goes to the next step
// when it is right, or to the one before.
func (p *pages) stepped(w http.ResponseWriter, r *http.Request) {
	step := r.PathValue("step")
	at := placeOf(step)
	if at < 0 {
		p.refuse(w, r, wishf(http.StatusNotFound, "error.nothing_here"))
		return
	}
	came, wrong := p.readStep(w, r)
	if wrong != nil && len(r.PostForm) == 0 {
		p.refuse(w, r, wrong)
		return
	}
	d, err := p.saveStep(r, step)
	if err != nil {
		p.refuse(w, r, asDraft(err))
		return
	}
	to, wish := review, r.PostForm.Get("to")
	switch {
	case wrong != nil:
		err = wrong
	case wish == "back":
		to = steps[max(at-1, 0)].name
	case wish == "again" && came == 0:
		to = step
	case strings.HasPrefix(wish, usual):
		to = step + "#hours-picked"
	case strings.HasPrefix(wish, dropFile):
		to = step + filesSection
	case strings.HasPrefix(wish, dropDates):
		to = step + exceptSection
	default:
		if at+1 < len(steps) && wish != review {
			to = steps[at+1].name
		}
		if came > 0 {
			to = step + filesSection
		} else if wish == addDates {
			to = step + exceptSection
		}
		err = p.check(r.Context(), d, steps[at])
	}
	if err != nil {
		p.showStep(w, r, statusOf(err), d, step, lineOf(err))
		return
	}
	http.Redirect(w, r, p.link("/new/"+d.ID+"/"+to), http.StatusSeeOther)
}

// saveStep keeps what was filled in of a step, and returns the draft with it.
func (p *pages) saveStep(r *http.Request, step string) (draft, error) {
	fields := make(url.Values)
	for field, values := range r.PostForm {
		if stepOf(field) == step {
			fields[field] = values
		}
	}
	if step == "when" {
		settle(fields)
	}
	if step == "list" && !r.PostForm.Has("chosen") {
		if err := p.keepChosen(r, fields); err != nil {
			return draft{}, err
		}
	}
	wish := r.PostForm.Get("to")
	if place, proposed := strings.CutPrefix(wish, usual); proposed {
		takeUsual(fields, place)
	}
	if place, drops := strings.CutPrefix(wish, dropDates); drops {
		withoutDates(fields, place)
	}
	fields.Set(madeBy, visitorOf(r).Name)
	err := p.Store.SaveStep(r.Context(), r.PathValue("id"), step, fields.Encode())
	if file, drops := strings.CutPrefix(wish, dropFile); drops && err == nil {
		err = p.Store.Detach(r.Context(), r.PathValue("id"), file)
	}
	d, reading := p.draft(r)
	return d, cmp.Or(err, reading)
}

// keepChosen adds what was chosen for the agent's values to the fields of a form that could
// not ask for it, since the platform or the list could not be asked.
func (p *pages) keepChosen(r *http.Request, fields url.Values) error {
	d, err := p.draft(r)
	asked := func(field string) bool {
		return strings.HasPrefix(field, valueField) || strings.HasPrefix(field, fixedField)
	}
	for field := range fields {
		if asked(field) {
			return err // it could
		}
	}
	for field, values := range d.Form {
		if asked(field) {
			fields[field] = values
		}
	}
	return err
}

// placeOf is the place of a step among all; -1: there is no such step.
func placeOf(name string) int {
	return slices.IndexFunc(steps, func(s making) bool { return s.name == name })
}

// statusOf is how a page answers that says what is wrong with a draft.
func statusOf(err error) int {
	var wish *wishError
	if errors.As(err, &wish) {
		return wish.status
	}
	return http.StatusUnprocessableEntity
}

// check finds what is wrong with a step, as far as that does not depend on others.
func (p *pages) check(ctx context.Context, d draft, step making) error {
	if lacks := unpicked(d.Form); step.name == "when" && len(lacks) > 0 {
		return &wishError{status: http.StatusBadRequest, line: lacks}
	}
	said, err := p.said(ctx, d, step.sections...)
	if err != nil {
		return err
	}
	if _, err := campaign.NewSettings(said); err != nil {
		return &wishError{status: http.StatusBadRequest, err: err}
	}
	switch step.name {
	case "list":
		l, err := p.glance(ctx, d, firstRows)
		return cmp.Or(err, l.wrong())
	case "safety":
		_, err := p.listings(ctx, d)
		return err
	case "when", "follow":
		return nil
	}
	if _, _, err := p.agentAndChannel(d); err != nil {
		return err
	}
	if err := campaign.CheckName(d.Name()); err != nil {
		return &wishError{status: http.StatusBadRequest, err: err}
	}
	return p.nameTaken(ctx, d.Name())
}

// given is what was filled in of the settings of some sections.
func given(form url.Values, sections []campaign.Section) campaign.Given {
	all := make(campaign.Given)
	for _, s := range campaign.LaunchSettings() {
		text := strings.TrimSpace(form.Get(fieldName(s)))
		if s.Label == "" || s.File || !slices.Contains(sections, s.Section) || text == "" || s.Number && text == "0" { // as for a field that is empty
			continue
		}
		switch {
		case s.Switch:
			text = "true"
		case s.List && s.Section == campaign.FollowSection:
			all[s.Flag] = lines(text)
			continue
		case s.List:
			all[s.Flag] = filledIn(form[fieldName(s)])
			continue
		}
		if _, err := strconv.Atoi(text); err == nil {
			text += s.Suffix
		}
		all[s.Flag] = []string{text}
	}
	return all
}

// filledIn are the texts that are not blank.
func filledIn(texts []string) (list []string) {
	for _, text := range texts {
		if text = strings.TrimSpace(text); text != "" {
			list = append(list, text)
		}
	}
	return list
}

// lines are the lines of a text that are not blank.
func lines(text string) []string { return filledIn(strings.Split(text, "\n")) }
