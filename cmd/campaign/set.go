package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"campaign-runner/campaign"
	"campaign-runner/campaign/hours"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
	"campaign-runner/jobs"
)

const setHelp = `Change settings of a campaign. Every request that begins from then on goes by them,
in running workers, too; what is on its way is not touched. Flags that are not given
leave their settings as they are. Saying the same again changes nothing.

--chunk-size is the most contacts that one request carries from now on. What is stored
keeps its shape, so it cannot be more than the campaign was loaded with.

--priority moves what is not yet sent into another lane of the agent.

--hours and --days replace the hours of the campaign together; with hours that are not
the same on every day, or days that are not open all day, both must be said. Rules of a
country that it was loaded with stay in force.`

// setFlags are what can be changed of a campaign.
type setFlags struct {
	cli.SteerFlags
	hours     cli.HoursFlags
	rows, max int
	retry     campaign.Retry5xx
	given     func(flag string) bool
}

func (a *app) set() *cobra.Command {
	f := new(setFlags)
	cmd := a.on("set", "Change settings of a campaign while it runs", func(ctx context.Context, s *store.Store, name string) error {
		var warnings []string
		changed, err := jobs.NewQueue(s, nil).Set(ctx, name, func(settings *campaign.Settings) error {
			err := f.settle(settings)
			warnings = settings.Hours.Warnings()
			return err
		})
		if err != nil {
			return err
		}
		if f.given("timezone") || f.given("no-zone-hours") {
			for _, warning := range warnings {
				a.note("warning: " + warning)
			}
		}
		text := name + ": nothing has changed\n"
		if len(changed) > 0 {
			text = ""
		}
		for _, d := range changed {
			text += fmt.Sprintf("%s: %s is %s now, was %s\n", name, d.Flag, d.Other, d.Have)
		}
		return a.print(struct {
			Campaign string                `json:"campaign"`
			Changed  []campaign.Difference `json:"changed"`
		}{name, append([]campaign.Difference{}, changed...)}, text)
	})
	cmd.Long = setHelp
	flags := cmd.Flags()
	flags.SortFlags = false
	f.given = flags.Changed
	f.SteerFlags.Add(flags)
	flags.IntVar(&f.rows, "chunk-size", 0, "most `CONTACTS` per request")
	flags.IntVar(&f.max, "max-attempts", 0, "`REQUESTS` per contact and run, the first included")
	cli.AddRetry5xx(flags, &f.retry)
	f.hours.Add(flags)
	_ = flags.MarkHidden("rules") // of the launch
	cmd.PreRunE = func(*cobra.Command, []string) error {
		given := 0
		flags.Visit(func(flag *pflag.Flag) {
			if flag.Name != "json" {
				given++
			}
		})
		switch {
		case given == 0:
			return errors.New("set: say what, such as --daily-cap 500")
		case f.given("rules"):
			return errors.New("set: --rules are those of the launch")
		}
		return nil
	}
	return cmd
}

// settle puts into s what the flags say.
func (f *setFlags) settle(s *campaign.Settings) error {
	f.SteerFlags.Settle(s)
	if f.given("max-attempts") {
		s.MaxAttempts = f.max
	}
	if f.given("retry-5xx") {
		s.Retry5xx = f.retry
	}
	if f.given("chunk-size") {
		if f.rows < 1 {
			return fmt.Errorf("--chunk-size %d: want 1 to %d", f.rows, s.ChunkSize)
		}
		if s.RowsPerRequest = f.rows; f.rows == s.ChunkSize && s.Mode == campaign.Batch {
			s.RowsPerRequest = 0
		}
	}
	return f.settleHours(s)
}

func (f *setFlags) settleHours(s *campaign.Settings) error {
	windows, days := f.given("hours"), f.given("days")
	if !windows && !days && !f.given("timezone") && !f.given("no-zone-hours") {
		return nil
	}
	week := s.Hours.Week
	alike := !slices.ContainsFunc(week[1:], func(day []hours.Window) bool { return !slices.Equal(day, week[0]) })
	switch {
	case windows && !days && !alike:
		return fmt.Errorf("--hours: they are %s; say --days as well", s.Hours)
	case days && !windows && !week.Always():
		return fmt.Errorf("--days: they are %s; say --hours as well", s.Hours)
	}
	to := f.hours
	to.Country = s.Rules
	to.Zone = cmp.Or(to.Zone, s.Hours.Zone)
	was := s.Hours
	if err := to.Settle(s); err != nil {
		return err
	}
	if !windows && !days {
		s.Hours.Week = was.Week
	}
	if to.NoZone == "" && s.Hours.Zone == was.Zone {
		s.Hours.NoZone = was.NoZone
	}
	return nil
}
