package dashboard

import (
	"context"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/texts"
	"campaign-runner/campaign/users"
)

// A changeForm is the page of the settings of a campaign.
type changeForm struct {
	Campaign string
	InForce  []change
	When     whenForm // the hours
	Fields   []formField
	MayLead  bool       // to change them
	Calendar bool       // there is one
	Version  int        // of the settings
	Voids    bool       // a change voids an approval
	Waits    int        // above so many contacts it waits for approval after a change; 0: it does not
	Given    []field    // what was filled in, to be confirmed
	Changes  []change   // that this comes to; none: nothing was filled in yet
	Problem  texts.Line // what is wrong with it
}

// A change is a setting with its value, and the one before.
type change struct {
	Setting  any
	From, To any
}

// namesOfSettings are those of settings that do not stand on the form of a new campaign.
var namesOfSettings = map[string]string{
	"priority": "set.priority", "max-contact-attempts": "set.max_contact_attempts", "then-within": "set.then_within",
	"ticket-replies": "set.ticket_replies", "no-zone-hours": "set.no_zone_hours", "rows per request": "set.rows_per_request",
	hoursName: "preview.hours", "calendar": "set.calendar", "chunk-size": "set.rows_per_request",
	"rules": "set.rules", "keep-for": "set.keep_for", "start-at": "set.start_at", "finish-by": "set.finish_by",
	"optout-when": "set.optout_when", "no-stop-words": "set.no_stop_words", "canary-go-on": "set.canary_go_on",
	"ticket-when": "set.ticket_when", "ticket-set": "set.ticket_set", "max-tickets": "set.max_tickets",
}

// settingName is what people call a setting, by its flag or its name in a difference.
func settingName(name string) any {
	flag := strings.TrimPrefix(name, "--")
	if key, ok := namesOfSettings[name]; ok {
		return texts.Of(key)
	}
	if key, ok := namesOfSettings[flag]; ok {
		return texts.Of(key)
	}
	return label(flag)
}

// Advice is the hint on this page. Those of guards say what an empty field means at a
// launch, which is not what it means here.
func (f formField) Advice() *texts.Setting {
	if f.Section == campaign.SafetySection {
		return nil
	}
	return f.Hint()
}

// Called is what the field is called on this page.
func (f formField) Called() any { return settingName(f.Flag) }

// hoursName is what differences call the hours.
const hoursName = "--hours, --days or --timezone"

// changesOf are differences between settings as a page tells them.
func changesOf(list []campaign.Difference, have, other campaign.Settings) (changes []change) {
	for _, d := range list {
		c := change{settingName(d.Flag), valueText(d.Flag, d.Have), valueText(d.Flag, d.Other)}
		if d.Flag == hoursName {
			c.From, c.To = weekText(have.Hours), weekText(other.Hours)
		}
		changes = append(changes, c)
	}
	return changes
}

// valueText is the value of a setting, by its flag or its name in a difference.
func valueText(name, text string) any {
	flag := strings.TrimPrefix(name, "--")
	switch text {
	case "none":
		return texts.Of("set.none")
	case "true":
		return texts.Of("set.on")
	case "false":
		return texts.Of("set.off")
	}
	if flag == "rules" {
		return ruleText(text)
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at
	}
	if span, err := time.ParseDuration(text); err == nil && span > 0 {
		return spanText(span)
	}
	if days, err := strconv.Atoi(strings.TrimSuffix(text, "d")); err == nil && strings.HasSuffix(text, "d") {
		return spanText(time.Duration(days) * 24 * time.Hour)
	}
	if n, err := strconv.Atoi(text); err == nil {
		return n
	}
	for _, s := range campaign.LaunchSettings(flag) {
		if len(s.Choices) > 0 {
			return choiceText(flag, text)
		}
	}
	return texts.Name(text)
}

// choiceText is one of the choices of a setting.
func choiceText(flag, choice string) texts.Line {
	return texts.Of("choice", "what", texts.Word{Family: "choice." + flag, Text: choice})
}

// changeable are the settings that can be changed on this page: all that can be changed
// while a campaign runs.
func changeable() []campaign.Setting { return campaign.RunningSettings() }

// settings serves the settings of a campaign. A change is shown before it is made.
func (p *pages) settings(w http.ResponseWriter, r *http.Request, c campaign.Campaign) (err error) {
	when, lacks := reschedule(c.Settings, r.PostForm)
	status, given := http.StatusOK, givenOf(r.PostForm)
	edit := func(s *campaign.Settings) error { return s.Apply(changeable(), given) }
	f := changeForm{
		Calendar: len(c.Settings.Hours.Closed) > 0, When: when,
		Campaign: c.Name, Version: c.Version, InForce: changesOf(c.Settings.InForce(), campaign.Settings{}, c.Settings), Voids: c.Approval.By != "" && !c.Approval.Wanted,
		MayLead: visitorOf(r).Role >= users.Launcher && c.Phase != campaign.Loading && c.PurgedAt.IsZero(),
	}
	to := c.Settings
	sure := r.PostForm.Has("sure")
	if version := r.PostForm.Get("version"); version != "" && version != strconv.Itoa(c.Version) {
		sure, status, f.Problem = false, http.StatusConflict, texts.Of("set.meanwhile")
	}
	switch err := edit(&to); {
	case len(lacks) > 0:
		status, f.Problem = http.StatusUnprocessableEntity, lacks
	case err != nil:
		status, f.Problem = http.StatusUnprocessableEntity, lineOf(err)
	case sure:
		// It goes on when the page is closed.
		changed, err := p.queue(r).Set(context.WithoutCancel(r.Context()), c.Name, edit)
		if err != nil {
			return asWish(err)
		}
		p.did(w, r, "/campaigns/"+c.Name+"/settings", texts.Of("did.set", "n", len(changed)))
		return nil
	default:
		f.Changes = changesOf(c.Settings.Differences(to), c.Settings, to)
		switch {
		case len(f.Changes) > 0:
			f.Waits, err = p.waitsAbove(r.Context(), c)
		case len(given) > 0:
			f.Problem = texts.Of("set.nothing")
		}
		if err != nil {
			return err
		}
	}
	for _, s := range changeable() {
		if text := r.PostForm.Get(fieldName(s)); text != "" {
			f.Given = append(f.Given, field{fieldName(s), text})
		}
	}
	for _, s := range unscheduled(changeable()) {
		if !s.File { // it has a form of its own
			f.Fields = append(f.Fields, formField{Setting: s, Name: fieldName(s), Value: r.PostForm.Get(fieldName(s))})
		}
	}
	v := view{
		Title: texts.Of("set.of", "campaign", texts.Name(c.Name)), Nav: "campaigns", Flash: p.done(r),
		Here: p.link("/campaigns/" + c.Name + "/settings"), Posted: f.Given, Body: f,
	}
	p.show(w, r, status, "settings", v)
	return nil
}

// A calendar file is small. What it closes comes back with the form that confirms it.
const maxCalendar = 4 << 20 // bytes

var calendarForm = fileForm{file: maxCalendar, all: maxCalendar + maxForm, fields: 9, files: 1}

// calendar takes a calendar file for a campaign, and shows what it changes.
func (p *pages) calendar(w http.ResponseWriter, r *http.Request) {
	c, err := p.known(r)
	var form url.Values
	var file []byte
	if err == nil {
		form, err = calendarForm.read(w, r, func(part *multipart.Part) (err error) {
			if file, err = io.ReadAll(part); err != nil {
				err = calendarForm.cutOff(err)
			}
			return err
		})
	}
	if err == nil && len(file) == 0 {
		err = wishf(http.StatusBadRequest, "error.no_calendar")
	}
	if err == nil {
		r.PostForm = url.Values{"version": {form.Get("version")}}
		r.PostForm.Set("calendar", closings(c.Settings, string(file)))
		if len(r.PostForm.Encode()) > maxForm/2 {
			err = wishf(http.StatusUnprocessableEntity, "error.large_calendar")
		}
	}
	if err == nil {
		err = p.settings(w, r, c)
	}
	if err != nil {
		p.refuse(w, r, err)
	}
}

// closings are the days that a calendar closes, as the setting reads them; or the calendar
// itself where something is wrong with it.
func closings(s campaign.Settings, calendar string) string {
	if err := s.Apply(campaign.RunningSettings("calendar"), campaign.Given{"calendar": {calendar}}); err != nil {
		return calendar[:min(len(calendar), maxForm/8)]
	}
	var days []string
	for _, d := range s.Hours.Closed {
		days = append(days, d.String())
	}
	return strings.Join(days, "; ")
}

// waitsAbove is the policy's number above which a campaign begins to wait for approval when it
// is changed; 0: it does not, or an approval is voided.
func (p *pages) waitsAbove(ctx context.Context, c campaign.Campaign) (int, error) {
	policy, err := p.Store.Policy(ctx)
	if c.Approval.Wanted || c.Approval.By != "" || c.Counts.Contacts <= policy.ApproveAbove {
		return 0, err
	}
	return policy.ApproveAbove, err
}

// givenOf is what was filled in. A field that is empty changes nothing.
func givenOf(form url.Values) campaign.Given {
	given := make(campaign.Given)
	for _, s := range changeable() {
		text := strings.TrimSpace(form.Get(fieldName(s)))
		if text == "" {
			continue
		}
		if _, err := strconv.Atoi(text); err == nil {
			text += s.Suffix
		}
		given[s.Flag] = []string{text}
	}
	return given
}

// On and off are what a switch can be set to.
func (f formField) Switches() []option {
	return []option{{"", texts.Of("set.keep"), f.Value == ""}, {"true", texts.Of("set.on"), f.Value == "true"}, {"false", texts.Of("set.off"), f.Value == "false"}}
}

// Picks are what can be chosen, or that it stays.
func (f formField) Picks() []option {
	if f.Switch {
		return f.Switches()
	}
	list := []option{{"", texts.Of("set.keep"), f.Value == ""}}
	for _, choice := range f.Choices {
		if choice != "" {
			list = append(list, option{choice, choiceText(f.Flag, choice), choice == f.Value})
		}
	}
	return list
}
