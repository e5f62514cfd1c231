// Package plan forecasts a campaign: how many requests it needs, when each group of
// contacts is sent, and when it ends.
//
// It simulates all campaigns of a token chunk by chunk as the workers send them: at the
// pace of the quota, from each queue as often as its weight says, each chunk as far as the
// hours of its contacts allow, and again when more of them open. It assumes that the share
// of failing requests stays the same, that as many contacts are contacted again as so far,
// and that a canary goes well. It is pure: time is
// passed in. A forecast promises nothing, and what a person must decide stays out of it.
package plan

import (
	"cmp"
	"math"
	"slices"
	"time"

	"campaign-runner/campaign/hours"
)

// A Group are the contacts with the same clock.
type Group struct {
	Name  string       // for people
	Clock *hours.Clock // nil: a person must decide about them
}

// A Part are contacts of a chunk that are still to be sent and are alike.
type Part struct {
	Group    int // index in Work.Groups
	Tries    int // requests so far
	Contacts int
	Rung     int // how often the campaign contacts them again by itself, this time included
}

// Work is what is still to do, and how fast that may be.
type Work struct {
	Groups   []Group
	Chunks   [][]Part
	Weight   float64        // chunks that each one stands for; 0: 1
	PerCall  int            // contacts of a request, halved for each failure
	Fails    float64        // share of requests that must be repeated
	Tries    int            // most requests for a contact; 0: no limit
	Rate     float64        // requests per second; 0: no limit is known
	Burst    float64        // requests that may leave at once after an idle time
	PerDay   int            // most contacts a day; 0: no limit
	Today    int            // contacts sent today
	Midnight *time.Location // whose midnight begins a day; nil: UTC
	Start    time.Time      // first time to send; zero: now
	FinishBy time.Time      // end of sending; zero: none

	// Beside other work on the token:
	Agent string  // whose queues it waits in; agents take turns, request by request
	Lane  float64 // weight of its queue. Work of one agent and weight is sent in the order given
	Turn  float64 // requests of a chunk until it waits behind the others of its queue, while another queue has some; 0: all
	Begun []int   // requests made so far, by chunk; nil: none

	// ByDay asks for the days of the Plan.
	ByDay bool

	// Canary is how many contacts come first, until a person looks at them; 0: no canary.
	Canary int

	// Again are the further requests that the campaign makes to contacts by itself, in their
	// order, as expected. Later are contacts that wait for one.
	Again []Again
	Later []Later
}

// Again is a further request to a contact.
type Again struct {
	After time.Duration // since the request before
	Share float64       // of the contacts that had the one before, from 0 to 1
}

// Later are contacts of a chunk that had their request, and are expected to have another.
type Later struct {
	At     time.Time
	Parts  []Part
	Weight float64 // chunks that it stands for
}

// A Plan is a forecast of the work.
type Plan struct {
	Calls  int       `json:"calls"`                 // requests, with the expected repeats, without Again
	Again  int       `json:"calls_again,omitempty"` // requests to contacts that are contacted again by the campaign itself, as expected
	Begins time.Time `json:"begins,omitzero"`       // first request; zero: none
	Ends   time.Time `json:"ends,omitzero"`         // last request; zero: none, or beyond the horizon
	Steps  []Step    `json:"steps"`                 // by group, in order of their beginning
	Held   int       `json:"held"`                  // contacts about which a person must decide
	Missed int       `json:"missed"`                // contacts not sent by FinishBy
	Days   []Day     `json:"days,omitempty"`        // what is sent on each, in order; only if Work.ByDay

	// Canary is when the last contact of the canary is sent; zero: there is none. What
	// comes later assumes that a person starts the rest at once.
	Canary time.Time `json:"canary,omitzero"`
}

// A Step is the forecast for a group.
type Step struct {
	Name     string    `json:"zone"` // for people; empty: always open
	Contacts int       `json:"contacts"`
	Opens    time.Time `json:"opens,omitzero"` // when the first contact may be sent; zero: never
	Done     time.Time `json:"done,omitzero"`  // when the last one is sent; zero: not by FinishBy, or beyond the horizon
	Missed   int       `json:"missed"`         // contacts not sent by FinishBy
}

// A Day is what is sent on a day to the contacts of a group.
type Day struct {
	Date     string `json:"date"` // 2006-01-02, by the clock of the group, or by Work.Midnight if it has none
	Name     string `json:"zone"` // of the group
	Contacts int    `json:"contacts"`
}

// Make forecasts work that has the token for itself.
func Make(w Work, now time.Time) Plan { return Together([]Work{w}, now)[0] }

// Together forecasts work that shares a token, from now on. Rate and Burst are those of
// the first. Of work in one queue, the first given is sent first.
func Together(works []Work, now time.Time) []Plan {
	r := newRehearsal(works, now)
	r.play()
	plans := make([]Plan, len(works))
	for i, run := range r.runs {
		plans[i] = run.plan()
	}
	return plans
}

func (r *run) plan() Plan {
	p := Plan{Calls: int(math.Ceil(r.requests - sliver)), Again: int(math.Ceil(r.further - sliver)), Begins: r.first, Canary: r.canary, Steps: []Step{}}
	real := func(contacts float64) int { return int(math.Round(contacts)) }
	unforeseen := false
	start := r.token.now
	if r.Start.After(start) {
		start = r.Start
	}
	for g, group := range r.Groups {
		if r.all[g] == 0 {
			continue
		}
		step := Step{Name: group.Name, Contacts: real(r.all[g]), Done: r.done[g]}
		switch {
		case !foreseeable(group.Clock, start):
			p.Held += step.Contacts
		default:
			step.Opens, _ = group.Clock.Opens(start)
			if !r.FinishBy.IsZero() {
				step.Missed = real(r.left[g])
			}
			unforeseen = unforeseen || r.left[g] > sliver && r.FinishBy.IsZero()
		}
		p.Missed += step.Missed
		p.Steps = append(p.Steps, step)
	}
	slices.SortStableFunc(p.Steps, func(a, b Step) int {
		if a.Opens.IsZero() != b.Opens.IsZero() { // groups without an opening come last
			return cmp.Compare(b.Opens.Unix(), a.Opens.Unix())
		}
		return cmp.Or(a.Opens.Compare(b.Opens), b.Contacts-a.Contacts, cmp.Compare(a.Name, b.Name))
	})
	if !unforeseen {
		p.Ends = r.last
	}
	p.Days = r.byDay()
	return p
}
