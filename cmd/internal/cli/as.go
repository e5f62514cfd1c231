package cli

import (
	"github.com/spf13/pflag"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// As is for whom a command says that it acts, for the campaigns' logs.
type As struct{ name string }

// Add adds the flag --as.
func (a *As) Add(flags *pflag.FlagSet) {
	flags.Var(a, "as", "`NAME` of who does this, for the campaign's log, as a claim: nobody checks it")
	Bind(flags, "as", "CAMPAIGN_AS")
}

// Set takes a name.
func (a *As) Set(name string) error {
	a.name = name
	return campaign.CheckClaim(name)
}

func (a *As) String() string { return a.name }

// Type is what -h calls it.
func (a *As) Type() string { return "string" }

// By is the name for the log; empty: that of the user of this process.
func (a *As) By() string {
	if a.name == "" {
		return ""
	}
	return campaign.Claimed(a.name, store.Who(""))
}
