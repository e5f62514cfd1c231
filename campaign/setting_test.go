package campaign

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaign-runner/campaign/hours"
)

// fullSettings reads settings in which nothing is zero, as they are stored.
func fullSettings(t *testing.T) (s Settings, text []byte) {
	t.Helper()
	text, err := os.ReadFile("testdata/settings.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s, text
}

// leaves calls visit with every field of settings that holds a value of its own.
func leaves(v reflect.Value, path string, visit func(path string, v reflect.Value)) {
	for field, value := range v.Fields() {
		at := strings.TrimPrefix(path+"."+field.Name, ".")
		if field.Anonymous || field.Type == reflect.TypeFor[Reading]() || field.Type == reflect.TypeFor[hours.Schedule]() {
			leaves(value, strings.TrimSuffix(at, field.Name), visit)
			continue
		}
		visit(at, value)
	}
}

func TestStoredSettingsKeepTheirForm(t *testing.T) {
	s, want := fullSettings(t)
	leaves(reflect.ValueOf(s), "", func(path string, v reflect.Value) {
		if v.IsZero() && path != "PhoneColumn" {
			t.Errorf("%s is zero in testdata/settings.json", path)
		}
	})
	got, err := json.MarshalIndent(s, "", " ")
	if err != nil || !bytes.Equal(append(got, '\n'), want) {
		t.Errorf("%v (-want +got):\n%s", err, cmp.Diff(string(want), string(got)))
	}
}

func TestEveryFieldHasItsSetting(t *testing.T) {
	fromTheFile := []string{"Columns", "PhoneColumn", "Constants", "FoundCountryColumn", "FoundCountryCodeColumn"}
	elsewhere := []string{
		"WebhookURL",                 // the installation's
		"Limits",                     // those of Rules
		"FollowsUp", "FollowsUpFrom", // of --from
	}
	full, _ := fullSettings(t)
	leaves(reflect.ValueOf(&full).Elem(), "", func(path string, v reflect.Value) {
		name := path[strings.LastIndex(path, ".")+1:]
		if slices.Contains(fromTheFile, name) || slices.Contains(elsewhere, name) {
			return
		}
		changed, _ := fullSettings(t)
		leaves(reflect.ValueOf(&changed).Elem(), "", func(other string, v reflect.Value) {
			if other == path {
				v.SetZero()
			}
		})
		if all := full.Differences(changed); len(all) != 1 {
			t.Errorf("without %s: differences %v", path, all)
		}
	})
}

func TestTextsOfSettingsAreReadBack(t *testing.T) {
	want, _ := fullSettings(t)
	for _, setting := range table {
		if setting.text == nil || setting.Flag == "hours" { // which is told with the days and the zone
			continue
		}
		text := setting.text(&want)
		var got Settings
		got.Hours.Zone = "Asia/Riyadh"
		if err := got.Apply([]Setting{setting}, Given{setting.Flag: {text}}); err != nil {
			t.Errorf("--%s %s: %v", setting.Flag, text, err)
		}
		if again := setting.text(&got); again != text {
			t.Errorf("--%s %s is read as %s", setting.Flag, text, again)
		}
	}
}

func TestHoursAsPeopleHaveThem(t *testing.T) {
	friday, err := os.ReadFile("../testdata/calendars/friday-prayer.ics")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		given Given
		want  string // the hours, or the error
	}{
		{"by day", Given{"hours": {"sun-thu 09:00-21:00; fri 16:00-21:00"}}, "sun-thu 09:00-21:00; fri 16:00-21:00 in UTC"},
		{"by day, in two flags", Given{"hours": {"sun-thu 09:00-13:00,16:00-21:00", "fri 16:00-21:00"}}, "sun-thu 09:00-13:00,16:00-21:00; fri 16:00-21:00 in UTC"},
		{"days beside hours with days", Given{"days": {"sun-thu"}, "hours": {"fri 16:00-21:00"}}, "--days: --hours names the days already"},
		{"dates", Given{"except": {"2027-01-04=closed", "2027-01-05=sun-thu 10:00-12:00; fri 10:00-11:00; 2027-01-06..2027-01-07"}},
			"at any time in UTC, except 2027-01-04=closed, except 2027-01-05=sun-thu 10:00-12:00; fri 10:00-11:00, except 2027-01-06..2027-01-07=closed"},
		{"no dates", Given{"except": {"none"}, "calendar": {"none"}}, "at any time"},
		{"nothing at all", Given{"except": {""}}, "--except: want DATES=HOURS such as 2027-03-09..2027-03-12=closed, or none"},
		{"a calendar", Given{"calendar": {string(friday)}}, "at any time in UTC, by the calendar closed at "},
		{"another file", Given{"calendar": {"name,phone\n"}}, "--calendar: want an iCalendar file (.ics), or none"},
		{"an empty file", Given{"calendar": {""}}, "--calendar: want an iCalendar file (.ics), or none"},
		{"dates that open", Given{"calendar": {"2027-01-04=09:00-10:00"}}, "--calendar: want an iCalendar file (.ics), or none"},
		{"wider than the rules", Given{"rules": {"sa"}, "except": {"2027-02-10=20:00-01:00"}}, "09:00-22:00 in UTC, except 2027-02-10=20:00-22:00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.given["timezone"] = []string{"UTC"}
			s, err := NewSettings(tt.given)
			got := s.Hours.String()
			if err != nil {
				got = err.Error()
			}
			if !strings.HasPrefix(got, tt.want) {
				t.Errorf("%s, want %s", got, tt.want)
			}
			for _, d := range (Settings{}).Differences(s) {
				if len(d.Other) > 200 {
					t.Errorf("%s is told at length: %s", d.Flag, d.Other)
				}
			}
		})
	}
	later := Settings{When: When{Hours: hours.Schedule{Zone: "UTC"}}}
	for _, text := range []string{"sun-thu 09:00-21:00; fri 16:00-21:00", "fri 10:00-11:00"} {
		if err := later.Apply(RunningSettings(), Given{"hours": {text}}); err != nil || later.Hours.Week.String() != text {
			t.Errorf("%s: %s, %v", text, later.Hours, err)
		}
	}
	var a, b Settings
	a.Hours.Zone, b.Hours.Zone = "Asia/Riyadh", "Asia/Dubai"
	calendar := LaunchSettings("calendar")
	for _, s := range []*Settings{&a, &b} {
		if err := s.Apply(calendar, Given{"calendar": {string(friday)}}); err != nil {
			t.Fatal(err)
		}
	}
	b.Hours.Zone = a.Hours.Zone
	if all := a.Differences(b); len(all) != 1 || all[0].Have == all[0].Other {
		t.Errorf("of two calendars with as many dates: %v", all)
	}
}

func TestSettingsOfALaunch(t *testing.T) {
	sameRule := cmp.Comparer(func(a, b Rule) bool { return a == b })
	plain, err := NewSettings(nil)
	want := Settings{Agent: DefaultAgent, Mode: Batch, MaxAttempts: 5}
	if diff := cmp.Diff(want, plain, sameRule); diff != "" || err != nil {
		t.Errorf("nothing given: %v (-want +got):\n%s", err, diff)
	}
	share, at := Share(500), time.Date(2026, 11, 27, 6, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name  string
		given Given
		want  func(*Settings)
		err   string
	}{
		{"the last of several texts counts", Given{"daily-cap": {"5", "6"}}, func(s *Settings) { s.DailyCap = 6 }, ""},
		{"all texts of a list count", Given{"optout-when": {"extraction.a=1", "extraction.b=2"}}, func(s *Settings) { s.OptOutWhen = rulesOf("extraction.a=1", "extraction.b=2") }, ""},
		{"an empty rule is a mistake, not none", Given{"optout-when": {""}}, nil, `--optout-when: "": want extraction.KEY=VALUE`},
		{"hours are rounded up to days", Given{"keep-for": {"36h"}}, func(s *Settings) { s.KeepDays = 2 }, ""},
		{"a share of a canary", Given{"canary": {"50"}, "canary-go-on": {"5%"}}, func(s *Settings) { s.Canary, s.CanaryGoOn = 50, &share }, ""},
		{"tickets have a limit", Given{"ticket-when": {"state=failed"}, "ticket-set": {"a=1,b=2", "c=3"}}, func(s *Settings) {
			s.TicketRules, s.TicketFields, s.MaxTickets = rulesOf("state=failed"), map[string]string{"a": "1", "b": "2", "c": "3"}, 1000
		}, ""},
		{"fields of no tickets", Given{"ticket-set": {"a=1"}}, nil, "--ticket-set: it needs --ticket-when"},
		{"a limit of no tickets", Given{"max-tickets": {"5"}}, nil, "--max-tickets: it needs --ticket-when"},
		{"a start by the clock of the rules", Given{"rules": {"sa"}, "start-at": {"2026-11-27 09:00"}}, func(s *Settings) {
			rule, _ := hours.FindRule("sa")
			s.Rules, s.Limits, s.Hours = "sa", rule.Limits, hours.Schedule{Week: rule.Week, Zone: rule.Zone}
			s.StartAt, s.MaxLateness = at, time.Hour
		}, ""},
		{"a number that is none", Given{"daily-cap": {"many"}}, nil, "--daily-cap: want a number from 0"},
		{"a field that is none", Given{"ticket-when": {"state=failed"}, "ticket-set": {"a"}}, nil, "--ticket-set: want KEY=VALUE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := NewSettings(tt.given)
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Errorf("error %v, want %s", err, tt.err)
				}
				return
			}
			want := plain
			tt.want(&want)
			if diff := cmp.Diff(want, got, sameRule); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestDifferencesAreToldAsPeopleReadThem(t *testing.T) {
	share := Share(500)
	a := Settings{Agent: "default", MaxAttempts: 5}
	b := a
	if all := a.Differences(b); all != nil {
		t.Errorf("of the same: %v", all)
	}
	b.Lane, b.DailyCap, b.MaxFailureShare, b.CanaryGoOn = Urgent, 500, 2000, &share
	b.TicketRules = rulesOf("state=failed", "extraction.intent=callback")
	b.TicketFields = map[string]string{"queue": "sales", "priority": "high"}
	b.StartAt = time.Date(2026, 3, 1, 9, 0, 0, 0, time.FixedZone("AST", 3*60*60))
	want := []Difference{
		{"--priority", "none", "urgent"},
		{"--canary-go-on", "none", "5%"},
		{"--max-failure-share", "none", "20%"},
		{"--daily-cap", "none", "500"},
		{"--ticket-when", "none", "state=failed, extraction.intent=callback"},
		{"--ticket-set", "none", "priority=high, queue=sales"},
		{"--start-at", "none", "2026-03-01T06:00:00Z"},
	}
	if diff := cmp.Diff(want, a.Differences(b)); diff != "" {
		t.Errorf("differences (-want +got):\n%s", diff)
	}
	inForce := []Difference{want[0], {"--max-attempts", "none", "5"}}
	if diff := cmp.Diff(append(inForce, want[1:]...), b.InForce()); diff != "" {
		t.Errorf("in force (-want +got):\n%s", diff)
	}
	// The same share elsewhere in memory is no difference.
	other := share
	c := b
	c.CanaryGoOn = &other
	if all := b.Differences(c); all != nil {
		t.Errorf("of equal shares: %v", all)
	}
}

func TestHeldBack(t *testing.T) {
	c := Campaign{Settings: Settings{ChunkSize: 10}}
	for _, tt := range []struct{ canary, chunk, contacts, want int }{
		{0, 0, 10, 0},
		{7, 0, 10, 3},
		{10, 0, 10, 0},
		{10, 1, 10, 10},
		{23, 2, 10, 7},
		{23, 2, 2, 0},
		{500, 3, 10, 0},
	} {
		c.Canary = tt.canary
		if got := c.HeldBack(tt.chunk, tt.contacts); got != tt.want {
			t.Errorf("a canary of %d leaves %d of the %d contacts of chunk %d, want %d", tt.canary, got, tt.contacts, tt.chunk, tt.want)
		}
	}
}

func TestDayOf(t *testing.T) {
	at := time.Date(2026, 3, 1, 22, 30, 0, 0, time.UTC)
	for zone, want := range map[string]time.Time{
		"":            time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
		"contact":     time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
		"Asia/Riyadh": time.Date(2026, 3, 1, 21, 0, 0, 0, time.UTC),
	} {
		var s Settings
		s.Hours.Zone = zone
		if day := s.DayOf(at); !day.From.Equal(want) || !day.Until.Equal(want.Add(24*time.Hour)) {
			t.Errorf("%q: from %v until %v", zone, day.From, day.Until)
		}
	}
}

func rulesOf(texts ...string) []Rule {
	all, err := ParseRules(texts, ParseTicketRule)
	if err != nil {
		panic(err)
	}
	return all
}
