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
	"campaign-runner/campaign/store"
	"campaign-runner/jobs"
)

// A standing is the page of one campaign.
type standing struct {
	row
	Whole report.Overview
	Chart *chart // nil: nothing has moved yet
	Find  string
	Stale bool // Redis does not answer: it is as it was, and nothing can be done
}

func (p *pages) campaign(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if campaign.CheckName(name) != nil {
		p.refuse(w, r, store.ErrNotFound)
		return
	}
	s, since, err := p.standings.get(r.Context(), name, 0)
	if err != nil && (since.IsZero() || !isDown(err)) {
		p.refuse(w, r, err)
		return
	}
	v := view{Title: name, Nav: "campaigns", Events: p.link("/campaigns/" + name + "/events"), Flash: p.done(r)}
	if err != nil {
		v.Trouble, s.Stale = trouble{troubleText(err), since}, true
	}
	v.Body = s
	p.show(w, r, http.StatusOK, "campaign", v)
}

func (p *pages) readStanding(ctx context.Context, name string) (standing, error) {
	o, err := p.board.Forecaster.Find(ctx, name)
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
	s := standing{row: row{report.Row{Summary: o.Summary, ETA: o.ETA}, o.Quota}, Whole: o, Chart: newChart(series, o.Summary, now)}
	if o.State == campaign.Running {
		s.Pace = report.PaceOf(series, o.States, now).Until(o.ETA, now)
	}
	return s, nil
}

// Headline says in a sentence where the campaign stands.
func (s standing) Headline() string {
	if s.State == campaign.Loading || s.Contacts == 0 {
		return ""
	}
	text := fmt.Sprintf("%s of %s contacts through (%s)", campaign.Number(s.Through()), campaign.Number(s.Contacts), s.Percent())
	if left := s.LeftText(); left != "" && s.States.Open() > 0 {
		text += ", " + left + " left"
	}
	return text
}

// Doubtful counts, by state, contacts that the platform may have reached. Unconfirmed
// is left out: that state says so itself.
func (s standing) Doubtful() []string {
	var list []string
	for _, state := range campaign.States() {
		if n := s.Whole.InDoubt.In(state); n > 0 && state != campaign.Unconfirmed {
			list = append(list, fmt.Sprintf("%s of the %s that are %s may have been reached.", campaign.Number(n), campaign.Number(s.States.In(state)), state))
		}
	}
	return list
}

// Again says who is contacted again by the campaign itself.
func (s standing) Again() string {
	rungs := s.Whole.Rungs
	if rungs == nil || s.State == campaign.Finished {
		return ""
	}
	text := ""
	if n := rungs.Pending; n > 0 {
		text = fmt.Sprintf("%s of the pending are to be contacted again. ", campaign.Number(n))
	}
	if next := rungs.Message(); !next.IsZero() && !next.Equal(s.WaitingFor) {
		text += next.String() + "."
	}
	return strings.TrimSpace(text)
}

// shownReasons is the most reasons that a page shows.
const shownReasons = 30

// A grouped reason is one reason for a state, with its contacts counted.
type grouped struct {
	report.Reason
	Again   int // contacts that a rerun by this reason would send; 0: no rerun
	Warning string
}

// Grouped lists the most frequent reasons.
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

// like counts the contacts that a rerun by this reason would send. A rerun matches a
// part of the text, so other reasons may match, too.
func (s standing) like(reason report.Reason) int {
	n := 0
	for _, r := range s.Whole.Reasons {
		if r.State == reason.State && r.Reason.Matches(reason.Reason.String()) {
			n += r.Contacts
		}
	}
	return n
}

// MoreReasons counts the reasons that are not shown.
func (s standing) MoreReasons() int { return max(len(s.Whole.Reasons)-shownReasons, 0) }

// Refusals counts the refused lines of the file.
func (s standing) Refusals() int { return s.Whole.Rows - s.Contacts - s.Whole.NotChosen }

// RefusedRows counts the refused lines by reason.
func (s standing) RefusedRows() []report.Reason { return refused(s.Whole.Refused) }

// refused counts refused lines by reason. Rows that were not chosen are left out.
func refused(counts map[string]int) []report.Reason {
	return slices.DeleteFunc(report.Refusals(counts), func(r report.Reason) bool {
		return strings.HasPrefix(r.Reason.String(), string(contacts.NotChosen))
	})
}
