package campaign

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"campaign-runner/campaign/hours"
)

// The hours of a campaign are one schedule that several flags make. --days comes
// first and leaves whole days open; --hours narrows the days that are open.

func setDays(s *Settings, texts []string) (err error) {
	if !s.Hours.Week.Always() {
		return fmt.Errorf("they are %s; say --hours as well", s.Hours)
	}
	s.Hours.Week, err = hours.MakeWeek(nil, texts[len(texts)-1])
	return err
}

func setHours(s *Settings, texts []string) (err error) {
	days, ok := s.Hours.Week.OpenDays()
	if !ok {
		return fmt.Errorf("they are %s; say --days as well", s.Hours)
	}
	s.Hours.Week, err = hours.MakeWeek(strings.Split(strings.Join(texts, ","), ","), days)
	return err
}

// hoursText tells the whole schedule, so that the other flags need no text.
func hoursText(s *Settings) string {
	if s.Hours.Week.Always() && s.Hours.Zone != "" { // which says when a day begins
		return s.Hours.String() + " in " + s.Hours.Zone
	}
	return s.Hours.String()
}

func setRules(s *Settings, texts []string) error {
	rule, err := hours.FindRule(texts[len(texts)-1])
	s.Rules, s.Limits, s.Hours.Zone = rule.Name, rule.Limits, cmp.Or(s.Hours.Zone, rule.Zone)
	return err
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

// A Day is a day of a campaign's calendar.
type Day struct{ From, Until time.Time } // Until is the next one's

// DayOf is the day of a time by the clock of the campaign's hours; by UTC when it
// has none, or goes by each contact's own.
func (s Settings) DayOf(t time.Time) Day {
	zone, err := hours.LoadZone(s.Hours.Zone)
	if err != nil {
		zone = time.UTC
	}
	year, month, day := t.In(zone).Date()
	return Day{time.Date(year, month, day, 0, 0, 0, 0, zone), time.Date(year, month, day+1, 0, 0, 0, 0, zone)}
}
