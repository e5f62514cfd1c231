package report

import (
	"context"
	"maps"
	"slices"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// present is what all campaigns share.
type present struct {
	now     time.Time      // Redis's clock
	workers map[string]int // alive, by agent
	quotas  map[string]store.Quota
	paused  map[string][]campaign.Lane
	refused *store.NoWritesError // nil: Redis takes writes
}

func look(ctx context.Context, s fleet) (present, error) {
	now, err := s.Now(ctx)
	if err != nil {
		return present{}, err
	}
	alive, err := s.Workers(ctx)
	if err != nil {
		return present{}, err
	}
	p := present{now: now, workers: make(map[string]int), quotas: make(map[string]store.Quota), paused: make(map[string][]campaign.Lane)}
	err = s.CheckWrites(ctx)
	// With living workers, only the server that was asked takes none.
	if refused := store.NoWrites(err); refused != nil && !(refused.ReadOnly && len(alive) > 0) {
		p.refused = refused
	}
	// All workers on a token see the same quota, so the latest look counts.
	slices.SortStableFunc(alive, func(a, b store.Worker) int { return a.Looked.Compare(b.Looked) })
	for _, w := range alive {
		for _, agent := range w.Agents {
			p.workers[agent]++
		}
		maps.Copy(p.quotas, w.Quotas)
		maps.Copy(p.paused, w.Paused)
	}
	return p, nil
}

func (p present) summary(c campaign.Campaign, tally campaign.Tally) Summary {
	s := Summary{
		Campaign:  c.Name,
		State:     tally.Phase(c.Phase),
		Contacts:  c.Counts.Contacts,
		States:    make(States),
		Agent:     c.Settings.Agent,
		Mode:      c.Settings.Mode,
		Channel:   c.Settings.ChannelID,
		Workers:   p.workers[c.Settings.Agent],
		CreatedAt: c.CreatedAt,
		PurgedAt:  c.PurgeBegan,
	}
	if s.State == c.Phase { // the reason of a pause does not explain an end
		s.StateReason = c.PhaseReason
	}
	for _, state := range campaign.States() {
		s.States[state.String()] = tally.States[state]
	}
	if s.Over() {
		s.EndedAt = c.EndedAt
	}
	if p.refused != nil && s.State == campaign.Running {
		s.WaitingFor = campaign.Text(p.refused.Error())
	} else if s.WaitingFor = waitingFor(s, c.LoadUntil, c.Settings.StartAt, p.now); s.WaitingFor.IsZero() {
		s.WaitingFor = queueWait(s, c.Settings.LaneFor(c.Chunks), p.paused[s.Agent])
	}
	if s.WaitingFor.IsZero() {
		s.WaitingFor = quotaWait(s, p.quotas[s.Agent], p.now)
		s.Paced = !s.WaitingFor.IsZero()
	}
	return s
}
