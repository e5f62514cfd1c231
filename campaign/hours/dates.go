package hours

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hablullah/go-hijri"
)

// A Date is a day of the calendar, in days since 1970-01-01.
type Date int

func dateOf(local time.Time) Date {
	year, month, day := local.Date()
	return Date(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / (24 * 60 * 60))
}

// midnight is the start of the date in UTC.
func (d Date) midnight() time.Time { return time.Unix(int64(d)*24*60*60, 0).UTC() }

func (d Date) weekday() time.Weekday { return d.midnight().Weekday() }

func (d Date) String() string { return d.midnight().Format(time.DateOnly) }

// Midnight is when the day of t begins by the clock of a zone, or that many days later: a day
// whose midnight spring skips begins an hour after it.
func Midnight(t time.Time, zone *time.Location, days int) time.Time {
	year, month, day := t.In(zone).Date()
	begins := time.Date(year, month, day+days, 0, 0, 0, 0, zone)
	if begins.Hour() > 12 { // an hour that does not exist is read as one of the day before
		_, begins = begins.ZoneBounds()
	}
	return begins
}

func parseDate(text string) (Date, error) {
	at, err := time.Parse(time.DateOnly, strings.TrimSpace(text))
	if err != nil {
		return 0, &Mistake{WantDate, text, fmt.Sprintf("date %q: want one such as 2027-02-08", text)}
	}
	return dateOf(at), nil
}

// Dates are days of the calendar that have other hours than the week, or are closed.
type Dates struct {
	From, To Date     // both included
	Unsure   bool     // announced late: both may be a day earlier or later
	Week     Week     // the hours on these days, where Closed has none
	Closed   []Window // when these days are closed; the other hours stay
}

func (d Dates) covers(day Date) bool { return d.From <= day && day <= d.To }

// whole reports whether the days are closed from midnight to midnight.
func (d Dates) whole() bool { return len(d.Closed) == 1 && d.Closed[0] == Window{0, Day} }

// closed is what Dates have for hours when they are closed.
const closed = "closed"

// ParseDates reads what String writes: "2027-02-08..2027-03-08=21:00-01:00" with hours
// as ParseWeek reads them, "2027-03-09=closed" or "2027-03-12=closed 12:00-13:30". No
// hours: closed. A question mark after the dates says that they are unsure.
func ParseDates(text string) (Dates, error) {
	var d Dates
	dates, times, _ := strings.Cut(text, "=")
	dates, d.Unsure = strings.CutSuffix(strings.TrimSpace(dates), "?")
	from, to, several := strings.Cut(dates, "..")
	if !several {
		to = from
	}
	var err error
	if d.From, err = parseDate(from); err != nil {
		return d, err
	}
	if d.To, err = parseDate(to); err != nil {
		return d, err
	}
	if d.To < d.From {
		return d, &Mistake{WantOrder, dates, fmt.Sprintf("dates %s: the first is after the last", dates)}
	}
	times = strings.TrimSpace(times)
	part, isClosed := strings.CutPrefix(strings.ToLower(times), closed)
	switch part = strings.TrimSpace(part); {
	case times == "" || isClosed && part == "":
		d.Closed = []Window{{0, Day}}
		return d, nil
	case !isClosed:
		d.Week, err = ParseWeek(times)
		return d, err
	}
	for window := range strings.SplitSeq(part, ",") {
		w, err := parseWindow(window)
		if err != nil {
			return d, err
		}
		d.Closed = append(d.Closed, w)
	}
	d.Closed = tidy(d.Closed)
	return d, nil
}

// String is the text that ParseDates reads.
func (d Dates) String() string {
	text := d.From.String()
	if d.To != d.From {
		text += ".." + d.To.String()
	}
	if d.Unsure {
		text += "?"
	}
	text += "="
	switch {
	case d.whole():
		return text + closed
	case len(d.Closed) == 0:
		if d.Week.sum() == 0 {
			return text + Window{0, Day}.String()
		}
		return text + d.Week.text()
	}
	windows := make([]string, len(d.Closed))
	for i, w := range d.Closed {
		windows[i] = w.String()
	}
	return text + closed + " " + strings.Join(windows, ",")
}

// MarshalText writes it as String does.
func (d Dates) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (d *Dates) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDates(string(text))
	return err
}

// Within returns the dates with those of their hours that a week allows. Where it
// allows none of them, the dates are closed.
func (d Dates) Within(week Week) Dates {
	if len(d.Closed) > 0 {
		return d
	}
	both, err := d.Week.Intersect(week)
	if errors.Is(err, ErrNever) {
		return Dates{From: d.From, To: d.To, Unsure: d.Unsure, Closed: []Window{{0, Day}}}
	}
	d.Week = both
	return d
}

// moonDays are days of the Hijri year that authorities announce a day or two ahead,
// when the moon was seen: the first of Muharram, Rabi al-Awwal's twelfth, the first
// of Ramadan, Eid al-Fitr, Arafat and Eid al-Adha.
var moonDays = []struct{ month, day int64 }{{1, 1}, {3, 12}, {9, 1}, {10, 1}, {12, 9}, {12, 10}}

// byMoon reports whether a date is within a day of one that goes by the moon, by the
// calendar of Umm al-Qura.
func byMoon(date Date) bool {
	for near := date - 1; near <= date+1; near++ {
		h, err := hijri.CreateUmmAlQuraDate(near.midnight())
		if err != nil {
			return false // the calendar's tables end in 2077
		}
		for _, m := range moonDays {
			if h.Month == m.month && h.Day == m.day {
				return true
			}
		}
	}
	return false
}

// isUnsure reports whether dates may be a day earlier or later than they say.
func (d Dates) isUnsure() bool {
	partly := len(d.Closed) > 0 && !d.whole() // such as prayer times, on whatever day
	return d.Unsure || !partly && (byMoon(d.From) || byMoon(d.To+1))
}

// datesWarned is how many unsure dates are named.
const datesWarned = 5

// dateWarnings say which dates are unsure, and on which days of the week hours are
// open only by an exception.
func (s Schedule) dateWarnings() (list []Warning) {
	var unsure []string
	for _, d := range slices.Concat(s.Except, s.Closed) {
		if d.isUnsure() {
			on, _, _ := strings.Cut(d.String(), "=")
			unsure = append(unsure, on)
		}
	}
	if n := len(unsure); n > 0 {
		list = append(list, Warning{Kind: DatesUnsure, Text: strings.Join(unsure[:min(n, datesWarned)], ", "), More: max(n-datesWarned, 0)})
	}
	if s.Week.Always() {
		return list
	}
	for _, d := range s.Except {
		var days [7]bool
		none := true
		for day := d.From; len(d.Closed) == 0 && day <= min(d.To, d.From+6); day++ {
			w := day.weekday()
			days[w] = len(s.Week.openOn(int(w))) == 0 && (d.Week.sum() == 0 || len(d.Week[w]) > 0)
			none = none && !days[w]
		}
		if !none {
			list = append(list, Warning{Kind: DatesOpen, Text: d.String(), Days: daysText(days)})
		}
	}
	return list
}
