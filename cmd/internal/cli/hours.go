package cli

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"campaign-runner/campaign"
	"campaign-runner/campaign/hours"
)

// HoursFlags say in which hours a campaign's contacts may be contacted.
type HoursFlags struct {
	Windows []string
	Days    string
	Zone    string
	NoZone  string
	Country string
}

// Add adds the flags.
func (f *HoursFlags) Add(flags *pflag.FlagSet) {
	flags.StringSliceVar(&f.Windows, "hours", nil, "contact people only within `FROM-TO`, such as 09:00-13:00,16:00-21:00; over midnight: 21:00-02:00")
	flags.StringVar(&f.Days, "days", "", "contact people only on `DAYS`, such as sun-thu, sat-wed or mon,wed")
	flags.StringVar(&f.Zone, "timezone", "", "by whose clock: one `ZONE` such as Asia/Riyadh, or contact: each contact's own, by the number")
	flags.StringVar(&f.NoZone, "no-zone-hours", "", "with --timezone contact, `HOURS@ZONE` for numbers that tell no zone (default: they are held): 09:00-21:00@Asia/Riyadh")
	flags.StringVar(&f.Country, "rules", "", "hours, days and attempts of a `COUNTRY`: ae, sa or us; 'enqueue rules' shows them. No legal advice")
}

// Settle puts into s what the flags say.
func (f *HoursFlags) Settle(s *campaign.Settings) error {
	week, err := hours.MakeWeek(f.Windows, f.Days)
	if err != nil {
		return fmt.Errorf("--hours or --days: %w", err)
	}
	s.Hours.Week, s.Hours.Zone = week, f.Zone
	if f.Country != "" {
		rule, err := hours.FindRule(f.Country)
		if err != nil {
			return fmt.Errorf("--%w", err)
		}
		if s.Hours.Week, err = week.Intersect(rule.Week); err != nil {
			return fmt.Errorf("--hours %s and --rules %s (%s): %w", week, rule.Name, rule.Week, err)
		}
		s.Rules, s.Limits, s.Hours.Zone = rule.Name, rule.Limits, cmp.Or(f.Zone, rule.Zone)
	}
	if s.Hours.Zone == "" && (len(f.Windows) > 0 || f.Days != "") {
		return errors.New("--hours and --days need --timezone: a zone such as Asia/Riyadh, or contact for each contact's own")
	}
	if f.NoZone != "" {
		if s.Hours.NoZone, err = hours.ParseZoned(f.NoZone); err != nil {
			return fmt.Errorf("--no-zone-hours: %w", err)
		}
	}
	if err := s.Hours.Check(); err != nil {
		return fmt.Errorf("--timezone: %w", err)
	}
	return nil
}
