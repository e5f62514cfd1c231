package dashboard

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/texts"
	"campaign-runner/campaign/users"
)

// A list is the page that lists campaigns, without them.
type list struct {
	filter
	Agents    []agent
	Shown     int        // on this page of the list
	Found     int        // on all its pages
	All       int        // campaigns that there are
	Says      texts.Line // for screen readers; they read it aloud when it changes
	MayLaunch bool
}

// home is that page, and seenHome what a viewer sees of it.
type (
	home struct {
		list
		Campaigns []row
		Together  []joint // what may be done to all campaigns at once
	}
	seenHome struct {
		list
		Campaigns []totals
	}
)

// An agent is served by a worker, or a campaign waits for one to serve it.
type agent struct {
	Name    string
	Workers int
	Quota   texts.Line // how much of it is left; empty: unknown
}

func (p *pages) home(w http.ResponseWriter, r *http.Request) {
	chosen := readFilter(r.URL.Query())
	snap, since, err := p.list.get(r.Context(), "", 0)
	if since.IsZero() {
		p.refuse(w, r, err)
		return
	}
	v := view{Title: texts.Of("page.campaigns"), Nav: "campaigns", Events: p.link("/events") + chosen.query(), Reload: true, Flash: p.done(r)}
	name, body := p.homeFor(visitorOf(r).Role, snap, chosen, err != nil)
	v.Body = body
	if err != nil {
		v.Trouble = trouble{troubleText(err), since}
	}
	p.show(w, r, http.StatusOK, name, v)
}

// homeFor is the list as somebody has chosen to see it, with the name of its view for their
// role.
func (p *pages) homeFor(role users.Role, snap *report.Snapshot, chosen filter, stale bool) (view string, body any) {
	h := p.homeOf(snap, chosen)
	h.MayLaunch = role >= users.Launcher
	if role >= users.Operator {
		if !stale { // else nothing can be done
			h.Together = jointly(snap.Rows)
		}
		return "home", h
	}
	seen := seenHome{list: h.list}
	for _, r := range h.Campaigns {
		seen.Campaigns = append(seen.Campaigns, r.totals)
	}
	return "seen-home", seen
}

func (p *pages) homeOf(snap *report.Snapshot, chosen filter) home {
	agents, quotas := agentsOf(snap)
	h := home{list: list{filter: chosen, Agents: agents, All: len(snap.Rows), Says: says(snap.Rows)}}
	found := chosen.find(snap.Rows)
	h.Found = len(found)
	h.Page = min(h.Page, h.Pages())
	from := (h.Page - 1) * pageRows
	for _, r := range found[from:min(from+pageRows, len(found))] {
		h.Campaigns = append(h.Campaigns, newRow(*r, quotas[r.Agent]))
	}
	h.Shown = len(h.Campaigns)
	p.seen.add(h.Campaigns)
	return h
}

// lookAt reads the list anew.
func (p *pages) lookAt(ctx context.Context, _ string) (*report.Snapshot, error) {
	snap, unread, err := p.board.Look(ctx, p.seen.names())
	if unread != nil {
		p.Logger.WarnContext(ctx, "campaigns not shown", "error", unread)
	}
	return snap, err
}

// sights are the campaigns that somebody sees in a list.
type sights struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// seenFor is how long a row counts as seen after it was shown.
const seenFor = 2 * liveEvery

func (s *sights) add(rows []row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		s.last = make(map[string]time.Time)
	}
	for _, r := range rows {
		s.last[r.Campaign] = time.Now()
	}
}

func (s *sights) names() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.last, func(_ string, at time.Time) bool { return time.Since(at) > seenFor })
	names := make(map[string]bool, len(s.last))
	for name := range s.last {
		names[name] = true
	}
	return names
}

// agentsOf lists the agents that live workers serve, and those that campaigns need and
// no worker serves; with the quotas that are known.
func agentsOf(snap *report.Snapshot) ([]agent, map[string]*store.Quota) {
	byName, quotas := make(map[string]agent), make(map[string]*store.Quota)
	for _, s := range snap.Rows {
		if s.Workers == 0 && !s.Over() {
			byName[s.Agent] = agent{Name: s.Agent}
		}
	}
	for _, w := range snap.Workers {
		for _, name := range w.Agents {
			a := byName[name]
			a.Name, a.Workers = name, a.Workers+1
			if quota, ok := w.Quotas[name]; ok {
				quotas[name], a.Quota = &quota, quotaText(quota) // all workers on a token see the same
			}
			byName[name] = a
		}
	}
	return slices.SortedFunc(maps.Values(byName), func(a, b agent) int { return strings.Compare(a.Name, b.Name) }), quotas
}

// says counts campaigns by where they stand.
func says(rows []report.Row) texts.Line {
	counts, need := make(map[campaign.Phase]int), 0
	for i := range rows {
		counts[rows[i].State]++
		if needOf(&rows[i]) == needsPerson {
			need++
		}
	}
	var parts []texts.Line
	for _, state := range phases {
		if n := counts[state]; n > 0 {
			parts = append(parts, texts.Of("notice.state", "n", n, "state", state))
		}
	}
	if need > 0 {
		parts = append(parts, texts.Of("says.attention", "n", need))
	}
	if len(parts) == 0 {
		return nil
	}
	return texts.Of("says.campaigns", "parts", parts)
}
