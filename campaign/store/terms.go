package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"campaign-runner/campaign"
)

// Terms are what a request was decided by. Its Begin counts only while they hold.
type Terms struct {
	Version int          // of the campaign's settings
	Cap     int          // contacts that may begin on one day; 0: no cap
	Day     campaign.Day // that day
}

// TermsOf are the terms of a campaign as it was read, at a time by Redis's clock.
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

// ErrCapped: the daily cap leaves no room for these contacts.
var ErrCapped = errors.New("the day's contacts have begun")

// A CappedError is ErrCapped with how many contacts may still begin today.
type CappedError struct{ Left int }

func (e *CappedError) Error() string { return fmt.Sprintf("%v; %d may still begin", ErrCapped, e.Left) }

func (e *CappedError) Is(target error) bool { return target == ErrCapped }

// Begun is how many contacts of a campaign have begun today, without those that
// turned out not to have been sent.
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
