package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/jobs"
	"campaign-runner/ratelimit"
)

// An agent is the state of an agent: its quota, its workers and its work.
type agent struct {
	Agent     string `json:"agent"`
	Workers   int    `json:"workers"`   // live workers that serve it
	Campaigns int    `json:"campaigns"` // running
	Pending   int    `json:"pending"`   // contacts of its running campaigns

	Versions []string `json:"versions,omitempty"` // builds of its live workers
	Known    bool     `json:"known"`              // whether its quota was found; if not, the fields below are empty
	store.Quota
	BlockedUntil time.Time `json:"blocked_until,omitzero"`

	keys []string // Redis keys of its quota; several when workers have different tokens for it
}

func (a *app) agents() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "agents",
		Short: "Show each agent's quota and workers, or lift a block",
		Long: `Show each agent's quota, whether and until when it is blocked, and how many workers
serve it. The list has the agents that live workers serve, that campaigns name, and that
have a token in the environment.`,
		Args: cobra.NoArgs,
		RunE: a.withStore(func(ctx context.Context, s *store.Store, _ []string) error {
			list, err := a.findAgents(ctx, s)
			if err != nil {
				return err
			}
			return printTable(a, list, agent.row, map[string][]agent{"agents": list}, agentsText(list, time.Now()))
		}),
	}
	cli.Document(cmd, cli.AgentToken)
	cmd.AddCommand(a.unblock())
	return a.asCSV(cmd)
}

// An agentRow is an agent as CSV.
type agentRow struct {
	Agent        string  `csv:"agent"`
	Workers      int     `csv:"workers"`
	Campaigns    int     `csv:"campaigns"`
	Pending      int     `csv:"pending"`
	Limit        int     `csv:"limit"`
	Remaining    int     `csv:"remaining"`
	Window       float64 `csv:"window_seconds"`
	BlockedUntil string  `csv:"blocked_until"`
	Reason       cell    `csv:"reason"`
	Versions     cell    `csv:"versions"`
}

func (g agent) row() agentRow {
	return agentRow{g.Agent, g.Workers, g.Campaigns, g.Pending, g.Limit, g.Remaining, g.Window, moment(g.BlockedUntil), cell(g.Reason.String()), cell(strings.Join(g.Versions, "; "))}
}

// findAgents lists the agents of live workers, of campaigns and of tokens in this
// environment, and the named others if they have a token. They are sorted by name.
func (a *app) findAgents(ctx context.Context, s *store.Store, others ...string) ([]agent, error) {
	agents := make(map[string]*agent)
	of := func(name string) *agent {
		if agents[name] == nil {
			agents[name] = &agent{Agent: name}
		}
		return agents[name]
	}
	workers, err := s.Workers(ctx)
	if err != nil {
		return nil, err
	}
	for _, w := range workers {
		for _, name := range w.Agents {
			of(name).serve(w)
		}
	}
	campaigns, err := report.List(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, c := range campaigns {
		found := of(c.Agent)
		if c.State == campaign.Running {
			found.Campaigns++
			found.Pending += c.States.In(campaign.Pending)
		}
	}
	for _, name := range slices.Concat(cli.TokenAgents(os.Environ()), []string{campaign.DefaultAgent}, others) {
		if _, err := cli.Token(a.getenv, name); err == nil {
			of(name)
		}
	}
	var list []agent
	for _, name := range slices.Sorted(maps.Keys(agents)) {
		found := agents[name]
		if token, err := cli.Token(a.getenv, name); err == nil && len(found.keys) == 0 {
			found.keys = []string{ratelimit.Key(token)}
		}
		for _, key := range found.keys { // show the one that waits longest
			status, err := ratelimit.Look(ctx, s.Redis(), key)
			if err != nil {
				return nil, err
			}
			if quota := jobs.QuotaOf(status, time.Now().Truncate(time.Millisecond)); !found.Known || quota.Next.After(found.Next) {
				found.Known, found.Quota, found.BlockedUntil = true, quota, time.Time{}
				if quota.Blocked {
					found.BlockedUntil = quota.Next
				}
			}
		}
		list = append(list, *found)
	}
	return list, nil
}

// serve counts a live worker that serves the agent.
func (g *agent) serve(w store.Worker) {
	g.Workers++
	if w.Version != "" && !slices.Contains(g.Versions, w.Version) {
		g.Versions = append(g.Versions, w.Version)
	}
	if key := w.QuotaKeys[g.Agent]; key != "" && !slices.Contains(g.keys, key) {
		g.keys = append(g.keys, key)
	}
}

func agentsText(list []agent, now time.Time) string {
	if len(list) == 0 {
		return "no agents: no worker is alive, no campaign is there, and VELENTS_TOKEN is not set here\n"
	}
	rows := [][]string{{"AGENT", "WORKERS", "RUNNING", "PENDING", "QUOTA", ""}}
	for _, g := range list {
		quota := "not known"
		if g.Known {
			quota = quotaLeft(g.Quota)
		}
		rows = append(rows, []string{g.Agent, cli.Number(g.Workers), cli.Number(g.Campaigns), cli.Number(g.Pending), quota, g.standing(now)})
	}
	return table(rows, 1, 2, 3) + versionsText(list)
}

// versionsText says which builds the workers are; empty when none tells.
func versionsText(list []agent) string {
	var all []string
	for _, g := range list {
		all = append(all, g.Versions...)
	}
	slices.Sort(all)
	if all = slices.Compact(all); len(all) == 0 {
		return ""
	}
	text := "\nworkers are " + strings.Join(all, "; ")
	if len(all) > 1 {
		text += ": upgrade them all before a new option is used"
	}
	return text + "\n"
}

// standing says why an agent does not send.
func (g agent) standing(now time.Time) string {
	switch {
	case !g.Known:
		return fmt.Sprintf("no live worker serves it, and %s is not set here", cli.TokenVariable(g.Agent))
	case g.Blocked:
		text := fmt.Sprintf("blocked until %s: %s", campaign.Clock(g.BlockedUntil, now), g.Reason)
		if g.Failures > 1 {
			text += fmt.Sprintf(", %d failures in a row", g.Failures)
		}
		return text
	case g.Probing:
		return "an answer was lost: one contact a request until one succeeds"
	case g.Workers == 0 && g.Pending > 0:
		return "no live worker serves it"
	}
	return ""
}

// lifted is the result of an unblock.
type lifted struct {
	Agent   string    `json:"agent"`
	Lifted  bool      `json:"lifted"` // false: it was not blocked
	Until   time.Time `json:"blocked_until,omitzero"`
	Reason  string    `json:"reason"`
	Probing bool      `json:"probing"`
}

func (a *app) unblock() *cobra.Command {
	return &cobra.Command{
		Use:   "unblock AGENT",
		Short: "Let an agent send at once, in all its workers",
		Long: `Lift the block of an agent at once, in all its workers. Use it when a Retry-After is
longer than you want to wait, or when you know that the platform works again. If the
platform still fails, its next answer blocks the agent again. After a lost answer the
next request still carries only one contact.`,
		Args: oneName("unblock", "agent", func(name string) error {
			_, err := campaign.AgentName(name)
			return err
		}),
		RunE: a.withStore(a.lift),
	}
}

func (a *app) lift(ctx context.Context, s *store.Store, args []string) error {
	name, err := campaign.AgentName(args[0])
	if err != nil {
		return err
	}
	list, err := a.findAgents(ctx, s, name)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(list, func(g agent) bool { return g.Agent == name })
	if at < 0 || len(list[at].keys) == 0 {
		return fmt.Errorf("agent %s: no live worker serves it, and %s is not set here: start a worker, or set it", name, cli.TokenVariable(name))
	}
	now := time.Now()
	done := lifted{Agent: name, Probing: list[at].Probing}
	for _, key := range list[at].keys {
		left, why, err := ratelimit.Unblock(ctx, s.Redis(), key)
		if err != nil {
			return err
		}
		if until := now.Add(left).UTC().Truncate(time.Millisecond); left > 0 && until.After(done.Until) {
			done.Lifted, done.Until, done.Reason = true, until, string(why)
		}
	}
	text := fmt.Sprintf("agent %s is not blocked\n", name)
	if done.Lifted {
		text = fmt.Sprintf("agent %s may send again; it was blocked until %s: %s\n", name, campaign.Clock(done.Until, now), done.Reason)
	}
	return a.print(done, text)
}
