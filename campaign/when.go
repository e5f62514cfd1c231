package campaign

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"campaign-runner/campaign/hours"
)

// The hours of a campaign are one schedule that several flags make. --days comes
// first and leaves whole days open; --hours narrows the days that are open.

// partOfHours is the kind of a flag that is told along with --hours.
func partOfHours(k kind) kind {
	k.text = func(*Settings) string { return "" }
	return k
}

func daysKind() kind {
	return partOfHours(kind{parse: func(texts []string) (func(*Settings) error, error) {
		week, err := hours.MakeWeek(nil, texts[len(texts)-1])
		return func(s *Settings) error {
			if !s.Hours.Week.Always() {
				return fmt.Errorf("they are %s; say --hours as well", s.Hours)
			}
			s.Hours.Week = week
			return nil
		}, err
	}})
}

func hoursKind() kind {
	return kind{
		text: func(s *Settings) string {
			if s.Hours.Week.Always() && s.Hours.Zone != "" { // it still says when a day begins
				return s.Hours.String() + " in " + s.Hours.Zone
			}
			return s.Hours.String()
		},
		parse: func(texts []string) (func(*Settings) error, error) {
			windows := strings.Split(strings.Join(texts, ","), ",")
			_, err := hours.MakeWeek(windows, "")
			return func(s *Settings) (err error) {
				days, ok := s.Hours.Week.OpenDays()
				if !ok {
					return fmt.Errorf("they are %s; say --days as well", s.Hours)
				}
				s.Hours.Week, err = hours.MakeWeek(windows, days)
				return err
			}, err
		},
	}
}

func rulesKind() kind {
	return kind{
		text: func(s *Settings) string { return s.Rules },
		parse: func(texts []string) (func(*Settings) error, error) {
			rule, err := hours.FindRule(texts[len(texts)-1])
			return func(s *Settings) error {
				s.Rules, s.Limits, s.Hours.Zone = rule.Name, rule.Limits, cmp.Or(s.Hours.Zone, rule.Zone)
				return nil
			}, err
		},
	}
}

// keepRules narrows hours that were given to those that the country's rules allow.
func (s *Settings) keepRules(given Given) error {
	flags := []string{"days", "hours", "timezone", "no-zone-hours", "rules"}
	if !slices.ContainsFunc(flags, func(flag string) bool { return given[flag] != nil }) {
		return nil
	}
	if s.Rules != "" {
		rule, err := hours.FindRule(s.Rules)
		if err != nil {
			return &SettingError{"rules", err}
		}
		week, err := s.Hours.Week.Intersect(rule.Week)
		if err != nil {
			return fmt.Errorf("--hours %s and --rules %s (%s): %w", s.Hours.Week, rule.Name, rule.Week, err)
		}
		s.Hours.Week = week
	}
	if err := s.Hours.Check(); err != nil {
		return &SettingError{"timezone", err}
	}
	return nil
}
