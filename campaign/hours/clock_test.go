package hours

import (
	"errors"
	"slices"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// zones have all kinds of clocks: without daylight saving time, with changes at
// midnight, of half an hour, four times a year, and far from UTC.
var zones = []string{
	"Asia/Riyadh", "Asia/Dubai", "Africa/Cairo", "Europe/London", "America/New_York", "America/Los_Angeles",
	"Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu", "Pacific/Kiritimati", "America/Santiago",
}

// changes are days in 2026 on which one of the zones changes its clock.
var changes = []time.Time{
	time.Date(2026, 2, 15, 0, 0, 0, 0, time.UTC), time.Date(2026, 3, 8, 0, 0, 0, 0, time.UTC),
	time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC), time.Date(2026, 4, 5, 0, 0, 0, 0, time.UTC),
	time.Date(2026, 4, 24, 0, 0, 0, 0, time.UTC), time.Date(2026, 10, 4, 0, 0, 0, 0, time.UTC),
	time.Date(2026, 10, 25, 0, 0, 0, 0, time.UTC), time.Date(2026, 10, 30, 0, 0, 0, 0, time.UTC),
	time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := LoadZone(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func week(t testing.TB, text string) Week {
	t.Helper()
	w, err := ParseWeek(text)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func dates(t testing.TB, texts ...string) (list []Dates) {
	t.Helper()
	for _, text := range texts {
		d, err := ParseDates(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, d)
	}
	return list
}

// An oracle counts minutes: it knows of each minute of a date whether that is open.
type oracle struct {
	Clock
	days map[Date]*[Day]bool
}

// isOpen is whether the local time in all zones is in an open minute.
func (o oracle) isOpen(at time.Time) bool {
	for _, zone := range o.Zones {
		local := at.In(zone)
		day := o.days[dateOf(local)]
		if day == nil {
			day = o.minutesOf(dateOf(local))
			o.days[dateOf(local)] = day
		}
		if !day[local.Hour()*60+local.Minute()] {
			return false
		}
	}
	return true
}

func (o oracle) minutesOf(today Date) *[Day]bool {
	begun, isClosed := beginningOn(o.Clock, today)
	yesterday, _ := beginningOn(o.Clock, today-1)
	var minutes [Day]bool
	for minute := range minutes {
		open := !isClosed && (contains(begun, minute) || contains(yesterday, minute+Day))
		for _, list := range [][]Dates{o.Except, o.Closed} {
			for _, d := range list {
				if d.whole() {
					continue
				}
				open = open && !(d.From <= today && today <= d.To && contains(d.Closed, minute))
				open = open && !(d.From <= today-1 && today-1 <= d.To && contains(d.Closed, minute+Day))
			}
		}
		minutes[minute] = open
	}
	return &minutes
}

func contains(windows []Window, minute int) bool {
	return slices.ContainsFunc(windows, func(w Window) bool { return w.From <= minute && minute < w.To })
}

// beginningOn returns the windows that begin on a date, and whether it is closed.
func beginningOn(c Clock, day Date) (windows []Window, closed bool) {
	for _, d := range c.Closed {
		if d.whole() && d.From <= day && day <= d.To {
			return nil, true
		}
	}
	week := c.Week
	for _, d := range slices.Backward(c.Except) {
		if d.From > day || day > d.To || len(d.Closed) > 0 && !d.whole() {
			continue
		}
		if d.whole() {
			return nil, true
		}
		week = d.Week
		break
	}
	if cmp.Equal(week, Week{}) {
		return []Window{{0, Day}}, false
	}
	return week[day.weekday()], false
}

// drawDates draws dates around a day.
func drawDates(t *rapid.T, around time.Time, hours bool) (list []Dates) {
	for range rapid.IntRange(0, 3).Draw(t, "dates") {
		var d Dates
		d.From = dateOf(around) + Date(rapid.IntRange(-4, 4).Draw(t, "from"))
		d.To = d.From + Date(rapid.SampledFrom([]int{0, 0, 1, 3, 9}).Draw(t, "days"))
		switch {
		case hours && rapid.Bool().Draw(t, "hours"):
			d.Week = drawWeek(t)
		case rapid.Bool().Draw(t, "whole"):
			d.Closed = []Window{{0, Day}}
		default:
			from := rapid.IntRange(0, Day-1).Draw(t, "closes")
			d.Closed = []Window{{from, from + rapid.IntRange(1, Day-1).Draw(t, "for")}}
		}
		list = append(list, d)
	}
	return list
}

func drawWeek(t *rapid.T) Week {
	var w Week
	for day := range w {
		for range rapid.IntRange(0, 2).Draw(t, "windows") {
			from := rapid.IntRange(0, Day-1).Draw(t, "from")
			if rapid.Bool().Draw(t, "in the night") {
				from %= 4 * 60
			}
			length := rapid.SampledFrom([]int{1, 20, 45, 180, 900, Day}).Draw(t, "length")
			w[day] = append(w[day], Window{from, from + length})
		}
	}
	return w.tidy()
}

func TestClocksAgreeWithAMinuteByMinuteCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		day := rapid.SampledFrom(changes).Draw(t, "change")
		c := Clock{Week: drawWeek(t), Except: drawDates(t, day, true), Closed: drawDates(t, day, false)}
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(zones), 1, 3, rapid.ID[string]).Draw(t, "zones") {
			z, _ := time.LoadLocation(name)
			c.Zones = append(c.Zones, z)
		}
		at := day.Add(time.Duration(rapid.IntRange(-36*60, 36*60).Draw(t, "minutes")) * time.Minute)
		if rapid.Bool().Draw(t, "within a minute") {
			at = at.Add(31*time.Second + 5)
		}

		o := oracle{c, make(map[Date]*[Day]bool)}
		opens, err := c.Opens(at)
		want := at
		for !o.isOpen(want) && want.Sub(at) < 24*24*time.Hour {
			want = want.Truncate(time.Minute).Add(time.Minute)
		}
		found := o.isOpen(want)
		if found && (err != nil || !opens.Equal(want)) {
			t.Fatalf("%+v from %v: opens %v, %v, want %v", c, at, opens, err, want)
		}
		if !found && err == nil && !opens.After(want) {
			t.Fatalf("%+v from %v: opens %v, when it is closed", c, at, opens)
		}
		if err != nil && !errors.Is(err, ErrNever) {
			t.Fatal(err)
		}
		if !found {
			return
		}
		closes := c.Closes(opens)
		last := opens
		for o.isOpen(last) && last.Sub(opens) < 15*24*time.Hour {
			last = last.Truncate(time.Minute).Add(time.Minute)
		}
		if o.isOpen(last) {
			return // nearly always open: it closes beyond the horizon
		}
		if !closes.Equal(last) {
			t.Fatalf("%+v, open from %v: closes %v, want %v", c, opens, closes, last)
		}
	})
}

// London and Riyadh are three hours apart in winter and two in summer.
func TestZonesThatMeetAfterAChange(t *testing.T) {
	c := Clock{Week: week(t, "tue 00:00-03:00"), Zones: []*time.Location{zone(t, "Europe/London"), zone(t, "Asia/Riyadh")}}
	for _, tt := range [][2]string{{"2026-03-08T00:00:00Z", "2026-03-30T23:00:00Z"}, {"2026-11-01T00:00:00Z", "2027-03-29T23:00:00Z"}} {
		at, _ := time.Parse(time.RFC3339, tt[0])
		if opens, err := c.Opens(at); err != nil || opens.UTC().Format(time.RFC3339) != tt[1] {
			t.Errorf("from %s: %v, %v, want %s", tt[0], opens, err, tt[1])
		}
	}
	c.Week = week(t, "tue 00:00-01:00") // never at once
	if opens, err := c.Opens(time.Date(2026, 3, 8, 0, 0, 0, 0, time.UTC)); !errors.Is(err, ErrNever) {
		t.Errorf("%v, %v", opens, err)
	}
}

func TestDaylightSavingTime(t *testing.T) {
	for _, tt := range []struct {
		name, week, zone, at, opens, closes string
	}{
		{"a window in the hour that is left out does not come that day",
			"sun 02:15-02:45", "America/New_York", "2026-03-08T00:00:00-05:00", "2026-03-15T02:15:00-04:00", "2026-03-15T02:45:00-04:00"},
		{"one that it cuts into begins when the clock has jumped",
			"02:30-04:00", "America/New_York", "2026-03-08T01:00:00-05:00", "2026-03-08T03:00:00-04:00", "2026-03-08T04:00:00-04:00"},
		{"one in the hour that comes twice is open the first time",
			"01:15-01:45", "America/New_York", "2026-11-01T00:00:00-04:00", "2026-11-01T01:15:00-04:00", "2026-11-01T01:45:00-04:00"},
		{"and the second",
			"01:15-01:45", "America/New_York", "2026-11-01T01:45:00-04:00", "2026-11-01T01:15:00-05:00", "2026-11-01T01:45:00-05:00"},
		{"one over all of it is one",
			"00:30-05:00", "America/New_York", "2026-11-01T00:00:00-04:00", "2026-11-01T00:30:00-04:00", "2026-11-01T05:00:00-05:00"},
		{"a day that begins at one o'clock",
			"fri 00:00-24:00", "Africa/Cairo", "2026-04-23T12:00:00+02:00", "2026-04-24T01:00:00+03:00", "2026-04-25T00:00:00+03:00"},
		{"nine in the morning is nine in the morning on both sides of a change",
			"09:00-21:00", "Europe/London", "2026-03-28T21:00:00Z", "2026-03-29T09:00:00+01:00", "2026-03-29T21:00:00+01:00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := Clock{Week: week(t, tt.week), Zones: []*time.Location{zone(t, tt.zone)}}
			at, _ := time.Parse(time.RFC3339, tt.at)
			opens, err := c.Opens(at)
			if err != nil || opens.Format(time.RFC3339) != tt.opens {
				t.Errorf("opens %v, %v, want %s", opens.Format(time.RFC3339), err, tt.opens)
			}
			if closes := c.Closes(opens).In(c.Zones[0]).Format(time.RFC3339); closes != tt.closes {
				t.Errorf("closes %v, want %s", closes, tt.closes)
			}
		})
	}
}

func TestClockOfSeveralZones(t *testing.T) {
	at := time.Date(2026, 7, 1, 2, 0, 0, 0, time.UTC)
	c := Clock{Week: week(t, "09:00-21:00"), Zones: []*time.Location{zone(t, "America/New_York"), zone(t, "America/Los_Angeles")}}
	opens, err := c.Opens(at)
	if want := time.Date(2026, 7, 1, 16, 0, 0, 0, time.UTC); err != nil || !opens.Equal(want) {
		t.Errorf("opens %v, %v: want %v, when the last of them does", opens, err, want)
	}
	if closes, want := c.Closes(opens), time.Date(2026, 7, 2, 1, 0, 0, 0, time.UTC); !closes.Equal(want) {
		t.Errorf("closes %v: want %v, when the first of them does", closes, want)
	}
	c.Week = week(t, "09:00-10:00")
	if _, err := c.Opens(at); !errors.Is(err, ErrNever) {
		t.Errorf("zones that are never open together: %v", err)
	}
}

func TestNoHoursAreAnyTime(t *testing.T) {
	var c Clock
	at := time.Now()
	if opens, err := c.Opens(at); err != nil || !opens.Equal(at) || !c.Closes(at).IsZero() {
		t.Errorf("opens %v, %v", opens, err)
	}
	all := Clock{Week: week(t, "00:00-24:00"), Zones: []*time.Location{time.UTC}}
	if opens, err := all.Opens(at); err != nil || !opens.Equal(at) || !all.Closes(at).IsZero() {
		t.Errorf("the whole week: opens %v, %v", opens, err)
	}
}
