package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/velents/mask"
)

// Pause lets nothing more of a campaign be sent. What is on its way still gets
// its answer. Pausing again only changes the reason.
func (q *Queue) Pause(ctx context.Context, name string, reason campaign.Message) error {
	if err := q.mustBeOpen(ctx, name, "pause"); err != nil {
		return err
	}
	reason = reason.Mask(mask.Numbers) // it is shown, logged, and outlives a purge
	was, ok, err := q.store.SetPhase(ctx, name, campaign.Paused, reason, campaign.Running, campaign.Paused)
	if err != nil {
		return err
	}
	if !ok && (was == campaign.Scheduled || was == campaign.Ready) {
		return fmt.Errorf("pause %s: it is %s: nobody is contacted before it starts; campaign cancel ends it", name, was)
	}
	if !ok {
		return notNow("pause", name, was)
	}
	q.note(ctx, name, store.ActionPause, reason)
	return nil
}

// Halt pauses a campaign because sending it cannot go well. A campaign that is paused
// already keeps its reason, except that of a pause together with others: it must not go on
// with them.
func (q *Queue) Halt(ctx context.Context, name string, reason campaign.Message) error {
	_, _, err := q.halt(ctx, name, reason, campaign.Running, store.PausedWithOthers)
	return err
}

func (q *Queue) halt(ctx context.Context, name string, reason campaign.Message, from ...campaign.Phase) (was campaign.Phase, halted bool, err error) {
	was, halted, err = q.store.SetPhase(ctx, name, campaign.Paused, reason, from...)
	if halted {
		q.tellHalt(ctx, name, reason)
	}
	return was, halted, err
}

func (q *Queue) tellHalt(ctx context.Context, name string, reason campaign.Message) {
	q.note(ctx, name, store.ActionPause, reason)
	q.log.WarnContext(ctx, "campaign paused", "campaign", name, "reason", reason)
}

// HaltAgent pauses the running campaigns of an agent, c first, and those that would go on with
// others. A campaign with no contact left to send no longer runs: it is left alone, and its
// log too.
func (q *Queue) HaltAgent(ctx context.Context, c campaign.Campaign, reason campaign.Message) error {
	_, halted, err := q.halt(ctx, c.Name, reason, campaign.Running, store.PausedWithOthers)
	errs := []error{err}
	names, err := q.liveNames(ctx) // one that rests until its hours runs, too
	errs = append(errs, err)
	if halted { // those that were paused with others are in no index
		all, err := q.store.Names(ctx)
		names, errs = append(names, all...), append(errs, err)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	others, err := q.store.ReadAll(ctx, names)
	errs = append(errs, err)
	for _, other := range others {
		switch {
		case errors.Is(other.Err, store.ErrNotFound):
		case other.Err != nil:
			errs = append(errs, other.Err)
		case other.Settings.Agent == c.Settings.Agent && (other.Tally.Phase(other.Phase) == campaign.Running || other.PhaseReason.Is(campaign.MsgWithOthers)):
			errs = append(errs, q.Halt(ctx, other.Name, reason))
		}
	}
	return errors.Join(errs...)
}

// liveNames are the campaigns that have to be looked at now or at a later time.
func (q *Queue) liveNames(ctx context.Context) ([]string, error) {
	live, err := q.store.EverLive(ctx)
	names := make([]string, len(live))
	for i, l := range live {
		names[i] = l.Campaign
	}
	return names, err
}

// Resume sets a paused campaign running and releases its open chunks. It returns how many
// chunks it released. c is the campaign as the person has seen it: one that was paused
// again since then stays paused.
func (q *Queue) Resume(ctx context.Context, c campaign.Campaign) (chunks int, err error) {
	return q.run(ctx, c, "resume", campaign.Paused)
}

// Start sets a campaign running that waits for a person or its time, and releases its
// open chunks. It returns how many chunks it released. c is the campaign as the person has
// seen it: one whose canary has gone since then waits for who has seen that.
func (q *Queue) Start(ctx context.Context, c campaign.Campaign) (chunks int, err error) {
	return q.run(ctx, c, "start", campaign.Ready, campaign.Scheduled)
}

// run sets a campaign running that is as c in one of the phases, or runs already.
func (q *Queue) run(ctx context.Context, c campaign.Campaign, what string, phases ...campaign.Phase) (chunks int, err error) {
	if err := q.mustBeOpen(ctx, c.Name, what); err != nil {
		return 0, err
	}
	from := []campaign.Phase{campaign.Running}
	if slices.Contains(phases, c.Phase) {
		from = append(from, store.As(c))
	}
	was, ok, err := q.store.SetPhase(ctx, c.Name, campaign.Running, campaign.Message{}, from...)
	switch {
	case err != nil:
		return 0, err
	case !ok && slices.Contains(phases, was):
		return 0, q.standsAnew(ctx, c.Name, what)
	case !ok:
		return 0, fmt.Errorf("%w%s", notNow(what, c.Name, was), wayOn(was, c.Name))
	case was != campaign.Running:
		q.note(ctx, c.Name, store.Action(what), campaign.Message{})
	}
	return q.Release(ctx, c.Name)
}

// standsAnew says why a campaign stands still since a person looked.
func (q *Queue) standsAnew(ctx context.Context, name, what string) error {
	c, err := q.store.Campaign(ctx, name)
	if err != nil {
		return err
	}
	return campaign.Faulty(campaign.MsgStandsAnew, "action", what, "campaign", name, "phase", c.Phase, "why", c.PhaseReason)
}

// notNow says that an action is not for a campaign in this phase.
func notNow(action, name string, phase campaign.Phase) error {
	return campaign.Faulty(campaign.MsgNotNow, "action", action, "campaign", name, "phase", phase)
}

// wayOn says by which command a campaign in the phase goes on.
func wayOn(phase campaign.Phase, name string) string {
	switch phase {
	case campaign.Paused:
		return "; go on with: campaign resume " + name
	case campaign.Ready, campaign.Scheduled:
		return "; go on with: campaign start " + name
	}
	return ""
}

// Approve lets a campaign go that waits for approval, and releases its open chunks if it
// runs. revision is that of the list and settings which the person has seen; 0: as they
// are now. It returns how many chunks it released.
func (q *Queue) Approve(ctx context.Context, name string, revision int) (chunks int, err error) {
	c, err := q.store.Campaign(ctx, name)
	if err != nil {
		return 0, err
	}
	if revision != 0 && revision != c.Approval.Revision { // its makers were not read with it
		return 0, fmt.Errorf("approve %s: %w", name, store.ErrRemade)
	}
	if err := q.store.Approve(ctx, c, q.by); err != nil {
		return 0, err
	}
	q.note(ctx, name, store.ActionApprove, campaign.Say(campaign.MsgApproved, "contacts", c.Counts.Contacts, "makers", strings.Join(c.Approval.Makers, ", ")))
	chunks, err = q.Release(ctx, name)
	if errors.Is(err, store.ErrNotRunning) {
		err = nil // setting it running releases them
	}
	return chunks, err
}

// releaseIfRunning releases the chunks of a campaign, unless it has stopped meanwhile.
func (q *Queue) releaseIfRunning(ctx context.Context, name string) error {
	_, err := q.Release(ctx, name)
	if errors.Is(err, store.ErrNotRunning) {
		return nil
	}
	return err
}

// Cancel stops a campaign for good: its pending contacts become canceled. What is on
// its way still gets its answer. It returns how many contacts it canceled. A load
// whose enqueue has died is taken back altogether.
func (q *Queue) Cancel(ctx context.Context, name string) (contacts int, err error) {
	c, err := q.store.Campaign(ctx, name)
	if err != nil {
		return 0, err
	}
	switch left, err := q.leftLoading(ctx, c); {
	case err != nil:
		return 0, err
	case left:
		load, err := q.store.BeginLoad(ctx, c)
		if err != nil {
			return 0, err
		}
		return 0, load.Abandon(ctx)
	}
	if err := q.mustBeOpen(ctx, name, "cancel"); err != nil {
		return 0, err
	}
	was, ok, err := q.store.SetPhase(ctx, name, campaign.CanceledPhase, campaign.Message{},
		campaign.Ready, campaign.Scheduled, campaign.Running, campaign.Paused, campaign.CanceledPhase)
	if err != nil {
		return 0, err
	}
	if !ok {
		return 0, notNow("cancel", name, was)
	}
	q.note(ctx, name, store.ActionCancel, campaign.Message{})
	return q.cancelOpen(ctx, name)
}

// CancelLeftovers cancels the contacts that a cut-off cancel has left pending, so that
// they are not sent when more contacts set the campaign running again.
func (q *Queue) CancelLeftovers(ctx context.Context, c campaign.Campaign) error {
	if c.Phase != campaign.CanceledPhase {
		return nil
	}
	_, err := q.cancelOpen(ctx, c.Name)
	return err
}

// cancelOpen cancels the pending contacts of a canceled campaign.
func (q *Queue) cancelOpen(ctx context.Context, name string) (int, error) {
	open, err := q.store.Open(ctx, name, time.Time{}, 0)
	if err != nil {
		return 0, err
	}
	var canceled atomic.Int64
	err = q.eachLedger(ctx, name, chunksOf(open), func(ctx context.Context, chunk *store.Chunk) error {
		contacts, err := q.cancelPending(ctx, chunk)
		canceled.Add(int64(contacts))
		return err
	})
	return int(canceled.Load()), err
}

// CheckCancel is why Cancel would refuse a campaign now; nil: it would not.
func (q *Queue) CheckCancel(ctx context.Context, c campaign.Campaign) error {
	if left, err := q.leftLoading(ctx, c); err != nil || left {
		return err
	}
	return q.mustBeOpen(ctx, c.Name, "cancel")
}

// leftLoading reports whether a campaign is loading, and its enqueue has not been heard of
// for so long that it must have died.
func (q *Queue) leftLoading(ctx context.Context, c campaign.Campaign) (bool, error) {
	if c.Phase != campaign.Loading {
		return false, nil
	}
	now, err := q.store.Now(ctx)
	return now.After(c.LoadUntil), err
}

// mustBeOpen refuses to steer a campaign that does not exist or is finished.
func (q *Queue) mustBeOpen(ctx context.Context, name, what string) error {
	c, err := q.store.Campaign(ctx, name)
	if err != nil {
		return err
	}
	tally, err := q.store.Tally(ctx, name)
	if err != nil {
		return err
	}
	switch tally.Phase(c.Phase) {
	case campaign.Finished:
		return notNow(what, name, campaign.Finished)
	case campaign.Loading:
		return fmt.Errorf("%s %s: it is still loading; nobody is contacted before its enqueue has ended", what, name)
	}
	return nil
}

// settingRounds bounds how often a change of settings is made again because another
// change came in between.
const settingRounds = 20

// Set changes settings of a campaign, unless it is loading, and says which. Every
// request that begins from then on goes by them. edit may be called several times. It
// must not touch what the chunks are made of: Agent, Mode, ChunkSize and Columns.
func (q *Queue) Set(ctx context.Context, name string, edit func(*campaign.Settings) error) (changed []campaign.Difference, err error) {
	for range settingRounds {
		c, err := q.store.Campaign(ctx, name)
		if err != nil {
			return nil, err
		}
		to := c.Settings
		if err := edit(&to); err != nil {
			return nil, fmt.Errorf("set %s: %w", name, err)
		}
		if changed = c.Settings.Differences(to); len(changed) == 0 {
			return nil, q.follow(ctx, c)
		}
		err = q.store.ChangeSettings(ctx, c, to, q.by)
		if errors.Is(err, store.ErrOutdated) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var told []campaign.Message
		for _, d := range changed {
			told = append(told, campaign.Say(campaign.MsgSetting, "setting", d.Flag, "to", d.Other, "from", d.Have))
		}
		q.note(ctx, name, store.ActionSet, campaign.Say(campaign.MsgSettings, "changes", told))
		return changed, q.follow(ctx, c)
	}
	return nil, fmt.Errorf("set %s: %w %d times meanwhile", name, store.ErrOutdated, settingRounds)
}

// follow releases what may be sent by a running campaign's new settings: idle chunks,
// and chunks whose task waits in a lane that it has left.
func (q *Queue) follow(ctx context.Context, c campaign.Campaign) error {
	if c.Phase != campaign.Running {
		return nil // setting it running releases them
	}
	return q.releaseIfRunning(ctx, c.Name)
}
