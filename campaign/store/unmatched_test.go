package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"campaign-runner/campaign"
	"campaign-runner/internal/redistest"
)

func TestNothingIsDroppedWhenTooManyEventsWait(t *testing.T) {
	for _, tt := range []struct {
		name    string
		entries int
		bytes   int
	}{
		{"by number", maxEvents, 1000},
		{"by bytes", 1, maxEventBytes - eventBytes(Event{Campaign: "sale", Body: []byte("xx")})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := New(redistest.Shared(t))
			ctx := t.Context()
			pipe := s.rdb.Pipeline()
			for i := range tt.entries {
				pipe.Do(ctx, "XADD", keyEvents, "*", "campaign", "sale")
				if i%1000 == 0 {
					if _, err := pipe.Exec(ctx); err != nil {
						t.Fatal(err)
					}
				}
			}
			pipe.Set(ctx, keyEventBytes, tt.bytes, 0)
			if _, err := pipe.Exec(ctx); err != nil {
				t.Fatal(err)
			}
			large := Event{Campaign: "sale", Body: []byte("xxx")}
			if err := s.AddEvent(ctx, large); !errors.Is(err, ErrFull) {
				t.Errorf("got %v, want ErrFull", err)
			}
			if n, err := s.WaitingEvents(ctx); n != tt.entries || err != nil {
				t.Errorf("%d wait, %v", n, err)
			}
			large.Urgent = true
			if err := s.AddEvent(ctx, large); err != nil {
				t.Errorf("in the reserve: %v", err)
			}
			s.rdb.Set(ctx, keyEventBytes, maxEventBytes+maxEventBytes/reserveShare, 0)
			if err := s.AddEvent(ctx, large); !errors.Is(err, ErrFull) {
				t.Errorf("beyond the reserve: got %v, want ErrFull", err)
			}
		})
	}
}

// However events come and go, the bytes are those of the events that wait.
func TestTheStreamsBytesAddUp(t *testing.T) {
	onEveryRedis(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		s.rdb.Set(ctx, keyEventBytes, 1_000_000, 0) // as after a stream that somebody deleted
		for i := range 20 {
			if err := s.AddEvent(ctx, Event{Campaign: "sale", Body: []byte(strings.Repeat("x", i))}); err != nil {
				t.Fatal(err)
			}
		}
		check := func(what string) []Event {
			t.Helper()
			all, err := s.rdb.XRange(ctx, keyEvents, "-", "+").Result()
			if err != nil {
				t.Fatal(err)
			}
			want := 0
			for _, e := range decodeEvents(all) {
				want += eventBytes(e)
			}
			if got, _ := s.rdb.Get(ctx, keyEventBytes).Int(); got != want {
				t.Errorf("%s: %d bytes counted, %d events take %d", what, got, len(all), want)
			}
			return decodeEvents(all)
		}
		all := check("added")
		for range 2 { // a second worker that had them, too
			if err := s.EndEvents(ctx, "sale", all[:7], all[7:11]); err != nil {
				t.Fatal(err)
			}
			check("ended")
		}
		if counts, err := s.EventCounts(ctx, "sale"); err != nil || counts.Applied != 7 {
			t.Errorf("%+v, %v, want 7 applied", counts, err)
		}
		if err := s.EndEvents(ctx, "sale", nil, all); err != nil {
			t.Fatal(err)
		}
		check("all ended")
	})
}

func TestUnmatchedEvents(t *testing.T) {
	s := New(redistest.Shared(t))
	ctx, now := t.Context(), time.Now().Truncate(time.Millisecond).UTC()
	kept := []Unmatched{
		{Event{Campaign: "sale", At: now.Add(-8 * 24 * time.Hour), Body: []byte("old")}, campaign.Text("why")},
		{Event{Campaign: "sale", At: now, Contact: 300, Body: []byte("one")}, campaign.Text("why")},
		{Event{Campaign: "sale", At: now.Add(time.Second), Body: []byte("two")}, campaign.Message{}},
	}
	for range 2 { // applied twice, kept once
		if dropped, err := s.KeepUnmatched(ctx, "sale", kept); err != nil || dropped != 0 {
			t.Fatalf("%d dropped, %v", dropped, err)
		}
	}
	got, err := s.Unmatched(ctx, "sale", 0, 10)
	if err != nil || len(got) != 2 {
		t.Fatalf("%d events, %v", len(got), err)
	}
	for i, want := range kept[1:] {
		want.ID = got[i].ID
		if diff := cmp.Diff(want, got[i]); diff != "" {
			t.Errorf("event %d (-want +got):\n%s", i, diff)
		}
	}
	if have, err := s.HaveUnmatched(ctx, []string{"gift", "sale"}); err != nil || len(have) != 1 || have[0] != "sale" {
		t.Errorf("%q have some, %v", have, err)
	}
	for range 2 { // by two workers
		if err := s.Matched(ctx, "sale", []string{got[0].ID}); err != nil {
			t.Fatal(err)
		}
	}
	want := EventCounts{Applied: 1, Unmatched: 3, Kept: 1, KeptBytes: len(got[1].ID) + 100} // the old one came twice
	if counts, err := s.EventCounts(ctx, "sale"); err != nil || counts != want {
		t.Errorf("%+v, %v, want %+v", counts, err, want)
	}
	for _, damaged := range []string{"", "\xff", "\x01\x09why", "\x00\x00junk"} {
		s.rdb.Del(ctx, keyUnmatched("sale"))
		s.rdb.Do(ctx, "ZADD", keyUnmatched("sale"), 1, damaged)
		if _, err := s.Unmatched(ctx, "sale", 0, 10); err == nil {
			t.Errorf("%q was read", damaged)
		}
	}
}

// A campaign's unmatched events are bounded by their bytes: the oldest go, and are told.
func TestUnmatchedEventsAreBoundedByBytes(t *testing.T) {
	s := New(redistest.Shared(t))
	ctx, now := t.Context(), time.Now()
	event := func(i int) Unmatched {
		body := make([]byte, 2*MaxUnmatchedBytes)
		_, _ = rand.NewChaCha8([32]byte{byte(i)}).Read(body) // does not shrink
		return Unmatched{Event: Event{At: now.Add(time.Duration(i) * time.Millisecond), Body: body}}
	}
	check := func(what string) EventCounts {
		t.Helper()
		all, err := s.rdb.ZRange(ctx, keyUnmatched("sale"), 0, -1).Result()
		if err != nil {
			t.Fatal(err)
		}
		bytes := 0
		for _, entry := range all {
			bytes += len(entry) + 100
		}
		counts, err := s.EventCounts(ctx, "sale")
		if err != nil || counts.KeptBytes != bytes || counts.Kept != len(all) || bytes > unmatchedBytes {
			t.Errorf("%s: %+v, %v; %d entries take %d bytes", what, counts, err, len(all), bytes)
		}
		return counts
	}
	const some = 5
	for i := range some {
		if _, err := s.KeepUnmatched(ctx, "sale", []Unmatched{event(i)}); err != nil {
			t.Fatal(err)
		}
	}
	check("kept")
	kept, err := s.Unmatched(ctx, "sale", 0, 2*some)
	if err != nil || len(kept) != some || len(kept[0].Body) != MaxUnmatchedBytes {
		t.Fatalf("%d events, %v", len(kept), err)
	}
	// As if others of the campaign took all but the room of these.
	others := unmatchedBytes - check("kept, again").KeptBytes
	s.rdb.HIncrBy(ctx, keyUnmatchedCounts("sale"), "bytes", int64(others))
	var newer []Unmatched
	for i := range some {
		newer = append(newer, event(some+i))
	}
	if dropped, err := s.KeepUnmatched(ctx, "sale", newer); err != nil || dropped != some {
		t.Errorf("%d dropped, %v", dropped, err)
	}
	s.rdb.HIncrBy(ctx, keyUnmatchedCounts("sale"), "bytes", int64(-others))
	if got := check("too many"); got.Dropped != some || got.DroppedBytes < some*MaxUnmatchedBytes || got.Unmatched != 2*some || got.Kept != some {
		t.Errorf("%+v", got)
	}
	s.rdb.Del(ctx, keyUnmatched("sale")) // its time is over
	if _, err := s.KeepUnmatched(ctx, "sale", newer[:1]); err != nil {
		t.Fatal(err)
	}
	check("anew")
}

// Events that come at the same time share one run of the script: the second takes all that
// came during the first, up to its bytes. Where there is no room for all, each has its own
// answer.
func TestEventsThatComeTogetherAreWrittenTogether(t *testing.T) {
	rdb := redistest.Shared(t)
	hook := &heldTrip{first: make(chan struct{}), leave: make(chan struct{})}
	rdb.AddHook(hook)
	s := New(rdb)
	s.inbox.most = 1
	const events, room = 100, 90
	large := make([]byte, maxRunBytes/2)
	errs := make(chan error, events)
	add := func(i int) {
		body := []byte(strconv.Itoa(i))
		if i < 3 {
			body = large
		}
		errs <- s.AddEvent(t.Context(), Event{Campaign: "sale", Body: body})
	}
	go add(0)
	<-hook.first // it is on its way
	for i := 1; i < events; i++ {
		go add(i)
		for waiting := 0; waiting < i; {
			s.inbox.mu.Lock()
			waiting = len(s.inbox.waiting)
			s.inbox.mu.Unlock()
		}
	}
	const page = 1000 // a pipeline that takes seconds is repeated
	for n := 0; n < maxEvents-room; n += page {
		fill := rdb.Pipeline()
		for range min(page, maxEvents-room-n) {
			fill.XAdd(t.Context(), &redis.XAddArgs{Stream: keyEvents, Values: []any{"campaign", "sale"}})
		}
		if _, err := fill.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	close(hook.leave)
	full := 0
	for range events {
		switch err := <-errs; {
		case errors.Is(err, ErrFull):
			full++
		case err != nil:
			t.Error(err)
		}
	}
	if n, err := s.WaitingEvents(t.Context()); err != nil || n != maxEvents || full != events-room {
		t.Errorf("%d wait, %v, and %d were told that there is no room", n, err, full)
	}
	if diff := cmp.Diff([]int{1, 1, events - 2}, hook.sizes); diff != "" {
		t.Errorf("events by run of the script (-want +got):\n%s", diff)
	}
}

func TestATripIsNoLongerThanItsRidersWait(t *testing.T) {
	server := redistest.Start(t)
	s := New(server.Client())
	if err := s.AddEvent(t.Context(), Event{Campaign: "sale"}); err != nil {
		t.Fatal(err)
	}
	server.Freeze()
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	go func() { left <- s.AddEvent(ctx, Event{Campaign: "sale"}) }()
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that leaves: %v", err)
	}
	server.Thaw()
	if err := s.AddEvent(t.Context(), Event{Campaign: "sale"}); err != nil {
		t.Errorf("after the thaw: %v", err)
	}
	if err := s.AddEvent(ctx, Event{Campaign: "sale"}); !errors.Is(err, context.Canceled) {
		t.Errorf("one that has left before: %v", err)
	}
}

// heldTrip is a hook that counts the events of each run of the script, and lets the first go
// when it is told.
type heldTrip struct {
	first, leave chan struct{}
	sizes        []int
}

func (p *heldTrip) DialHook(next redis.DialHook) redis.DialHook { return next }
func (p *heldTrip) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "evalsha" {
			const head = 5 // command, script, number of keys, keys
			if p.sizes = append(p.sizes, (len(cmd.Args())-head-4)/4); len(p.sizes) == 1 {
				close(p.first)
				<-p.leave
			}
		}
		return next(ctx, cmd)
	}
}
func (p *heldTrip) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
