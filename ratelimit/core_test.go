package ratelimit

import "testing"

const t0 = 1_700_000_000_000

// quiet is a state of which everything is known, with a limit and some requests of
// ours in its window.
func quiet(limit, ours int64) state {
	return state{ID: 1, Clock: t0, Told: limit, Heard: t0, OthersAt: t0, Span: span{Window: 60_000}, Log: []entry{{At: t0, Ours: ours}}}
}

var plain = policy{Limit: 30, Window: 60_000, Share: 1000, Timeout: 75_000}

func TestHowManyLeaveAtOnce(t *testing.T) {
	for _, tt := range []struct {
		name  string
		state state
		want  int64
	}{
		{"a hundredth of the limit: no answer tells of the others", quiet(1000, 0), 10},
		{"no more than there are credits", quiet(1000, 995), 5},
		{"the last ones go one by one while others may take them", func() state {
			s := quiet(1000, 997)
			s.Others = 2000
			return s
		}(), 1},
		{"one that finds out what is lost", func() state {
			s := quiet(1000, 0)
			s.Lost = 1
			return s
		}(), 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			at, _ := tt.state.next(t0, plain, 0)
			if got := tt.state.grant(t0, at, plain, 20); at > t0 || got != tt.want || tt.state.inFlight() != got {
				t.Errorf("%d leave at %d, %d are in flight, want %d", got, at-t0, tt.state.inFlight(), tt.want)
			}
		})
	}
}

func TestWhenTheNextMayLeave(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*state)
		want int64 // ms from now
	}{
		{"what is left is spread over the window", func(s *state) { s.Paced, s.End = t0, t0+40_000 }, 2000},
		{"a long pause saves up two fifths of the limit, and no more", func(s *state) { s.Paced = t0 - 3_600_000 }, -12*2000 + 2000},
		{"others get what they have been using", func(s *state) { s.Paced, s.End, s.Others = t0, t0+30_000, 15_000 }, 2400},
		{"but never more than half", func(s *state) { s.Paced, s.End, s.Others = t0, t0+30_000, 60_000 }, 3000},
		{"a block ends first", func(s *state) { s.Block = t0 + 500 }, 500},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := quiet(30, 10)
			tt.edit(&s)
			if at, _ := s.next(t0, plain, 0); at != t0+tt.want {
				t.Errorf("in %d ms, want %d", at-t0, tt.want)
			}
		})
	}
}

// Redis's clock was three hours ahead, and is set right. What was used counts for as long as
// before, and no longer.
func TestAClockThatIsSetBackHoldsNobodyUp(t *testing.T) {
	s, right := quiet(30, 30), int64(t0-3*60*60*1000)
	for _, tt := range []struct{ after, want int64 }{{0, 0}, {61_000, 1}} {
		if got := s.acquire(right+tt.after, plain, ask{Peer: 1, Want: 1}).Permits; got != tt.want {
			t.Errorf("%d ms after that %d may leave, want %d", tt.after, got, tt.want)
		}
	}
	s.Block, s.Why = s.Clock+40_000, 1
	if left, _ := s.lift(right + 71_000); left != 30_000 {
		t.Errorf("a block lasts %d ms", left)
	}
}

func TestTheShareIsKept(t *testing.T) {
	s := quiet(30, 20)
	p := plain
	if p.Share = 700; s.credits(p) != 1 {
		t.Errorf("%d left of a share of 21 with 20 used", s.credits(p))
	}
}

func TestTheLogStaysShort(t *testing.T) {
	s := quiet(30, 0)
	s.Log = nil
	for _, at := range []int64{1, 50, 120, 121} { // 500 entries a minute: one every 120 ms
		s.book(t0+at, plain, entry{Ours: 1})
	}
	if len(s.Log) != 2 || s.used() != 4 || s.Log[0].At < t0+1 || s.Log[1].At < t0+121 {
		t.Errorf("log %+v, want two entries that run out late rather than early", s.Log)
	}
}

func TestWhatTheServerForgotLast(t *testing.T) {
	s := quiet(30, 0)
	s.Log = nil
	s.Flight = []flight{{Serial: 1, At: t0 - 60_000/6}, {Serial: 2, At: t0 - 1}}
	if n := s.drop(t0, 2); n != 1 || len(s.Flight) != 1 || s.Flight[0].Serial != 2 {
		t.Errorf("dropped %d, in flight %+v: the second may not have arrived", n, s.Flight)
	}
}

func TestBlocks(t *testing.T) {
	for _, tt := range []struct {
		name     string
		edit     func(*state)
		answer   outcome
		block    int64 // ms from now
		failures int64
	}{
		{"a success ends a run of failures", func(s *state) { s.Failures = 2 }, outcome{Counted: true, Answered: true}, 0, 0},
		{"the third failure blocks", func(s *state) { s.Failures = 2 }, outcome{Failed: true}, firstBlock, 3},
		{"the second does not", func(s *state) { s.Failures = 1 }, outcome{Failed: true}, 0, 2},
		{"failures that were under way when it began say nothing new",
			func(s *state) { s.Failures, s.Block = 3, t0+firstBlock }, outcome{Failed: true}, firstBlock, 3},
		{"the longest", func(s *state) { s.Failures = 40 }, outcome{Failed: true}, longestBlock, 41},
		{"a lost answer blocks at once", func(*state) {}, outcome{Lost: true}, firstBlock, 3},
		{"the platform's own wish holds", func(*state) {}, outcome{Held: true, RetryAfter: 90_000}, 90_000, 3},
		{"a 429 that tells nothing blocks for a while", func(*state) {}, outcome{Refused: true}, 10_000, 0},
		{"a shorter wait ends no longer block", func(s *state) { s.Block = t0 + 60_000 }, outcome{Refused: true, RetryAfter: 5000}, 60_000, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := quiet(30, 10)
			s.Granted, s.Flight = 1, []flight{{Serial: 1, At: t0}}
			tt.edit(&s)
			s.report(t0, plain, 1, []told{{Permit{state: s.ID, serial: 1}, tt.answer}})
			if block := max(0, s.Block-t0); block != tt.block || s.Failures != tt.failures {
				t.Errorf("blocked for %d ms after %d failures, want %d and %d", block, s.Failures, tt.block, tt.failures)
			}
		})
	}
}

func TestALostStatesRefusalIsHeard(t *testing.T) {
	s := quiet(30, 10)
	s.report(t0, plain, 1, []told{{Permit{state: s.ID + 1, serial: 1}, outcome{Refused: true, RetryAfter: 5000, Limit: 10}}})
	if s.Block != t0+5000 || s.Told != 30 {
		t.Errorf("blocked until %d, told %d: want a block and nothing learned", s.Block-t0, s.Told)
	}
}

func TestLiftForgetsWhyItWasBlocked(t *testing.T) {
	s := quiet(30, 10)
	s.Block, s.Why, s.Failures, s.End = t0+9000, whyFailing, 7, t0+9000
	if left, why := s.lift(t0); left != 9000 || why != whyFailing {
		t.Errorf("lifted %d ms, why %d", left, why)
	}
	if s.fail(t0, outcome{Failed: true}); s.Block != 0 || s.Failures != 1 || s.End != 0 {
		t.Errorf("the first failure after it: blocked until %d, %d failures", s.Block, s.Failures)
	}
}
