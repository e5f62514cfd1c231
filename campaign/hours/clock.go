package hours

import (
	"iter"
	"slices"
	"time"
)

// A Clock says when the contacts of its zones may be contacted: when it is open in all
// zones at once. Without zones it is always open.
type Clock struct {
	Name   string // of its zones, for people
	Week   Week
	Except []Dates // days with other hours than those of the week
	Closed []Dates // closed, whatever the hours are
	Zones  []*time.Location
}

// How far ahead an opening is searched. Every window of a week returns within one; a
// change of daylight saving time may skip it once. Dates may close for longer.
const (
	horizon      = 16 * 24 * time.Hour
	datesHorizon = 2 * 366 * 24 * time.Hour
)

// always reports whether the clock is never closed.
func (c *Clock) always() bool {
	return len(c.Zones) == 0 || c.Week.Always() && len(c.Except) == 0 && len(c.Closed) == 0
}

// ahead is how far from at on an opening is searched: until all dates are over, and for a
// year more where the hours of several zones may come to meet by a change of an offset.
func (c *Clock) ahead(at time.Time) time.Duration {
	ahead := time.Duration(horizon)
	changes := func(zone *time.Location) bool { _, end := at.In(zone).ZoneBounds(); return !end.IsZero() }
	if len(c.Zones) > 1 && slices.ContainsFunc(c.Zones, changes) {
		ahead += 366 * 24 * time.Hour
	}
	last := Date(0)
	for d := range c.dates() {
		last = max(last, d.To)
	}
	return min(ahead+max(last.midnight().Sub(at), 0), datesHorizon)
}

// Opens returns the first moment from at on when the clock is open. The error is
// ErrNever if that is never, or not in two years.
func (c *Clock) Opens(at time.Time) (time.Time, error) {
	if c.always() {
		return at, nil
	}
	ahead := c.ahead(at)
	for t := at; t.Sub(at) < ahead; {
		opens := t
		for _, zone := range c.Zones {
			opens = c.opensIn(zone, opens, ahead)
		}
		if opens.Equal(t) {
			return t, nil
		}
		t = opens
	}
	return time.Time{}, ErrNever
}

// Closes returns the first moment after at, when the clock is open, when it is closed;
// zero if there is none within 16 days.
func (c *Clock) Closes(at time.Time) (first time.Time) {
	if c.always() {
		return first
	}
	for _, zone := range c.Zones {
		if closes := c.closesIn(zone, at); first.IsZero() || !closes.IsZero() && closes.Before(first) {
			first = closes
		}
	}
	return first
}

// opensIn returns the first moment from at on when it is open in a zone. Local time
// runs evenly between two changes of the offset. So a window in the hour that spring
// skips does not come that day, and one in the hour that autumn repeats is open both
// times.
func (c *Clock) opensIn(zone *time.Location, at time.Time, ahead time.Duration) time.Time {
	for t := at; ; {
		opens := t.Add(c.openAfter(wall(t, zone), ahead))
		_, change := t.In(zone).ZoneBounds()
		if change.IsZero() || opens.Before(change) || opens.Sub(at) > ahead {
			return opens
		}
		t = change
	}
}

// closesIn returns the first moment after at when it is closed in a zone; zero if
// there is none within the horizon.
func (c *Clock) closesIn(zone *time.Location, at time.Time) time.Time {
	for t := at; t.Sub(at) < horizon; {
		since := wall(t, zone)
		open := c.openFor(since)
		if open == 0 {
			return t
		}
		closes := t.Add(open)
		_, change := t.In(zone).ZoneBounds()
		if change.IsZero() || closes.Before(change) {
			return closes
		}
		t = change
	}
	return time.Time{}
}

const wholeDay = Day * time.Minute

// wall is the local time since the start of 1970.
func wall(t time.Time, zone *time.Location) time.Duration {
	local := t.In(zone)
	return time.Duration(dateOf(local))*wholeDay + time.Duration(local.Hour())*time.Hour +
		time.Duration(local.Minute())*time.Minute + time.Duration(local.Second())*time.Second + time.Duration(local.Nanosecond())
}

// openAfter is how long after a local time it is open; 0 if it is open then, more than
// ahead if that is not within ahead.
func (c *Clock) openAfter(since, ahead time.Duration) time.Duration {
	for day := Date(since / wholeDay); ; day++ {
		midnight := time.Duration(day) * wholeDay
		if midnight-since > ahead {
			return midnight - since
		}
		for _, window := range c.openOn(day) {
			if midnight+time.Duration(window.To)*time.Minute > since {
				return max(midnight+time.Duration(window.From)*time.Minute-since, 0)
			}
		}
	}
}

// openFor is how long after a local time it stays open; 0 if it is closed then.
func (c *Clock) openFor(since time.Duration) time.Duration {
	end := since
	for day := Date(since / wholeDay); end-since < horizon; day++ { // windows that meet at midnight are one
		midnight := time.Duration(day) * wholeDay
		for _, window := range c.openOn(day) {
			from, to := midnight+time.Duration(window.From)*time.Minute, midnight+time.Duration(window.To)*time.Minute
			if from <= end && end < to {
				end = to
			}
		}
		if end != midnight+wholeDay {
			break
		}
	}
	return end - since
}

// openOn returns the windows in which a date is open.
func (c *Clock) openOn(day Date) []Window {
	if _, closed := c.hoursOf(day); closed {
		return nil
	}
	open := openOf(c.beginning(day-1), c.beginning(day))
	for d := range c.dates() {
		if d.whole() {
			continue
		}
		for _, window := range d.Closed {
			if d.covers(day - 1) {
				open = without(open, Window{window.From - Day, window.To - Day})
			}
			if d.covers(day) {
				open = without(open, window)
			}
		}
	}
	return open
}

// beginning returns the windows that begin on a date.
func (c *Clock) beginning(day Date) []Window {
	week, closed := c.hoursOf(day)
	switch {
	case closed:
		return nil
	case week.sum() == 0:
		return []Window{{0, Day}}
	}
	return week[day.weekday()]
}

// hoursOf returns the week whose hours hold on a date, and whether it is closed.
func (c *Clock) hoursOf(day Date) (week Week, closed bool) {
	week = c.Week
	for _, d := range c.Except {
		switch {
		case !d.covers(day):
		case len(d.Closed) == 0:
			week, closed = d.Week, false
		case d.whole():
			closed = true
		}
	}
	return week, closed || slices.ContainsFunc(c.Closed, func(d Dates) bool { return d.whole() && d.covers(day) })
}

// dates are all dates of the clock.
func (c *Clock) dates() iter.Seq[Dates] {
	return func(yield func(Dates) bool) {
		for _, list := range [][]Dates{c.Except, c.Closed} {
			for _, d := range list {
				if !yield(d) {
					return
				}
			}
		}
	}
}

// without takes a window out of others.
func without(open []Window, closed Window) (rest []Window) {
	for _, window := range open {
		if from, to := window.From, min(window.To, closed.From); from < to {
			rest = append(rest, Window{from, to})
		}
		if from, to := max(window.From, closed.To), window.To; from < to {
			rest = append(rest, Window{from, to})
		}
	}
	return rest
}
