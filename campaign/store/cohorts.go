package store

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
)

//go:embed cohorts.lua
var luaCohorts string

// guardsOf are the guards of the answers as cohorts.lua reads them; empty: there is none.
func guardsOf(s campaign.Settings) string {
	if !s.Listens() {
		return ""
	}
	return fmt.Sprintf("%d %d %d", s.MaxOptOutShare, s.MinAnswerShare, millis(s.MaxSilence))
}

// A Guard is one that goes by the answers of contacts.
type Guard string

// Guards by what they watch. cohorts.lua has the same words.
const (
	OptOutGuard  Guard = "optout"
	AnswerGuard  Guard = "answer"
	SilenceGuard Guard = "silence"
)

// A Trip says which guard keeps a campaign from sending more, and by which figures.
type Trip struct {
	Guard  Guard
	Latest Cohort        // of a silence, the contacts accepted since the last event
	Since  time.Time     // when the first of the latest was accepted, cut to minutes
	First  Cohort        // the first contacts ever, a thousand at least
	Until  time.Time     // when the last of the first was accepted, cut to minutes; zero: they are not that many yet
	For    time.Duration // of a silence: since enough contacts were accepted

	token string // of what was judged; PauseTripped wants it unchanged
}

// A Cohort is some contacts that were reached, and how many of them have answered, ended
// and opted out.
type Cohort struct{ Contacts, Answered, Ended, OptedOut int }

// Early reports whether the latest contacts are among the first.
func (t Trip) Early() bool { return t.Until.IsZero() || !t.Since.After(t.Until) }

// ErrTripped: a guard of the answers has tripped.
var ErrTripped = errors.New("a guard has tripped")

// A TripError is ErrTripped with what the guard goes by.
type TripError struct{ Trip Trip }

func (e *TripError) Error() string { return fmt.Sprintf("%v: %s", ErrTripped, e.Trip.Guard) }

func (e *TripError) Is(target error) bool { return target == ErrTripped }

// tripOf reads what judgeCohorts answers at a time.
func tripOf(detail string, now time.Time) error {
	var t Trip
	var since, until, token int64
	if _, err := fmt.Sscan(detail, &t.Guard, &token, &t.Latest.Contacts, &t.Latest.Answered, &t.Latest.Ended, &t.Latest.OptedOut,
		&since, &until, &t.First.Contacts, &t.First.Answered, &t.First.OptedOut); err != nil {
		return wrap(err, "tripped guard %q", detail)
	}
	t.token, t.Since = strconv.FormatInt(token, 10), time.Unix(60*since, 0).UTC()
	if until > 0 {
		t.Until = time.Unix(60*until, 0).UTC()
	}
	if t.Guard == SilenceGuard {
		t.For = now.Sub(timeOf(token))
	}
	return &TripError{t}
}

// pauseTrippedScript pauses a campaign that runs, or was paused with others, unless it has been
// resumed, or heard of, since its guard was judged. KEYS campaign, cohorts; ARGV reason, field, its value as it
// was judged, id of this run: a repeated one answers as before.
var pauseTrippedScript = redis.NewScript(luaJoint + `
local is = redis.call('HMGET', KEYS[1], 'phase', 'phase_reason', 'tripped')
if is[3] == ARGV[4] then return 1 end
if is[1] ~= 'running' and not jointly(is[1], is[2]) or redis.call('HGET', KEYS[2], ARGV[2]) ~= ARGV[3] then return 0 end
redis.call('HSET', KEYS[1], 'phase', 'paused', 'phase_reason', ARGV[1], 'tripped', ARGV[4])
return 1`)

// PauseTripped pauses a campaign for a guard that has tripped. It reports false when the
// campaign is paused for a reason of its own, is over, or what the guard went by is over.
func (s *Store) PauseTripped(ctx context.Context, name string, t Trip, reason campaign.Message) (bool, error) {
	if err := s.Raise(ctx, name); err != nil {
		return false, wrap(err, "pause %s", name)
	}
	field := "since"
	if t.Guard == SilenceGuard {
		field = "quiet_at"
	}
	done, err := pauseTrippedScript.Run(ctx, s.rdb, []string{keyCampaign(name), keyCohorts(name)}, reason.Line(), field, t.token, rand.Text()).Bool()
	return done, wrap(err, "pause %s", name)
}

// Hear notes that an event of a campaign has come: its silence begins anew with the next
// contact that is accepted.
func (s *Store) Hear(ctx context.Context, name string) error {
	return wrap(s.rdb.HDel(ctx, keyCohorts(name), "quiet", "quiet_at").Err(), "hear of %s", name)
}

// eventsSeen bounds the waiting events, the oldest first, among which those of a campaign
// are looked for.
const eventsSeen = 1000

// EventsWait reports whether an event of a campaign has waited for so long to be applied.
// Of more events than can be looked at, one may be the campaign's.
func (s *Store) EventsWait(ctx context.Context, name string, long time.Duration) (bool, error) {
	now, err := s.Now(ctx)
	if err != nil {
		return false, err
	}
	until := strconv.FormatInt(now.Add(-long).UnixMilli(), 10)
	oldest, err := s.rdb.XRangeN(ctx, keyEvents, "-", until, eventsSeen).Result()
	if err != nil {
		return false, wrap(err, "read waiting events")
	}
	for _, e := range decodeEvents(oldest) {
		if e.Campaign == name {
			return true, nil
		}
	}
	return len(oldest) == eventsSeen, nil
}

// toldOf is what a change of an outcome tells the cohorts: what was not known before of
// this conversation. Empty: nothing.
func toldOf(before, after campaign.Outcome) string {
	if after.Asked == 0 {
		return ""
	}
	if before.Asked != after.Asked {
		before = campaign.Outcome{OptedOut: before.OptedOut} // of an earlier conversation
	}
	bit := func(was, is bool) int {
		if is && !was {
			return 1
		}
		return 0
	}
	answered, ended := bit(before.Said, after.Said), bit(!before.Ended.IsZero(), !after.Ended.IsZero())
	opted := bit(before.OptedOut, after.OptedOut)
	if answered+ended+opted == 0 {
		return ""
	}
	return fmt.Sprintf("%d %d %d %d", after.Asked, answered, ended, opted)
}
