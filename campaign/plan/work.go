package plan

import (
	"math"
	"slices"
	"sync"
	"time"

	"campaign-runner/campaign/hours"
)

// Groups sorts contacts into groups by their clocks. Goroutines may share it.
type Groups struct {
	calendar *hours.Calendar
	mu       sync.Mutex
	list     []Group
	at       map[*hours.Clock]int
}

// NewGroups returns an empty Groups.
func NewGroups(calendar *hours.Calendar) *Groups {
	return &Groups{calendar: calendar, at: make(map[*hours.Clock]int)}
}

// Of returns the index of a contact's group, by its number in E.164. The number does
// not matter if all contacts have the same clock.
func (g *Groups) Of(e164 string) int {
	clock := g.calendar.Of(e164)
	g.mu.Lock()
	defer g.mu.Unlock()
	i, known := g.at[clock]
	if !known {
		i = len(g.list)
		g.at[clock] = i
		group := Group{Name: hours.NoZoneReason, Clock: clock}
		if clock != nil {
			group.Name = clock.Name
		}
		g.list = append(g.list, group)
	}
	return i
}

// List returns the groups by index.
func (g *Groups) List() []Group {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.list[:len(g.list):len(g.list)]
}

// Parts returns the parts of a chunk with these numbers, which have not been sent.
func (g *Groups) Parts(numbers []string) (parts []Part) {
	for _, number := range numbers {
		parts = With(parts, Part{Group: g.Of(number), Contacts: 1})
	}
	return parts
}

// With adds a part to the one that is like it.
func With(parts []Part, added Part) []Part {
	i := slices.IndexFunc(parts, func(p Part) bool {
		return p.Group == added.Group && p.Tries == added.Tries && p.Rung == added.Rung
	})
	if i < 0 {
		return append(parts, added)
	}
	parts[i].Contacts += added.Contacts
	return parts
}

// InTurn is how many requests a chunk makes in its turn, if that many chunks are in hand
// at once at that pace.
func InTurn(rate float64, turn time.Duration, chunks int) float64 {
	return math.Floor(turn.Seconds()*rate/float64(max(chunks, 1))) + 1
}

// idleShare is the part of a limit that an idle token may use at once.
const idleShare = 0.4

// AtLimit sets the pace of a limit of requests in each window; 0: no limit is known.
func (w *Work) AtLimit(limit float64, window time.Duration) {
	w.Rate, w.Burst = 0, 0
	if limit > 0 && window > 0 {
		w.Rate, w.Burst = limit/window.Seconds(), idleShare*limit
	}
}

// Repeats are further requests to a share of the contacts, each after its delay.
func Repeats(delays []time.Duration, share float64) []Again {
	all := make([]Again, len(delays))
	for i, after := range delays {
		all[i] = Again{after, share}
	}
	return all
}

// SampleSize is how many chunks describe a campaign well enough. They are read often;
// all chunks of a million contacts would be ten megabytes.
const SampleSize = 400

// Sample returns up to most of the chunks, spread evenly.
func Sample(chunks, most int) []int {
	some := make([]int, min(chunks, most))
	for i := range some {
		some[i] = i * chunks / len(some)
	}
	return some
}

// A Contact is a contact of a chunk in a sample.
type Contact struct {
	Group int
	Tries int  // requests so far
	Left  bool // still to be sent
	Rung  int  // as in Part
}

// Learn derives the work from a sample of chunks: who is left in them, how many chunks
// each of them stands for if left contacts remain in all, and how many requests fail.
func (w *Work) Learn(sample [][]Contact, left int) {
	inSample, made, failed := 0, 0, 0
	w.Chunks, w.Begun = make([][]Part, len(sample)), make([]int, len(sample))
	for c, contacts := range sample {
		tries := 0
		for _, contact := range contacts {
			tries += contact.Tries
			if !contact.Left {
				failed += max(contact.Tries-1, 0)
				continue
			}
			failed += contact.Tries
			inSample++
			w.Chunks[c] = With(w.Chunks[c], Part{contact.Group, contact.Tries, 1, contact.Rung})
		}
		made += tries
		w.Begun[c] = tries / max(w.PerCall, 1)
	}
	w.Weight = 1
	if inSample > 0 {
		w.Weight = float64(left) / float64(inSample)
	}
	if made > 0 {
		w.Fails = float64(failed) / float64(made)
	}
}
