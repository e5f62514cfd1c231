package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/cmd/internal/cli"
)

const setHelp = `Change settings of a campaign. They hold for every request that begins from then on,
in running workers, too. Settings whose flags are not given stay as they are. The same
command again changes nothing.

--chunk-size is the most contacts that one request carries from now on. Stored chunks
keep their size, so it cannot be more than the campaign was loaded with.

--priority moves contacts that are not sent yet into another lane of the agent.

--hours and --days replace the hours of the campaign together; with hours that are not
the same on every day, or days that are not open all day, both must be given. The
country's rules that it was loaded with stay in force.

--then replaces what was there, for all contacts; --then none ends it. In a campaign that
has finished it may contact people at once.`

// whenOver are the settings that mean something of a campaign that is over.
var whenOver = []string{"title", "then", "then-within"}

// noteOver says so if what was given changes nothing, because the campaign is over.
func (a *app) noteOver(ctx context.Context, s *store.Store, name string, given campaign.Given) {
	c, err := s.Campaign(ctx, name)
	if err != nil {
		return
	}
	tally, err := s.Tally(ctx, name)
	if err != nil {
		return
	}
	phase := tally.Phase(c.Phase)
	if phase != campaign.Finished && phase != campaign.CanceledPhase {
		return
	}
	for _, flag := range slices.Sorted(maps.Keys(given)) {
		if !slices.Contains(whenOver, flag) {
			a.note(fmt.Sprintf("%s is %s: --%s has no effect, unless 'enqueue append' or 'enqueue rerun' lets it run again", name, phase, flag))
			return
		}
	}
}

func (a *app) set() *cobra.Command {
	var f cli.SettingFlags
	cmd := a.on("set", "Change settings of a campaign while it runs", func(ctx context.Context, s *store.Store, name string) error {
		var warnings []campaign.Message
		changed, err := a.queue(s).Set(ctx, name, func(settings *campaign.Settings) error {
			warnings = nil
			err := f.Apply(settings)
			if err == nil {
				warnings, err = campaign.HoursWarnings(settings.Hours), settings.Check()
			}
			return cli.Usage(err)
		})
		if err != nil {
			return err
		}
		if f.Given["timezone"] != nil || f.Given["no-zone-hours"] != nil {
			for _, warning := range warnings {
				a.note("warning: " + warning.String())
			}
		}
		text := name + ": nothing has changed\n"
		if len(changed) > 0 {
			text = ""
			a.noteUnapproved(ctx, s, name)
			a.noteOver(ctx, s, name, f.Given)
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
	f.Add(flags, campaign.RunningSettings())
	var launch cli.SettingFlags
	launch.AddHidden(flags, campaign.LaunchSettings())
	cmd.PreRunE = func(*cobra.Command, []string) error {
		for flag := range launch.Given {
			return fmt.Errorf("set: --%s can only be said at the launch", flag)
		}
		if len(f.Given) == 0 {
			return errors.New("set: say what, such as --daily-cap 500")
		}
		return nil
	}
	return cmd
}
