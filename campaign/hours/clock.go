package hours

import "time"

// A Clock says when one may contact those who live in its zones: when the week is
// open in all of them at once. Without zones it is open at any time.
type Clock struct {
	Name  string // of its zones, for people
	Week  Week
	Zones []*time.Location
}

// horizon is how far ahead an opening is looked for. Every window comes again
// within a week; a change of daylight saving time may hide it once.
const horizon = 16 * 24 * time.Hour

// Opens is the first moment from at on when the clock is open: at itself while it
// is. ErrNever when its zones are never open together.
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

// Closes is the first moment after at, when the clock is open, at which it is
// not; zero when there is none within two weeks.
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

// opens is the first moment from at on when the week is open in a zone. Between
// two changes of the zone's offset the clock on the wall runs evenly: so a window
// that falls into the hour which is left out in spring does not come that day,
// and one in the hour that comes twice in autumn is open both times.
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

// closes is the first moment after at when the week is closed in a zone; zero
// when there is none before the horizon.
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

// wall is what the clock on a zone's wall has gone since Sunday began.
func wall(t time.Time, zone *time.Location) time.Duration {
	local := t.In(zone)
	return time.Duration(local.Weekday())*Day*time.Minute + time.Duration(local.Hour())*time.Hour +
		time.Duration(local.Minute())*time.Minute + time.Duration(local.Second())*time.Second + time.Duration(local.Nanosecond())
}
