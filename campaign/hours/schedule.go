// Package hours decides when a contact may be contacted: in which hours, on which days, and
// in which time zone. It also holds the limits on how often.
//
// It is pure: time and numbers are passed in. Nothing waits here, and nothing is stored.
// Daylight saving time comes from the time zone database; a program that must run without
// one imports time/tzdata.
package hours

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nyaruka/phonenumbers"
)

// ByContact is the zone of a schedule that uses each contact's own zone.
const ByContact = "contact"

// NoZoneReason is why a contact whose number tells no zone is held.
const NoZoneReason = "no time zone is known for its number"

// ErrNeedZone says that hours mean nothing without a clock.
var ErrNeedZone = errors.New("hours and days need a time zone: the name of one, or contact for each contact's own")

// A Schedule says when contacts may be contacted. The zero Schedule allows any time.
type Schedule struct {
	Week Week   `json:"week"`
	Zone string `json:"timezone"` // a name such as Asia/Riyadh, or ByContact
	// NoZone is for contacts whose numbers tell no zone, where Zone is ByContact. If it is
	// zero they are not contacted.
	NoZone Zoned `json:"no_zone,omitzero"`
	// Except has other hours than the week. Of two for a day, the last counts.
	Except []Dates `json:"except,omitempty"`
	// Closed are dates, or parts of them, that a calendar closes, whatever Week and
	// Except say.
	Closed []Dates `json:"closed,omitempty"`
}

// A Zoned is a week in one zone.
type Zoned struct {
	Week Week
	Zone string
}

// IsZero reports whether no week was given.
func (z Zoned) IsZero() bool { return z.Zone == "" }

// ParseZoned reads HOURS@ZONE: "09:00-21:00@Asia/Riyadh", or "any" for any time.
func ParseZoned(text string) (z Zoned, err error) {
	const want = "want HOURS@ZONE such as 09:00-21:00@Asia/Riyadh"
	week, zone, ok := strings.Cut(text, "@")
	if !ok || zone == "" || strings.TrimSpace(week) == "" {
		return z, &Mistake{WantZoned, text, fmt.Sprintf("hours %q: %s", text, want)}
	}
	if z.Week, err = ParseWeek(week); err != nil {
		return z, err
	}
	if _, err := LoadZone(zone); err != nil {
		return z, err
	}
	z.Zone = zone
	return z, nil
}

func (z Zoned) String() string {
	if z.IsZero() {
		return ""
	}
	week := z.Week.String()
	if week == "" {
		week = Window{0, Day}.String()
	}
	return week + "@" + z.Zone
}

// MarshalText writes it as HOURS@ZONE.
func (z Zoned) MarshalText() ([]byte, error) { return []byte(z.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (z *Zoned) UnmarshalText(text []byte) (err error) {
	*z = Zoned{}
	if len(text) > 0 {
		*z, err = ParseZoned(string(text))
	}
	return err
}

// IsZero reports whether contacts may be contacted at any time.
func (s Schedule) IsZero() bool { return s.Always() && s.Zone == "" && s.NoZone.IsZero() }

// Always reports whether the hours of contacts with a zone are never closed.
func (s Schedule) Always() bool {
	return s.Week.Always() && len(s.Except) == 0 && len(s.Closed) == 0
}

// Check refuses a schedule that makes no sense.
func (s Schedule) Check() error {
	switch {
	case s.Zone == "" && !s.Always():
		return ErrNeedZone
	case !s.NoZone.IsZero() && s.Zone != ByContact:
		return &Mistake{WantContact, s.Zone, "hours for contacts without a zone are for time zone contact only"}
	case s.Zone == "" || s.Zone == ByContact:
		return nil
	}
	_, err := LoadZone(s.Zone)
	return err
}

// Warnings say what is easily missed about the schedule's zones and dates.
func (s Schedule) Warnings() []Warning {
	list := s.dateWarnings()
	for _, zone := range []string{s.Zone, s.NoZone.Zone} {
		if w, odd := zoneWarning(zone); odd && !slices.Contains(list, w) {
			list = append(list, w)
		}
	}
	return list
}

// fixedZones look like a country's zone but never change to summer time. Source: the
// file northamerica of the tz database.
var fixedZones = []string{"EST", "MST", "HST"}

// zoneWarning says what is easily missed about a zone, if there is something.
func zoneWarning(zone string) (w Warning, odd bool) {
	if offset, ok := strings.CutPrefix(zone, "Etc/GMT"); ok && strings.Trim(offset, "+-0") != "" {
		// POSIX counts west of Greenwich as positive. Source: the file etcetera of the
		// tz database.
		kind := ZoneBehind
		if offset[0] == '-' {
			kind = ZoneAhead
		}
		return Warning{Kind: kind, Text: zone, Hours: offset[1:]}, true
	}
	return Warning{Kind: ZoneFixed, Text: zone}, slices.Contains(fixedZones, zone)
}

// String describes a schedule in a line.
func (s Schedule) String() string {
	if s.Always() {
		return "at any time"
	}
	text := cmp.Or(s.Week.String(), "at any time")
	if s.Zone == ByContact {
		text += " in each contact's own time zone"
	} else {
		text += " in " + s.Zone
	}
	if !s.NoZone.IsZero() {
		text += ", without one " + s.NoZone.String()
	}
	for _, d := range s.Except {
		text += ", except " + d.String()
	}
	if n := len(s.Closed); n == 1 {
		text += ", by the calendar " + s.Closed[0].String()
	} else if n > 1 {
		text += fmt.Sprintf(", by the calendar closed at %d times from %s to %s", n, s.Closed[0].From, s.Closed[n-1].To)
	}
	return text
}

// LoadZone finds a zone by its name in the time zone database.
func LoadZone(name string) (*time.Location, error) {
	zone, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		return nil, &Mistake{WantZone, name, fmt.Sprintf("time zone %q: want a name such as Asia/Riyadh or America/New_York", name)}
	}
	return zone, nil
}

// A Calendar finds the clock for a contact. Goroutines may share it.
type Calendar struct {
	schedule Schedule
	fixed    *Clock // for all contacts; nil: each has its own
	noZone   *Clock // for contacts without a known zone; nil: they have none
	mu       sync.Mutex
	byZones  map[string]*Clock
}

// Calendar returns the calendar of a schedule.
func (s Schedule) Calendar() (*Calendar, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	c := &Calendar{schedule: s, byZones: make(map[string]*Clock)}
	if s.Always() {
		c.fixed = &Clock{}
		return c, nil
	}
	if s.Zone != ByContact {
		c.fixed = s.clockOf(s.Week, s.Zone)
		return c, nil
	}
	if !s.NoZone.IsZero() {
		c.noZone = s.clockOf(s.NoZone.Week, s.NoZone.Zone)
	}
	return c, nil
}

// ByContact reports whether contacts may have different clocks.
func (c *Calendar) ByContact() bool { return c.fixed == nil }

// Of returns the clock of the contact with this number in E.164, or nil if its zone is
// not known.
func (c *Calendar) Of(e164 string) *Clock {
	if c.fixed != nil {
		return c.fixed
	}
	zones, err := phonenumbers.GetTimezonesForPrefix(e164)
	if err != nil {
		return c.noZone
	}
	return c.In(zones)
}

// In returns the clock of contacts who may be in any of the zones, by name; nil if one
// of them is not known.
func (c *Calendar) In(zones []string) *Clock {
	key := strings.Join(zones, ",")
	c.mu.Lock()
	defer c.mu.Unlock()
	clock, ok := c.byZones[key]
	if !ok {
		if clock = c.schedule.clockOf(c.schedule.Week, zones...); clock == nil {
			clock = c.noZone
		}
		c.byZones[key] = clock
	}
	return clock
}

// clockOf returns nil if a zone is not known.
func (s Schedule) clockOf(week Week, zones ...string) *Clock {
	c := &Clock{Name: nameOf(zones), Week: week, Except: s.Except, Closed: s.Closed}
	for _, name := range zones {
		zone, err := LoadZone(name)
		if err != nil {
			return nil
		}
		c.Zones = append(c.Zones, zone)
	}
	if len(c.Zones) == 0 {
		return nil
	}
	return c
}

// nameOf names zones for people: up to three, or one and how many more.
func nameOf(zones []string) string {
	zones = slices.Sorted(slices.Values(zones))
	if len(zones) <= 3 {
		return strings.Join(zones, " and ")
	}
	return fmt.Sprintf("%s and %d more zones", zones[0], len(zones)-1)
}

// ParseTime reads a time with its offset (RFC 3339), or a local time of the zone:
// "2026-11-27 09:00". A local time that the zone skips or has twice is an error.
func ParseTime(text, zone string) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at.UTC(), nil
	}
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02T15:04:05"} {
		if _, err := time.Parse(layout, text); err != nil {
			continue
		}
		if zone == "" || zone == ByContact {
			return time.Time{}, &Mistake{WantOffset, text, fmt.Sprintf("time %q: give an offset (2026-11-27T09:00:00+03:00) or one time zone", text)}
		}
		in, err := LoadZone(zone)
		if err != nil {
			return time.Time{}, err
		}
		at, err := time.ParseInLocation(layout, text, in)
		if err != nil || at.Format(layout) != text {
			return time.Time{}, &Mistake{WantShown, text, fmt.Sprintf("time %q: the clocks in %s skip it", text, zone)}
		}
		for _, shift := range []time.Duration{-time.Hour, -30 * time.Minute, 30 * time.Minute, time.Hour} {
			if at.Add(shift).Format(layout) == text {
				return time.Time{}, &Mistake{WantOnce, text, fmt.Sprintf("time %q: the clocks in %s show it twice: give an offset", text, zone)}
			}
		}
		return at.UTC(), nil
	}
	return time.Time{}, &Mistake{WantMoment, text, fmt.Sprintf("time %q: want 2026-11-27T09:00:00+03:00, or 2026-11-27 09:00 with a time zone", text)}
}
