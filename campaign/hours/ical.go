package hours

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	ics "github.com/arran4/golang-ical"
	"github.com/teambition/rrule-go"
)

// maxClosed bounds the dates that a calendar may close: all settings are read with
// every chunk.
const maxClosed = 2000

// IsCalendar reports whether a text is an iCalendar file.
func IsCalendar(text string) bool {
	text = strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))
	return len(text) >= len(calendarBegins) && strings.EqualFold(text[:len(calendarBegins)], calendarBegins)
}

const calendarBegins = "BEGIN:VCALENDAR"

// ParseCalendar reads an iCalendar file (RFC 5545): when its events close this year and
// the next. An event of whole days closes them; its end is the first day after it. One
// with a time closes that time, by the clock of the zone, or for ByContact by each
// contact's own. Canceled events close nothing; tentative ones are unsure.
//
// The years are whole, so that the same file gives the same dates on another day.
func ParseCalendar(text, zone string, now time.Time) ([]Dates, error) {
	cal, err := ics.ParseCalendar(strings.NewReader(strings.TrimPrefix(text, "\ufeff")))
	if err != nil {
		return nil, fmt.Errorf("calendar: %w", err)
	}
	r := icsReader{cal: cal, byContact: zone == ByContact, marks: make(map[Date]*mark), instead: make(map[string][]*ics.IANAProperty)}
	r.first = dateOf(time.Date(now.Year(), 1, 1, 0, 0, 0, 0, time.UTC))
	r.last = dateOf(time.Date(now.Year()+1, 12, 31, 0, 0, 0, 0, time.UTC))
	if !r.byContact {
		if r.zone, err = LoadZone(zone); err != nil {
			return nil, ErrCalendarZone
		}
	}
	events := cal.Events()
	for _, event := range events {
		if id := event.GetProperty(ics.ComponentPropertyRecurrenceId); id != nil {
			r.instead[event.Id()] = append(r.instead[event.Id()], id)
		}
	}
	for _, event := range events {
		if err := r.read(event); err != nil {
			return nil, fmt.Errorf("calendar: event %q: %w", valueOf(event, ics.ComponentPropertySummary), err)
		}
	}
	dates := r.dates()
	switch {
	case len(dates) == 0:
		return nil, fmt.Errorf("calendar: none of its %d events closes a day of %d or %d", len(events), now.Year(), now.Year()+1)
	case len(dates) > maxClosed:
		return nil, fmt.Errorf("calendar: it closes %d times in two years, and %d can be kept: leave some out", len(dates), maxClosed)
	}
	return dates, nil
}

// An icsReader collects the minutes that the events of a calendar close.
type icsReader struct {
	cal         *ics.Calendar
	zone        *time.Location // of the campaign; nil: by contact
	byContact   bool
	first, last Date
	marks       map[Date]*mark
	instead     map[string][]*ics.IANAProperty // by event: the repetitions that have an event of their own
}

// A mark is what closes a date.
type mark struct {
	closed []Window
	unsure bool
}

func valueOf(event *ics.VEvent, name ics.ComponentProperty) string {
	if p := event.GetProperty(name); p != nil {
		return p.Value
	}
	return ""
}

// read marks what an event closes, with its repetitions.
func (r *icsReader) read(event *ics.VEvent) error {
	status := strings.ToUpper(valueOf(event, ics.ComponentPropertyStatus))
	if status == "CANCELLED" {
		return nil
	}
	begins, err := r.moment(event.GetProperty(ics.ComponentPropertyDtStart))
	if err != nil {
		return err
	}
	length, err := r.length(event, begins)
	if err != nil {
		return err
	}
	// Public calendars of holidays say it in the title.
	unsure := status == "TENTATIVE" || strings.Contains(strings.ToLower(valueOf(event, ics.ComponentPropertySummary)), "tentative")
	starts, err := r.starts(event, begins)
	if err != nil {
		return err
	}
	for _, start := range starts {
		r.mark(r.wall(start, begins), r.wall(start.Add(length), begins), unsure)
	}
	return nil
}

// A moment is a time of an event.
type moment struct {
	time.Time
	wholeDay bool
	floating bool // by whatever clock: whole days, and times without a zone
}

// moment reads DTSTART, DTEND and their kind.
func (r *icsReader) moment(p *ics.IANAProperty) (m moment, err error) {
	if p == nil {
		return m, errors.New("it has no DTSTART")
	}
	text := strings.TrimSpace(p.Value)
	if m.Time, err = time.Parse("20060102", text); err == nil {
		m.wholeDay, m.floating = true, true
		return m, nil
	}
	zone := time.UTC
	names := p.ICalParameters["TZID"]
	utc := strings.HasSuffix(text, "Z")
	switch {
	case utc && r.byContact:
		if zone, err = r.calendarZone(); err != nil {
			return m, err
		}
	case utc:
	case len(names) > 0:
		if zone, err = r.zoneNamed(names[0]); err != nil {
			return m, err
		}
	default:
		m.floating = true
	}
	layout, in := "20060102T150405", zone
	if utc {
		layout, in = "20060102T150405Z", time.UTC
	}
	if m.Time, err = time.ParseInLocation(layout, text, in); err != nil {
		return m, fmt.Errorf("time %q: want one such as 20270309T090000Z", text)
	}
	m.Time = m.In(zone)
	return m, nil
}

// calendarZone is the zone in which a calendar's times in UTC are meant.
func (r *icsReader) calendarZone() (*time.Location, error) {
	for _, p := range r.cal.CalendarProperties {
		if strings.EqualFold(p.IANAToken, "X-WR-TIMEZONE") {
			return r.zoneNamed(p.Value)
		}
	}
	return nil, errors.New("its time is in UTC, which is no contact's clock: give its times a TZID, the calendar an X-WR-TIMEZONE, or the campaign one time zone")
}

// outlookZones are the names of zones of this region that Outlook writes. Source: CLDR,
// windowsZones.xml.
var outlookZones = map[string]string{
	"Arab Standard Time": "Asia/Riyadh", "Arabian Standard Time": "Asia/Dubai", "Egypt Standard Time": "Africa/Cairo",
	"Jordan Standard Time": "Asia/Amman", "Middle East Standard Time": "Asia/Beirut", "Arabic Standard Time": "Asia/Baghdad",
	"Morocco Standard Time": "Africa/Casablanca", "Libya Standard Time": "Africa/Tripoli", "Turkey Standard Time": "Europe/Istanbul",
	"Pakistan Standard Time": "Asia/Karachi", "India Standard Time": "Asia/Kolkata", "GMT Standard Time": "Europe/London",
}

// zoneNamed finds a zone by its TZID: a name of the tz database or of Outlook, or one
// that the calendar defines with a single offset.
func (r *icsReader) zoneNamed(name string) (*time.Location, error) {
	name = strings.Trim(name, `"`)
	if zone, ok := outlookZones[name]; ok {
		return LoadZone(zone)
	}
	if zone, err := LoadZone(name); err == nil {
		return zone, nil
	}
	offsets := make(map[string]bool)
	for _, zone := range r.cal.Timezones() {
		id := zone.GetProperty(ics.ComponentPropertyTzid)
		if id == nil || id.Value != name {
			continue
		}
		for _, part := range zone.Components {
			if p, ok := part.(interface {
				GetProperty(ics.ComponentProperty) *ics.IANAProperty
			}); ok {
				if to := p.GetProperty(ics.ComponentProperty(ics.PropertyTzoffsetto)); to != nil {
					offsets[to.Value] = true
				}
			}
		}
	}
	if len(offsets) == 1 {
		for offset := range offsets {
			if at, err := time.Parse("-0700", offset); err == nil {
				return at.Location(), nil
			}
		}
	}
	return nil, fmt.Errorf("time zone %q: want a name such as Asia/Riyadh", name)
}

// length is how long an event lasts.
func (r *icsReader) length(event *ics.VEvent, begins moment) (time.Duration, error) {
	if p := event.GetProperty(ics.ComponentPropertyDtEnd); p != nil {
		ends, err := r.moment(p)
		switch {
		case err != nil:
			return 0, err
		case ends.wholeDay != begins.wholeDay || ends.floating != begins.floating:
			return 0, errors.New("DTSTART and DTEND are of two kinds")
		case ends.Before(begins.Time):
			return 0, errors.New("it ends before it begins")
		case ends.Equal(begins.Time) && begins.wholeDay: // as some calendars write one day
			return 24 * time.Hour, nil
		}
		return ends.Sub(begins.Time), nil
	}
	if text := valueOf(event, ics.ComponentPropertyDuration); text != "" {
		length, err := parseDuration(text)
		if err != nil {
			return 0, err
		}
		return length, nil
	}
	if begins.wholeDay {
		return 24 * time.Hour, nil
	}
	return 0, nil // RFC 5545, 3.6.1: it ends when it begins
}

// parseDuration reads a duration of RFC 5545, 3.3.6: P15DT5H0M20S, P7W.
func parseDuration(text string) (sum time.Duration, err error) {
	rest, ok := strings.CutPrefix(strings.TrimPrefix(text, "+"), "P")
	bad := fmt.Errorf("duration %q: want one such as PT1H30M or P2D", text)
	number := -1
	units := map[rune]time.Duration{'W': 7 * 24 * time.Hour, 'D': 24 * time.Hour, 'H': time.Hour, 'M': time.Minute, 'S': time.Second}
	for _, c := range rest {
		switch unit := units[c]; {
		case c >= '0' && c <= '9' && number < 1_000_000:
			number = max(number, 0)*10 + int(c-'0')
		case c == 'T' && number < 0:
		case unit > 0 && number >= 0:
			sum += time.Duration(number) * unit
			number = -1
		default:
			return 0, bad
		}
	}
	if !ok || rest == "" || number >= 0 {
		return 0, bad
	}
	return sum, nil
}

// earliest is the first year from which repetitions are followed.
const earliest = 1900

// starts returns when an event begins, in the years that count: its repetitions without
// those that the calendar leaves out or moves.
func (r *icsReader) starts(event *ics.VEvent, begins moment) ([]time.Time, error) {
	set := rrule.Set{}
	set.DTStart(begins.Time)
	rule := valueOf(event, ics.ComponentPropertyRrule)
	if rule == "" {
		set.RDate(begins.Time)
	} else {
		option, err := rrule.StrToROptionInLocation(rule, begins.Location())
		if err != nil {
			return nil, fmt.Errorf("RRULE %q: %w", rule, err)
		}
		option.Dtstart = begins.Time
		switch {
		case option.Freq >= rrule.HOURLY || len(option.Byhour)+len(option.Byminute)+len(option.Bysecond) > 0:
			return nil, fmt.Errorf("RRULE %q: it repeats within a day", rule)
		case option.Interval < 0 || option.Count < 0:
			return nil, fmt.Errorf("RRULE %q: want positive numbers", rule)
		case begins.Year() < earliest:
			return nil, fmt.Errorf("it repeats since %d: want a start from %d on", begins.Year(), earliest)
		}
		// A rule may match no day at all: it is not followed for ever.
		if until := (r.last + 2).midnight(); option.Until.IsZero() || option.Until.After(until) {
			option.Until = until
		}
		repeats, err := rrule.NewRRule(*option)
		if err != nil {
			return nil, fmt.Errorf("RRULE %q: %w", rule, err)
		}
		set.RRule(repeats)
	}
	for name, add := range map[ics.ComponentProperty]func(time.Time){ics.ComponentPropertyRdate: set.RDate, ics.ComponentPropertyExdate: set.ExDate} {
		times, err := r.moments(event.GetProperties(name))
		if err != nil {
			return nil, err
		}
		for _, at := range times {
			add(at)
		}
	}
	moved, err := r.moved(event)
	if err != nil {
		return nil, err
	}
	for _, at := range moved {
		set.ExDate(at)
	}
	const longest = 366 * 24 * time.Hour
	return set.Between(r.first.midnight().Add(-longest), (r.last + 2).midnight(), true), nil
}

// moments reads properties that hold several times.
func (r *icsReader) moments(properties []*ics.IANAProperty) (times []time.Time, err error) {
	for _, p := range properties {
		for text := range strings.SplitSeq(p.Value, ",") {
			one := *p
			one.Value, _, _ = strings.Cut(text, "/") // of a period, its start
			m, err := r.moment(&one)
			if err != nil {
				return nil, err
			}
			times = append(times, m.Time)
		}
	}
	return times, nil
}

// moved returns the repetitions of an event that have an event of their own.
func (r *icsReader) moved(event *ics.VEvent) (times []time.Time, err error) {
	if event.GetProperty(ics.ComponentPropertyRecurrenceId) != nil {
		return nil, nil
	}
	for _, id := range r.instead[event.Id()] {
		if id.ICalParameters["RANGE"] != nil {
			return nil, errors.New("RANGE of RECURRENCE-ID is not read: give each of them an event of its own")
		}
		m, err := r.moment(id)
		if err != nil {
			return nil, err
		}
		times = append(times, m.Time)
	}
	return times, nil
}

// wall is the local time of a moment, as a time in UTC: by the campaign's clock, or as
// the calendar shows it.
func (r *icsReader) wall(at time.Time, begins moment) time.Time {
	if !begins.floating && r.zone != nil {
		at = at.In(r.zone)
	}
	return time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), 0, time.UTC)
}

// mark closes the time between two local times, to the minute.
func (r *icsReader) mark(from, to time.Time, unsure bool) {
	for day := max(dateOf(from), r.first); day <= min(dateOf(to), r.last); day++ {
		midnight := day.midnight()
		window := Window{
			From: max(int(from.Sub(midnight)/time.Minute), 0),
			To:   min(int((to.Sub(midnight)+time.Minute-1)/time.Minute), Day),
		}
		if window.From >= window.To {
			continue
		}
		m := r.marks[day]
		if m == nil {
			m = new(mark)
			r.marks[day] = m
		}
		m.closed = tidy(append(m.closed, window))
		m.unsure = m.unsure || unsure
	}
}

// dates are the marks, days that follow each other and are closed alike in one.
func (r *icsReader) dates() (list []Dates) {
	for _, day := range slices.Sorted(maps.Keys(r.marks)) {
		m := r.marks[day]
		if n := len(list); n > 0 {
			if last := &list[n-1]; last.To == day-1 && last.Unsure == m.unsure && slices.Equal(last.Closed, m.closed) {
				last.To = day
				continue
			}
		}
		list = append(list, Dates{From: day, To: day, Unsure: m.unsure, Closed: m.closed})
	}
	return list
}
