package main

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"campaign-runner/campaign"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/hours"
)

// whenFlags say when a campaign's contacts may be contacted.
type whenFlags struct {
	startAt, finishBy           string
	maxLateness                 time.Duration
	windows                     []string
	days, zone, noZone, country string
}

// defaultLateness is how late a campaign may start by itself.
const defaultLateness = time.Hour

func (f *whenFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.startAt, "start-at", "", "contact nobody before `TIME`: 2026-11-27T09:00:00+03:00, or \"2026-11-27 09:00\" with --timezone")
	flags.DurationVar(&f.maxLateness, "max-lateness", defaultLateness, "started later than this, because nothing was running, it waits for 'campaign start'")
	flags.StringVar(&f.finishBy, "finish-by", "", "whoever was not sent by `TIME` is canceled; a time as for --start-at")
	flags.StringSliceVar(&f.windows, "hours", nil, "contact people only within `FROM-TO`, such as 09:00-13:00,16:00-21:00; over midnight: 21:00-02:00")
	flags.StringVar(&f.days, "days", "", "contact people only on `DAYS`, such as sun-thu, sat-wed or mon,wed")
	flags.StringVar(&f.zone, "timezone", "", "by whose clock: one `ZONE` such as Asia/Riyadh, or contact: each contact's own, by the number")
	flags.StringVar(&f.noZone, "no-zone-hours", "", "with --timezone contact, `HOURS@ZONE` for numbers that tell no zone (default: they are held): 09:00-21:00@Asia/Riyadh")
	flags.StringVar(&f.country, "rules", "", "hours, days and attempts of a `COUNTRY`: ae, sa or us; 'enqueue rules' shows them. No legal advice")
}

// settle puts into s what the flags say.
func (f *whenFlags) settle(s *campaign.Settings) (err error) {
	week, err := hours.MakeWeek(f.windows, f.days)
	if err != nil {
		return fmt.Errorf("--hours or --days: %w", err)
	}
	s.Hours.Week, s.Hours.Zone = week, f.zone
	if f.country != "" {
		rule, err := hours.FindRule(f.country)
		if err != nil {
			return fmt.Errorf("--%w", err)
		}
		if s.Hours.Week, err = week.Intersect(rule.Week); err != nil {
			return fmt.Errorf("--hours %s and --rules %s (%s): %w", week, rule.Name, rule.Week, err)
		}
		s.Rules, s.Limits, s.Hours.Zone = rule.Name, rule.Limits, cmp.Or(f.zone, rule.Zone)
	}
	if s.Hours.Zone == "" && (len(f.windows) > 0 || f.days != "") {
		return errors.New("--hours and --days need --timezone: a zone such as Asia/Riyadh, or contact for each contact's own")
	}
	if f.noZone != "" {
		if s.Hours.NoZone, err = hours.ParseZoned(f.noZone); err != nil {
			return fmt.Errorf("--no-zone-hours: %w", err)
		}
	}
	if err := s.Hours.Check(); err != nil {
		return fmt.Errorf("--timezone: %w", err)
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
