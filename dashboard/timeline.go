package dashboard

import (
	"context"
	"fmt"
	"slices"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
)

// A moment is something that happened to a contact, or to its campaign.
type moment struct {
	At    time.Time
	What  string
	State string // of the contact from then on; empty: unchanged
	Why   campaign.Message
	By    string
}

// timeline lists what happened to a contact, earliest first.
func (p *pages) timeline(ctx context.Context, c campaign.Campaign, who person) ([]moment, error) {
	list := []moment{{At: c.CreatedAt, What: fmt.Sprintf("loaded from line %d of the file", who.Line)}}
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
			list = append(list, moment{At: d.At, What: "campaign: " + string(d.Action), Why: d.Text, By: d.By})
			continue
		}
		moved = true
		for _, fate := range d.Fates {
			what := string(d.Action)
			if d.Batch != "" {
				what += " " + d.Batch
			}
			list = append(list, moment{At: d.At, What: what, State: fate.To, Why: fate.Reason, By: d.By})
		}
	}
	if changed := who.Record.ChangedAt(); !moved && !changed.IsZero() {
		list = append(list, moment{At: changed, What: "last change", State: who.Record.State.String(), Why: who.Reason})
	}
	if o := who.Outcome; o.Known() {
		list = append(list, moment{At: o.Started, What: "the conversation began"})
		if !o.Ended.IsZero() {
			list = append(list, moment{At: o.Ended, What: "the conversation ended"})
		}
	}
	slices.SortStableFunc(list, func(a, b moment) int { return a.At.Compare(b.At) })
	return list, nil
}
