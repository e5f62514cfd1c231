package ratelimit

// state is all that is known about the quota of one token. Its methods decide; they get
// the time, in milliseconds. core.lua does the same inside Redis for all processes, and
// a test holds the two equal.
type state struct {
	ID    int64 `json:"id"`    // tells permits of this state from those of one that was lost
	Clock int64 `json:"clock"` // the latest time seen; it never goes backwards
	Ahead int64 `json:"ahead"` // of the server's clock, since that went backwards: this one goes on
	Told  int64 `json:"told"`  // the server's limit; 0 until it told one
	Span  span  `json:"span"`  // the server's window

	Log    []entry  `json:"log,omitempty"`    // requests that count, by the time they were made
	Flight []flight `json:"flight,omitempty"` // permits not reported yet, in their order
	Peers  []peer   `json:"peers,omitempty"`  // processes seen lately

	Granted int64 `json:"granted"` // permits ever given
	Expired int64 `json:"expired"` // requests that ran out of the log or were dropped from it

	Paced int64 `json:"paced"` // when the last request was due
	End   int64 `json:"end"`   // the server's window ends by then, if that is ahead
	Heard int64 `json:"heard"` // when an answer came last; 0: what it told is in doubt

	Block    int64 `json:"block"`    // no request before then
	Why      int64 `json:"why"`      // the reason for Block
	Failures int64 `json:"failures"` // failed requests in a row
	Lost     int64 `json:"lost"`     // 1: an answer was lost, and no probe has succeeded since
	Probe    int64 `json:"probe"`    // the permit of the latest probe

	Others   int64 `json:"others"`    // thousandths of requests per window by others on the token
	OthersAt int64 `json:"others_at"` // when Others was last aged
}

type entry struct {
	At     int64 `json:"at"` // when it was made, at the latest; it runs out a window later
	Ours   int64 `json:"ours"`
	Others int64 `json:"others"`
}

// A flight is a permit, or several in a row that were granted together: each call of the
// script reads and writes all of them.
type flight struct {
	Serial int64 `json:"serial"`
	More   int64 `json:"more,omitempty"` // permits after that one
	At     int64 `json:"at"`             // when they were granted
}

type peer struct {
	ID    int64 `json:"id"`
	Since int64 `json:"since"` // when the longest waiting of its callers came; 0: none waits
	Back  int64 `json:"back"`  // when it was told to ask again
}

// policy is what the caller brings to every call.
type policy struct {
	Limit   int64 // while the server tells none; 0: unlimited
	Window  int64 // as this process declares it
	Asks    bool  // a guest for a request or two, whose window does not count
	Fixed   bool  // the window is made up, and no answer can tell of it
	Share   int64 // thousandths of the limit that are ours to use
	Timeout int64 // after which a permit without a report was lost with its worker
	Burst   int64 // requests an idle token may send at once; 0: two fifths of the limit
}

const (
	patience      = 3        // failures in a row before they block
	firstBlock    = 1_000    // after that, doubling up to
	longestBlock  = 64_000   // this
	batchAhead    = 500      // permits taken in one call are worth at most this time
	mostAtOnce    = 100      // and the limit divided by this: no answer tells of the others in its call
	longestMemory = 600_000  // of a process that is not seen any more
	lateness      = 1_000    // a peer that is later than this loses its turn
	logEntries    = 500      // that the log has at the most, about
	fewLeft       = int64(3) // with others about, the last credits go one by one

	lookAgain           = 1_500 // how often a blocked process looks whether a person has lifted the block
	logEntriesUnlimited = 10    // in place of logEntries while no limit is known
)

// ask is a request for permits by a process.
type ask struct {
	Peer   int64
	Waited int64 // how long its longest waiting caller has waited
	Want   int64
}

// reply tells what was granted, when to ask next, and how the quota stands.
type reply struct {
	Permits int64 // how many, from Permit.serial on
	Permit  Permit
	Wait    int64
	Limit   int64 // 0: none known
	Others  int64 // thousandths of requests per window
	Peers   int64
	Window  int64
	Blocked int64 // for how long yet; 0: not
	Why     int64 // the reason for Blocked
	Lost    int64
}

// acquire grants what may leave now, to the process whose turn it is.
func (s *state) acquire(now int64, p policy, a ask) reply {
	now = s.advance(now, p)
	me := s.peer(now, a)
	at, _ := s.next(now, p, 0)
	ahead, _ := s.ahead(now, me)
	recent := s.recent(now)
	var n int64
	if at <= now && ahead == 0 {
		n = s.grant(now, at, p, a.Want)
	}
	var permit Permit
	if n > 0 {
		permit = Permit{Probe: s.Lost > 0, state: s.ID, serial: s.Granted - n + 1, counted: s.Granted - n - recent, expired: s.Expired}
		s.Peers[me].Since = 0
		if permit.Probe {
			s.Probe = permit.serial
		}
	}
	r := s.reply(now, p, me)
	r.Permits, r.Permit = n, permit
	return r
}

// reply tells me how the quota stands, and when to ask next.
func (s *state) reply(now int64, p policy, me int) reply {
	r := reply{
		Wait: s.wait(now, p, me), Limit: s.limit(p), Others: s.Others, Peers: int64(len(s.Peers)),
		Window: s.Span.Window, Blocked: max(0, s.Block-now), Why: s.Why, Lost: s.Lost,
	}
	if r.Blocked > 0 {
		r.Wait = min(r.Wait, lookAgain)
	}
	s.Peers[me].Back = now + r.Wait
	return r
}

// grant gives up to want permits, due since at.
func (s *state) grant(now, at int64, p policy, want int64) int64 {
	n := want
	interval := s.interval(now, p)
	if s.limit(p) > 0 {
		n = min(n, max(1, s.credits(p)), max(1, s.limit(p)/mostAtOnce))
		if interval > 0 {
			n = min(n, 1+(now+batchAhead-at)/interval)
		}
	}
	if s.alone(now, p) {
		n = 1
	}
	s.Flight = append(s.Flight, flight{Serial: s.Granted + 1, More: n - 1, At: now})
	s.Granted += n
	s.Paced = at + (n-1)*interval
	return n
}

// outcome is what an answer means to the quota.
type outcome struct {
	Counted    bool // the server counted it, as far as we know
	Answered   bool
	Failed     bool
	Refused    bool
	Held       bool  // the platform takes no work for a while
	Lost       bool  // its answer: it may have been carried out
	RetryAfter int64 // of a refusal or while held, with slack; 0: not told
	Limit      int64 // of the headers; 0: there were none
	Remaining  int64
}

// told is what became of a permit. The zero outcome gives it back.
type told struct {
	permit  Permit
	outcome outcome
}

// report takes what became of permits. If one is of a state that was lost, only what
// blocks all processes counts of its outcome.
func (s *state) report(now int64, p policy, who int64, all []told) reply {
	now = s.advance(now, p)
	for _, t := range all {
		if a := t.outcome; t.permit.state == s.ID {
			s.learn(now, p, t.permit, a)
		} else if a.Refused {
			a.Limit = 0
			s.refuse(now, p, 0, a)
		} else if a.Held || a.Lost {
			s.fail(now, a)
		}
	}
	return s.reply(now, p, s.peer(now, ask{Peer: who}))
}

// learn takes in an answer: a request that counted enters the log, to run out a
// window from now, since it is not known when before that the server counted it.
func (s *state) learn(now int64, p policy, permit Permit, a outcome) {
	pending := s.Granted - permit.counted - 1 // of ours, those the answer may not include
	silent := s.silent(now)
	left, flew := s.land(permit.serial) // else it was given up meanwhile
	if flew && a.Counted {
		if s.Told == 0 && a.Limit == 0 && s.used() == 0 {
			s.Span.open(now, left) // as far as a server tells that has no headers
		}
		s.book(now, p, entry{Ours: 1})
	}
	if a.Answered {
		s.Heard = now
	}
	if flew && a.Limit > 0 {
		s.correct(now, p, permit, a, pending, left, silent)
	}
	switch {
	case a.Refused:
		s.refuse(now, p, left, a)
	case a.Failed || a.Held || a.Lost:
		s.fail(now, a)
	case a.Answered:
		s.Failures = 0
		if permit.serial == s.Probe && !p.Asks {
			s.Lost = 0
		}
	}
}

// correct brings what we believe to be left into the interval that the server's
// answer allows: not more than it said plus what ran out since the request was
// granted, not less than it said minus what it may not have counted yet.
func (s *state) correct(now int64, p policy, permit Permit, a outcome, pending, sent int64, silent bool) {
	changed := s.Told != a.Limit
	s.Told = a.Limit
	left := s.Told - s.used()
	var dropped int64
	if over := left - a.Remaining - (s.Expired - permit.expired); over > 0 {
		s.book(now, p, entry{Others: over})
		if !changed && !silent {
			s.Others += 1000 * over
		}
	} else if under := a.Remaining - pending - left; under > 0 {
		dropped = s.drop(now, under)
	}
	counted := a.Limit - a.Remaining
	s.measure(now, sent, counted <= s.Granted-permit.serial+1+s.foreign(a.Limit), dropped > 0, changed)
	if counted <= 1+pending+a.Limit/8 && (dropped > a.Limit/4 || now >= s.End) {
		s.End = now + s.Span.Window // it has just opened
	}
}

// refuse blocks until the server will have forgotten what it counted. Without
// headers it was a proxy that refused, and little is known of the server.
func (s *state) refuse(now int64, p policy, sent int64, a outcome) {
	wait := a.RetryAfter
	if wait == 0 {
		wait = s.Span.Window / 6
	} else if sent > 0 && !p.Fixed {
		s.stretch(now, p, sent, a)
	}
	if until := now + wait; until > s.Block {
		s.Block, s.Why = until, whyRefused
	}
	if a.Limit > 0 {
		for i := range s.Log {
			s.Log[i].At = min(s.Log[i].At, s.Block-s.Span.Window)
		}
		s.End = s.Block
	}
	s.Heard = 0
}

// fail blocks after repeated failures, longer each time; at once when the answer
// was lost or the platform itself asks to wait. Failures of requests that were
// under way when the block began say nothing new.
func (s *state) fail(now int64, a outcome) {
	why := int64(whyFailing)
	switch {
	case a.Lost:
		s.Lost, why = 1, whyLost
	case a.Held:
		why = whyHeld
	}
	var until int64
	if now >= s.Block {
		s.Failures++
		if a.Lost || a.Held {
			s.Failures = max(s.Failures, patience)
		}
		until = now + backOff(s.Failures)
	}
	if a.Held {
		until = max(until, now+a.RetryAfter)
	}
	if until > now && until > s.Block {
		s.Block, s.Why, s.Heard = until, why, 0
	}
}

// backOff is the wait after this many failures in a row.
func backOff(failures int64) int64 {
	if failures < patience {
		return 0
	}
	wait := int64(firstBlock)
	for i := int64(patience); i < failures && wait < longestBlock; i++ {
		wait *= 2
	}
	return wait
}

// lift ends a block, on a person's word, and says for how long it would have
// lasted and why. What was learned from the answer that blocked goes with it; a
// lost answer still asks for a probe.
func (s *state) lift(now int64) (left, why int64) {
	now = s.tick(now)
	if left = max(0, s.Block-now); left > 0 {
		why = s.Why
	}
	s.Block, s.Why, s.End, s.Failures = 0, 0, 0, 0
	s.Span.Learned = 0
	return left, why
}
