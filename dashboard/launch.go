package dashboard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/hours"
	"campaign-runner/campaign/launch"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
)

// A launchForm is the page that a campaign is launched from.
type launchForm struct {
	Agents   []string
	Channels []Channel
	Given    url.Values // what was filled in before
	Problem  string     // what is wrong with it; empty: nothing yet
	MaxMB    int
}

// Value is what was filled in, or what stands there at first.
func (f launchForm) Value(field string) string {
	if given, ok := f.Given[field]; ok {
		return given[0]
	}
	switch {
	case field == "mode":
		return string(campaign.Batch)
	case field == "attempts":
		return "5"
	case field == "retry_5xx":
		return campaign.RetryOwn.String()
	case field == "channel" && len(f.Channels) > 0:
		return f.Channels[0].Name
	}
	return ""
}

func (p *pages) newForm(given url.Values, problem string) view {
	return view{Title: "New campaign", Nav: "new", Body: launchForm{
		Agents: slices.Sorted(maps.Keys(p.Agents)), Channels: p.Channels, Given: given, Problem: problem, MaxMB: maxUpload >> 20,
	}}
}

func (p *pages) form(w http.ResponseWriter, r *http.Request) {
	p.show(w, r, http.StatusOK, "new", p.newForm(nil, ""))
}

// A preview is what would be launched.
type preview struct {
	ID       string
	File     string
	Settings campaign.Settings
	Summary  launch.Summary
	Notes    []string // what was told while the platform was asked
	Minutes  int      // for which the list is kept
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
func (p preview) Estimate() string {
	return report.About(time.Duration(p.Summary.EstimatedSeconds) * time.Second)
}

// preview takes a list, does all that a launch does but storing it, and shows what
// came of that.
func (p *pages) preview(w http.ResponseWriter, r *http.Request) {
	if err := p.uploads.enter(); err != nil {
		p.problem(w, r, nil, err)
		return
	}
	given, up, err := receive(w, r)
	if err == nil {
		err = p.ready(up, given)
	}
	var shown preview
	if err == nil {
		shown, err = p.rehearse(r.Context(), up)
	}
	if err != nil {
		if up != nil {
			up.close()
		}
		p.uploads.leave()
		p.problem(w, r, given, err)
		return
	}
	shown.ID = p.uploads.keep(up)
	p.show(w, r, http.StatusOK, "preview", view{Title: "Launch " + shown.Summary.Campaign + "?", Nav: "new", Body: shown})
}

// problem shows the form again, with what is wrong.
func (p *pages) problem(w http.ResponseWriter, r *http.Request, given url.Values, err error) {
	status := http.StatusUnprocessableEntity
	var wish *wishError
	if errors.As(err, &wish) {
		status = wish.status
	}
	p.show(w, r, status, "new", p.newForm(given, sentence(err.Error())))
}

// ready makes a request of what was filled in.
func (p *pages) ready(up *upload, form url.Values) error {
	if up == nil {
		return wishf(http.StatusBadRequest, "choose a contact file")
	}
	text := func(field string) string { return strings.TrimSpace(form.Get(field)) }
	up.agent = text("agent")
	if _, ok := p.Agents[up.agent]; !ok {
		return wishf(http.StatusBadRequest, "this worker does not serve the agent %q", up.agent)
	}
	s := campaign.Settings{
		Agent:      up.agent,
		Mode:       campaign.Mode(text("mode")),
		Region:     strings.ToUpper(text("region")),
		WebhookURL: p.WebhookURL,
		Unrecorded: form.Has("no_record"),
		NoHistory:  form.Has("no_history"),
	}
	var err error
	if s.ChannelID, err = p.channelID(text("channel")); err != nil {
		return err
	}
	for _, field := range []struct {
		name string
		into *int
	}{
		{"chunk_size", &s.ChunkSize}, {"attempts", &s.MaxAttempts}, {"skip_days", &s.SkipContactedDays},
		{"canary", &s.Canary}, {"daily_cap", &s.DailyCap},
	} {
		if *field.into, err = strconv.Atoi(cmp.Or(text(field.name), "0")); err != nil {
			return wishf(http.StatusBadRequest, "%s: want a number", strings.ReplaceAll(field.name, "_", " "))
		}
	}
	if retry := text("retry_5xx"); retry != "" {
		if s.Retry5xx, err = campaign.ParseRetry5xx(retry); err != nil {
			return &wishError{http.StatusBadRequest, err}
		}
	}
	if share := text("max_failure_share"); share != "" {
		if s.MaxFailureShare, err = campaign.ParseShare(share); err != nil {
			return wishf(http.StatusBadRequest, "failures: %v", err)
		}
	}
	if column := text("phone_column"); column != "" {
		s.Reading.PhoneColumns = []string{column}
	}
	s.Reading.CountryColumn = text("country_column")
	s.Reading.CountryCodeColumn = text("country_code_column")
	s.Reading.StrictNumbers, s.Reading.FirstOfTwo = form.Has("strict_numbers"), form.Has("first_of_two")
	if err := setWhen(&s, text); err != nil {
		return &wishError{http.StatusBadRequest, err}
	}
	up.request.Name = text("name")
	up.request.Format.Sheet = text("sheet")
	up.request.Format.AllSheets = form.Has("all_sheets")
	up.request.Format.SkipHiddenRows = form.Has("skip_hidden_rows")
	up.request.Mapping.SendExtra = form.Has("send_extra")
	up.request.Settings = s
	if err := up.request.Check(); err != nil {
		return &wishError{http.StatusBadRequest, err}
	}
	return nil
}

// channelID is the id of a channel that was named, or given as one.
func (p *pages) channelID(text string) (int, error) {
	for _, c := range p.Channels {
		if strings.EqualFold(c.Name, text) {
			return c.ID, nil
		}
	}
	id, err := strconv.Atoi(text)
	if err != nil {
		return 0, wishf(http.StatusBadRequest, "channel %q: want the platform's id of a channel, or the name of one that is known here", text)
	}
	return id, nil
}

// mostLate is how late a campaign may start by itself: later than that a person
// must start it.
const mostLate = time.Hour

// setWhen puts into s when people may be contacted.
func setWhen(s *campaign.Settings, text func(string) string) (err error) {
	var windows []string
	if h := text("hours"); h != "" {
		windows = strings.Split(h, ",")
	}
	if s.Hours.Week, err = hours.MakeWeek(windows, text("days")); err != nil {
		return fmt.Errorf("hours or days: %w", err)
	}
	s.Hours.Zone = text("timezone")
	if s.Hours.Zone == "" && (len(windows) > 0 || text("days") != "") {
		return errors.New("hours and days need a time zone, such as Asia/Riyadh, or contact for each contact's own")
	}
	if start := text("start_at"); start != "" {
		if s.StartAt, err = hours.ParseTime(start, s.Hours.Zone); err != nil {
			return fmt.Errorf("start: %w", err)
		}
		s.MaxLateness = mostLate
	}
	return nil
}

// maxRehearsal bounds how long somebody at a page waits for a list to be looked at.
// A workbook of a million rows takes a tenth of it.
const maxRehearsal = 2 * time.Minute

var errTooSlow = wishf(http.StatusUnprocessableEntity, "this list takes more than %.0f minutes to be looked at: use enqueue", maxRehearsal.Minutes())

// rehearse does all that a launch does but storing.
func (p *pages) rehearse(ctx context.Context, up *upload) (preview, error) {
	switch c, err := p.store.Campaign(ctx, up.request.Name); {
	case err == nil && c.Phase != campaign.Loading:
		return preview{}, wishf(http.StatusConflict, "campaign %s exists: choose another name", c.Name)
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return preview{}, err
	}
	shown := preview{Settings: up.request.Settings, File: strings.TrimPrefix(up.request.Called, "contact file "), Minutes: int(uploadLife.Minutes())}
	ctx, cancel := context.WithTimeoutCause(ctx, maxRehearsal, errTooSlow)
	defer cancel()
	l := p.Agents[up.agent]
	l.Note = func(text string) { shown.Notes = append(shown.Notes, text) }
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
		l.Queue, l.By = p.queue(r), p.who(r)
		// Whoever closes the page has still asked for it.
		sum, err = l.Launch(context.WithoutCancel(r.Context()), req)
		return err
	})
	if err != nil {
		p.refuse(w, r, asWish(err))
		return
	}
	p.uploads.drop(id)
	http.Redirect(w, r, fmt.Sprintf("/campaigns/%s?did=launch&n=%d", sum.Campaign, sum.Contacts), http.StatusSeeOther)
}

func (p *pages) discard(w http.ResponseWriter, r *http.Request) {
	p.uploads.drop(r.PathValue("id"))
	http.Redirect(w, r, "/?did=discard", http.StatusSeeOther)
}
