package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"strconv"
	"sync"
	"time"
)

// A ledger counts how often each number was contacted. It keeps only digits, so that
// millions of numbers stay cheap.
type ledger struct {
	mu       sync.Mutex
	counts   map[uint64]uint32
	contacts int
	repeated int // numbers contacted more than once
}

func (l *ledger) add(contacts []contact) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.contacts += len(contacts)
	for _, c := range contacts {
		l.counts[c.number]++
		if l.counts[c.number] == 2 {
			l.repeated++
		}
	}
}

// Contacted returns how often a number, in E.164, was contacted.
func (s *Server) Contacted(phone string) int {
	number, _ := parsePhone(phone)
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	return int(s.ledger.counts[number])
}

// Counts returns how often each number was contacted, for numbers contacted at least
// atLeast times: with 2 those that should not exist.
func (s *Server) Counts(atLeast int) map[string]int {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	counts := make(map[string]int)
	if atLeast > 1 && s.ledger.repeated == 0 {
		return counts
	}
	for number, n := range s.ledger.counts {
		if int(n) >= atLeast {
			counts["+"+strconv.FormatUint(number, 10)] = int(n)
		}
	}
	return counts
}

// Stats are what the platform saw since it started or was last reset, without the
// requests to /sandbox/.
type Stats struct {
	Requests int `json:"requests"`
	Contacts int `json:"contacts"` // conversations begun
	Numbers  int `json:"numbers"`  // different numbers among them
	Repeated int `json:"repeated"` // numbers contacted more than once

	CutBefore        int `json:"cut_before"`         // reset or left hanging before the work
	CutAfter         int `json:"cut_after"`          // reset, left hanging or lost by a gateway after the work
	CutAfterContacts int `json:"cut_after_contacts"` // contacts of those
	Abandoned        int `json:"abandoned"`          // the client left before the answer

	TooMany      int `json:"too_many"`       // answered 429
	MostInWindow int `json:"most_in_window"` // requests of one token counted in one window

	EventsSent    int `json:"events_sent"`    // webhook events answered 2xx
	EventsFailed  int `json:"events_failed"`  // not delivered; there is no retry
	EventsDropped int `json:"events_dropped"` // conversations without events because too many were waiting

	Tokens map[string]TokenStats `json:"tokens"` // by TokenID
}

// TokenStats are the requests of one token.
type TokenStats struct {
	Statuses     map[int]int `json:"statuses"`       // answers by status
	Counted      int         `json:"counted"`        // requests counted by the limit
	Windows      int         `json:"windows"`        // windows opened
	MostInWindow int         `json:"most_in_window"` // requests counted in one of them
	First        time.Time   `json:"first"`          // first and last request counted
	Last         time.Time   `json:"last"`
	Opened       time.Time   `json:"opened"` // when the latest window was
	Before       int         `json:"before"` // requests counted in the windows before it
}

// TokenID names a token in Stats without showing it. Requests without a valid token
// count for "none".
func TokenID(token string) string {
	if token == "" {
		return "none"
	}
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:4])
}

// Stats returns a copy of the counts.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	st := s.stats
	st.Tokens = make(map[string]TokenStats, len(s.tokens))
	for token, t := range s.tokens {
		ts := t.stats
		ts.Statuses = maps.Clone(ts.Statuses)
		st.Tokens[TokenID(token)] = ts
		st.MostInWindow = max(st.MostInWindow, ts.MostInWindow)
		st.TooMany += ts.Statuses[429]
	}
	s.mu.Unlock()

	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	st.Contacts, st.Numbers, st.Repeated = s.ledger.contacts, len(s.ledger.counts), s.ledger.repeated
	return st
}

// Reset clears contacts and counts. Windows, faults and tickets stay.
func (s *Server) Reset() {
	s.mu.Lock()
	s.stats = Stats{}
	for _, t := range s.tokens {
		t.stats = TokenStats{Statuses: make(map[int]int)}
	}
	s.mu.Unlock()

	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	s.ledger.counts, s.ledger.contacts, s.ledger.repeated = make(map[uint64]uint32), 0, 0
}
