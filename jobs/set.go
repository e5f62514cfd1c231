package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// settingRounds bounds how often a change of settings is made again because others
// have changed them meanwhile.
const settingRounds = 20

// Set changes settings of a campaign, in any phase but while it loads, and says
// which. Every request that begins from then on goes by them. edit may be called
// several times; it must leave alone what the chunks are made of: Agent, Mode,
// ChunkSize and Columns.
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
		var told []string
		for _, d := range changed {
			told = append(told, fmt.Sprintf("%s: %s, was %s", d.Flag, d.Other, d.Have))
		}
		q.note(ctx, name, store.ActionSet, strings.Join(told, "; "))
		return changed, q.follow(ctx, c)
	}
	return nil, fmt.Errorf("set %s: %w %d times meanwhile", name, store.ErrOutdated, settingRounds)
}

// follow releases what may be sent by the settings that a running campaign has now:
// chunks at rest, and those whose task waits in a lane that it has left.
func (q *Queue) follow(ctx context.Context, c campaign.Campaign) error {
	if c.Phase != campaign.Running {
		return nil // whoever sets it running releases them
	}
	_, err := q.Release(ctx, c.Name)
	if errors.Is(err, store.ErrNotRunning) {
		return nil // stopped meanwhile
	}
	return err
}
