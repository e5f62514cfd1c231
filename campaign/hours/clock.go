package hours

import "time"

// A Clock says when the contacts of its zones may be contacted: when the week is open
// in all zones at once. Without zones it is always open.
type Clock struct {
	Name  string // of its zones, for people
	Week  Week
	Zones []*time.Location
}

// horizon is how far ahead an opening is searched. Every window returns within a week;
// a change of daylight saving time may skip it once.
const horizon = 16 * 24 * time.Hour

// Opens returns the first moment from at on when the clock is open. The error is
// ErrNever if the zones are never open together.
func (c *Clock) Opens(at time.Time) (time.Time, error) {
	if c.Week.Always() {
		return at, nil
	}
	for t := at; t.Sub(at) < horizon; {
		opens := t
		for _, zone := range c.Zones {
			opens = c.Week.opens(opens, zone)
		}
		if opens.Equal(t) {
			return t, nil
		}
		t = opens
	}
	return time.Time{}, ErrNever
}

// Closes returns the first moment after at, when the clock is open, when it is closed;
// zero if there is none within the horizon.
func (c *Clock) Closes(at time.Time) (first time.Time) {
	if c.Week.Always() {
		return first
	}
	for _, zone := range c.Zones {
		if closes := c.Week.closes(at, zone); first.IsZero() || !closes.IsZero() && closes.Before(first) {
			first = closes
		}
	}
	return first
}

// opens returns the first moment from at on when the week is open in a zone. Local time
// runs evenly between two changes of the offset. So a window in the hour that spring
// skips does not come that day, and one in the hour that autumn repeats is open both
// times.
func (w Week) opens(at time.Time, zone *time.Location) time.Time {
	for t := at; ; {
		opens := t.Add(w.openIn(wall(t, zone)))
		_, change := t.In(zone).ZoneBounds()
		if change.IsZero() || opens.Before(change) || opens.Sub(at) > horizon {
			return opens
		}
		t = change
	}
}

// closes returns the first moment after at when the week is closed in a zone; zero if
// there is none within the horizon.
func (w Week) closes(at time.Time, zone *time.Location) time.Time {
	for t := at; t.Sub(at) < horizon; {
		since := wall(t, zone)
		if w.openIn(since) > 0 {
			return t
		}
		closes := t.Add(w.closedIn(since))
		_, change := t.In(zone).ZoneBounds()
		if change.IsZero() || closes.Before(change) {
			return closes
		}
		t = change
	}
	return time.Time{}
}

// wall is the local time since the start of Sunday.
func wall(t time.Time, zone *time.Location) time.Duration {
	local := t.In(zone)
	return time.Duration(local.Weekday())*Day*time.Minute + time.Duration(local.Hour())*time.Hour +
		time.Duration(local.Minute())*time.Minute + time.Duration(local.Second())*time.Second + time.Duration(local.Nanosecond())
}
