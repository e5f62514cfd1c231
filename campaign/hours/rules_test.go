package hours

import (
	"strings"
	"testing"
	"time"
)

func TestRules(t *testing.T) {
	rules := Rules()
	if len(rules) == 0 {
		t.Fatal("no rules")
	}
	for _, r := range rules {
		t.Run(r.Name, func(t *testing.T) {
			if err := (Schedule{Week: r.Week, Zone: r.Zone}).Check(); err != nil || r.Zone == "" {
				t.Errorf("its hours: %v", err)
			}
			if err := r.Limits.Check(); err != nil {
				t.Error(err)
			}
			if r.About == "" || r.Source == "" || r.Caveat == "" {
				t.Errorf("it does not say what it is: %+v", r)
			}
			found, err := FindRule(strings.ToUpper(r.Name))
			if err != nil || found.Name != r.Name {
				t.Errorf("found %q, %v", found.Name, err)
			}
		})
	}
	if _, err := FindRule("atlantis"); err == nil || err.Error() != `country "atlantis": want one of ae, sa, us` {
		t.Errorf("a rule that is none: %v", err)
	}
}

func TestEgyptHasNoRule(t *testing.T) {
	if _, err := FindRule("EG"); err == nil || !strings.Contains(err.Error(), "no hours; say --hours") {
		t.Errorf("Egypt: %v", err)
	}
}

func TestLimitsCheck(t *testing.T) {
	for _, l := range []Limits{{PerDay: 2}, {PerDay: -1}, {PerWeek: 8}, {PerWeek: -1}} {
		if l.Check() == nil {
			t.Errorf("%+v is fine", l)
		}
	}
}

func TestParseTime(t *testing.T) {
	for _, tt := range []struct{ name, text, zone, want string }{
		{"with its offset", "2026-11-27T09:00:00+03:00", "", "2026-11-27T06:00:00Z"},
		{"by the clock of a zone", "2026-11-27 09:00", "Asia/Riyadh", "2026-11-27T06:00:00Z"},
		{"with a T and seconds", "2026-11-27T09:00:30", "Asia/Riyadh", "2026-11-27T06:00:30Z"},
		{"an offset beats the zone", "2026-11-27T09:00:00Z", "Asia/Riyadh", "2026-11-27T09:00:00Z"},
		{"without a zone", "2026-11-27 09:00", "", `time "2026-11-27 09:00": give an offset (2026-11-27T09:00:00+03:00) or one time zone`},
		{"by each contact's own zone", "2026-11-27 09:00", ByContact, `time "2026-11-27 09:00": give an offset (2026-11-27T09:00:00+03:00) or one time zone`},
		{"in a zone that is none", "2026-11-27 09:00", "Riyadh", `time zone "Riyadh": want a name such as Asia/Riyadh or America/New_York`},
		{"left out in spring", "2026-03-08 02:30", "America/New_York", `time "2026-03-08 02:30": the clocks in America/New_York skip it`},
		{"twice in autumn", "2026-11-01 01:30", "America/New_York", `time "2026-11-01 01:30": the clocks in America/New_York show it twice: give an offset`},
		{"no date", "09:00", "Asia/Riyadh", `time "09:00": want 2026-11-27T09:00:00+03:00, or 2026-11-27 09:00 with a time zone`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			at, err := ParseTime(tt.text, tt.zone)
			got := at.Format(time.RFC3339)
			if err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func TestLimitsWait(t *testing.T) {
	for _, tt := range []struct {
		name      string
		limits    Limits
		contacted string // today first, an x for each day
		want      int
	}{
		{"no limits", Limits{}, "xxxxxxx", 0},
		{"never contacted", Limits{PerDay: 1, PerWeek: 2}, ".......", 0},
		{"contacted today", Limits{PerDay: 1, PerWeek: 2}, "x......", 1},
		{"contacted yesterday", Limits{PerDay: 1, PerWeek: 2}, ".x.....", 0},
		{"twice this week", Limits{PerDay: 1, PerWeek: 2}, ".x...x.", 2},
		{"twice, one of them long ago", Limits{PerDay: 1, PerWeek: 2}, "x.....x", 1},
		{"once a week, contacted today", Limits{PerWeek: 1}, "x......", 7},
		{"three times, once too often", Limits{PerWeek: 2}, ".xx.x..", 5},
		{"what is not told was no contact", Limits{PerDay: 1, PerWeek: 2}, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var days []bool
			for _, c := range tt.contacted {
				days = append(days, c == 'x')
			}
			if got := tt.limits.Wait(days); got != tt.want {
				t.Errorf("%d days, want %d", got, tt.want)
			}
		})
	}
}
