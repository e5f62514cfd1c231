package ratelimit

const (
	whyFull    = 1 // the quota is used up
	whyPace    = 2 // spreading what is left over the window
	whyRefused = 3 // a 429 told to wait
	whyFailing = 4 // repeated failures
	whyProbe   = 5 // one request is finding out
)

// next is when the next request may leave, and what it waits for; a time that
// has passed means now. With others ahead it is when half of them will have
// left: who asks again then is not late even if things have moved on.
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
	case s.credits(p) <= 0 && len(s.Log) == 0:
		return min(now+interval, s.Flight[0].At+p.Timeout), whyFull
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

// interval spreads the credits over what is left of the window, leaving to
// others what they have been using.
func (s *state) interval(now int64, p policy) int64 {
	credits := s.credits(p)
	if s.limit(p) == 0 || now >= s.End || credits <= 0 {
		return s.even(p)
	}
	left := 1000 * credits
	left = max(left-s.Others*(s.End-now)/p.Window, left/2)
	return 1000 * (s.End - now) / left
}

// even is the interval when the end of the window is not known.
func (s *state) even(p policy) int64 {
	if s.limit(p) == 0 {
		return 0
	}
	return p.Window / s.limit(p)
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
	return s.silent(now, p) || s.scarce(p)
}

// silent says that nothing was heard for so long that anything may have changed.
func (s *state) silent(now int64, p policy) bool { return now-s.Heard > p.Window/3 }

// scarce says that others may take the last credits at any moment, so that
// they go one by one, each as soon as the answer before it is known.
func (s *state) scarce(p policy) bool {
	return s.limit(p) > 0 && s.Others >= 1000 && s.credits(p) <= fewLeft
}

// awaited is when the request left that has to find out, if its answer may
// still come. After failures that is worth the whole timeout of a request.
func (s *state) awaited(now int64, p policy) (asked int64, ok bool) {
	if len(s.Flight) == 0 || !s.alone(now, p) {
		return 0, false
	}
	patience := p.Window / 6
	if s.Failures > 0 {
		patience = p.Timeout
	}
	asked = s.Flight[len(s.Flight)-1].At
	return asked, asked >= s.Block && now < asked+patience
}

// poll is the pause before looking again for what may come at any moment.
func poll(waited int64) int64 { return max(5, waited/16) }
