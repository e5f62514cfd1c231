package jobs

import (
	"context"
	"errors"
	"slices"
	"strings"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/velents/mask"
)

// A Together is what pausing or resuming all campaigns at once is about.
type Together struct {
	Campaigns []string // by name
	Left      []Left   // those that a person may expect among them
}

// A Left is a campaign that is left as it is.
type Left struct {
	Campaign string           `json:"campaign"`
	State    campaign.Phase   `json:"state"`
	Reason   campaign.Message `json:"reason"`
}

// ToPause are the campaigns that PauseAll would pause: those that are running, of one agent
// or, without a name, of all. Those that may start by themselves are left.
func (q *Queue) ToPause(ctx context.Context, agent string) (Together, error) {
	return q.together(ctx, agent, func(phase campaign.Phase, _ campaign.Message) (is, left bool) {
		return phase == campaign.Running, phase == campaign.Scheduled || phase == campaign.Loading
	})
}

// ToResume are the campaigns that ResumeAll would resume: those that PauseAll has paused.
// What was paused by name or by a rule is left: it had a reason of its own.
func (q *Queue) ToResume(ctx context.Context, agent string) (Together, error) {
	return q.together(ctx, agent, func(phase campaign.Phase, why campaign.Message) (is, left bool) {
		return phase == campaign.Paused && why.Is(campaign.MsgWithOthers), phase == campaign.Paused
	})
}

func (q *Queue) together(ctx context.Context, agent string, choose func(campaign.Phase, campaign.Message) (is, left bool)) (t Together, err error) {
	names, err := q.store.Names(ctx)
	if err != nil {
		return t, err
	}
	all, err := q.store.ReadAll(ctx, names)
	errs := []error{err}
	for _, r := range all {
		switch {
		case errors.Is(r.Err, store.ErrNotFound):
			continue
		case r.Err != nil:
			errs = append(errs, r.Err)
			continue
		case agent != "" && r.Settings.Agent != agent:
			continue
		}
		phase := r.Tally.Phase(r.Phase)
		if is, left := choose(phase, r.PhaseReason); is {
			t.Campaigns = append(t.Campaigns, r.Name)
		} else if left {
			t.Left = append(t.Left, Left{r.Name, phase, r.PhaseReason})
		}
	}
	slices.Sort(t.Campaigns)
	slices.SortFunc(t.Left, func(a, b Left) int { return strings.Compare(a.Campaign, b.Campaign) })
	return t, errors.Join(errs...)
}

// pauseRounds bounds how often PauseAll looks again for campaigns that have started
// meanwhile.
const pauseRounds = 5

// PauseAll pauses all running campaigns, of one agent or of all, for a reason, and returns
// which. One that another process has paused meanwhile keeps its reason. An error about one
// campaign keeps it from no other.
func (q *Queue) PauseAll(ctx context.Context, agent string, reason campaign.Message) (done Together, err error) {
	why := campaign.Say(campaign.MsgWithOthers, "reason", reason.Mask(mask.Numbers))
	var errs []error
	for range pauseRounds {
		now, err := q.ToPause(ctx, agent)
		done.Left = now.Left
		errs = []error{err} // what failed before is tried again
		moved := false
		for _, name := range now.Campaigns {
			halted, err := q.halt(ctx, name, why, campaign.Running)
			errs = append(errs, err)
			if halted {
				done.Campaigns, moved = append(done.Campaigns, name), true
			}
		}
		if !moved {
			break
		}
	}
	slices.Sort(done.Campaigns)
	done.Campaigns = slices.Compact(done.Campaigns) // one may have been resumed in between
	return done, errors.Join(errs...)
}

// ResumeAll sets the campaigns running that PauseAll has paused, and returns which. An
// error about one campaign keeps it from no other.
func (q *Queue) ResumeAll(ctx context.Context, agent string) (done Together, err error) {
	chosen, err := q.ToResume(ctx, agent)
	errs := []error{err}
	done.Left = chosen.Left
	for _, name := range chosen.Campaigns {
		_, err := q.Resume(ctx, name)
		errs = append(errs, err)
		if onlyUndone(err) {
			done.Campaigns = append(done.Campaigns, name)
		}
	}
	return done, errors.Join(errs...)
}
