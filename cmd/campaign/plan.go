package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/ratelimit"
)

func (a *app) plan() *cobra.Command {
	var rate ratelimit.Rate
	cmd := a.on("plan", "Show how the rest of a campaign will go", func(ctx context.Context, s *store.Store, name string) error {
		f, err := report.Foretell(ctx, s, name, rate)
		if err != nil {
			return err
		}
		return a.print(f, planText(f))
	})
	cmd.Long = `Show how the rest of a campaign will go: the requests it needs, which contacts are
called when, and when it ends. The plan uses the quota that a worker sees, or --rate if
no worker sees one, the share of requests that failed so far, and what the other
campaigns on the token will take. Days are those of each zone. For large lists it uses a sample. The end counts those
that --then will contact again, as an expectation: as many of them as so far, and all
of them while nothing is known.`
	cmd.Flags().Var(&rate, "rate", "requests per window while no worker knows the quota: 30/60s, or none")
	cli.Bind(cmd.Flags(), "rate", "VELENTS_RATE")
	return cmd
}

func planText(f report.Foresight) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s is %s, %s\n", f.Campaign, f.State, cli.Count(f.Pending, "contact is pending", "contacts are pending"))
	if f.Unapproved {
		b.WriteString("it waits for approval: this is how it goes from then on\n")
	}
	quota := f.Rate + ", as a worker sees it"
	if !f.Measured {
		quota = f.Rate + ", by --rate: no worker knows it"
	}
	facts := [][]string{
		{"  hours", f.Hours}, {"  quota", quota}, {"  requests", callsText(f)},
		{"  begins", whenText(f.Begins, f.Now)}, {"  ends", whenText(f.Ends, f.Now)},
	}
	if f.Missed > 0 {
		facts = append(facts, []string{"  missed", fmt.Sprintf("%s not sent by %s", cli.Count(f.Missed, "contact is", "contacts are"), cli.Moment(f.FinishBy))})
	}
	if f.Held > 0 {
		facts = append(facts, []string{"  held", cli.Count(f.Held, "contact waits for a person", "contacts wait for a person")})
	}
	facts = append(facts, []string{"  again", f.Rungs.Message().String()})
	b.WriteString(factsText(facts))
	if len(f.Steps) > 1 || len(f.Steps) == 1 && f.Steps[0].Name != "" {
		rows := [][]string{{"ZONE", "CONTACTS", "FROM", "UNTIL"}}
		for _, step := range f.Steps {
			from, until := cmp.Or(whenText(step.Opens, f.Now), "never"), whenText(step.Done, f.Now)
			if step.Missed > 0 {
				until = cli.Number(step.Missed) + " missed"
			}
			rows = append(rows, []string{step.Name, cli.Number(step.Contacts), from, until})
		}
		section(&b, rows, 1)
	}
	if n := len(f.Days); n > 0 && f.Days[0].Date != f.Days[n-1].Date {
		rows := [][]string{{"DAY", "CONTACTS", "ZONE"}}
		for _, day := range f.Days {
			rows = append(rows, []string{day.Date, cli.Number(day.Contacts), day.Name})
		}
		section(&b, rows, 1)
	}
	return b.String()
}

// callsText counts the requests to come.
func callsText(f report.Foresight) string {
	if f.Again == 0 {
		return cli.Number(f.Calls)
	}
	return fmt.Sprintf("%s; about %s more by --then", cli.Number(f.Calls), cli.Number(f.Again))
}

// whenText is a future time in the reader's zone; empty for the zero time.
func whenText(at, now time.Time) string {
	switch {
	case at.IsZero():
		return ""
	case !at.After(now):
		return "now"
	}
	return fmt.Sprintf("%s, in %s", cli.Moment(at), cli.About(max(at.Sub(now), time.Second)))
}
