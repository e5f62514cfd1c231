package dashboard

import (
	"context"
	"slices"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/texts"
)

// A moment is something that happened to a contact, or to its campaign.
type moment struct {
	At    time.Time
	What  texts.Line
	State string // of the contact from then on; empty: unchanged
	Why   campaign.Message
	By    string

	whole   bool // it is about the campaign as a whole
	request bool // the answer to one, or that there was none
}

// timeline lists what happened to a contact, earliest first.
func (p *pages) timeline(ctx context.Context, c campaign.Campaign, who person) ([]moment, error) {
	list := []moment{{At: c.CreatedAt, What: texts.Of("moment.loaded", "line", who.Line)}}
	log, err := report.ReadContactLog(ctx, p.store, c.Name, who.Ref, who.Index)
	if err != nil {
		return nil, err
	}
	moved := false
	for {
		d, ok, err := log.Next(ctx)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if len(d.Fates) == 0 {
			list = append(list, moment{At: d.At, What: texts.Of("moment.campaign", "what", done(d.Action)), Why: d.Text, By: d.By, whole: true})
			continue
		}
		moved = true
		for _, fate := range d.Fates {
			what := texts.Of("moment.contact", "what", done(d.Action))
			if d.Batch != "" {
				what = texts.Of("moment.request", "what", done(d.Action), "batch", texts.Name(d.Batch))
			}
			list = append(list, moment{At: d.At, What: what, State: fate.To, Why: fate.Reason, By: d.By, request: d.Action == store.ActionRequest})
		}
	}
	if changed := who.Record.ChangedAt(); !moved && !changed.IsZero() {
		list = append(list, moment{At: changed, What: texts.Of("moment.last"), State: who.Record.State.String(), Why: who.Reason})
	}
	facts := campaign.Facts{Record: who.Record, Reason: who.Reason, Outcome: who.Outcome, Cell: campaign.Cells(c.Settings.ColumnNames(), who.Fields)}
	if next, is := report.RungOf(c, facts); is {
		list = append(list, moment{At: next.At, What: texts.Of("moment.again")})
	}
	var talk []moment
	if o := who.Outcome; o.Known() {
		talk = []moment{{At: o.Started, What: texts.Of("moment.began")}, {At: o.Ended, What: texts.Of("moment.ended")}}
	}
	return inOrder(list, talk), nil
}

// done is what an entry of the log says was done.
func done(a store.Action) texts.Word { return texts.Word{Family: "action", Text: string(a)} }

// answerWithin is more than a request takes.
const answerWithin = 2 * time.Minute

// inOrder puts what happened in the order of things. That is by time, except that a
// conversation comes after the request that began it: a request stands with the time at
// which its answer was written down, and the platform's clock may be another. What has no
// time has not happened.
func inOrder(list, talk []moment) []moment {
	slices.SortStableFunc(list, func(a, b moment) int { return a.At.Compare(b.At) })
	least := 0 // the place before which a conversation cannot stand
	for _, m := range talk {
		if m.At.IsZero() {
			continue
		}
		at := least
		for i, other := range list {
			if i >= least && !other.At.After(m.At) || least == 0 && other.request && !other.At.After(m.At.Add(answerWithin)) {
				at = i + 1
			}
		}
		list = slices.Insert(list, at, m)
		least = at + 1
	}
	return list
}
