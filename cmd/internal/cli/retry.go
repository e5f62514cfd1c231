package cli

import (
	"strconv"

	"github.com/spf13/pflag"

	"campaign-runner/campaign"
)

// AddRetry5xx adds the flags that say after which failures contacts are sent again.
// When both are given, --retry-5xx holds.
func AddRetry5xx(flags *pflag.FlagSet, into *campaign.Retry5xx) {
	flags.Var(&retryFlag{into}, "retry-5xx", "after which failures contacts are sent again, though they may have been reached: own: the platform's own 500; "+
		"all: any 5xx, also of what stands before it; none")
	strict := flags.VarPF(&strictFlag{flags: flags}, "strict-5xx", "", "the same as --retry-5xx none")
	strict.NoOptDefVal = "true"
}

type retryFlag struct{ into *campaign.Retry5xx }

func (f *retryFlag) Set(text string) error {
	retry, err := campaign.ParseRetry5xx(text)
	if err == nil {
		*f.into = retry
	}
	return err
}
func (f *retryFlag) String() string {
	if f.into == nil {
		return ""
	}
	return f.into.String()
}
func (*retryFlag) Type() string { return "own|all|none" }

// strictFlag is a boolean that stands for a value of the other flag.
type strictFlag struct {
	flags *pflag.FlagSet
	on    bool
}

func (f *strictFlag) Set(text string) (err error) {
	if f.on, err = strconv.ParseBool(text); err == nil && f.on && !f.flags.Changed("retry-5xx") {
		err = f.flags.Set("retry-5xx", campaign.RetryNone.String())
	}
	return err
}
func (f *strictFlag) String() string { return strconv.FormatBool(f.on) }
func (*strictFlag) Type() string     { return "bool" }
func (*strictFlag) IsBoolFlag() bool { return true }
