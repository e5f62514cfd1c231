package jobs

import (
	"context"
	"errors"
	"fmt"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

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
		err = q.store.ChangeSettings(ctx, c, to)
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
