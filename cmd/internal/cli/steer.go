package cli

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/pflag"

	"campaign-runner/campaign"
)

// SteerFlags are settings that can be given at the launch and changed while a
// campaign runs. Each flag that is not given leaves its setting as it is.
type SteerFlags struct{ set []func(*campaign.Settings) }

// Add adds the flags.
func (f *SteerFlags) Add(flags *pflag.FlagSet) {
	f.add(flags, "priority", "LANE", "urgent, normal or bulk: of ten chunks that wait, six, three and one are taken (default: bulk for more than 50 chunks)",
		func(text string) (func(*campaign.Settings), error) {
			lane := campaign.Lane(text)
			if lane != campaign.Urgent && lane != campaign.Normal && lane != campaign.Bulk {
				return nil, fmt.Errorf("want %s, %s or %s", campaign.Urgent, campaign.Normal, campaign.Bulk)
			}
			return func(s *campaign.Settings) { s.Lane = lane }, nil
		})
	f.number(flags, "daily-cap", "CONTACTS", "most contacts to begin with on one day by --timezone, or UTC; the others wait for the next; 0: any number",
		func(s *campaign.Settings) *int { return &s.DailyCap })
	f.add(flags, "max-failure-share", "SHARE", "pause when more than this share, such as 20%, of the latest 200 contacts (50 at least) were rejected, failed or unconfirmed; 0%: never",
		func(text string) (func(*campaign.Settings), error) {
			share, err := campaign.ParseShare(text)
			return func(s *campaign.Settings) { s.MaxFailureShare = share }, err
		})
	f.number(flags, "max-contact-attempts", "REQUESTS", "most requests per contact over all reruns; 0: any number",
		func(s *campaign.Settings) *int { return &s.MaxContactAttempts })
}

// number adds a flag that is a number from 0.
func (f *SteerFlags) number(flags *pflag.FlagSet, name, unit, usage string, of func(*campaign.Settings) *int) {
	f.add(flags, name, unit, usage, func(text string) (func(*campaign.Settings), error) {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return nil, errors.New("want a number from 0")
		}
		return func(s *campaign.Settings) { *of(s) = n }, nil
	})
}

func (f *SteerFlags) add(flags *pflag.FlagSet, name, unit, usage string, parse func(string) (func(*campaign.Settings), error)) {
	flags.Var(&steerFlag{unit: unit, take: func(text string) error {
		set, err := parse(text)
		if err == nil {
			f.set = append(f.set, set)
		}
		return err
	}}, name, usage)
}

// Settle puts into s what the flags say.
func (f *SteerFlags) Settle(s *campaign.Settings) {
	for _, set := range f.set {
		set(s)
	}
}

// A steerFlag hands its value on.
type steerFlag struct {
	text, unit string
	take       func(string) error
}

func (f *steerFlag) Set(text string) error {
	f.text = text
	return f.take(text)
}
func (f *steerFlag) String() string { return f.text }
func (f *steerFlag) Type() string   { return f.unit }
