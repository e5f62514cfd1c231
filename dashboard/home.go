package dashboard

import (
	"cmp"
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

// home is the page that lists all campaigns.
type home struct {
	Agents    []agent
	Campaigns []row
}

// An agent is served by a worker, or a campaign waits for one to serve it.
type agent struct {
	Name    string
	Workers int
	Quota   *store.Quota
}

// A row is a campaign in a list.
type row struct {
	report.Summary
	report.Pace
	Quota *store.Quota // of its agent; nil: unknown
}

func (p *pages) home(w http.ResponseWriter, r *http.Request) {
	h, err := p.readHome(r.Context())
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	p.show(w, r, http.StatusOK, "home", view{Title: "Campaigns", Nav: "campaigns", Events: p.link("/events"), Reload: true, Flash: p.done(r), Body: h})
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

// pace is the pace of a running campaign.
func (p *pages) pace(ctx context.Context, s report.Summary, now time.Time) (report.Pace, error) {
	if s.State != campaign.Running {
		return report.Pace{}, nil
	}
	series, err := p.store.Series(ctx, s.Campaign)
	return report.PaceOf(series, s.States, now), err
}

// agentsOf lists the agents that live workers serve, and those that campaigns need and
// no worker serves.
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

// Say is the text for screen readers. They read it aloud when it changes.
func (h home) Say() string {
	var parts []string
	for _, c := range h.Campaigns {
		if !c.Over() {
			parts = append(parts, c.Say())
		}
	}
	return strings.Join(parts, " ")
}

// Say tells where a campaign stands, in steps of ten percent.
func (r row) Say() string {
	text := fmt.Sprintf("%s is %s", r.Campaign, r.State)
	if r.State == campaign.Running && r.Contacts > 0 {
		text += fmt.Sprintf(", %d %% through", r.Through()*10/r.Contacts*10)
	}
	return text + "."
}

// Through counts the contacts that have been sent, with any result.
func (r row) Through() int { return r.Contacts - r.States.Open() - r.States.In(campaign.Canceled) }

// Reached counts the contacts that the platform took.
func (r row) Reached() int {
	return r.States.In(campaign.Accepted, campaign.Started, campaign.Ended)
}

// Percent is the share of contacts that are through.
func (r row) Percent() string { return report.Percent(r.Through(), r.Contacts) }

// PaceText is the recent pace; empty when nothing moves.
func (r row) PaceText() string {
	if r.PerMinute == 0 {
		return ""
	}
	if r.PerMinute < 10 {
		return fmt.Sprintf("%.1f a minute", r.PerMinute)
	}
	return campaign.Number(int(r.PerMinute+0.5)) + " a minute"
}

// LeftText is the time left at this pace.
func (r row) LeftText() string {
	if r.Left == 0 {
		return ""
	}
	return report.About(max(r.Left, time.Second))
}

// Waiting reports whether the campaign waits for something.
func (r row) Waiting() bool { return !r.WaitingFor.IsZero() }

// Paused reports whether a person or a rule has paused it.
func (r row) Paused() bool { return r.State == campaign.Paused }

// PausedFor is the reason for the pause.
func (r row) PausedFor() campaign.Message {
	return cmp.Or(r.StateReason, campaign.Say(campaign.MsgByPerson))
}

// Next is when the next request may leave; zero if the campaign does not wait for that.
func (r row) Next() time.Time {
	if !r.Paced || r.Quota == nil {
		return time.Time{}
	}
	return r.Quota.Next
}

// A part is the contacts in one state as a part of a bar that is 1000 wide.
type part struct {
	Campaign string
	State    campaign.State
	Contacts int
	Share    string
	X, Width int
}

// barOrder is the order of states in a bar: reached contacts grow from the left, those to
// be sent shrink at the right.
var barOrder = []campaign.State{
	campaign.Ended, campaign.Started, campaign.Accepted, campaign.Unconfirmed, campaign.Failed, campaign.Rejected,
	campaign.Canceled, campaign.Sending, campaign.Pending,
}

// leastWidth is the width of the smallest part, so that one contact of a million is seen.
const leastWidth = 5

// Bar lists the states that have contacts.
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
	parts[widest].Width += rest // rounding leaves some, or takes too much
	x := 0
	for i := range parts {
		parts[i].X = x
		x += parts[i].Width
	}
	return parts
}

// Problems lists the states that a person should look at.
func (r row) Problems() []part {
	return slices.DeleteFunc(r.Bar(), func(p part) bool {
		return p.State != campaign.Rejected && p.State != campaign.Failed && p.State != campaign.Unconfirmed
	})
}

// Spoken is the bar in words.
func (r row) Spoken() string {
	var parts []string
	for _, p := range r.Bar() {
		parts = append(parts, fmt.Sprintf("%s %s", campaign.Number(p.Contacts), p.State))
	}
	return strings.Join(parts, ", ")
}
