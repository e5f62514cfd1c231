package main

import (
	"fmt"

	"github.com/spf13/pflag"

	"campaign-runner/campaign"
	"campaign-runner/campaign/launch"
)

// chooseFlags say which rows of a file, or which contacts of a campaign, are taken.
type chooseFlags struct {
	where         []string
	sample, limit int
	notIn         []string
}

func (f *chooseFlags) add(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.where, "where", nil, "take only rows for which this `RULE` holds: COLUMN=VALUE or COLUMN!=VALUE; may be repeated, and then all must hold")
	flags.IntVar(&f.sample, "sample", 0, "take this many `CONTACTS`, spread over the list; the same ones each time")
	flags.IntVar(&f.limit, "limit", 0, "take this many `CONTACTS` from the beginning")
	flags.StringArrayVar(&f.notIn, "not-in", nil, "leave out the contacts of this `CAMPAIGN`; may be repeated")
}

// choice is what the flags say; parse reads a rule.
func (f *chooseFlags) choice(given func(flag string) bool, parse func(string) (campaign.Rule, error)) (launch.Choice, error) {
	choice := launch.Choice{Sample: f.sample, Limit: f.limit, NotIn: f.notIn}
	for flag, n := range map[string]int{"sample": f.sample, "limit": f.limit} {
		if given(flag) && n < 1 {
			return choice, fmt.Errorf("--%s %d: want 1 or more contacts", flag, n)
		}
	}
	var err error
	if choice.Where, err = campaign.ParseRules(f.where, parse); err != nil {
		return choice, fmt.Errorf("--where %w", err)
	}
	return choice, nil
}
