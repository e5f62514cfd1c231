package report

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/hours"
	"campaign-runner/campaign/store"
)

// An Account is what a campaign came to, in totals that were counted contact by contact. It
// holds no personal data: of what people answered it has only values that several gave.
type Account struct {
	Totals
	Learned []Learned `json:"learned"`
}

// Totals are an account in numbers alone: nothing in them was said by or about a person.
type Totals struct {
	Campaign string         `json:"campaign"`
	Title    string         `json:"title,omitempty"`
	Agent    string         `json:"agent"`
	State    campaign.Phase `json:"state"`
	At       time.Time      `json:"at"` // by Redis's clock, when the count began
	PurgedAt time.Time      `json:"purged_at,omitzero"`
	Zone     string         `json:"zone"` // in which its hours and days are told

	Contacts   int    `json:"contacts"`
	States     States `json:"states"`
	Accepted   int    `json:"accepted"`   // the platform took them: accepted, started and ended together
	Answered   int    `json:"answered"`   // of these, somebody said something: reached
	Unanswered int    `json:"unanswered"` // of these, the conversation has ended without that
	Known      int    `json:"known"`      // of these, the platform has told something
	OptOuts    int    `json:"opt_outs"`   // contacts that asked not to be contacted again

	Tickets map[campaign.TicketState]int `json:"tickets"`

	Over     []Stretch     `json:"over_time"`  // from the first contact to the last, without a gap
	ByHour   []HourRate    `json:"by_hour"`    // of the hours of the day in which contacts were accepted
	Attempts []AttemptRate `json:"by_attempt"` // the last stands for all later ones

	zone *time.Location
}

// Location is the zone in which its hours and days are told.
func (a Totals) Location() *time.Location { return a.zone }

// WithZone is a with its hours and days told in a zone.
func (a Account) WithZone(zone *time.Location) Account {
	a.zone, a.Zone = zone, zone.String()
	if zone == time.Local {
		a.Zone, _ = a.At.In(zone).Zone()
	}
	return a
}

// A Rate is how many contacts the platform accepted, and what came of them.
type Rate struct {
	Accepted   int `json:"accepted"`
	Answered   int `json:"answered"`
	Unanswered int `json:"unanswered"`
}

// A Stretch is a piece of time. A contact belongs to that in which the platform accepted it,
// or in which its conversation began.
type Stretch struct {
	From time.Time `json:"from"`
	Rate
}

// An HourRate is that of an hour of the day, 0 to 23.
type HourRate struct {
	Hour int `json:"hour"`
	Rate
}

// An AttemptRate is the answer rate of contacts with the same number of attempts.
type AttemptRate struct {
	Attempt int `json:"attempt"` // from 1
	Rate
}

func (r *Rate) add(other Rate) {
	r.Accepted += other.Accepted
	r.Answered += other.Answered
	r.Unanswered += other.Unanswered
}

// Learned is how often the agent learned each value of a key.
type Learned struct {
	Key      string  `json:"key"`
	Contacts int     `json:"contacts"` // of which it learned one
	Values   []Value `json:"values"`   // the most frequent first; none of free text
	Rare     int     `json:"rare"`     // contacts with values that are not shown
}

// A Value is an answer that several contacts gave.
type Value struct {
	Value    string `json:"value"`
	Contacts int    `json:"contacts"`
}

const (
	// MaxAttemptsTold is the last attempt that has a rate of its own.
	MaxAttemptsTold = 5
	// maxStretches bounds the stretches of time; hourly is the longest campaign that is
	// told hour by hour.
	maxStretches = 60
	hourly       = 48 * time.Hour
)

// zoneOf is by whose clock a campaign is told.
func zoneOf(s campaign.Settings, usual *time.Location) *time.Location {
	name := s.Hours.Zone
	if at := slices.IndexFunc(hours.Places(), func(p hours.Place) bool { return strings.EqualFold(p.Name, s.Region) }); at >= 0 && (name == "" || name == hours.ByContact) {
		name = hours.Places()[at].Zone
	}
	if zone, err := time.LoadLocation(name); err == nil && name != "" {
		return zone
	}
	return usual
}

// ReadAccount counts a campaign. The contacts are read chunk by chunk, once; it takes the
// memory of a few chunks. While the campaign runs, each contact is counted as it was at one
// moment, but not all of them at the same one. Hours and days are by the clock of the
// campaign's hours; without one, by that of its country; without that, too, by usual.
func ReadAccount(ctx context.Context, s Store, name string, usual *time.Location) (a Account, err error) {
	now, err := s.Now(ctx)
	if err != nil {
		return a, err
	}
	c, tally, err := read(ctx, s, name)
	if err != nil {
		return a, err
	}
	a = Account{Learned: []Learned{}, Totals: Totals{
		Campaign: name, Title: c.Settings.Title, Agent: c.Settings.Agent, State: tally.Phase(c.Phase), At: now, PurgedAt: c.PurgeBegan,
		States: make(States), Over: []Stretch{}, ByHour: []HourRate{}, Attempts: []AttemptRate{},
	}}
	zone := zoneOf(c.Settings, usual)
	a = a.WithZone(zone)
	if c.Phase == campaign.Loading {
		return a, nil
	}
	if a.Tickets, err = s.TicketTally(ctx, name); err != nil {
		return a, err
	}
	keys, err := s.ExtractionKeys(ctx, name)
	if err != nil {
		return a, err
	}
	sum := newCount(zone, now, keys)
	if c.Kept() == nil {
		err = eachChunk(ctx, c, func(ctx context.Context, ref store.Ref) (*count, error) {
			return countChunk(ctx, s, ref, newCount(zone, now, keys))
		}, func(part *count) error { sum.merge(part); return nil })
		if err != nil {
			return a, err
		}
		tally.States = sum.tally.States
	}
	sum.tell(&a, tally)
	return a, nil
}

func countChunk(ctx context.Context, s chunks, ref store.Ref, n *count) (*count, error) {
	chunk, err := s.ReadLedger(ctx, ref)
	if err != nil {
		return nil, err
	}
	outcomes, err := s.Outcomes(ctx, ref)
	if err != nil {
		return nil, err
	}
	for i := range chunk.Len() {
		n.add(chunk.Record(i), outcomes[i])
	}
	return n, nil
}

// A count is the sum of some contacts.
type count struct {
	zone  *time.Location
	now   time.Time
	tally campaign.Tally

	known, optOuts int
	hours          map[int64]*Rate // by the beginning of the hour, Unix seconds
	attempts       [MaxAttemptsTold]Rate
	learned        map[string]*values
}

func newCount(zone *time.Location, now time.Time, keys []string) *count {
	n := &count{zone: zone, now: now, hours: make(map[int64]*Rate), learned: make(map[string]*values, len(keys))}
	for _, key := range keys {
		n.learned[key] = new(values)
	}
	return n
}

// add counts a contact. What is known of its conversation counts if it is that of its
// present run, as for the rules ended.answered and ended.no_answer.
func (n *count) add(r campaign.Record, o campaign.Outcome) {
	n.tally.States[r.State]++
	if o.OptedOut {
		n.optOuts++
	}
	if !r.State.Evidence() {
		return
	}
	rate := Rate{Accepted: 1}
	at := r.ChangedAt()
	if o.Known() && o.Run == r.Run && o.Rung == r.Rung {
		n.known++
		at = o.Started
		switch {
		case o.Said:
			rate.Answered = 1
		case r.State == campaign.Ended:
			rate.Unanswered = 1
		}
		for key, value := range o.Learned() {
			if n.learned[key] != nil {
				n.learned[key].add(campaign.CellOf(value), 1)
			}
		}
	}
	if at.IsZero() || at.After(n.now) { // a clock of the platform's is ahead
		at = n.now
	}
	at = at.In(n.zone)
	n.hour(time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), 0, 0, 0, n.zone).Unix()).add(rate)
	n.attempts[min(max(int(r.Attempts), 1), MaxAttemptsTold)-1].add(rate)
}

func (n *count) hour(from int64) *Rate {
	if n.hours[from] == nil {
		n.hours[from] = new(Rate)
	}
	return n.hours[from]
}

func (n *count) merge(part *count) {
	for state, contacts := range part.tally.States {
		n.tally.States[state] += contacts
	}
	n.known += part.known
	n.optOuts += part.optOuts
	for from, rate := range part.hours {
		n.hour(from).add(*rate)
	}
	for i, rate := range part.attempts {
		n.attempts[i].add(rate)
	}
	for key, of := range part.learned {
		n.learned[key].merge(of)
	}
}

// tell writes the sum into an account. tally has the states, also of a purged campaign.
func (n *count) tell(a *Account, tally campaign.Tally) {
	a.Contacts = tally.Contacts()
	for _, state := range campaign.States() {
		a.States[state.String()] = tally.States[state]
		if state.Evidence() {
			a.Accepted += tally.States[state]
		}
	}
	a.Known, a.OptOuts = n.known, n.optOuts
	var byHour [24]Rate
	for from, rate := range n.hours {
		a.Answered += rate.Answered
		a.Unanswered += rate.Unanswered
		byHour[time.Unix(from, 0).In(n.zone).Hour()].add(*rate)
	}
	for hour, rate := range byHour {
		if rate.Accepted > 0 {
			a.ByHour = append(a.ByHour, HourRate{hour, rate})
		}
	}
	for i, rate := range n.attempts {
		if rate.Accepted > 0 {
			a.Attempts = append(a.Attempts, AttemptRate{i + 1, rate})
		}
	}
	a.Over = n.stretches()
	for key, of := range n.learned {
		if of.contacts > 0 {
			a.Learned = append(a.Learned, of.told(key))
		}
	}
	slices.SortFunc(a.Learned, func(a, b Learned) int { return cmp.Or(b.Contacts-a.Contacts, cmp.Compare(a.Key, b.Key)) })
}

// stretches are the hours as stretches of equal length, the empty ones between them
// included: hours of a short campaign, else days, or several days.
func (n *count) stretches() []Stretch {
	told := slices.Sorted(maps.Keys(n.hours))
	if len(told) == 0 {
		return []Stretch{}
	}
	first, last := time.Unix(told[0], 0).In(n.zone), time.Unix(told[len(told)-1], 0).In(n.zone)
	next := func(t time.Time) time.Time { return t.Add(time.Hour) }
	if last.Sub(first) >= hourly {
		first = hours.Midnight(first, n.zone, 0)
		days := int(last.Sub(first)/(24*time.Hour))/maxStretches + 1
		next = func(t time.Time) time.Time { return hours.Midnight(t, n.zone, days) }
	}
	list := []Stretch{{From: first}}
	for _, from := range told {
		for at := time.Unix(from, 0); ; {
			end := next(list[len(list)-1].From)
			if at.Before(end) {
				break
			}
			list = append(list, Stretch{From: end})
		}
		list[len(list)-1].add(*n.hours[from])
	}
	return list
}
