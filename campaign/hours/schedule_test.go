package hours

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestMakeWeek(t *testing.T) {
	for _, tt := range []struct {
		name    string
		windows []string
		days    string
		want    string // or the error
	}{
		{"nothing said", nil, "", ""},
		{"one window on every day", []string{"09:00-21:00"}, "", "09:00-21:00"},
		{"a range of days", []string{"9:00-21:00"}, "sun-thu", "sun-thu 09:00-21:00"},
		{"a range over the end of the week", []string{"09:00-21:00"}, "sat-wed", "sat-wed 09:00-21:00"},
		{"a list", []string{"09:00-21:00"}, "mon,wed", "mon,wed 09:00-21:00"},
		{"both, in full and in capitals", []string{"09:00-21:00"}, "Monday, FRI-sun", "fri-mon 09:00-21:00"},
		{"all days are no days to name", []string{"09:00-21:00"}, "mon-sun", "09:00-21:00"},
		{"days alone are whole", nil, "sat-wed", "sat-wed 00:00-24:00"},
		{"several windows", []string{"16:00-21:00", "09:00-13:00"}, "", "09:00-13:00,16:00-21:00"},
		{"windows that touch are one", []string{"09:00-13:00", "12:00-15:00", "15:00-16:00"}, "", "09:00-16:00"},
		{"a window within another adds nothing", []string{"09:00-15:00", "10:00-11:00"}, "", "09:00-15:00"},
		{"the whole week is any time", []string{"00:00-24:00"}, "", ""},
		{"over midnight, from the day on which it begins", []string{"21:00-02:00"}, "thu", "thu 21:00-02:00"},
		{"over midnight on all days", []string{"21:00-02:00"}, "", "21:00-02:00"},
		{"over two midnights that meet", []string{"12:00-11:00", "10:00-13:00"}, "", ""},
		{"up to midnight", []string{"21:00-00:00"}, "sat", "sat 21:00-24:00"},
		{"no window", []string{"09:00"}, "", `hours "09:00": want FROM-TO such as 09:00-21:00`},
		{"no time of the day", []string{"09:00-25:00"}, "", `hours "09:00-25:00": want FROM-TO such as 09:00-21:00`},
		{"nor one past midnight", []string{"09:00-24:01"}, "", `hours "09:00-24:01": want FROM-TO such as 09:00-21:00`},
		{"nor minutes", []string{"09:60-21:00"}, "", `hours "09:60-21:00": want FROM-TO such as 09:00-21:00`},
		{"from the end of the day", []string{"24:00-02:00"}, "", `hours "24:00-02:00": want FROM-TO such as 09:00-21:00`},
		{"an empty window", []string{"09:00-09:00"}, "", `hours "09:00-09:00": the window is empty; the whole day is 00:00-24:00`},
		{"no day", nil, "sun-tho", `days "sun-tho": want days such as sun-thu or mon,wed, of sun mon tue wed thu fri sat`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, err := MakeWeek(tt.windows, tt.days)
			got := w.String()
			if err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestWeeksAreReadAsTheyAreWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWeek(t)
		got, err := ParseWeek(w.String())
		if err != nil {
			t.Fatalf("%q: %v", w, err)
		}
		if w.Always() && got.Always() {
			return
		}
		if diff := cmp.Diff(w, got); diff != "" {
			t.Fatalf("%q (-want +got):\n%s", w, diff)
		}
	})
	for text, want := range map[string]string{
		"sun-thu 09:00-21:00; fri 16:00-21:00":   "sun-thu 09:00-21:00; fri 16:00-21:00",
		"fri 16:00-21:00;sun - thu 9:00 - 21:00": "sun-thu 09:00-21:00; fri 16:00-21:00",
		"mon, wed 09:00-10:00":                   "mon,wed 09:00-10:00",
		"sun-thu09:00-21:00":                     "sun-thu 09:00-21:00",
	} {
		if w, err := ParseWeek(text); err != nil || w.String() != want {
			t.Errorf("%q is read as %q, %v", text, w, err)
		}
	}
	for _, text := range []string{"mon-", "mon 09:00", "; 09:00-10:00", "mon 09:00-10:00 tue 09:00-10:00", "sun-thu"} {
		if w, err := ParseWeek(text); err == nil {
			t.Errorf("%q is read as %q", text, w)
		}
	}
}

func TestIntersect(t *testing.T) {
	for _, tt := range []struct{ a, b, want string }{
		{"09:00-21:00", "", "09:00-21:00"},
		{"", "09:00-18:00", "09:00-18:00"},
		{"sun-thu 08:00-12:00,16:00-22:00", "09:00-18:00", "sun-thu 09:00-12:00,16:00-18:00"},
		{"09:00-12:00,15:00-18:00", "12:00-16:00", "15:00-16:00"}, // that they touch at 12:00 opens nothing
		{"21:00-02:00", "09:00-22:00", "21:00-22:00"},
		{"thu 21:00-02:00", "22:00-01:00", "thu 22:00-01:00"},
		{"thu 21:00-02:00", "00:00-01:00", "fri 00:00-01:00"},
		{"fri 00:00-01:00", "thu 21:00-02:00", "fri 00:00-01:00"},
	} {
		got, err := week(t, tt.a).Intersect(week(t, tt.b))
		if err != nil || got.String() != tt.want {
			t.Errorf("%q and %q: %q, %v, want %q", tt.a, tt.b, got, err, tt.want)
		}
	}
	if _, err := week(t, "09:00-12:00").Intersect(week(t, "12:00-18:00")); !errors.Is(err, ErrNever) {
		t.Errorf("nothing in common: %v", err)
	}
}

func TestScheduleInJSON(t *testing.T) {
	noZone, err := ParseZoned("sun-thu 09:00-21:00@Asia/Riyadh")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []Schedule{
		{},
		{Week: week(t, "sun-thu 09:00-21:00"), Zone: "Asia/Riyadh"},
		{Week: week(t, "09:00-21:00"), Zone: ByContact, NoZone: noZone},
		{Zone: "Asia/Riyadh", Except: dates(t, "2027-02-08..2027-03-08=sun-thu 21:00-01:00; fri 22:00-24:00", "2027-03-13=00:00-24:00"),
			Closed: dates(t, "2027-03-09..2027-03-12?=closed", "2027-03-19=closed 11:30-13:00,23:00-01:00")},
	} {
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var got Schedule
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(s, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
	var s Schedule
	if err := json.Unmarshal([]byte(`{"week":"sun","timezone":"UTC"}`), &s); err == nil {
		t.Error("a week of nonsense is read")
	}
}

func TestParseZoned(t *testing.T) {
	for text, want := range map[string]string{
		"09:00-21:00@Asia/Riyadh":         "",
		"00:00-24:00@UTC":                 "",
		"09:00-21:00":                     "want HOURS@ZONE",
		"@Asia/Riyadh":                    "want HOURS@ZONE",
		"09:00@Asia/Riyadh":               "want FROM-TO",
		"09:00-21:00@Asia/Nowhere":        `time zone "Asia/Nowhere": want a name`,
		"09:00-21:00@":                    "want HOURS@ZONE",
		"09:00-21:00@Local":               `time zone "Local"`,
		"sun-mon 9:00-21:00@Africa/Cairo": "",
	} {
		z, err := ParseZoned(text)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v", text, z, err)
		}
	}
}

func TestScheduleCheck(t *testing.T) {
	nine := week(t, "09:00-21:00")
	for _, tt := range []struct {
		name string
		s    Schedule
		want string // error
		text string
	}{
		{"nothing said", Schedule{}, "", "at any time"},
		{"hours in a zone", Schedule{Week: nine, Zone: "Asia/Riyadh"}, "", "09:00-21:00 in Asia/Riyadh"},
		{"in each contact's own", Schedule{Week: nine, Zone: ByContact}, "", "09:00-21:00 in each contact's own time zone"},
		{"and without one", Schedule{Week: nine, Zone: ByContact, NoZone: Zoned{nine, "UTC"}}, "",
			"09:00-21:00 in each contact's own time zone, without one 09:00-21:00@UTC"},
		{"other hours on a date", Schedule{Week: nine, Zone: "Asia/Riyadh", Except: dates(t, "2027-03-09")}, "", "09:00-21:00 in Asia/Riyadh, except 2027-03-09=closed"},
		{"a calendar", Schedule{Zone: ByContact, Closed: dates(t, "2027-03-09")}, "", "at any time in each contact's own time zone, by the calendar 2027-03-09=closed"},
		{"of several days", Schedule{Zone: "UTC", Closed: dates(t, "2027-03-09", "2027-03-19=closed 12:00-13:00")}, "",
			"at any time in UTC, by the calendar closed at 2 times from 2027-03-09 to 2027-03-19"},
		{"dates by no clock", Schedule{Closed: dates(t, "2027-03-09")}, "hours and days need a time zone: the name of one, or contact for each contact's own",
			"at any time in , by the calendar 2027-03-09=closed"},
		{"hours by no clock", Schedule{Week: nine}, "hours and days need a time zone: the name of one, or contact for each contact's own", "09:00-21:00 in "},
		{"a zone that is none", Schedule{Week: nine, Zone: "Riyadh"}, `time zone "Riyadh": want a name such as Asia/Riyadh or America/New_York`, "09:00-21:00 in Riyadh"},
		{"hours for the zoneless where there are none", Schedule{Week: nine, Zone: "UTC", NoZone: Zoned{nine, "UTC"}},
			"hours for contacts without a zone are for time zone contact only", "09:00-21:00 in UTC, without one 09:00-21:00@UTC"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.s.Check()
			if fmt.Sprint(err) != tt.want && (err != nil || tt.want != "") {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if _, made := tt.s.Calendar(); (made == nil) != (err == nil) {
				t.Errorf("a calendar of it: %v", made)
			}
			if got := tt.s.String(); got != tt.text {
				t.Errorf("%q, want %q", got, tt.text)
			}
		})
	}
}

func TestWhoseClock(t *testing.T) {
	nine := week(t, "09:00-21:00")
	noZone := Zoned{nine, "Asia/Riyadh"}
	for _, tt := range []struct {
		name   string
		number string
		s      Schedule
		want   string // the clock's name
	}{
		{"no clock without hours", "+966501234567", Schedule{}, ""},
		{"that of the one zone", "+966501234567", Schedule{Week: nine, Zone: "Asia/Dubai"}, "Asia/Dubai"},
		{"the contact's own", "+966501234567", Schedule{Week: nine, Zone: ByContact}, "Asia/Riyadh"},
		{"by area code", "+12125550100", Schedule{Week: nine, Zone: ByContact}, "America/New_York"},
		{"all there can be", "+18005550100", Schedule{Week: nine, Zone: ByContact}, "America/Adak and 41 more zones"},
		{"none known", "+8001234567", Schedule{Week: nine, Zone: ByContact}, "none"},
		{"none known, but decided", "+8001234567", Schedule{Week: nine, Zone: ByContact, NoZone: noZone}, "Asia/Riyadh"},
		{"not even a number", "+x", Schedule{Week: nine, Zone: ByContact}, "none"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			calendar, err := tt.s.Calendar()
			if err != nil {
				t.Fatal(err)
			}
			got := "none"
			if clock := calendar.Of(tt.number); clock != nil {
				got = clock.Name
			}
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
			if calendar.ByContact() != (tt.s.Zone == ByContact) {
				t.Error("by contact or not")
			}
		})
	}
	calendar, err := Schedule{Week: nine, Zone: ByContact}.Calendar()
	if err != nil {
		t.Fatal(err)
	}
	if calendar.In(nil) != nil {
		t.Error("no zones have a clock")
	}
}

func TestZonesWhoseNamesMislead(t *testing.T) {
	kinds := map[string]WarningKind{"behind": ZoneBehind, "ahead": ZoneAhead, "fixed": ZoneFixed}
	for _, tt := range []struct{ name, zone, want string }{
		{"a plus is west", "Etc/GMT+3", "behind"},
		{"a minus is east", "Etc/GMT-14", "ahead"},
		{"no summer time", "EST", "fixed"},
		{"no offset at all", "Etc/GMT+0", ""},
		{"Greenwich", "Etc/GMT", ""},
		{"a city", "Asia/Riyadh", ""},
		{"each contact's own", ByContact, ""},
		{"none", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, s := range []Schedule{{Zone: tt.zone}, {Zone: ByContact, NoZone: Zoned{Zone: tt.zone}}} {
				got := s.Warnings()
				if tt.want == "" && len(got) > 0 || tt.want != "" && (len(got) != 1 || got[0].Kind != kinds[tt.want] || got[0].Text != tt.zone) {
					t.Errorf("%+v: got %+v, want %q", s, got, tt.want)
				}
			}
			if tt.want != "" { // as in the time zone database
				zone, err := LoadZone(tt.zone)
				if err != nil {
					t.Fatal(err)
				}
				_, offset := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC).In(zone).Zone()
				if behind := strings.Contains(tt.want, "behind"); behind != (offset < 0 && strings.HasPrefix(tt.zone, "Etc/")) {
					t.Errorf("%s is %d s from UTC", tt.zone, offset)
				}
			}
		})
	}
}
