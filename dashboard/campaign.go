package dashboard

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
	"campaign-runner/campaign/report"
	"campaign-runner/jobs"
)

// A standing is the page of one campaign.
type standing struct {
	row
	Whole report.Overview
	Chart *chart // nil: nothing has moved yet
	Find  string
}

func (p *pages) campaign(w http.ResponseWriter, r *http.Request) {
	c, err := p.known(r)
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	s, err := p.readStanding(r.Context(), c.Name)
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	p.show(w, r, http.StatusOK, "campaign", view{
		Title: c.Name, Nav: "campaigns", Events: "/campaigns/" + c.Name + "/events", Flash: done(r), Body: s,
	})
}

func (p *pages) readStanding(ctx context.Context, name string) (standing, error) {
	o, err := report.Find(ctx, p.store, name)
	if err != nil {
		return standing{}, err
	}
	series, err := p.store.Series(ctx, name)
	if err != nil {
		return standing{}, err
	}
	now, err := p.store.Now(ctx)
	if err != nil {
		return standing{}, err
	}
	s := standing{row: row{Summary: o.Summary, Quota: o.Quota}, Whole: o, Chart: newChart(series, o.Summary, now)}
	if o.State == campaign.Running {
		s.Pace = report.PaceOf(series, o.States, now)
		if o.ETA.After(now) {
			s.Pace.Left = o.ETA.Sub(now) // knows of hours and of what fails
		}
	}
	return s, nil
}

// Headline is where the campaign stands, in a sentence.
func (s standing) Headline() string {
	if s.State == campaign.Loading || s.Contacts == 0 {
		return ""
	}
	text := fmt.Sprintf("%s of %s contacts through (%s)", report.Number(s.Through()), report.Number(s.Contacts), s.Percent())
	if left := s.LeftText(); left != "" && s.States.Open() > 0 {
		text += ", " + left + " left"
	}
	return text
}

// Doubtful says of contacts in which states the platform may have reached some,
// where the state itself does not say that of all of them.
func (s standing) Doubtful() []string {
	var list []string
	for _, state := range campaign.States() {
		if n := s.Whole.InDoubt.In(state); n > 0 && state != campaign.Unconfirmed {
			list = append(list, fmt.Sprintf("%s of the %s that are %s may have been reached.", report.Number(n), report.Number(s.States.In(state)), state))
		}
	}
	return list
}

// shownReasons bounds the reasons on a page.
const shownReasons = 30

// A grouped reason is one of those why contacts are in a state.
type grouped struct {
	report.Reason
	Again   int // contacts that sending it again is for; 0: they are not sent again
	Warning string
}

// Grouped are the most frequent reasons.
func (s standing) Grouped() []grouped {
	var list []grouped
	for _, reason := range s.Whole.Reasons[:min(len(s.Whole.Reasons), shownReasons)] {
		state, _ := campaign.ParseState(reason.State)
		g := grouped{Reason: reason, Warning: s.rerunWarning(state)}
		if s.PurgedAt.IsZero() && slices.Contains(jobs.Rerunnable, state) {
			g.Again = s.like(reason)
		}
		list = append(list, g)
	}
	return list
}

// like are the contacts in the same state with this in their reason: a rerun goes
// by a part of the text.
func (s standing) like(reason report.Reason) int {
	n := 0
	for _, r := range s.Whole.Reasons {
		if r.State == reason.State && strings.Contains(strings.ToLower(r.Reason), strings.ToLower(reason.Reason)) {
			n += r.Contacts
		}
	}
	return n
}

// MoreReasons is how many are not shown.
func (s standing) MoreReasons() int { return max(len(s.Whole.Reasons)-shownReasons, 0) }

// Refusals is how many lines of the file were refused.
func (s standing) Refusals() int { return s.Whole.Rows - s.Contacts - s.Whole.NotChosen }

// RefusedRows are why.
func (s standing) RefusedRows() []report.Reason { return refused(s.Whole.Refused) }

// refused are the reasons of refused lines, without the rows that were not chosen.
func refused(counts map[string]int) []report.Reason {
	return slices.DeleteFunc(report.Refusals(counts), func(r report.Reason) bool {
		return strings.HasPrefix(r.Reason, string(contacts.NotChosen))
	})
}
