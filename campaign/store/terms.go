package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"campaign-runner/campaign"
)

// Terms are what a request was decided by. Begin holds only while they do.
type Terms struct {
	Version int          // of the campaign's settings
	Cap     int          // contacts that may begin on one day; 0: any number
	Day     campaign.Day // that day
}

// TermsOf are those of a campaign as it was read, at a time by Redis's clock.
func TermsOf(c campaign.Campaign, now time.Time) *Terms {
	return &Terms{Version: c.Version, Cap: c.Settings.DailyCap, Day: c.Settings.DayOf(now)}
}

// args are the terms as change.lua takes them.
func (t *Terms) args() []any {
	if t == nil {
		return []any{"", 0, "", 0}
	}
	return []any{t.Version, t.Cap, t.Day.From.UnixMilli(), t.Day.Until.UnixMilli()}
}

// ErrCapped: as many contacts as may begin on one day have begun today.
var ErrCapped = errors.New("the day's contacts have begun")

// A CappedError is ErrCapped with how many may still begin, if fewer do.
type CappedError struct{ Left int }

func (e *CappedError) Error() string { return fmt.Sprintf("%v but for %d", ErrCapped, e.Left) }

func (e *CappedError) Is(target error) bool { return target == ErrCapped }

// Begun is how many contacts of a campaign have begun on the day on which it is
// now. Whoever turned out not to have been sent is not among them.
func (s *Store) Begun(ctx context.Context, name string, now time.Time) (contacts int, err error) {
	kept, err := s.rdb.HMGet(ctx, keyDay(name), "until", "begun").Result()
	if err != nil {
		return 0, fmt.Errorf("contacts of %s today: %w", name, err)
	}
	number := func(i int) int64 { text, _ := kept[i].(string); n, _ := strconv.ParseInt(text, 10, 64); return n }
	if number(0) <= now.UnixMilli() {
		return 0, nil
	}
	return int(number(1)), nil
}
