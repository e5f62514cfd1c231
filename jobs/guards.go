package jobs

import (
	"context"
	"strings"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/sending"
)

const (
	// eventsBehind is how long an event may wait to be applied before the answers that are
	// known are too few to judge by.
	eventsBehind = time.Minute
	// guardAgain is when a request is tried again that a guard would have kept back but for
	// events that wait to be applied.
	guardAgain = 5 * time.Second
	// settingsTold is how many changes of settings are named in the reason of a pause.
	settingsTold = 3
)

// HeedGuard pauses a campaign whose guard has kept a request from beginning, and says why.
// While events of the campaign wait to be applied, the guard does not know what they tell:
// then the request is to be tried again later.
func (q *Queue) HeedGuard(ctx context.Context, c campaign.Campaign, t store.Trip) (*sending.ComeBack, error) {
	if t.Guard != store.OptOutGuard { // what was told already is enough for that one
		long := eventsBehind
		if t.Guard == store.SilenceGuard {
			long = 0
		}
		wait, err := q.store.EventsWait(ctx, c.Name, long)
		if err != nil {
			return nil, err
		}
		if wait {
			return &sending.ComeBack{After: guardAgain, Why: "events that a guard goes by wait to be applied"}, nil
		}
	}
	reason, err := q.guardReason(ctx, c, t)
	if err != nil {
		return nil, err
	}
	paused, err := q.store.PauseTripped(ctx, c.Name, t, reason)
	if err != nil || !paused {
		return &sending.ComeBack{Why: "what a guard went by is over"}, err
	}
	q.note(ctx, c.Name, store.ActionPause, reason)
	q.log.WarnContext(ctx, "campaign paused", "campaign", c.Name, "reason", reason)
	return nil, nil
}

// guardReason is what a guard has paused a campaign for.
func (q *Queue) guardReason(ctx context.Context, c campaign.Campaign, t store.Trip) (campaign.Message, error) {
	s, latest := c.Settings, t.Latest
	if t.Guard == store.SilenceGuard {
		return campaign.Say(campaign.MsgTooSilent, "contacts", latest.Contacts, "time", brief(t.For), "limit", brief(s.MaxSilence)), nil
	}
	first := campaign.Say(campaign.MsgFirstSame)
	if !t.Early() {
		first = campaign.Say(campaign.MsgFirst, "contacts", t.First.Contacts,
			"answered", share(t.First.Answered, t.First.Contacts), "opted", share(t.First.OptedOut, t.First.Contacts),
			"latest_answered", share(latest.Answered, latest.Contacts), "latest_opted", share(latest.OptedOut, latest.Contacts))
		changes, err := q.store.Decided(ctx, c.Name, store.ActionSet, t.Until)
		if err != nil {
			return first, err
		}
		if len(changes) > 0 {
			first = campaign.Say(campaign.MsgFirstSettings, "first", first, "changes", changes[:min(len(changes), settingsTold)])
		}
	}
	if t.Guard == store.OptOutGuard {
		return campaign.Say(campaign.MsgTooManyOut, "some", latest.OptedOut, "contacts", latest.Contacts,
			"share", share(latest.OptedOut, latest.Contacts), "limit", s.MaxOptOutShare, "first", first), nil
	}
	return campaign.Say(campaign.MsgTooFewAnswer, "some", latest.Answered, "contacts", latest.Contacts,
		"share", share(latest.Answered, latest.Contacts), "limit", s.MinAnswerShare, "ended", latest.Ended, "first", first), nil
}

// share is some of all, as people read it.
func share(some, all int) campaign.Share {
	return campaign.Share(some * int(campaign.Whole) / max(all, 1))
}

// brief is a duration to the second, without what is zero at its end: 30m.
func brief(d time.Duration) string {
	text := d.Truncate(time.Second).String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}
