package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"campaign-runner/campaign"
	"campaign-runner/campaign/hours"
	"campaign-runner/cmd/internal/cli"
)

// whenFlags say when a campaign's contacts may be contacted.
type whenFlags struct {
	cli.HoursFlags
	startAt, finishBy string
	maxLateness       time.Duration
}

// defaultLateness is how late a campaign may start by itself.
const defaultLateness = time.Hour

func (f *whenFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.startAt, "start-at", "", "contact nobody before `TIME`: 2026-11-27T09:00:00+03:00, or \"2026-11-27 09:00\" with --timezone")
	flags.DurationVar(&f.maxLateness, "max-lateness", defaultLateness, "started later than this, because nothing was running, it waits for 'campaign start'")
	flags.StringVar(&f.finishBy, "finish-by", "", "whoever was not sent by `TIME` is canceled; a time as for --start-at")
	f.HoursFlags.Add(flags)
}

// settle puts into s what the flags say.
func (f *whenFlags) settle(s *campaign.Settings) (err error) {
	if err := f.HoursFlags.Settle(s); err != nil {
		return err
	}
	if f.startAt != "" {
		if s.StartAt, err = hours.ParseTime(f.startAt, s.Hours.Zone); err != nil {
			return fmt.Errorf("--start-at: %w", err)
		}
		s.MaxLateness = f.maxLateness
	}
	if f.finishBy != "" {
		if s.FinishBy, err = hours.ParseTime(f.finishBy, s.Hours.Zone); err != nil {
			return fmt.Errorf("--finish-by: %w", err)
		}
	}
	return nil
}

func (a *app) rules() *cobra.Command {
	return &cobra.Command{
		Use:   "rules",
		Short: "Show what --rules knows of countries; configuration, no legal advice",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			rules := hours.Rules()
			return a.print(map[string][]hours.Rule{"rules": rules}, rulesText(rules))
		},
	}
}

func rulesText(rules []hours.Rule) string {
	var b strings.Builder
	for _, r := range rules {
		limits := []string{hours.Schedule{Week: r.Week, Zone: r.Zone}.String()}
		if r.PerDay > 0 {
			limits = append(limits, "once a day")
		}
		if r.PerWeek > 0 {
			limits = append(limits, fmt.Sprintf("on %s of any seven at most", cli.Count(r.PerWeek, "day", "days")))
		}
		if r.RefusalIsFinal {
			limits = append(limits, "never again after a refusal")
		}
		fmt.Fprintf(&b, "%s  %s\n    %s\n    from: %s\n    beware: %s\n\n", r.Name, r.About, strings.Join(limits, ", "), r.Source, r.Caveat)
	}
	b.WriteString("These are settings to begin with, and no legal advice. 'enqueue -h' shows how to set others.\n")
	return b.String()
}
