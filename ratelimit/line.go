package ratelimit

// peer finds the asking process among those seen lately, puts it in line when it
// wants permits, and forgets those that have gone.
func (s *state) peer(now int64, a ask) int {
	var kept []peer
	me := -1
	for _, o := range s.Peers {
		if o.ID == a.Peer {
			me = len(kept)
		} else if now > o.Back+min(s.Span.Window, longestMemory) {
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
