package main

import (
	"strings"
	"testing"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/hours"
	"campaign-runner/cmd/internal/cli"
)

func TestWhenFlags(t *testing.T) {
	at := time.Date(2026, 11, 27, 6, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name  string
		flags whenFlags
		want  string // the hours, or the error
		also  func(campaign.Settings) bool
	}{
		{"nothing said", whenFlags{}, "at any time", func(s campaign.Settings) bool { return s.Hours.IsZero() && s.StartAt.IsZero() }},
		{"hours on days in a zone", whenFlags{HoursFlags: cli.HoursFlags{Windows: []string{"09:00-21:00"}, Days: "sun-thu", Zone: "Asia/Riyadh"}}, "sun-thu 09:00-21:00 in Asia/Riyadh", nil},
		{"in each contact's own", whenFlags{HoursFlags: cli.HoursFlags{Windows: []string{"09:00-21:00"}, Zone: "contact", NoZone: "10:00-12:00@UTC"}},
			"09:00-21:00 in each contact's own time zone, without one 10:00-12:00@UTC", nil},
		{"a country's rules", whenFlags{HoursFlags: cli.HoursFlags{Country: "ae"}}, "09:00-18:00 in Asia/Dubai", func(s campaign.Settings) bool {
			return s.Rules == "ae" && s.Limits == hours.Limits{PerDay: 1, PerWeek: 2, RefusalIsFinal: true}
		}},
		{"narrower than the country's", whenFlags{HoursFlags: cli.HoursFlags{Country: "US", Windows: []string{"07:00-12:00"}, Zone: "America/New_York"}}, "08:00-12:00 in America/New_York", nil},
		{"a start and an end by the zone's clock", whenFlags{HoursFlags: cli.HoursFlags{Zone: "Asia/Riyadh"}, startAt: "2026-11-27 09:00", finishBy: "2026-11-28 09:00", maxLateness: time.Minute}, "at any time",
			func(s campaign.Settings) bool {
				return s.StartAt.Equal(at) && s.FinishBy.Equal(at.Add(24*time.Hour)) && s.MaxLateness == time.Minute
			}},
		{"hours by nobody's clock", whenFlags{HoursFlags: cli.HoursFlags{Windows: []string{"09:00-21:00"}}}, "--hours and --days need --timezone", nil},
		{"days by nobody's clock", whenFlags{HoursFlags: cli.HoursFlags{Days: "sun"}}, "--hours and --days need --timezone", nil},
		{"hours that are none", whenFlags{HoursFlags: cli.HoursFlags{Windows: []string{"9-5"}}}, `--hours or --days: hours "9-5"`, nil},
		{"a country without rules", whenFlags{HoursFlags: cli.HoursFlags{Country: "aq"}}, `--rules "aq": want one of`, nil},
		{"hours that its rules forbid", whenFlags{HoursFlags: cli.HoursFlags{Country: "ae", Windows: []string{"19:00-21:00"}}}, "--hours 19:00-21:00 and --rules ae (09:00-18:00): no time", nil},
		{"a zone that is none", whenFlags{HoursFlags: cli.HoursFlags{Zone: "Riyadh"}}, `--timezone: time zone "Riyadh"`, nil},
		{"hours for the zoneless that are none", whenFlags{HoursFlags: cli.HoursFlags{Zone: "contact", NoZone: "09:00-21:00"}}, "--no-zone-hours: hours", nil},
		{"a start that is no time", whenFlags{startAt: "tomorrow"}, "--start-at: time", nil},
		{"an end that is no time", whenFlags{finishBy: "tomorrow"}, "--finish-by: time", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s campaign.Settings
			err := tt.flags.settle(&s)
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
