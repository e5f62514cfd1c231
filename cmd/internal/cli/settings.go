package cli

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"

	"campaign-runner/campaign"
)

// SettingFlags are the flags of settings of a campaign, as the table of package
// campaign names them.
type SettingFlags struct {
	Given    campaign.Given // by the flags that were given
	settings []campaign.Setting
}

// Add adds the flags of settings.
func (f *SettingFlags) Add(flags *pflag.FlagSet, settings []campaign.Setting) {
	f.Given, f.settings = make(campaign.Given), settings
	for _, setting := range settings {
		flag := flags.VarPF(&settingFlag{setting, f.Given}, setting.Flag, "", setting.Usage)
		if setting.Switch {
			flag.NoOptDefVal = "true"
		}
		if setting.Flag == "retry-5xx" {
			flags.BoolFunc("strict-5xx", "the same as --retry-5xx none, if that is not given", func(text string) error {
				on, err := campaign.ParseSwitch(text)
				if err == nil && on && !flags.Changed("retry-5xx") {
					err = flags.Set("retry-5xx", campaign.RetryNone.String())
				}
				return err
			})
		}
	}
}

// AddHidden adds flags that -h does not show, so that a command can say why it does
// not take them. A flag that is there already stays.
func (f *SettingFlags) AddHidden(flags *pflag.FlagSet, settings []campaign.Setting) {
	hidden := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.Add(hidden, settings)
	hidden.VisitAll(func(flag *pflag.Flag) { flag.Hidden = true })
	flags.AddFlagSet(hidden)
}

// Apply puts into s what the flags say. The other settings stay.
func (f *SettingFlags) Apply(s *campaign.Settings) error { return s.Apply(f.settings, f.Given) }

// A settingFlag is the value of a setting's flag.
type settingFlag struct {
	campaign.Setting
	given campaign.Given
}

func (f *settingFlag) Set(text string) error {
	if f.File && text != "none" {
		var err error
		if text, err = readText(text); err != nil {
			return err
		}
	}
	f.given[f.Flag] = append(f.given[f.Flag], text)
	return f.Try(text)
}

// maxText bounds a file that a setting is read from.
const maxText = 8 << 20

func readText(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxText+1))
	if err == nil && len(text) > maxText {
		err = fmt.Errorf("%s is larger than %d MB", name, maxText>>20)
	}
	return string(text), err
}

func (f *settingFlag) String() string { return f.Default }

func (f *settingFlag) Type() string {
	if f.Switch {
		return "bool"
	}
	return f.Unit
}
