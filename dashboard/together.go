package dashboard

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/texts"
	"campaign-runner/jobs"
)

// A joint is an action on all campaigns at once, or on those of an agent.
type joint struct {
	Do        string // last part of the address
	Kind      string
	Campaigns int      // that it is about
	Agents    []option // with how many that is of each
}

// All is the choice of all agents.
func (j joint) All() texts.Line {
	return texts.Of("option", "what", texts.Of("all.agents"), "n", j.Campaigns)
}

// Label, Explain and Confirm are its words.
func (j joint) Label() texts.Line   { return texts.Of("act.all." + j.Do) }
func (j joint) Explain() texts.Line { return texts.Of("act.all."+j.Do+".explain", "n", j.Campaigns) }
func (j joint) Confirm() texts.Line { return texts.Of("act.all." + j.Do + ".confirm") }

// jointly are the actions on all campaigns that are listed.
func jointly(rows []report.Row) (list []joint) {
	running, stopped := make(map[string]int), make(map[string]int)
	for i := range rows {
		switch r := &rows[i]; {
		case r.State == campaign.Running:
			running[r.Agent]++
		case r.State == campaign.Paused && r.StateReason.Is(campaign.MsgWithOthers):
			stopped[r.Agent]++
		}
	}
	for _, j := range []struct {
		joint
		counts map[string]int
	}{{joint{Do: "pause", Kind: "danger"}, running}, {joint{Do: "resume", Kind: "primary"}, stopped}} {
		for agent, n := range j.counts {
			j.Campaigns += n
			j.Agents = append(j.Agents, option{agent, texts.Of("option", "what", agent, "n", n), false})
		}
		slices.SortFunc(j.Agents, func(a, b option) int { return strings.Compare(a.Value, b.Value) })
		if j.Campaigns > 0 {
			list = append(list, j.joint)
		}
	}
	return list
}

// together serves an action on all campaigns, or on those of the agent that the form names.
func (p *pages) together(did string, do func(ctx context.Context, q *jobs.Queue, agent, reason string) (jobs.Together, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !p.readForm(w, r) {
			return
		}
		agent, err := r.PostForm.Get("agent"), error(nil)
		if agent != "" {
			agent, err = campaign.AgentName(agent)
		}
		var reason string
		if err == nil {
			reason, err = reasonOf(r.PostForm)
		}
		if err != nil {
			p.refuse(w, r, asWish(err))
			return
		}
		// It goes on when the page is closed.
		done, err := do(context.WithoutCancel(r.Context()), p.queue(r), agent, reason)
		if err != nil {
			p.Logger.WarnContext(r.Context(), "not done for all campaigns", "action", did, "error", err)
		}
		if err != nil && len(done.Campaigns)+len(done.Failed) == 0 {
			p.refuse(w, r, err)
			return
		}
		p.did(w, r, "/", togetherText(did, done, err))
	}
}

// togetherText says what was done to all campaigns, and to which it was not.
func togetherText(did string, done jobs.Together, err error) texts.Line {
	line := texts.Of("did.all."+did, "n", len(done.Campaigns))
	and := func(key string, names []string) {
		if len(names) > 0 {
			line = texts.Of("did.and", "did", line, "and", texts.Of(key, "n", len(names), "names", fewNames(names)))
		}
	}
	if err != nil && len(done.Failed) == 0 {
		line = texts.Of("did.and", "did", line, "and", texts.Of("did.all.unsure"))
	}
	and("did.all.failed", done.Failed)
	var left []string
	for _, l := range done.Left {
		left = append(left, l.Campaign)
	}
	and("did.all."+did+".left", left)
	return line
}

// namesTold is how many campaigns a sentence names.
const namesTold = 10

// fewNames are the first of many names.
func fewNames(names []string) (list []texts.Line) {
	for _, name := range names[:min(len(names), namesTold)] {
		list = append(list, texts.Of("choice", "what", texts.Name(name)))
	}
	if more := len(names) - len(list); more > 0 {
		list = append(list, texts.Of("and_more", "n", more))
	}
	return list
}

func pauseAll(ctx context.Context, q *jobs.Queue, agent, reason string) (jobs.Together, error) {
	return q.PauseAll(ctx, agent, cmp.Or(campaign.Text(reason), campaign.Say(campaign.MsgByPerson)))
}

func resumeAll(ctx context.Context, q *jobs.Queue, agent, _ string) (jobs.Together, error) {
	return q.ResumeAll(ctx, agent)
}
