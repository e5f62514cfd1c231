package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"campaign-runner/campaign/hours"
	"campaign-runner/cmd/internal/cli"
)

func (a *app) rules() *cobra.Command {
	return &cobra.Command{
		Use:   "rules",
		Short: "Show what --rules knows of countries; no legal advice",
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
	b.WriteString("None for Egypt: " + hours.WhyNoEgypt + ".\n")
	b.WriteString("These are settings to begin with, and no legal advice. 'enqueue -h' shows how to set others.\n")
	return b.String()
}
