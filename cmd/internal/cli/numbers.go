package cli

import (
	"github.com/spf13/pflag"

	"campaign-runner/campaign"
)

// PhoneColumnFlag adds the flag that names the columns with the numbers.
func PhoneColumnFlag(flags *pflag.FlagSet, r *campaign.Reading, otherwise string) {
	flags.StringArrayVar(&r.PhoneColumns, "phone-column", nil, "`COLUMN` with the numbers; may be repeated, in order of preference: the first that has one counts (default: "+otherwise+")")
}

// CountryColumnFlags add the flags that name the columns beside the numbers that say
// whose country they are of.
func CountryColumnFlags(flags *pflag.FlagSet, r *campaign.Reading) {
	flags.StringVar(&r.CountryColumn, "country-column", "", "`COLUMN` of countries that the numbers are of, or none (default: found where it is certain)")
	flags.StringVar(&r.CountryCodeColumn, "country-code-column", "", "`COLUMN` of calling codes that belong before the numbers, or none (default: found where it is certain)")
}
