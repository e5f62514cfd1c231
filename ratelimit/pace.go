package ratelimit

const (
	whyFull    = 1 // the quota is used up
	whyPace    = 2 // spreading what is left over the window
	whyRefused = 3 // a 429 told to wait
	whyFailing = 4 // repeated failures
	whyProbe   = 5 // one request is finding out
	whyHeld    = 6 // the platform asks to wait, without a limit
	whyLost    = 7 // an answer was lost
)

// next is when the next request may leave, and what it waits for; a time that has
// passed means now. With other processes ahead it is when half of them will have left:
// a process that asks again then is not late even if things have moved on.
func (s *state) next(now int64, p policy, ahead int64) (at, why int64) {
	interval := s.interval(now, p)
	queue := ahead
	if s.Others >= 1000 && s.credits(p) <= 2*fewLeft {
		queue = max(0, queue-2) // awake when it comes to the last ones
	}
	queue *= min(interval, s.even(p)) / 2
	switch {
	case now < s.Block:
		return s.Block + queue, s.Why
	case s.limit(p) == 0:
		at = now
	case s.credits(p) <= 0 && !s.doubtful(now, p):
		return s.room(now, p, interval) + queue, whyFull
	case s.credits(p) <= 0:
		at = now
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

// room is when the first of the requests that use the quota up will run out, or
// it is worth looking whether the server has forgotten them already.
func (s *state) room(now int64, p policy, interval int64) int64 {
	if len(s.Log) == 0 {
		return min(now+interval, s.Flight[0].At+p.Timeout)
	}
	at := s.Log[0].At + s.Span.Window
	if s.unproven(p) {
		at = min(at, s.Heard+s.Span.Window/3+1)
	}
	return at
}

// doubtful says that the quota has been used up, and nothing heard, for so long
// that one request is to find out whether the server's window is a shorter one.
func (s *state) doubtful(now int64, p policy) bool { return s.unproven(p) && s.silent(now) }

// unproven says that the server could show a shorter window, and that none of its
// answers has shown the present one.
func (s *state) unproven(p policy) bool {
	return s.Told > 0 && s.Heard > 0 && s.Span.Proven == 0 && s.used() >= s.limit(p)
}

// interval spreads the credits over what is left of the window, leaving to
// others what they have been using.
func (s *state) interval(now int64, p policy) int64 {
	credits := s.credits(p)
	if s.limit(p) == 0 || now >= s.End || credits <= 0 {
		return s.even(p)
	}
	left := 1000 * credits
	left = max(left-s.Others*(s.End-now)/s.Span.Window, left/2)
	return 1000 * (s.End - now) / left
}

// even is the interval when the end of the window is not known.
func (s *state) even(p policy) int64 {
	if s.limit(p) == 0 {
		return 0
	}
	return s.Span.Window / s.limit(p)
}

// burst is how many requests may leave at once on an idle token.
func (s *state) burst(p policy) int64 {
	if p.Burst > 0 {
		return p.Burst
	}
	return max(1, s.limit(p)*2/5)
}

// alone says that one request has to find out before the next may follow.
func (s *state) alone(now int64, p policy) bool {
	return s.Lost > 0 || s.silent(now) || s.scarce(p)
}

// silent says that nothing was heard for so long that anything may have changed.
func (s *state) silent(now int64) bool { return now-s.Heard > s.Span.Window/3 }

// scarce says that others may take the last credits at any moment, so that
// they go one by one, each as soon as the answer before it is known.
func (s *state) scarce(p policy) bool {
	return s.limit(p) > 0 && s.Others >= 1000 && s.credits(p) <= fewLeft
}

// awaited is when the request left that has to find out, if its answer may
// still come. After failures that is worth the whole timeout of a request. A
// probe is alone: nothing may be under way when it leaves, nor leave before its
// answer is known.
func (s *state) awaited(now int64, p policy) (asked int64, ok bool) {
	if len(s.Flight) == 0 || !s.alone(now, p) {
		return 0, false
	}
	asked = s.Flight[len(s.Flight)-1].At
	if s.Lost > 0 {
		return asked, true
	}
	patience := s.Span.Window / 6
	if s.Failures > 0 {
		patience = p.Timeout
	}
	return asked, asked >= s.Block && now < asked+patience
}

// poll is the pause before looking again for what may come at any moment.
func poll(waited int64) int64 { return max(5, waited/16) }
