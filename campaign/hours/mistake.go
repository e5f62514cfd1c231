package hours

import "errors"

// ErrCalendarZone: it is not known by whose clock a calendar's times are meant.
var ErrCalendarZone = errors.New("a calendar needs a time zone: say --timezone")

// A Kind of a Mistake says what was wanted.
type Kind int

const (
	WantHours   Kind = iota // FROM-TO
	WantDays                // names of days
	WantDate                // a day of the calendar
	WantMoment              // a time of a day of the calendar
	WantOffset              // that, with an offset
	WantZone                // the name of a time zone
	WantOpen                // a window that is open for a time
	WantOrder               // dates of which the first comes first
	WantShown               // a time that the clocks show
	WantOnce                // one that they show once
	WantZoned               // HOURS@ZONE
	WantContact             // each contact's own zone
	WantTimes               // DAYS FROM-TO
)

// A Mistake is a text that says no hours, days, date, time or zone.
type Mistake struct {
	Kind Kind
	Text string // as it was written
	Want string // in English
}

func (m *Mistake) Error() string { return m.Want }

// A WarningKind says what is easily missed.
type WarningKind int

const (
	DatesUnsure WarningKind = iota // dates that go by the moon
	DatesOpen                      // dates that open days on which the week is closed
	ZoneBehind                     // a zone of the tz database that is so many hours west of Greenwich
	ZoneAhead                      // east of it
	ZoneFixed                      // a zone without summer time
)

// A Warning is what is easily missed about a schedule.
type Warning struct {
	Kind  WarningKind
	Text  string // the dates, or the zone
	More  int    // dates that Text leaves out
	Days  string // that are open, such as fri,sat
	Hours string // between the zone and UTC
}
