package events

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// A link outlives its campaign, and anybody who has it can post events. Once a campaign is
// over, its events change nothing any more, except that somebody may still ask not to be
// contacted.
const (
	// lateAfter is how long after the last contact was sent a campaign hears of
	// conversations.
	lateAfter = 30 * 24 * time.Hour
	// lateEvery is the time between two numbers that one link of a campaign that is over
	// can put on the do-not-contact list.
	lateEvery = time.Minute
	// maxLate bounds the late wishes of a link that wait for their turn, and those that a
	// person has to look at, about: each worker counts those it has let in since it last
	// looked. One link must not take the room of all campaigns' wishes.
	maxLate = 100
)

// A lateLink is a link with those of its late wishes that wait for their turn, or with the
// others.
type lateLink struct {
	campaign string
	contact  int
	waits    bool
}

func linkOf(w store.Wish) lateLink {
	return lateLink{w.Campaign, w.Contact, w.Why.Is(campaign.MsgWishLate)}
}

// admit reports whether there is room for a wish, and counts it.
func (a *Applier) admit(w store.Wish) bool {
	if !w.Late {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	waiting := a.queue[linkOf(w)]
	switch {
	case waiting[w.ID]:
	case len(waiting) >= maxLate:
		return false
	case waiting == nil:
		a.queue[linkOf(w)] = map[string]bool{w.ID: true}
	default:
		waiting[w.ID] = true
	}
	return true
}

// countLate counts the late wishes that are open.
func (a *Applier) countLate(wishes []store.Wish) {
	queue := make(map[lateLink]map[string]bool)
	for _, w := range wishes {
		if !w.Late {
			continue
		}
		if queue[linkOf(w)] == nil {
			queue[linkOf(w)] = make(map[string]bool)
		}
		queue[linkOf(w)][w.ID] = true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queue = queue
}

// late reports whether a campaign is over: purged, not there, or finished long ago.
func (a *Applier) late(ctx context.Context, c campaign.Campaign) (bool, error) {
	switch {
	case c.Name == "", c.Kept() != nil:
		return true, nil
	case c.EndedAt.IsZero(), time.Since(c.EndedAt) < lateAfter:
		return false, nil
	}
	tally, err := a.store.Tally(ctx, c.Name)
	return err == nil && tally.Over(), err // else it was rerun since
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

// heedLate puts the number of one postponed wish of each link on the list. A link that has
// been refused is not asked for again.
func (a *Applier) heedLate(ctx context.Context) error {
	wishes, err := a.store.Wishes(ctx)
	if err != nil {
		return err
	}
	a.countLate(wishes)
	refused := make(map[lateLink]bool)
	var errs []error
	for _, w := range wishes {
		if !w.Why.Is(campaign.MsgWishLate) || refused[linkOf(w)] {
			continue
		}
		may, err := a.heedLateWish(ctx, w)
		errs = append(errs, err)
		refused[linkOf(w)] = !may
	}
	return errors.Join(errs...)
}

// heedLateWish reports whether the wish has had its turn.
func (a *Applier) heedLateWish(ctx context.Context, w store.Wish) (bool, error) {
	numbers := NumbersTold(campaign.Settings{}, w.Told)
	if len(numbers) == 0 {
		return true, nil // a person has to look
	}
	may, err := a.mayStop(ctx, report{Event: store.Event{Campaign: w.Campaign, Contact: w.Contact}}, numbers[0])
	if err != nil || !may {
		return false, err
	}
	c, err := a.campaign(ctx, w.Campaign)
	if err == nil {
		err = a.suppress(ctx, c, map[campaign.Phone]string{numbers[0]: w.Rule})
	}
	if err == nil {
		err = a.store.ResolveWishes(ctx, []string{w.ID})
	}
	return err == nil, err
}
