package hours

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
