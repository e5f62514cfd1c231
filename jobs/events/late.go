package events

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// A link outlives its campaign, and whoever has it can post events. Once a campaign is
// over, its events change nothing any more, except that somebody may still ask not to be
// contacted.
const (
	// lateAfter is how long after the last contact was sent a campaign hears of
	// conversations.
	lateAfter = 30 * 24 * time.Hour
	// lateEvery is the time between two numbers that one link of a campaign that is over
	// can put on the do-not-contact list.
	lateEvery = time.Minute
)

// late reports whether a campaign is over: purged, not there, or finished long ago.
func (a *Applier) late(ctx context.Context, c campaign.Campaign) (bool, error) {
	switch {
	case c.Name == "", c.Kept() != nil:
		return true, nil
	case c.EndedAt.IsZero(), time.Since(c.EndedAt) < lateAfter:
		return false, nil
	}
	tally, err := a.store.Tally(ctx, c.Name)
	return err == nil && tally.Open() == 0, err // else it was rerun since
}

// mayStop reports whether a wish in an event of a campaign that is over may put a number
// on the list now. One that is there already, or has the link's turn, always may.
func (a *Applier) mayStop(ctx context.Context, r report, number campaign.Phone) (bool, error) {
	listed, err := a.store.FindSuppressed(ctx, []campaign.Phone{number})
	if err != nil || listed[0] {
		return err == nil, err
	}
	return a.store.Lease(ctx, fmt.Sprintf("stop:%s:%d", r.Campaign, r.Contact), lateWish(r.Event, number), lateEvery)
}

func lateWish(e store.Event, number campaign.Phone) string {
	return wishID("late", e.Campaign, strconv.Itoa(e.Contact), number.Person().E164())
}

// postpone keeps a wish until its number's turn comes.
func (h *hearing) postpone(r report, rule string, number campaign.Phone) {
	w := wishOf(r, rule, campaign.MsgWishLate)
	w.ID, w.Told = lateWish(r.Event, number), number.E164()
	h.changed[w.ID] = w
}

// heedLate puts the number of one postponed wish of each link on the list.
func (a *Applier) heedLate(ctx context.Context) error {
	wishes, err := a.store.Wishes(ctx)
	if err != nil {
		return err
	}
	for _, w := range wishes {
		if !w.Why.Is(campaign.MsgWishLate) {
			continue
		}
		r := report{Event: store.Event{Campaign: w.Campaign, Contact: w.Contact}}
		numbers := NumbersTold(campaign.Settings{}, w.Told)
		if len(numbers) == 0 {
			continue // a person has to look
		}
		may, err := a.mayStop(ctx, r, numbers[0])
		if err != nil {
			return err
		}
		if !may {
			continue
		}
		c, err := a.campaign(ctx, w.Campaign)
		if err == nil {
			err = a.suppress(ctx, c, map[campaign.Phone]string{numbers[0]: w.Rule})
		}
		if err == nil {
			err = a.store.ResolveWishes(ctx, []string{w.ID})
		}
		if err != nil {
			return err
		}
	}
	return nil
}
