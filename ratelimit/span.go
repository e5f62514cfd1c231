package ratelimit

// span is what is known of the server's window: declared by a process that serves
// until the server's answers show another.
//
// The server opened its window between the moment that a request left and the
// moment that its answer said so. So the time from one opening to the next is an
// interval, too: longer than from the answer of the first to the last request that
// was still counted with it, at most as long as from leaving to answer.
type span struct {
	Window   int64 `json:"window"`
	Declared int64 `json:"declared"` // when a process that serves last declared this one
	Learned  int64 `json:"learned"`  // when the server showed it; 0: it is declared
	Proven   int64 `json:"proven"`   // 1: the server has refused a request for its sake

	Opened int64 `json:"opened"` // the server's window opened after this; 0: not known
	Seen   int64 `json:"seen"`   // and before this
	Within int64 `json:"within"` // when the last request left that was counted in it

	Shorter int64 `json:"shorter"` // the longest of the last windows, while they agree
	Agreed  int64 `json:"agreed"`  // how many those are
	Doubts  int64 `json:"doubts"`  // how often a shorter window was too short
}

const (
	shortest        = 1_000   // no shorter window is believed
	longestLearned  = 600_000 // nor is a longer one learned: what tells to wait for more is a penalty, or another limit
	longestUnproven = 20      // windows after which what was learned without headers is forgotten
	mostDoubts      = 6       // more make no difference
	slackMillis     = 1_000   // that is added to what a 429 tells
)

// declare puts the window of a process that serves in force, unless the server
// has shown its own. Where processes declare different ones the longest is in force
// until nobody has declared it for as long as it is: a window that changed with
// each of them would never be learned.
func (s *state) declare(now int64, p policy) {
	w := &s.Span
	if w.Learned > 0 && s.Told == 0 && now > w.Learned+longestUnproven*w.Window {
		w.Learned = 0
	}
	if w.Window != 0 && (w.Learned > 0 || p.Asks) {
		return
	}
	if p.Window >= w.Window || now > w.Declared+w.Window {
		s.setWindow(p.Window)
		if !p.Asks {
			w.Declared = now
		}
	}
}

// setWindow moves the end of the present window along.
func (s *state) setWindow(window int64) {
	if s.End > 0 {
		s.End += window - s.Span.Window
	}
	s.Span.Window = window
}

// open takes in that the server's window opened with a request that left at sent,
// or was open already.
func (w *span) open(now, sent int64) { w.Opened, w.Seen, w.Within = sent, now, sent }

// foreign is how many requests of others a window may have begun with before one
// of ours.
func (s *state) foreign(limit int64) int64 {
	if s.Others < 1000 {
		return 0
	}
	return limit / 8
}

// measure learns from an answer to a request that left at sent. fresh: it tells of
// no request before this; early: and of fewer than we believed. Those under way
// when a window opened look like that for a while.
func (s *state) measure(now, sent int64, fresh, early, changed bool) {
	w := &s.Span
	switch {
	case changed: // it speaks of another limit
		w.Opened, w.Agreed = 0, 0
		if fresh {
			w.open(now, sent)
		}
	case !fresh || sent < w.Seen+3*(w.Seen-w.Opened):
		w.Within = max(w.Within, sent)
	case early || now >= s.End:
		if w.Opened > 0 {
			s.shorten(now)
		}
		w.open(now, sent)
	default:
		w.Within = max(w.Within, sent)
	}
}

// shorten believes in a shorter window after two openings that agree, more after
// each time that it was wrong: servers that count by the clock, cleared caches
// and buckets that drain look like openings, too.
func (s *state) shorten(now int64) {
	w := &s.Span
	length := now - w.Opened
	most := w.Window
	if s.Others >= 1000 { // they may have opened it before we saw it
		most -= most / 8
	}
	length = max(shortest, likely(w.Within-w.Seen, length))
	if longer, shorter := max(length, w.Shorter), min(length, w.Shorter); w.Agreed > 0 && 4*(longer-shorter) <= longer {
		w.Agreed++
		w.Shorter = longer
	} else {
		w.Agreed, w.Shorter = 1, length
	}
	switch {
	case w.Agreed < 2+w.Doubts:
	case w.Shorter < most:
		s.setWindow(w.Shorter)
		w.Learned, w.Proven, w.Agreed = now, 0, 0
	default: // no news; the next ones may agree on less
		w.Agreed, w.Shorter = 1, length
	}
}

// stretch learns from the wait that a 429 tells: what remains of the server's
// window, which is at least as long. A refusal in a window that was shortened,
// and no other client to blame, takes that back.
func (s *state) stretch(now int64, p policy, sent int64, a outcome) {
	w := &s.Span
	told := a.RetryAfter - slackMillis
	length := told
	ours := a.Limit > 0 || s.Told == 0 // not of something in front of the server
	if ours && w.Opened > 0 && now-w.Opened <= 2*w.Window {
		length = max(length, likely(sent-w.Seen+told-slackMillis, now-w.Opened+told+slackMillis))
	}
	switch {
	case length > longestLearned:
	case length > w.Window:
		s.setWindow(length)
		w.Learned, w.Agreed = now, 0
	case ours && w.Learned > 0 && !p.Asks && w.Window < p.Window && s.Others < 1000:
		w.Learned, w.Agreed = 0, 0
		w.Doubts = min(w.Doubts+1, mostDoubts)
		s.declare(now, p)
	}
	if ours {
		w.Proven = 1
	}
}

// likely is the roundest length of a window longer than one and at most as long as
// the other, and the other where none of them is near to it.
func likely(longer, atMost int64) int64 {
	for _, unit := range [...]int64{60_000, 30_000, 10_000, 5_000, 1_000} {
		if length := atMost / unit * unit; length > longer && 6*(atMost-length) <= atMost {
			return length
		}
	}
	return atMost
}
