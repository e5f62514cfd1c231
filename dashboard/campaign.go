package dashboard

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/contacts"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/texts"
	"campaign-runner/campaign/users"
	"campaign-runner/jobs"
)

// A standing is the page of one campaign.
type standing struct {
	row
	Whole   report.Overview
	Chart   *chart         // nil: nothing has moved yet
	Account report.Account // what it came to; one that was not counted yet has no time
	Find    string
	Stale   bool       // Redis does not answer: it is as it was, and nothing can be done
	Visitor users.Role // who looks at it
}

// A glance is what a viewer sees of that page.
type glance struct {
	totals
	Chart                 *chart
	Account               report.Totals // as in standing
	Rows                  int           // of the list
	Refusals, NotChosen   int
	ChunkSize             int
	RequestsLeft          int
	Run                   int // reruns
	Held, Missed          int // contacts that wait for a person; that will not be sent in time
	NextContact, LastSent time.Time
	Quota                 texts.Line // how much of it is left; empty: unknown
}

func (s standing) glance() glance {
	g := glance{
		totals: s.totals, Chart: s.Chart, Account: s.Account.Totals, Rows: s.Whole.Rows, Refusals: s.Refusals(), NotChosen: s.Whole.NotChosen, ChunkSize: s.Whole.ChunkSize,
		RequestsLeft: s.Whole.RequestsLeft, Run: s.Whole.Run, Held: s.Whole.Held, Missed: s.Whole.Missed, NextContact: s.Whole.Opens, LastSent: s.Whole.ETA,
	}
	if s.Whole.Quota != nil {
		g.Quota = quotaText(*s.Whole.Quota)
	}
	return g
}

// MayLaunch reports whether they may launch a campaign like it.
func (s standing) MayLaunch() bool { return s.Visitor >= users.Launcher }

// standingFor is a campaign's page for a role, with the name of its view.
func standingFor(role users.Role, s standing) (view string, body any) {
	if s.Visitor = role; role < users.Operator {
		return "glance", s.glance()
	}
	return "campaign", s
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
	v := view{Title: texts.Name(name), Nav: "campaigns", Events: p.link("/campaigns/" + name + "/events"), Flash: p.done(r)}
	if err != nil {
		v.Trouble, s.Stale = trouble{troubleText(err), since}, true
	}
	s.Account = p.cameTo(r.Context(), s, countWithin)
	view, body := standingFor(visitorOf(r).Role, s)
	v.Body = body
	p.show(w, r, http.StatusOK, view, v)
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
	at := report.Row{Summary: o.Summary, ETA: o.ETA}
	if o.State == campaign.Running {
		at.Pace = report.PaceOf(series, o.States, now).Until(o.ETA, now)
	}
	return standing{row: newRow(at, o.Quota), Whole: o, Chart: newChart(series, o.Summary, now)}, nil
}

// Headline says in a sentence where the campaign stands.
func (s totals) Headline() texts.Line {
	if s.State == campaign.Loading || s.Contacts == 0 {
		return nil
	}
	line := texts.Of("head.through", "some", s.States.Through(), "all", s.Contacts, "share", texts.Name(s.Percent()))
	if left := s.LeftText(); left != nil && s.States.Open() > 0 {
		return texts.Of("head.and_left", "through", line, "left", left)
	}
	return line
}

// Doubtful counts, by state, contacts that may have been contacted. Unconfirmed
// is left out: that state says so itself.
func (s standing) Doubtful() []texts.Line {
	var list []texts.Line
	for _, state := range campaign.States() {
		if n := s.Whole.InDoubt.In(state); n > 0 && state != campaign.Unconfirmed {
			list = append(list, texts.Of("head.doubtful", "some", n, "all", s.States.In(state), "state", state))
		}
	}
	return list
}

// Again says who is contacted again by the campaign itself.
func (s standing) Again() (said []any) {
	rungs := s.Whole.Rungs
	if rungs == nil || s.State == campaign.Finished {
		return nil
	}
	if n := rungs.Pending; n > 0 {
		said = append(said, texts.Of("head.again", "n", n))
	}
	if next := rungs.Message(); !next.IsZero() && !next.Equal(s.WaitingFor) {
		said = append(said, next)
	}
	return said
}

// shownReasons is the most reasons that a page shows.
const shownReasons = 30

// A grouped reason is one reason for a state, with its contacts counted.
type grouped struct {
	report.Reason
	Again   int // contacts that a rerun by this reason would send; 0: no rerun
	Warning texts.Line
}

// Of is the state of its contacts.
func (g grouped) Of() texts.Word { return texts.Word{Family: "state", Text: g.State} }

// Grouped lists the most frequent reasons.
func (s standing) Grouped() []grouped {
	var list []grouped
	for _, reason := range s.Whole.Reasons[:min(len(s.Whole.Reasons), shownReasons)] {
		state, _ := campaign.ParseState(reason.State)
		g := grouped{Reason: reason, Warning: s.rerunWarning(state)}
		if s.PurgedAt.IsZero() && state != campaign.Unconfirmed && slices.Contains(jobs.Rerunnable, state) {
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
