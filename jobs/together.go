package jobs

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/velents/mask"
)

// A Together is what pausing or resuming all campaigns at once is about.
type Together struct {
	Campaigns []string // by name
	Left      []Left   // those that a person may expect among them
	Failed    []string // those that could not be read, paused or resumed, by name; the error says why
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
	return q.together(ctx, agent, isRunning)
}

// isRunning chooses what PauseAll pauses.
func isRunning(phase campaign.Phase, _ campaign.Message) (is, left bool) {
	return phase == campaign.Running, phase == campaign.Scheduled || phase == campaign.Loading
}

// ToResume are the campaigns that ResumeAll would resume: those that PauseAll has paused.
// What was paused by name or by a rule is left: it had a reason of its own.
func (q *Queue) ToResume(ctx context.Context, agent string) (Together, error) {
	return q.together(ctx, agent, func(phase campaign.Phase, why campaign.Message) (is, left bool) {
		return phase == campaign.Paused && why.Is(campaign.MsgWithOthers), phase == campaign.Paused
	})
}

func (q *Queue) together(ctx context.Context, agent string, choose chooser) (t Together, err error) {
	names, err := q.store.Names(ctx)
	if err != nil {
		return t, err
	}
	return q.among(ctx, names, agent, choose)
}

// A chooser says of a campaign, as it stands, whether it is meant or left as it is.
type chooser func(phase campaign.Phase, why campaign.Message) (is, left bool)

// among chooses from campaigns.
func (q *Queue) among(ctx context.Context, names []string, agent string, choose chooser) (t Together, err error) {
	all, err := q.store.ReadAll(ctx, names)
	errs := []error{err}
	for _, r := range all {
		switch {
		case errors.Is(r.Err, store.ErrNotFound):
			continue
		case r.Err != nil:
			errs, t.Failed = append(errs, r.Err), append(t.Failed, r.Name)
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

// campaignsAtOnce is how many campaigns are paused or resumed at once.
const campaignsAtOnce = 16

// PauseAll pauses all running campaigns, of one agent or of all, for a reason, and returns
// which. One that another process has paused meanwhile keeps its reason. An error about one
// campaign keeps it from no other.
//
// Campaigns that are live are paused first, so that those that send now do not wait until
// thousands that are over were read. Then all are read: the index of live ones may lack one.
func (q *Queue) PauseAll(ctx context.Context, agent string, reason campaign.Message) (done Together, err error) {
	why := campaign.Say(campaign.MsgWithOthers, "reason", reason.Mask(mask.Numbers))
	halt := func(name string) (bool, error) {
		_, halted, err := q.halt(ctx, name, why, campaign.Running)
		return halted, err
	}
	if names, err := q.liveNames(ctx); err == nil { // else the rounds meet it, too
		first, _ := q.among(ctx, names, agent, isRunning) // what failed is tried again
		done.Campaigns, _, _ = each(first.Campaigns, halt)
	}
	var errs []error
	for range pauseRounds {
		now, err := q.ToPause(ctx, agent)
		moved, failed, errOfSome := each(now.Campaigns, halt)
		done.Left, done.Failed = now.Left, append(now.Failed, failed...)
		errs = []error{err, errOfSome} // what failed before was tried again
		if done.Campaigns = append(done.Campaigns, moved...); len(moved) == 0 {
			break
		}
	}
	slices.Sort(done.Campaigns)
	slices.Sort(done.Failed)
	done.Campaigns = slices.Compact(done.Campaigns) // one may have been resumed in between
	return done, errors.Join(errs...)
}

// ResumeAll sets the campaigns running that PauseAll has paused, and returns which. An
// error about one campaign keeps it from no other.
func (q *Queue) ResumeAll(ctx context.Context, agent string) (done Together, err error) {
	chosen, err := q.ToResume(ctx, agent)
	done.Left, done.Failed = chosen.Left, chosen.Failed
	moved, failed, others := each(chosen.Campaigns, func(name string) (bool, error) {
		_, moved, err := q.store.SetPhase(ctx, name, campaign.Running, campaign.Message{}, store.PausedWithOthers)
		if err != nil || !moved { // paused anew meanwhile, for a reason of its own
			return false, err
		}
		q.note(ctx, name, store.ActionResume, campaign.Message{})
		err = q.releaseIfRunning(ctx, name)
		return onlyUndone(err), err
	})
	done.Campaigns, done.Failed = moved, append(done.Failed, failed...)
	slices.Sort(done.Failed)
	return done, errors.Join(err, others)
}

// each does something to campaigns, several at once, and returns to which it was done, and
// for which it failed, both sorted.
func each(names []string, do func(name string) (bool, error)) (moved, failed []string, err error) {
	var mu sync.Mutex
	var g errgroup.Group
	var errs []error
	g.SetLimit(campaignsAtOnce)
	for _, name := range names {
		g.Go(func() error {
			is, err := do(name)
			mu.Lock()
			defer mu.Unlock()
			if is {
				moved = append(moved, name)
			}
			if err != nil {
				failed, errs = append(failed, name), append(errs, err)
			}
			return nil
		})
	}
	_ = g.Wait() // errors are kept apart
	slices.Sort(moved)
	slices.Sort(failed)
	return moved, failed, errors.Join(errs...)
}
