package campaign

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

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

// nameDays reports whether hours come with the days that they are for.
func nameDays(texts []string) bool {
	return strings.ContainsFunc(strings.Join(texts, ""), unicode.IsLetter)
}

func setHours(s *Settings, texts []string) (err error) {
	if nameDays(texts) {
		s.Hours.Week, err = hours.ParseWeek(strings.Join(texts, ";"))
		return err
	}
	days, ok := s.Hours.Week.OpenDays()
	if !ok {
		return fmt.Errorf("they are %s; say --days as well", s.Hours)
	}
	s.Hours.Week, err = hours.MakeWeek(strings.Split(strings.Join(texts, ","), ","), days)
	return err
}

// noDates is what people say for dates, or hours of numbers without a zone, that are to be none.
const noDates = "none"

func parseNoZone(text string) (hours.Zoned, error) {
	if text == noDates {
		return hours.Zoned{}, nil
	}
	return hours.ParseZoned(text)
}

// dates are days that have hours of their own.
func dates(at func(*Settings) *[]hours.Dates) kind {
	return kind{
		text: func(s *Settings) string {
			var texts []string
			for _, d := range *at(s) {
				texts = append(texts, d.String())
			}
			return strings.Join(texts, "; ")
		},
		set: func(s *Settings, texts []string) error {
			*at(s) = nil
			for _, text := range texts {
				if strings.TrimSpace(text) == "" {
					return errors.New("want DATES=HOURS such as 2027-03-09..2027-03-12=closed, or none")
				}
				for _, one := range splitDates(text) {
					d, err := hours.ParseDates(one)
					if err != nil {
						return err
					}
					*at(s) = append(*at(s), d)
				}
			}
			return nil
		},
	}
}

var beginsDate = regexp.MustCompile(`^\d{4}-`)

// splitDates cuts a text before each semicolon or line that begins other dates. The
// hours of dates may have semicolons too.
func splitDates(text string) (parts []string) {
	if text == noDates {
		return nil
	}
	for part := range strings.FieldsFuncSeq(text, func(c rune) bool { return c == ';' || c == '\n' }) {
		if part = strings.TrimSpace(part); len(parts) > 0 && !beginsDate.MatchString(part) {
			parts[len(parts)-1] += "; " + part
			continue
		}
		parts = append(parts, part)
	}
	return parts
}

// datesShown is how many dates of a calendar are shown one by one.
const datesShown = 6

// calendar is the kind of an iCalendar file, which may also be given as the dates that
// it closes.
func calendar(at func(*Settings) *[]hours.Dates) kind {
	k := dates(at)
	k.File = true
	plain, whole := k.set, k.text
	k.items = func(s *Settings) (texts []string) {
		if text := whole(s); text != "" {
			texts = []string{text}
		}
		return texts
	}
	k.text = func(s *Settings) string {
		text, closed := whole(s), *at(s)
		if n := len(closed); n > datesShown { // two calendars are told apart by their sums
			text = fmt.Sprintf("%d times from %s to %s (sum %.3x)", n, closed[0].From, closed[n-1].To, sha256.Sum256([]byte(text)))
		}
		return text
	}
	k.set = func(s *Settings, texts []string) (err error) {
		text := texts[len(texts)-1]
		if hours.IsCalendar(text) {
			found, err := hours.ParseCalendar(text, s.Hours.Zone, time.Now())
			if errors.Is(err, hours.ErrCalendarZone) {
				return Faulty(MsgCalendarZone)
			}
			if err != nil {
				return Faulty(MsgBadCalendar, "why", err.Error())
			}
			*at(s) = found
			return nil
		}
		err = plain(s, []string{text})
		if err != nil || slices.ContainsFunc(*at(s), func(d hours.Dates) bool { return len(d.Closed) == 0 }) {
			return Faulty(MsgWantCalendar)
		}
		return nil
	}
	return k
}

// hoursText tells the week and its zone, so that the other flags of both need no text.
func hoursText(s *Settings) string {
	h := s.Hours
	h.Except, h.Closed = nil, nil
	if h.Week.Always() && h.Zone != "" { // which says when a day begins
		return h.String() + " in " + h.Zone
	}
	return h.String()
}

func setRules(s *Settings, texts []string) error {
	rule, err := hours.FindRule(texts[len(texts)-1])
	s.Rules, s.Limits, s.Hours.Zone = rule.Name, rule.Limits, cmp.Or(s.Hours.Zone, rule.Zone)
	return err
}

// keepRules narrows hours that were given to those that the country's rules allow.
func (s *Settings) keepRules(given Given) error {
	flags := []string{"days", "hours", "timezone", "no-zone-hours", "except", "calendar", "rules"}
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
			return Faulty(MsgNoCommonHours, "hours", s.Hours.Week.String(), "rules", rule.Name, "week", rule.Week.String())
		}
		s.Hours.Week = week
		for i, d := range s.Hours.Except {
			s.Hours.Except[i] = d.Within(rule.Week)
		}
	}
	if err := s.Hours.Check(); err != nil {
		return &SettingError{"timezone", coded(err)}
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
	return Day{hours.Midnight(t, zone, 0), hours.Midnight(t, zone, 1)}
}
