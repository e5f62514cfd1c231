package ratelimit

import (
	"testing"
	"time"
)

// talk is a state and the server it hears, in seconds from its beginning.
type talk struct {
	t *testing.T
	s state
	p policy
}

func newTalk(t *testing.T, window int64) *talk {
	return &talk{t: t, s: state{ID: 1}, p: policy{Limit: 30, Window: window * 1000, Share: 1000, Timeout: 75_000}}
}

const origin = 1_700_000_000_000

// send sends a request at a second, whose answer takes a tenth of one.
func (c *talk) send(at float64, a Answer) {
	c.t.Helper()
	now := origin + int64(at*1000)
	c.s.Block, c.s.Paced = 0, 0 // when it may is tested elsewhere
	r := c.s.acquire(now, c.p, ask{Peer: 1, Want: 1})
	if r.Permits != 1 {
		c.t.Fatalf("no permit at %v s: %+v", at, c.s)
	}
	c.s.report(now+100, c.p, 1, []told{{r.Permit, a.outcome()}})
}

func served(remaining int) Answer {
	return Answer{Status: 200, Known: true, Limit: 30, Remaining: remaining}
}

func TestTheWindowIsLearned(t *testing.T) {
	openings := func(times ...float64) func(*talk) {
		return func(c *talk) {
			for _, at := range times { // two requests in each window
				c.send(at, served(29))
				c.send(at+0.5, served(28))
			}
		}
	}
	refused := func(seconds int, headers bool) Answer {
		return Answer{Status: 429, Known: headers, Limit: 30, HasRetryAfter: true, RetryAfter: time.Duration(seconds) * time.Second}
	}
	for _, tt := range []struct {
		name     string
		declared int64 // seconds
		talk     func(*talk)
		want     int64 // milliseconds
	}{
		{"one short window may be the clock's, or a cleared cache", 60, openings(0, 10), 60_000},
		{"two that differ may be, too", 60, openings(0, 10, 35), 60_000},
		{"two that agree are believed", 60, openings(0, 10, 20), 10_000},
		{"the longer of two that agree", 60, openings(0, 10, 21), 10_000},
		{"two that agree on less than was learned", 60, openings(0, 11.9, 23.8, 35.7, 45.7, 55.7), 10_000},
		{"a window that is no round number", 60, openings(0, 7.9, 15.8), 8_000},
		{"a longer one is no evidence, since nobody may have asked", 60, openings(0, 70, 140), 60_000},
		{"another limit begins anew", 60, func(c *talk) {
			openings(0, 10)(c)
			c.send(15, Answer{Status: 200, Known: true, Limit: 60, Remaining: 59})
			openings(20)(c)
		}, 60_000},
		{"what remains beyond the window lengthens it at once", 10, func(c *talk) { c.send(0, served(10)); c.send(5, refused(50, true)) }, 50_000},
		{"what remains of a window whose opening was seen tells all of it", 10, func(c *talk) { c.send(0, served(29)); c.send(9, refused(51, true)) }, 60_000},
		{"what remains within the window says nothing", 60, func(c *talk) { c.send(0, served(29)); c.send(9, refused(51, true)) }, 60_000},
		{"a refusal without headers lengthens, too", 10, func(c *talk) { c.send(0, served(29)); c.send(9, refused(50, false)) }, 50_000},
		{"a refusal without headers never shortens", 60, func(c *talk) {
			openings(0)(c)
			c.send(1, refused(1, false))
			c.send(3, refused(1, false))
		}, 60_000},
		{"a day is a penalty, not a window", 60, func(c *talk) { c.send(0, refused(86_400, true)) }, 60_000},
		{"no Retry-After, no window", 10, func(c *talk) { c.send(0, Answer{Status: 429, Known: true, Limit: 30}) }, 10_000},
		{"a shorter window that was too short is taken back", 60, func(c *talk) {
			openings(0, 10, 20)(c)
			c.send(25, refused(2, true))
		}, 60_000},
		{"and then it takes three to be believed", 60, func(c *talk) {
			openings(0, 10, 20)(c)
			c.send(25, refused(2, true))
			openings(35, 45, 55)(c)
		}, 60_000},
		{"and three are enough", 60, func(c *talk) {
			openings(0, 10, 20)(c)
			c.send(25, refused(2, true))
			openings(35, 45, 55, 65)(c)
		}, 10_000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newTalk(t, tt.declared)
			tt.talk(c)
			if got := c.s.Span.Window; got != tt.want {
				t.Errorf("window %d ms, want %d: %+v", got, tt.want, c.s.Span)
			}
		})
	}
}

func TestWhoOnlyAsksDeclaresNoWindow(t *testing.T) {
	worker, guest := newTalk(t, 2), policy{Limit: 30, Window: 60_000, Asks: true, Share: 1000, Timeout: 75_000}
	worker.s.acquire(origin, guest, ask{Peer: 2, Want: 1})
	if worker.s.Span.Window != 60_000 {
		t.Errorf("alone it goes by a window of %d ms", worker.s.Span.Window)
	}
	for i := range 29 { // with the guest it uses the limit up
		worker.send(1+float64(i)/100, Answer{Status: 200})
	}
	worker.s.acquire(origin+1_500, guest, ask{Peer: 2, Want: 1})
	if worker.s.Span.Window != 2_000 {
		t.Errorf("a guest has made it a window of %d ms", worker.s.Span.Window)
	}
	worker.send(4.5, Answer{Status: 200}) // nothing holds it up
}

func TestTheLongestDeclaredWindowIsInForceWhileItIsDeclared(t *testing.T) {
	var s state
	declares := func(second, window int64, want int64) {
		t.Helper()
		s.declare(origin+second*1000, policy{Window: window * 1000})
		if s.Span.Window != want*1000 {
			t.Errorf("at %d s, %d s declared: a window of %d ms, want %d s", second, window, s.Span.Window, want)
		}
	}
	declares(0, 10, 10)
	declares(1, 60, 60)
	declares(2, 10, 60)
	declares(50, 60, 60)
	declares(109, 10, 60)
	declares(111, 10, 10) // nobody has declared 60 s for a minute
}

func TestTheRoundestWindowThatFits(t *testing.T) {
	for _, tt := range []struct {
		name                 string
		longer, atMost, want int64
	}{
		{"the minute", 57_000, 61_500, 60_000},
		{"the second", 9_300, 10_900, 10_000},
		{"none that is known to be too short", 10_400, 10_900, 10_900},
		{"none that is far", 0, 2_700, 2_700},
		{"a round one where little is known", -5_000, 2_300, 2_000},
		{"less than a second", 0, 800, 800},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := likely(tt.longer, tt.atMost); got != tt.want {
				t.Errorf("likely(%d, %d) = %d, want %d", tt.longer, tt.atMost, got, tt.want)
			}
		})
	}
}
