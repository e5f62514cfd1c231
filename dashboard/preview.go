package dashboard

import (
	"net/http"
	"slices"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
	"campaign-runner/campaign/hours"
	"campaign-runner/campaign/launch"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/texts"
)

// A preview is what would be launched.
type preview struct {
	draft
	Problem  texts.Line // why it cannot be launched; empty: it can
	File     string
	Settings campaign.Settings
	Summary  launch.Summary
	Notes    []texts.Technical // remarks of the preflight
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

// Lines is where the refused lines are, from our own root.
func (p preview) Lines() string {
	if to := p.Appends(); to != "" {
		return "campaigns/" + to + "/append/" + p.ID + "/refused.csv"
	}
	return "new/" + p.ID + "/refused.csv"
}

// Estimate is how long the campaign takes if all goes well.
func (p preview) Estimate() texts.Line {
	return about(time.Duration(p.Summary.EstimatedSeconds) * time.Second)
}

// Number is what the form of a test begins with.
func (p preview) Number() string { return "" }

// Marks are all steps.
func (p preview) Marks() []mark { return p.marks(review) }

// Changes are the steps that can be changed.
func (p preview) Changes() []mark { return p.Marks()[1 : 1+len(steps)] }

// review shows what a draft would launch, or what is in the way.
func (p *pages) review(w http.ResponseWriter, r *http.Request) {
	d, err := p.draft(r)
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	shown, err := p.rehearse(r.Context(), d, p.who(r), "")
	status := http.StatusOK
	if err != nil {
		status, shown.Problem = statusOf(err), lineOf(err)
	}
	title := texts.Of("preview.title", "campaign", texts.Name(d.Name()))
	p.show(w, r, status, "preview", view{Title: title, Nav: "new", Body: shown})
}

// weekText is the week of a schedule, with its clock.
func weekText(s hours.Schedule) any {
	s.Except, s.Closed = nil, nil
	if s.Week.Always() && s.Zone != "" { // which says when a day begins
		return texts.Of("hours.in", "week", texts.Of("hours.any"), "zone", texts.Name(s.Zone))
	}
	return hoursText(s)
}

// hoursText is when contacts may be contacted. Hours and dates are written as the form
// takes them.
func hoursText(s hours.Schedule) (parts []texts.Line) {
	week := any(texts.Of("hours.any"))
	if text := s.Week.String(); text != "" {
		week = weekWords(text)
	}
	switch {
	case s.Always():
		return []texts.Line{texts.Of("hours.any")}
	case s.Zone == hours.ByContact:
		parts = append(parts, texts.Of("hours.by_contact", "week", week))
	default:
		parts = append(parts, texts.Of("hours.in", "week", week, "zone", texts.Name(s.Zone)))
	}
	if !s.NoZone.IsZero() {
		parts = append(parts, texts.Of("hours.no_zone", "week", texts.Name(s.NoZone.String())))
	}
	for _, d := range s.Except {
		dates, what := datesText(d)
		parts = append(parts, texts.Of("hours.except", "dates", dates, "what", what))
	}
	if n := len(s.Closed); n > 0 {
		parts = append(parts, texts.Of("hours.closed", "n", n, "from", texts.Name(s.Closed[0].From.String()), "to", texts.Name(s.Closed[n-1].To.String())))
	}
	return parts
}

// formatText is how a contact file was read.
func formatText(f contacts.Format) texts.Line {
	container := texts.Name(f.Container)
	switch {
	case f.AllSheets:
		return texts.Of("format.sheets", "format", container)
	case f.Sheet != "":
		return texts.Of("format.sheet", "format", container, "sheet", f.Sheet)
	}
	text := texts.Of("format.text", "format", container, "encoding", texts.Name(f.Encoding), "delimiter", texts.Word{Family: "delimiter", Text: f.Delimiter.String()})
	if f.LineEnds != "" {
		return texts.Of("format.ends", "format", text, "ends", texts.Name(f.LineEnds))
	}
	return text
}

// InForce are the settings that are not as usual, whatever step or copy they come from: all
// but the hours, which stand above in words.
func (p preview) InForce() []change {
	list := p.Settings.InForce()
	if p.Summary.Plan != nil {
		list = slices.DeleteFunc(list, func(d campaign.Difference) bool {
			return slices.Contains([]string{hoursName, "--except", "--calendar"}, d.Flag)
		})
	}
	return changesOf(list, campaign.Settings{}, p.Settings)
}

// Warnings are what a person should know before the launch.
func (p preview) Warnings() []campaign.Message { return p.Summary.Messages }
