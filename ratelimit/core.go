package ratelimit

import "slices"

// state is all that is known about the quota of one token. Its methods decide;
// time is passed in, in milliseconds. core.lua does the same inside Redis, where
// all workers share it, and a test holds the two equal.
type state struct {
	ID    int64 `json:"id"`    // tells tickets of this state from those of one that was lost
	Clock int64 `json:"clock"` // the latest time seen; it never runs backwards
	Told  int64 `json:"told"`  // the server's limit; 0 until it told one

	Log    []entry  `json:"log,omitempty"`    // requests that count, by the time they run out
	Flight []flight `json:"flight,omitempty"` // tickets not reported yet, oldest first
	Peers  []peer   `json:"peers,omitempty"`  // processes seen within the last window

	Granted int64 `json:"granted"` // tickets ever given
	Expired int64 `json:"expired"` // requests that ran out of the log or were dropped from it

	Paced int64 `json:"paced"` // when the last request was due
	End   int64 `json:"end"`   // the server's window ends by then, if that is ahead
	Heard int64 `json:"heard"` // when an answer came last

	Block    int64 `json:"block"`    // no request before then
	Why      int64 `json:"why"`      // the reason for Block
	Unsure   bool  `json:"unsure"`   // one request has to find out before others follow
	Failures int64 `json:"failures"` // failed requests in a row

	Others   int64 `json:"others"`    // thousandths of requests per window by others on the token
	OthersAt int64 `json:"others_at"` // when Others was last aged
}

type entry struct {
	At     int64 `json:"at"` // when it runs out
	Ours   int64 `json:"ours"`
	Others int64 `json:"others"`
}

type flight struct {
	Serial int64 `json:"serial"`
	At     int64 `json:"at"` // when it was granted
}

type peer struct {
	ID    int64 `json:"id"`
	Since int64 `json:"since"` // when the longest waiting of its callers came; 0: none waits
	Back  int64 `json:"back"`  // when it was told to ask again
}

// policy is what the caller brings to every call.
type policy struct {
	Limit   int64 // while the server tells none; 0: unlimited
	Window  int64
	Share   int64 // thousandths of the limit that are ours to use
	Timeout int64 // after which a ticket is lost with its worker
	Burst   int64 // requests an idle token may send at once; 0: two fifths of the limit
}

const (
	whyFull    = 1 // the quota is used up
	whyPace    = 2 // spreading what is left over the window
	whyRefused = 3 // a 429 told to wait
	whyFailing = 4 // repeated failures
	whyProbe   = 5 // one request is finding out
)

const (
	patience     = 3         // failures in a row before they block
	firstBlock   = 1_000     // of failures, doubling up to
	longestBlock = 64_000    //
	batchAhead   = 500       // tickets taken in one call are worth at most this time
	lateness     = 1_000     // a peer that is later than this loses its turn
	fewLeft      = int64(3)  // with others about, the last credits go one by one
	marginParts  = int64(20) // of the window is kept to use up what is left
)

// ask is a request for tickets by a process.
type ask struct {
	Peer   int64
	Waited int64 // how long its longest waiting caller has waited
	Want   int64
}

// reply tells what was granted, and when to ask next.
type reply struct {
	Tickets int64 // how many, from Ticket.serial on
	Ticket  Ticket
	Wait    int64
	Limit   int64 // 0: none known
	Others  int64 // thousandths of requests per window
	Peers   int64
}

func (s *state) acquire(now int64, p policy, a ask) reply {
	now = s.advance(now, p)
	me := s.peer(now, p, a)
	at, _ := s.next(now, p, 0)
	ahead, _ := s.ahead(now, me)
	recent := s.recent(now, p)
	var n int64
	if at <= now && ahead == 0 {
		n = s.grant(now, at, p, a.Want)
	}
	r := reply{Tickets: n, Limit: s.limit(p), Others: s.Others, Peers: int64(len(s.Peers))}
	if n > 0 {
		r.Ticket = Ticket{state: s.ID, serial: s.Granted - n + 1, counted: s.Granted - n - recent, expired: s.Expired}
		s.Peers[me].Since = 0
	}
	r.Wait = s.wait(now, p, me)
	s.Peers[me].Back = now + r.Wait
	return r
}

// report takes what became of a ticket. The zero outcome gives it back.
func (s *state) report(now int64, p policy, who int64, t Ticket, a outcome) reply {
	now = s.advance(now, p)
	if t.state == s.ID {
		s.learn(now, p, t, a)
	} else if a.Refused {
		s.refuse(now, outcome{RetryAfter: a.RetryAfter})
	}
	me := s.peer(now, p, ask{Peer: who})
	r := reply{Limit: s.limit(p), Others: s.Others, Peers: int64(len(s.Peers)), Wait: s.wait(now, p, me)}
	s.Peers[me].Back = now + r.Wait
	return r
}

// outcome is what an answer means to the quota.
type outcome struct {
	Counted    bool // the server counted it, as far as we know
	Answered   bool
	Failed     bool
	Refused    bool
	RetryAfter int64 // of a refusal
	Limit      int64 // of the headers; 0: there were none
	Remaining  int64
}

func (s *state) learn(now int64, p policy, t Ticket, a outcome) {
	pending := s.Granted - t.counted - 1 // of ours, those the answer may not include
	silent := s.silent(now, p)
	flew := s.land(t.serial) // else it was given up meanwhile
	if flew && a.Counted {
		s.book(now+p.Window, p, entry{Ours: 1})
	}
	if a.Answered {
		s.Heard = now
	}
	if flew && a.Limit > 0 {
		s.correct(now, p, t, a, pending, silent)
	}
	switch {
	case a.Refused:
		s.refuse(now, a)
	case a.Failed:
		s.fail(now)
	case a.Answered:
		s.Failures, s.Unsure = 0, false
	}
}

// correct brings what we believe to be left into the interval that the server's
// answer allows: not more than it said plus what ran out since the request was
// granted, not less than it said minus what it may not have counted yet.
func (s *state) correct(now int64, p policy, t Ticket, a outcome, pending int64, silent bool) {
	changed := s.Told != a.Limit
	s.Told = a.Limit
	left := s.Told - s.used()
	var dropped int64
	if over := left - a.Remaining - (s.Expired - t.expired); over > 0 {
		s.book(now+p.Window, p, entry{Others: over})
		if !changed && !silent {
			s.Others += 1000 * over
		}
	} else if under := a.Remaining - pending - left; under > 0 {
		dropped = s.drop(now, p, under)
	}
	if (dropped > a.Limit/4 || now >= s.End) && a.Limit-a.Remaining <= 1+pending+a.Limit/8 {
		s.End = now + p.Window // it has just opened
		if !silent {
			s.Paced = now
		}
	}
}

// refuse blocks until the server will have forgotten what it counted. Without
// headers it was a proxy that refused, and nothing is known of the server.
func (s *state) refuse(now int64, a outcome) {
	if until := now + a.RetryAfter; until > s.Block {
		s.Block, s.Why = until, whyRefused
	}
	if a.Limit > 0 {
		for i := range s.Log {
			s.Log[i].At = min(s.Log[i].At, s.Block)
		}
		s.End = s.Block
	}
	s.Unsure = true
}

// fail blocks after repeated failures, longer each time. Failures of requests
// that were under way when the block began say nothing new.
func (s *state) fail(now int64) {
	if now < s.Block {
		return
	}
	s.Failures++
	if s.Failures < patience {
		return
	}
	wait := int64(firstBlock)
	for i := int64(patience); i < s.Failures && wait < longestBlock; i++ {
		wait *= 2
	}
	s.Block, s.Why, s.Unsure = now+wait, whyFailing, true
}

// next is when the next request may leave, and what it waits for; a time that
// has passed means now. With others ahead it is when half of them will have
// left: who asks again then is not late even if things have moved on.
func (s *state) next(now int64, p policy, ahead int64) (at, why int64) {
	interval := s.interval(now, p)
	queue := ahead
	if s.Others >= 1000 && s.credits(p) <= 2*fewLeft {
		queue = max(0, queue-2)
	}
	queue *= min(interval, s.even(p)) / 2
	switch {
	case now < s.Block:
		return s.Block + queue, s.Why
	case s.limit(p) == 0:
		at = now
	case s.credits(p) <= 0 && len(s.Log) == 0:
		return now + interval, whyFull
	case s.credits(p) <= 0:
		return s.Log[0].At + queue, whyFull
	case s.scarce(p):
		at = now + queue
	default:
		at = max(s.Paced, now-s.burst(p)*interval) + interval + queue
	}
	if asked, ok := s.awaited(now, p); ok { // ask soon, but less and less often
		return max(at, now+poll(now-asked)), whyProbe
	}
	return at, whyPace
}

// poll is the pause before looking again for what may come at any moment.
func poll(waited int64) int64 { return max(5, waited/16) }

// burst is how many requests may leave at once on an idle token.
func (s *state) burst(p policy) int64 {
	if p.Burst > 0 {
		return p.Burst
	}
	return max(1, s.limit(p)*2/5)
}

// interval spreads the credits over what is left of the window, leaving to
// others what they have been using. In the last part of it all may go.
func (s *state) interval(now int64, p policy) int64 {
	credits := s.credits(p)
	if s.limit(p) == 0 || now >= s.End || credits <= 0 {
		return s.even(p)
	}
	left := 1000 * credits
	left = max(left-s.Others*(s.End-now)/p.Window, left/2)
	return 1000 * max(0, s.End-p.margin()-now) / left
}

// even is the interval when the end of the window is not known.
func (s *state) even(p policy) int64 {
	if s.limit(p) == 0 {
		return 0
	}
	return (p.Window - p.margin()) / s.limit(p)
}

// margin is kept at the end of a window to use up what is left.
func (p policy) margin() int64 { return p.Window / marginParts }

// grant gives up to want tickets, due since at.
func (s *state) grant(now, at int64, p policy, want int64) int64 {
	n := want
	interval := s.interval(now, p)
	if s.limit(p) > 0 {
		n = min(n, s.credits(p))
		if interval > 0 {
			n = min(n, 1+(now+batchAhead-at)/interval)
		}
	}
	if s.alone(now, p) {
		n = 1
	}
	for range n {
		s.Granted++
		s.Flight = append(s.Flight, flight{Serial: s.Granted, At: now})
	}
	s.Paced = at + (n-1)*interval
	return n
}

// alone says that one request has to find out before the next may follow.
func (s *state) alone(now int64, p policy) bool {
	return s.Unsure || s.silent(now, p) || s.scarce(p)
}

// awaited is when the request left that has to find out, if its answer may
// still come. After failures that is worth the whole timeout of a request.
func (s *state) awaited(now int64, p policy) (asked int64, ok bool) {
	if len(s.Flight) == 0 || !s.alone(now, p) {
		return 0, false
	}
	patience := p.Window / 6
	if s.Unsure {
		patience = p.Timeout
	}
	asked = s.Flight[len(s.Flight)-1].At
	return asked, asked >= s.Block && now < asked+patience
}

// scarce says that others may take the last credits at any moment, so that
// they go one by one, each as soon as the answer before it is known.
func (s *state) scarce(p policy) bool {
	return s.limit(p) > 0 && s.Others >= 1000 && s.credits(p) <= fewLeft
}

// silent says that nothing was heard for so long that anything may have changed.
func (s *state) silent(now int64, p policy) bool { return now-s.Heard > p.Window/3 }

// limit is 0 when there is none.
func (s *state) limit(p policy) int64 {
	if s.Told > 0 {
		return s.Told
	}
	return p.Limit
}

// used counts the requests that the server has not forgotten.
func (s *state) used() int64 {
	n := int64(len(s.Flight))
	for _, e := range s.Log {
		n += e.Ours + e.Others
	}
	return n
}

// credits is what is left for us.
func (s *state) credits(p policy) int64 {
	limit := s.limit(p)
	ours := int64(len(s.Flight))
	for _, e := range s.Log {
		ours += e.Ours
	}
	return min(limit-s.used(), max(1, limit*p.Share/1000)-ours)
}

// advance brings the state to now: what has run out no longer counts, and a
// ticket nobody reported counts as used.
func (s *state) advance(now int64, p policy) int64 {
	now = max(now, s.Clock)
	s.Clock = now
	for len(s.Log) > 0 && s.Log[0].At <= now {
		s.Expired += s.Log[0].Ours + s.Log[0].Others
		s.Log = s.Log[1:]
	}
	for len(s.Flight) > 0 && s.Flight[0].At+p.Timeout <= now {
		s.land(s.Flight[0].Serial)
		s.book(now+p.Window, p, entry{Ours: 1})
	}
	if age := now - s.OthersAt; age > p.Window/60 {
		s.Others -= s.Others * min(age, p.Window) / p.Window
		s.OthersAt = now
	}
	return now
}

// book adds to the log what runs out at a time, rounded so that the log stays
// short at any limit.
func (s *state) book(at int64, p policy, e entry) {
	grain := max(1, p.Window/500)
	e.At = (at + grain - 1) / grain * grain
	last := len(s.Log) - 1
	if last >= 0 && s.Log[last].At >= e.At {
		s.Log[last].Ours += e.Ours
		s.Log[last].Others += e.Others
		return
	}
	s.Log = append(s.Log, e)
}

// drop takes up to n of the oldest requests out and says how many there were.
// A ticket that has been in flight for long is one of them.
func (s *state) drop(now int64, p policy, n int64) int64 {
	var dropped int64
	for n > dropped {
		if len(s.Flight) > 0 && s.settled(now, p, s.Flight[0]) && (len(s.Log) == 0 || s.Flight[0].At+p.Window < s.Log[0].At) {
			s.Flight = s.Flight[1:]
			dropped++
			continue
		}
		if len(s.Log) == 0 {
			break
		}
		e := &s.Log[0]
		ours := min(n-dropped, e.Ours)
		others := min(n-dropped-ours, e.Others)
		e.Ours -= ours
		e.Others -= others
		dropped += ours + others
		if e.Ours+e.Others == 0 {
			s.Log = s.Log[1:]
		}
	}
	s.Expired += dropped
	return dropped
}

// settled says that the server has counted a ticket's request, or never will.
func (s *state) settled(now int64, p policy, f flight) bool { return now >= f.At+p.Window/6 }

// recent counts the tickets in flight that may not have reached the server.
func (s *state) recent(now int64, p policy) int64 {
	var n int64
	for _, f := range s.Flight {
		if !s.settled(now, p, f) {
			n++
		}
	}
	return n
}

// land takes a ticket out of flight and says whether it was there.
func (s *state) land(serial int64) bool {
	for i, f := range s.Flight {
		if f.Serial == serial {
			s.Flight = append(s.Flight[:i], s.Flight[i+1:]...)
			return true
		}
	}
	return false
}

// peer finds the asking process among those seen within the last window, puts
// it in line when it has waited, and forgets the others.
func (s *state) peer(now int64, p policy, a ask) int {
	var kept []peer
	me := -1
	for _, o := range s.Peers {
		if o.ID == a.Peer {
			me = len(kept)
		} else if now > o.Back+p.Window {
			continue
		}
		kept = append(kept, o)
	}
	if me < 0 {
		me = len(kept)
		kept = append(kept, peer{ID: a.Peer})
	}
	if a.Want > 0 && kept[me].Since == 0 {
		kept[me].Since = now - a.Waited
	}
	s.Peers = kept
	return me
}

// ahead counts the processes whose turn comes before that of me, and says when
// the first of them will be back.
func (s *state) ahead(now int64, me int) (n, back int64) {
	mine := s.Peers[me].Since
	for i, o := range s.Peers {
		waits := o.Since > 0 && now <= o.Back+lateness
		if waits && (o.Since < mine || o.Since == mine && i < me) {
			n++
			if due := max(o.Back, now+poll(now-o.Back)); n == 1 || due < back {
				back = due
			}
		}
	}
	return n, back
}

// wait is how long me should wait before it asks again.
func (s *state) wait(now int64, p policy, me int) int64 {
	var ahead, back int64
	if s.Peers[me].Since > 0 {
		ahead, back = s.ahead(now, me)
	}
	at, _ := s.next(now, p, ahead)
	return max(0, max(at, back)-now)
}

func (s *state) clone() state {
	c := *s
	c.Log = slices.Clone(s.Log)
	c.Flight = slices.Clone(s.Flight)
	c.Peers = slices.Clone(s.Peers)
	return c
}
