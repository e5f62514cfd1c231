package dashboard

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
)

// home is the list of all campaigns.
type home struct {
	Agents    []agent
	Campaigns []row
}

// An agent is one that a worker serves or a campaign needs.
type agent struct {
	Name    string
	Workers int
	Quota   *store.Quota
}

// A row is a campaign in a list.
type row struct {
	report.Summary
	report.Pace
	Quota *store.Quota // of its agent, as far as is known
}

func (p *pages) home(w http.ResponseWriter, r *http.Request) {
	h, err := p.readHome(r.Context())
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	p.show(w, r, http.StatusOK, "home", view{Title: "Campaigns", Nav: "campaigns", Events: "/events", Reload: true, Flash: done(r), Body: h})
}

func (p *pages) readHome(ctx context.Context) (home, error) {
	list, err := report.List(ctx, p.store)
	if list == nil {
		return home{}, err
	}
	if err != nil {
		p.Logger.WarnContext(ctx, "campaigns not shown", "error", err)
	}
	now, err := p.store.Now(ctx)
	if err != nil {
		return home{}, err
	}
	workers, err := p.store.Workers(ctx)
	if err != nil {
		return home{}, err
	}
	h := home{Agents: agentsOf(workers, list)}
	for _, s := range list {
		pace, err := p.pace(ctx, s, now)
		if err != nil {
			return home{}, err
		}
		h.Campaigns = append(h.Campaigns, row{s, pace, h.quota(s.Agent)})
	}
	return h, nil
}

// pace is that of a campaign which moves.
func (p *pages) pace(ctx context.Context, s report.Summary, now time.Time) (report.Pace, error) {
	if s.State != campaign.Running {
		return report.Pace{}, nil
	}
	series, err := p.store.Series(ctx, s.Campaign)
	return report.PaceOf(series, s.States, now), err
}

// agentsOf are the agents that living workers serve, and those that campaigns
// wait for in vain.
func agentsOf(workers []store.Worker, list []report.Summary) []agent {
	byName := make(map[string]agent)
	for _, s := range list {
		if s.Workers == 0 && !s.Over() {
			byName[s.Agent] = agent{Name: s.Agent}
		}
	}
	for _, w := range workers {
		for _, name := range w.Agents {
			a := byName[name]
			a.Name, a.Workers = name, a.Workers+1
			if quota, ok := w.Quotas[name]; ok {
				a.Quota = &quota // all workers on a token see the same
			}
			byName[name] = a
		}
	}
	return slices.SortedFunc(maps.Values(byName), func(a, b agent) int { return strings.Compare(a.Name, b.Name) })
}

func (h home) quota(name string) *store.Quota {
	for _, a := range h.Agents {
		if a.Name == name {
			return a.Quota
		}
	}
	return nil
}

// Say is what a screen reader is told when it changes.
func (h home) Say() string {
	var parts []string
	for _, c := range h.Campaigns {
		if !c.Over() {
			parts = append(parts, c.Say())
		}
	}
	return strings.Join(parts, " ")
}

// Say is where a campaign stands, in steps that are worth hearing.
func (r row) Say() string {
	text := fmt.Sprintf("%s is %s", r.Campaign, r.State)
	if r.State == campaign.Running && r.Contacts > 0 {
		text += fmt.Sprintf(", %d %% through", r.Through()*10/r.Contacts*10)
	}
	return text + "."
}

// Through are the contacts that have been sent, whatever came of it.
func (r row) Through() int { return r.Contacts - r.States.Open() - r.States.In(campaign.Canceled) }

// Reached are those that the platform took.
func (r row) Reached() int {
	return r.States.In(campaign.Accepted, campaign.Started, campaign.Ended)
}

// Percent is how far it has got.
func (r row) Percent() string { return report.Percent(r.Through(), r.Contacts) }

// PaceText is how fast it goes lately; empty when nothing moves.
func (r row) PaceText() string {
	if r.PerMinute == 0 {
		return ""
	}
	if r.PerMinute < 10 {
		return fmt.Sprintf("%.1f a minute", r.PerMinute)
	}
	return report.Number(int(r.PerMinute+0.5)) + " a minute"
}

// LeftText is how long it still takes at this pace.
func (r row) LeftText() string {
	if r.Left == 0 {
		return ""
	}
	return report.About(max(r.Left, time.Second))
}

// Waiting reports whether something holds it up.
func (r row) Waiting() bool { return r.WaitingFor != "" }

// Paused reports whether a person or a rule does.
func (r row) Paused() bool { return r.State == campaign.Paused }

// PausedFor is why.
func (r row) PausedFor() string {
	if r.StateReason == "" {
		return "by a person"
	}
	return r.StateReason
}

// Next is when the next request may leave, where that is what it waits for.
func (r row) Next() time.Time {
	if !r.Paced || r.Quota == nil {
		return time.Time{}
	}
	return r.Quota.Next
}

// A part is the contacts in one state, as a part of a bar of 1000.
type part struct {
	Campaign string
	State    campaign.State
	Contacts int
	Share    string
	X, Width int
}

// barOrder is how states follow one another in a bar: what is reached grows from
// the left, what is to be sent shrinks at the right.
var barOrder = []campaign.State{
	campaign.Ended, campaign.Started, campaign.Accepted, campaign.Unconfirmed, campaign.Failed, campaign.Rejected,
	campaign.Canceled, campaign.Sending, campaign.Pending,
}

// leastWidth is that of the smallest part: one contact of a million is seen, too.
const leastWidth = 5

// Bar are the states that anybody is in.
func (r row) Bar() []part {
	var parts []part
	widest, rest := 0, 1000
	for _, state := range barOrder {
		n := r.States.In(state)
		if n == 0 {
			continue
		}
		p := part{r.Campaign, state, n, report.Percent(n, r.Contacts), 0, max(n*1000/max(r.Contacts, 1), leastWidth)}
		parts = append(parts, p)
		if rest -= p.Width; p.Width > parts[widest].Width {
			widest = len(parts) - 1
		}
	}
	if len(parts) == 0 {
		return nil
	}
	parts[widest].Width += rest // what rounding has left, or has taken too much
	x := 0
	for i := range parts {
		parts[i].X = x
		x += parts[i].Width
	}
	return parts
}

// Problems are the states that a person should look at.
func (r row) Problems() []part {
	return slices.DeleteFunc(r.Bar(), func(p part) bool {
		return p.State != campaign.Rejected && p.State != campaign.Failed && p.State != campaign.Unconfirmed
	})
}

// Spoken is the bar in words.
func (r row) Spoken() string {
	var parts []string
	for _, p := range r.Bar() {
		parts = append(parts, fmt.Sprintf("%s %s", report.Number(p.Contacts), p.State))
	}
	return strings.Join(parts, ", ")
}
