package report

import (
	"slices"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/plan"
	"campaign-runner/campaign/store"
)

// An again foretells whom a campaign contacts again by itself, from a sample of its chunks.
// What conversations come to is not known, so it goes by the share of contacts so far.
type again struct {
	campaign campaign.Campaign
	delays   []time.Duration
	states   []campaign.State
	now      time.Time
	chunks   int // in the sample

	sent, climbed int // contacts in the sample; of these, those contacted again, or about to be
	over, talking []plan.Later
}

// newAgain returns what foretells nothing of a campaign that contacts nobody again.
func newAgain(c campaign.Campaign, now time.Time) *again {
	return &again{campaign: c, delays: c.Settings.Delays(), states: c.Settings.States(), now: now}
}

// add adds a chunk of the sample: those of a chunk who have had as many requests are expected
// together, with the last of them.
func (a *again) add(chunk *store.Chunk, contacts []plan.Contact) {
	a.chunks++
	if len(a.delays) == 0 {
		return
	}
	over, talking := make([]plan.Later, len(a.delays)), make([]plan.Later, len(a.delays))
	for i, contact := range contacts {
		r := chunk.Record(i)
		if r.Attempts == 0 {
			continue
		}
		if a.sent++; r.Rung > 0 {
			a.climbed++
		}
		rung := int(r.Rung)
		if rung >= len(a.delays) || r.InDoubt || r.Erased || !slices.Contains(a.states, r.State) {
			continue
		}
		if since := a.campaign.RungsSince; !since.IsZero() && !r.ChangedAt().After(since) {
			continue
		}
		of := &over[rung]
		if r.State == campaign.Accepted || r.State == campaign.Started {
			of = &talking[rung]
		}
		at := r.ChangedAt().Add(a.delays[rung])
		if !at.After(a.now) {
			continue // it answered, or nothing was told of it in that time
		}
		if at.After(of.At) {
			of.At = at
		}
		of.Parts = plan.With(of.Parts, plan.Part{Group: contact.Group, Contacts: 1, Rung: rung + 1})
	}
	some := func(l plan.Later) bool { return len(l.Parts) == 0 }
	a.over, a.talking = append(a.over, slices.DeleteFunc(over, some)...), append(a.talking, slices.DeleteFunc(talking, some)...)
}

// expect adds to the work who is contacted again. rungs are what the last looks found.
func (a *again) expect(w *plan.Work, rungs store.Rungs) {
	if len(a.delays) == 0 || a.chunks == 0 {
		return
	}
	scale := float64(a.campaign.Chunks) / float64(a.chunks) // of the sample
	unknown := 0.0                                          // share of the chunks with rungs that no look has seen
	if rungs.Chunks > 0 {
		unknown = float64(rungs.Unknown) / float64(rungs.Chunks)
	}
	waiting := float64(rungs.Waiting)
	climbs := float64(a.climbed)*scale + waiting
	decided := float64(a.sent)*scale*(1-unknown) - float64(rungs.Open)
	share := (climbs + 1) / (max(decided, climbs) + 1)
	w.Again = plan.Repeats(a.delays, share)
	if n := contactsOf(a.over) * scale; n > 0 {
		w.Later = append(w.Later, weighed(a.over, scale*min(waiting/n+unknown*share, 1))...)
	}
	w.Later = append(w.Later, weighed(a.talking, scale*share)...)
}

func contactsOf(list []plan.Later) (n float64) {
	for _, l := range list {
		for _, part := range l.Parts {
			n += float64(part.Contacts)
		}
	}
	return n
}

func weighed(list []plan.Later, weight float64) []plan.Later {
	for i := range list {
		list[i].Weight = weight
	}
	return list
}
