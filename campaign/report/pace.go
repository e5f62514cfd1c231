package report

import (
	"time"

	"campaign-runner/campaign/store"
)

// paceWindow is how far back a pace looks. With batches of hundreds every few
// seconds, a shorter one would jump.
const paceWindow = 2 * time.Minute

// A Pace is how fast a campaign has got through its contacts lately.
type Pace struct {
	PerMinute float64       // contacts; 0: none lately, or unknown
	Left      time.Duration // until the last contact; 0: unknown
}

// PaceOf is the pace of a campaign by its series, and by its states at now.
func PaceOf(series []store.Sample, states States, now time.Time) Pace {
	if len(series) == 0 {
		return Pace{}
	}
	from := now.Add(-paceWindow)
	if first := series[0].At; first.After(from) {
		from = first
	}
	through, before := 0, -1
	for _, sample := range series {
		open := sample.Tally.Open()
		if sample.At.After(from) {
			through += max(before-open, 0) // a rerun opens contacts again
		}
		before = open
	}
	through += max(before-states.Open(), 0)
	over := now.Sub(from)
	if through == 0 || over < store.SampleEvery {
		return Pace{}
	}
	p := Pace{PerMinute: float64(through) / over.Minutes()}
	p.Left = time.Duration(float64(states.Open()) / p.PerMinute * float64(time.Minute))
	return p
}
