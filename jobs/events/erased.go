package events

import (
	"context"
	"slices"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/velents"
)

// withoutErased takes events of people out whose contact was erased: those of numbers that
// are in no contact of the campaign and all on the do-not-contact list. They wish for
// nothing that is not so already, and would be kept for a week.
func (a *Applier) withoutErased(ctx context.Context, c campaign.Campaign, reports []report) (others []report, dropped []store.Event, err error) {
	for _, r := range reports {
		if r.ordinal >= 0 || len(r.numbers) == 0 || c.Name == "" {
			others = append(others, r)
			continue
		}
		listed, err := a.store.FindSuppressed(ctx, r.numbers)
		if err == nil && c.Erased == 0 && !slices.Contains(listed, false) {
			c, err = a.store.Campaign(ctx, c.Name) // perhaps erased after the campaign was read, and before its index
		}
		if err != nil {
			return nil, nil, err
		}
		if c.Erased > 0 && !slices.Contains(listed, false) {
			dropped = append(dropped, r.Event)
		} else {
			others = append(others, r)
		}
	}
	return others, dropped, nil
}

// A Telling is what a stored event says of a person.
type Telling struct {
	Type         string
	Numbers      []campaign.Phone // that it may mean, the likeliest first
	Conversation string
	OptsOut      bool // it asks for no more contact
}

// Tell reads an event of a campaign with these settings. Of one that cannot be read it
// tells what it can.
func Tell(s campaign.Settings, body []byte) Telling {
	says, _ := velents.ReadEvent(body)
	return Telling{string(says.Type), NumbersTold(s, says.Phone), conversationOf(says), optOutOf(s, says) != ""}
}
