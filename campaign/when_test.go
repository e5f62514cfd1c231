package campaign

import (
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign/hours"
)

func TestWhenContactsMayBeContacted(t *testing.T) {
	at := time.Date(2026, 11, 27, 6, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name  string
		given Given
		want  string // the hours, or the error
		also  func(Settings) bool
	}{
		{"nothing said", Given{}, "at any time", func(s Settings) bool { return s.Hours.IsZero() && s.StartAt.IsZero() }},
		{"hours on days in a zone", Given{"hours": {"09:00-21:00"}, "days": {"sun-thu"}, "timezone": {"Asia/Riyadh"}}, "sun-thu 09:00-21:00 in Asia/Riyadh", nil},
		{"in each contact's own", Given{"hours": {"09:00-21:00"}, "timezone": {"contact"}, "no-zone-hours": {"10:00-12:00@UTC"}},
			"09:00-21:00 in each contact's own time zone, without one 10:00-12:00@UTC", nil},
		{"a country's rules", Given{"rules": {"ae"}}, "09:00-18:00 in Asia/Dubai", func(s Settings) bool {
			return s.Rules == "ae" && s.Limits == hours.Limits{PerDay: 1, PerWeek: 2, RefusalIsFinal: true}
		}},
		{"narrower than the country's", Given{"hours": {"07:00-12:00"}, "timezone": {"America/New_York"}, "rules": {"US"}}, "08:00-12:00 in America/New_York", nil},
		{"a start and an end by the zone's clock", Given{"timezone": {"Asia/Riyadh"}, "start-at": {"2026-11-27 09:00"}, "finish-by": {"2026-11-28 09:00"}, "max-lateness": {"1m"}}, "at any time",
			func(s Settings) bool {
				return s.StartAt.Equal(at) && s.FinishBy.Equal(at.Add(24*time.Hour)) && s.MaxLateness == time.Minute
			}},
		{"hours by nobody's clock", Given{"hours": {"09:00-21:00"}}, "--timezone: hours and days need a time zone", nil},
		{"days by nobody's clock", Given{"days": {"sun"}}, "--timezone: hours and days need a time zone", nil},
		{"a window that is none", Given{"hours": {"9-5"}}, `--hours: hours "9-5"`, nil},
		{"days that are none", Given{"days": {"someday"}, "timezone": {"UTC"}}, `--days: days "someday"`, nil},
		{"a country without rules", Given{"rules": {"aq"}}, `--rules: country "aq": want one of`, nil},
		{"hours that its rules forbid", Given{"hours": {"19:00-21:00"}, "rules": {"ae"}}, "--hours 19:00-21:00 and --rules ae (09:00-18:00): no time", nil},
		{"a zone that is none", Given{"timezone": {"Riyadh"}}, `--timezone: time zone "Riyadh"`, nil},
		{"hours for the zoneless that are none", Given{"timezone": {"contact"}, "no-zone-hours": {"09:00-21:00"}}, "--no-zone-hours: hours", nil},
		{"a start that is no time", Given{"start-at": {"tomorrow"}}, "--start-at: time", nil},
		{"an end that is no time", Given{"finish-by": {"tomorrow"}}, "--finish-by: time", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := NewSettings(tt.given)
			got := s.Hours.String()
			if err != nil {
				got = err.Error()
			}
			if !strings.HasPrefix(got, tt.want) || err == nil && got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
			if tt.also != nil && !tt.also(s) {
				t.Errorf("settings %+v", s)
			}
		})
	}
}
