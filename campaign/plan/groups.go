package plan

import (
	"sync"
	"time"

	"campaign-runner/campaign/hours"
)

// Groups sorts contacts into groups by their clocks. It is safe for use by many
// goroutines.
type Groups struct {
	calendar *hours.Calendar
	mu       sync.Mutex
	list     []Group
	at       map[*hours.Clock]int
}

// NewGroups has none so far.
func NewGroups(calendar *hours.Calendar) *Groups {
	return &Groups{calendar: calendar, at: make(map[*hours.Clock]int)}
}

// Of is the place of the group of a contact, by its number in E.164; the number is
// not looked at when all go by one clock.
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

// List are the groups, each at its place.
func (g *Groups) List() []Group {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.list[:len(g.list):len(g.list)]
}

// Parts are contacts that have not been sent, as a chunk.
func (g *Groups) Parts(numbers []string) (parts []Part) {
	at := make(map[int]int)
	for _, number := range numbers {
		group := g.Of(number)
		i, known := at[group]
		if !known {
			i = len(parts)
			at[group] = i
			parts = append(parts, Part{Group: group})
		}
		parts[i].Contacts++
	}
	return parts
}

// idleShare is the part of a limit that an idle token may use at once.
const idleShare = 0.4

// AtLimit says that so many requests may leave in each window; 0: no limit is known.
func (w *Work) AtLimit(limit float64, window time.Duration) {
	w.Rate, w.Burst = 0, 0
	if limit > 0 && window > 0 {
		w.Rate, w.Burst = limit/window.Seconds(), idleShare*limit
	}
}
