package hours

import (
	"fmt"
	"time"
)

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
			return time.Time{}, fmt.Errorf("time %q: give an offset (2026-11-27T09:00:00+03:00) or one time zone", text)
		}
		in, err := LoadZone(zone)
		if err != nil {
			return time.Time{}, err
		}
		at, err := time.ParseInLocation(layout, text, in)
		if err != nil || at.Format(layout) != text {
			return time.Time{}, fmt.Errorf("time %q: the clocks in %s skip it", text, zone)
		}
		for _, shift := range []time.Duration{-time.Hour, -30 * time.Minute, 30 * time.Minute, time.Hour} {
			if at.Add(shift).Format(layout) == text {
				return time.Time{}, fmt.Errorf("time %q: the clocks in %s show it twice: give an offset", text, zone)
			}
		}
		return at.UTC(), nil
	}
	return time.Time{}, fmt.Errorf("time %q: want 2026-11-27T09:00:00+03:00, or 2026-11-27 09:00 with a time zone", text)
}
