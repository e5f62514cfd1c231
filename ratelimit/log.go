package ratelimit

import "slices"

// limit is 0 when there is none.
func (s *state) limit(p policy) int64 {
	if s.Told > 0 {
		return s.Told
	}
	return p.Limit
}

// used counts the requests that the server has not forgotten.
func (s *state) used() int64 {
	n := s.inFlight()
	for _, e := range s.Log {
		n += e.Ours + e.Others
	}
	return n
}

// credits is what is left for us.
func (s *state) credits(p policy) int64 {
	limit := s.limit(p)
	ours := s.inFlight()
	for _, e := range s.Log {
		ours += e.Ours
	}
	return min(limit-s.used(), max(1, limit*p.Share/1000)-ours)
}

// tick is the time of the state when the server's clock says now. A clock that is set back,
// as when a replica takes over whose clock was behind, does not stop it: nothing would leave
// until that clock has caught up.
func (s *state) tick(now int64) int64 {
	s.Ahead = max(s.Ahead, s.Clock-now)
	s.Clock = now + s.Ahead
	return s.Clock
}

// advance brings the state to now: what has run out no longer counts, and a permit that
// was never reported counts as used.
func (s *state) advance(now int64, p policy) int64 {
	now = s.tick(now)
	s.declare(now, p)
	window := s.Span.Window
	for len(s.Log) > 0 && s.Log[0].At+window <= now {
		s.Expired += s.Log[0].Ours + s.Log[0].Others
		s.Log = s.Log[1:]
	}
	for len(s.Flight) > 0 && s.Flight[0].At+p.Timeout <= now {
		s.land(s.Flight[0].Serial)
		s.book(now, p, entry{Ours: 1})
	}
	if age := now - s.OthersAt; age > window/60 {
		s.Others -= s.Others * min(age, window) / window
		s.OthersAt = now
	}
	return now
}

// book adds to the log the requests made at a time, rounded up so that the log stays
// short at any limit. With no limit known it keeps about ten entries, because every
// request rewrites it, thousands of times a second.
func (s *state) book(at int64, p policy, e entry) {
	grain := max(1, s.Span.Window/logEntries)
	if s.limit(p) == 0 {
		grain = max(1, s.Span.Window/logEntriesUnlimited)
	}
	e.At = (at + grain - 1) / grain * grain
	last := len(s.Log) - 1
	if last >= 0 && s.Log[last].At >= e.At {
		s.Log[last].Ours += e.Ours
		s.Log[last].Others += e.Others
		return
	}
	s.Log = append(s.Log, e)
}

// drop takes out up to n of the oldest requests and returns how many. A permit that has
// been in flight for long, most likely a dead worker's, counts as one.
func (s *state) drop(now, n int64) int64 {
	var dropped int64
	for n > dropped {
		lost := len(s.Flight) > 0 && s.arrived(now, s.Flight[0])
		if lost && (len(s.Log) == 0 || s.Flight[0].At < s.Log[0].At) {
			s.land(s.Flight[0].Serial)
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

// land takes a permit out of flight and says when it was granted, if it was there.
func (s *state) land(serial int64) (granted int64, ok bool) {
	for i, f := range s.Flight {
		before := serial - f.Serial
		after := f.More - before
		if before < 0 || after < 0 {
			continue
		}
		var others []flight
		if before > 0 {
			others = append(others, flight{Serial: f.Serial, More: before - 1, At: f.At})
		}
		if after > 0 {
			others = append(others, flight{Serial: serial + 1, More: after - 1, At: f.At})
		}
		s.Flight = slices.Replace(s.Flight, i, i+1, others...)
		return f.At, true
	}
	return 0, false
}

// inFlight counts the permits that are not reported yet.
func (s *state) inFlight() (n int64) {
	for _, f := range s.Flight {
		n += 1 + f.More
	}
	return n
}

// arrived says that the server has counted a permit's request, or never will.
func (s *state) arrived(now int64, f flight) bool { return now >= f.At+s.Span.Window/6 }

// recent counts the permits in flight that may not have reached the server.
func (s *state) recent(now int64) int64 {
	var n int64
	for _, f := range s.Flight {
		if !s.arrived(now, f) {
			n += 1 + f.More
		}
	}
	return n
}

func (s *state) clone() state {
	c := *s
	c.Log = slices.Clone(s.Log)
	c.Flight = slices.Clone(s.Flight)
	c.Peers = slices.Clone(s.Peers)
	return c
}
