package hours

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestDatesAreReadAsTheyAreWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, want := range drawDates(t, changes[0], true) {
			got, err := ParseDates(want.String())
			if err != nil || got.String() != want.String() {
				t.Fatalf("%v is read as %v, %v", want, got, err)
			}
		}
	})
	for _, tt := range []struct{ text, want string }{
		{"2027-02-08..2027-03-08=21:00-01:00", "2027-02-08..2027-03-08=21:00-01:00"},
		{" 2027-02-08 .. 2027-03-08 = sun-thu 21:00-01:00; fri 22:00-00:00", "2027-02-08..2027-03-08=sun-thu 21:00-01:00; fri 22:00-24:00"},
		{"2027-03-09", "2027-03-09=closed"},
		{"2027-03-09..2027-03-12?=Closed", "2027-03-09..2027-03-12?=closed"},
		{"2027-03-09..2027-03-09=closed 12:00-13:00,11:30-12:30", "2027-03-09=closed 11:30-13:00"},
		{"2027-03-09=00:00-24:00", "2027-03-09=00:00-24:00"},
		{"2027-03-09=closed 00:00-24:00", "2027-03-09=closed"},
		{"2027-03-12..2027-03-09=closed", "dates 2027-03-12..2027-03-09: the first is after the last"},
		{"09.03.2027=closed", `date "09.03.2027": want one such as 2027-02-08`},
		{"2027-02-29", `date "2027-02-29": want one such as 2027-02-08`},
		{"2027-03-09=shut", `hours "shut": want DAYS FROM-TO such as sun-thu 09:00-21:00`},
		{"2027-03-09=closed 9", `hours "9": want FROM-TO such as 09:00-21:00`},
	} {
		d, err := ParseDates(tt.text)
		got := d.String()
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%q is read as %s, want %s", tt.text, got, tt.want)
		}
	}
}

func TestDatesReplaceTheWeek(t *testing.T) {
	schedule := Schedule{
		Week: week(t, "sun-thu 09:00-21:00; thu 22:00-02:00"), Zone: "Asia/Riyadh",
		Except: dates(t, "2027-02-08..2027-03-08=21:00-01:00", "2027-02-15=closed", "2027-03-06=closed 22:00-23:00"),
		Closed: dates(t, "2027-03-09..2027-03-12=closed"),
	}
	calendar, err := schedule.Calendar()
	if err != nil {
		t.Fatal(err)
	}
	clock := calendar.Of("")
	for _, tt := range []struct{ name, at, opens, closes string }{
		{"an ordinary Thursday runs into the night", "2027-02-05 01:30", "2027-02-05 01:30", "2027-02-05 02:00"},
		{"the night of the last ordinary day", "2027-02-07 20:00", "2027-02-07 20:00", "2027-02-07 21:00"},
		{"in Ramadan the day is closed", "2027-02-08 10:00", "2027-02-08 21:00", "2027-02-09 01:00"},
		{"the night before a closed date ends with it", "2027-02-14 23:00", "2027-02-14 23:00", "2027-02-15 00:00"},
		{"a closed date opens no night", "2027-02-15 23:00", "2027-02-16 21:00", "2027-02-17 01:00"},
		{"open on a Saturday, too", "2027-03-06 20:00", "2027-03-06 21:00", "2027-03-06 22:00"},
		{"a part of it closed", "2027-03-06 22:30", "2027-03-06 23:00", "2027-03-07 01:00"},
		{"the last night ends at the Eid", "2027-03-08 23:00", "2027-03-08 23:00", "2027-03-09 00:00"},
		{"the Eid, and the weekend after it", "2027-03-09 10:00", "2027-03-14 09:00", "2027-03-14 21:00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			at, err := ParseTime(tt.at, "Asia/Riyadh")
			if err != nil {
				t.Fatal(err)
			}
			opens, err := clock.Opens(at)
			if err != nil {
				t.Fatal(err)
			}
			local := func(at time.Time) string { return at.In(clock.Zones[0]).Format("2006-01-02 15:04") }
			if got := [2]string{local(opens), local(clock.Closes(opens))}; got != [2]string{tt.opens, tt.closes} {
				t.Errorf("%s: %v, want %s to %s", tt.at, got, tt.opens, tt.closes)
			}
		})
	}
}

func TestALongClosureEnds(t *testing.T) {
	s := Schedule{Week: week(t, "mon 09:00-10:00"), Zone: "Asia/Riyadh", Closed: dates(t, "2027-01-01..2027-12-31=closed")}
	calendar, err := s.Calendar()
	if err != nil {
		t.Fatal(err)
	}
	opens, err := calendar.Of("").Opens(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC))
	if want := time.Date(2028, 1, 3, 6, 0, 0, 0, time.UTC); err != nil || !opens.Equal(want) {
		t.Errorf("opens %v, %v, want %v", opens, err, want)
	}
}

func TestExceptionsNeverWidenRules(t *testing.T) {
	rule, err := FindRule("sa") // 09:00-22:00
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"2027-02-08..2027-03-08=21:00-01:00": "2027-02-08..2027-03-08=21:00-22:00",
		"2027-02-08=00:00-24:00":             "2027-02-08=09:00-22:00",
		"2027-02-08?=23:00-02:00":            "2027-02-08?=closed",
		"2027-02-08=closed":                  "2027-02-08=closed",
	} {
		if got := dates(t, text)[0].Within(rule.Week).String(); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// Dates of the calendar of Umm al-Qura for 1448, as Saudi Arabia publishes it.
func TestDatesByTheMoonAreUnsure(t *testing.T) {
	for text, want := range map[string]bool{
		"2027-02-08..2027-03-08=21:00-01:00": true,  // Ramadan
		"2027-03-09..2027-03-12=closed":      true,  // Eid al-Fitr
		"2027-05-15..2027-05-19=closed":      true,  // Arafat and Eid al-Adha
		"2027-09-23=closed":                  false, // the National Day
		"2027-02-22=closed":                  false, // the Founding Day
		"2027-09-23?=closed":                 true,  // as somebody said
		"2027-02-08=closed 11:30-13:00":      false, // prayer on whatever day
		"2027-01-03=10:00-12:00":             false,
		"2101-01-01=closed":                  false, // beyond the calendar's tables
	} {
		got := Schedule{Zone: "Asia/Riyadh", Except: dates(t, text)}.Warnings()
		if (len(got) == 1 && got[0].Kind == DatesUnsure) != want || !want && len(got) > 0 {
			t.Errorf("%s: warnings %+v", text, got)
		}
	}
	many := Schedule{Zone: "UTC", Closed: slices.Repeat(dates(t, "2027-09-23?=closed"), 7)}
	if got := many.Warnings(); len(got) != 1 || got[0].More != 2 {
		t.Errorf("seven of them: %+v", got)
	}
}

func TestExceptionsOnClosedDaysAreTold(t *testing.T) {
	for text, want := range map[string]string{
		"2027-01-03..2027-01-09=10:00-12:00":         "fri,sat",
		"2027-01-03..2027-01-08=10:00-12:00":         "fri",
		"2027-01-03..2027-01-09=sun-thu 10:00-12:00": "",
		"2027-01-03..2027-01-07=10:00-12:00":         "",
		"2027-01-08=closed":                          "",
	} {
		got := Schedule{Week: week(t, "sun-thu 09:00-21:00"), Zone: "UTC", Except: dates(t, text)}.Warnings()
		if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || got[0].Kind != DatesOpen || got[0].Days != want) {
			t.Errorf("%s: warnings %+v, want %q", text, got, want)
		}
	}
}

func readCalendar(t *testing.T, name, zone string) []string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	dates, err := ParseCalendar(string(text), zone, time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, d := range dates {
		texts = append(texts, d.String())
	}
	return texts
}

// The files have the form in which these programs write calendars.
func TestCalendarsOfOtherPrograms(t *testing.T) {
	for _, tt := range []struct {
		file, zone string
		want       []string
	}{
		{"testdata/outlook.ics", "Asia/Riyadh", []string{
			"2027-01-07=closed 09:30-10:15", "2027-01-10=closed 22:00-24:00", "2027-01-11=closed 00:00-00:30", "2027-02-22=closed", "2027-03-04=closed 09:30-10:15"}},
		{"testdata/outlook.ics", ByContact, []string{
			"2027-01-07=closed 09:30-10:15", "2027-01-10=closed 23:00-24:00", "2027-01-11=closed 00:00-01:30", "2027-02-22=closed", "2027-03-04=closed 09:30-10:15"}},
		{"testdata/google.ics", "Asia/Riyadh", []string{"2026-09-23=closed", "2027-03-01=closed 11:30-13:00", "2027-09-23=closed"}},
		{"testdata/google.ics", "Asia/Dubai", []string{"2026-09-23=closed", "2027-03-01=closed 12:30-14:00", "2027-09-23=closed"}},
		{"testdata/google.ics", ByContact, []string{"2026-09-23=closed", "2027-03-01=closed 11:30-13:00", "2027-09-23=closed"}},
		// 13:00 in Cairo is 14:00 in Riyadh in winter, and 13:00 from the last Friday of April on; one was moved.
		{"testdata/apple.ics", "Asia/Riyadh", []string{"2027-01-01=closed 12:30-13:15", "2027-04-20=closed 14:00-15:00", "2027-04-28=closed 16:00-17:00", "2027-05-04=closed 13:00-14:00"}},
		{"../../testdata/calendars/eid-2027.ics", "Asia/Riyadh", []string{"2027-03-09..2027-03-12?=closed", "2027-05-15..2027-05-19?=closed"}},
	} {
		got := readCalendar(t, tt.file, tt.zone)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s in %s (-want +got):\n%s", tt.file, tt.zone, diff)
		}
	}
	fridays := readCalendar(t, "../../testdata/calendars/friday-prayer.ics", ByContact)
	if len(fridays) != 105 || fridays[0] != "2026-01-02=closed 11:00-14:00" || fridays[len(fridays)-1] != "2027-12-31=closed 11:00-14:00" {
		t.Errorf("%d Fridays from %s to %s", len(fridays), fridays[0], fridays[len(fridays)-1])
	}
}

func TestCalendarsThatCannotBeUsed(t *testing.T) {
	event := func(lines ...string) string {
		return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:a\r\nSUMMARY:x\r\n" + strings.Join(lines, "\r\n") + "\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
	}
	for _, tt := range []struct{ name, text, zone, want string }{
		{"no events", "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", "UTC", "calendar: none of its 0 events closes a day of 2026 or 2027"},
		{"events of the past", event("DTSTART;VALUE=DATE:20200101"), "UTC", "calendar: none of its 1 events closes a day of 2026 or 2027"},
		{"an event of no length", event("DTSTART:20270101T090000Z"), "UTC", "calendar: none of its 1 events closes a day of 2026 or 2027"},
		{"no time zone", event("DTSTART;VALUE=DATE:20270101"), "", "a calendar needs a time zone: say --timezone"},
		{"no start", event("DTEND;VALUE=DATE:20270101"), "UTC", `calendar: event "x": it has no DTSTART`},
		{"ends before it begins", event("DTSTART;VALUE=DATE:20270102", "DTEND;VALUE=DATE:20270101"), "UTC", `calendar: event "x": it ends before it begins`},
		{"a time that is none", event("DTSTART:tomorrow"), "UTC", `calendar: event "x": time "tomorrow": want one such as 20270309T090000Z`},
		{"a zone that is none", event("DTSTART;TZID=Mars:20270101T090000"), "UTC", `calendar: event "x": time zone "Mars": want a name such as Asia/Riyadh`},
		{"UTC by each contact's clock", event("DTSTART:20270101T090000Z", "DURATION:PT1H"), ByContact,
			`calendar: event "x": its time is in UTC, which is no contact's clock: give its times a TZID, the calendar an X-WR-TIMEZONE, or the campaign one time zone`},
		{"a rule that is none", event("DTSTART;VALUE=DATE:20270101", "RRULE:FREQ=NEVER"), "UTC", `calendar: event "x": RRULE "FREQ=NEVER": `},
		{"every minute", event("DTSTART;VALUE=DATE:20270101", "RRULE:FREQ=MINUTELY"), "UTC", `calendar: event "x": RRULE "FREQ=MINUTELY": it repeats within a day`},
		{"on no day of any year", event("DTSTART;VALUE=DATE:20200101", "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"), "UTC", `calendar: none of its 1 events`},
		{"for ever backwards", event("DTSTART;VALUE=DATE:20200101", "RRULE:FREQ=DAILY;INTERVAL=-1"), "UTC", `calendar: event "x": RRULE "FREQ=DAILY;INTERVAL=-1": want positive numbers`},
		{"since the year one", event("DTSTART;VALUE=DATE:00010101", "RRULE:FREQ=DAILY"), "UTC", `calendar: event "x": it repeats since 1: want a start from 1900 on`},
		{"a length that is none", event("DTSTART:20270101T090000Z", "DURATION:1h"), "UTC", `calendar: event "x": duration "1h": want one such as PT1H30M or P2D`},
		{"no calendar", "name,phone\n", "UTC", "calendar: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dates, err := ParseCalendar(tt.text, tt.zone, time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC))
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("%v, %v, want %s", dates, err, tt.want)
			}
		})
	}
}

func FuzzParseCalendar(f *testing.F) {
	for _, name := range []string{"testdata/outlook.ics", "testdata/google.ics", "testdata/apple.ics"} {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		dates, err := ParseCalendar(text, "Asia/Riyadh", time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC))
		if err != nil {
			return
		}
		for _, d := range dates {
			if again, err := ParseDates(d.String()); err != nil || again.String() != d.String() {
				t.Fatalf("%v is read as %v, %v", d, again, err)
			}
		}
	})
}

// A day holds each of its moments and ends where the next begins, also where the clock skips
// its midnight (Santiago, Havana, the Azores, Cairo) or repeats it (Beirut, Havana).
func TestMidnight(t *testing.T) {
	for _, name := range []string{"UTC", "Asia/Riyadh", "Africa/Cairo", "Asia/Beirut", "America/Santiago", "America/Havana", "Atlantic/Azores", "Australia/Lord_Howe"} {
		zone, err := LoadZone(name)
		if err != nil {
			t.Fatal(err)
		}
		for at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2028; at = at.Add(30 * time.Minute) {
			from, until := Midnight(at, zone, 0), Midnight(at, zone, 1)
			if at.Before(from) || !at.Before(until) || !from.Equal(Midnight(from, zone, 0)) || !until.Equal(Midnight(until, zone, 0)) || !from.Equal(Midnight(until, zone, -1)) {
				t.Fatalf("%v is of a day from %v until %v", at.In(zone), from, until)
			}
		}
	}
}
