// Package report is what people are shown of campaigns: where they stand, what
// they wait for, what became of each contact, and which lines were refused.
//
// It reads and never changes anything. A campaign may go on meanwhile: what is
// told of one contact is always true of one moment, what is told of a million
// need not be of the same one.
package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// A Summary is a campaign in one row of a list.
type Summary struct {
	Campaign    string           `json:"campaign"`
	State       campaign.Phase   `json:"state"`
	StateReason campaign.Message `json:"state_reason"`
	Contacts    int              `json:"contacts"`
	States      States           `json:"states"`
	WaitingFor  campaign.Message `json:"waiting_for"` // empty when nothing holds it up
	Paced       bool             `json:"-"`           // it waits for nothing but the quota
	Agent       string           `json:"agent"`
	Mode        campaign.Mode    `json:"mode"`
	Channel     int              `json:"channel"`
	Workers     int              `json:"workers"` // alive and serving the agent
	CreatedAt   time.Time        `json:"created_at"`
	EndedAt     time.Time        `json:"ended_at,omitzero"`  // when nobody was left to be sent
	PurgedAt    time.Time        `json:"purged_at,omitzero"` // since when it tells of no contact any more
}

// An Overview is all there is to know of a campaign as a whole.
type Overview struct {
	Summary
	Reasons    []Reason       `json:"reasons"` // the most frequent first
	Run        int            `json:"run"`     // 0 for the launch, one more for each rerun
	Chunks     int            `json:"chunks"`
	ChunkSize  int            `json:"chunk_size"`
	CallsLeft  int            `json:"calls_left"` // requests still needed if all goes well
	Rows       int            `json:"rows"`
	Invalid    int            `json:"invalid"`
	Duplicates int            `json:"duplicates"`
	Suppressed int            `json:"suppressed"`
	NotChosen  int            `json:"not_chosen"`
	Refused    map[string]int `json:"refused"`
	ETA        time.Time      `json:"eta,omitzero"`    // when its last request will have left; zero: not foreseeable
	Opens      time.Time      `json:"opens,omitzero"`  // when the next contact may be sent; zero: now, or nobody is left
	Held       int            `json:"held,omitzero"`   // contacts that wait for a person, as far as a sample tells
	Missed     int            `json:"missed,omitzero"` // contacts that will not be reached before it is to finish
	Settings   []Setting      `json:"settings"`        // in force, by the flag that sets them
	Quota      *store.Quota   `json:"quota"`           // of the agent, as a worker sees it; null when none is alive

	// MayHaveBeenReached are the contacts of which nobody knows whether the platform
	// has reached them: the unconfirmed, and those after whose request it failed.
	MayHaveBeenReached int    `json:"may_have_been_reached"`
	InDoubt            States `json:"-"` // of those in a state, the ones after whose request it failed
}

// A Setting is what somebody chose for a campaign.
type Setting struct {
	Setting string `json:"setting"`
	Value   string `json:"value"`
}

func settingsOf(c campaign.Campaign) []Setting {
	list := []Setting{}
	for _, d := range c.Settings.InForce() {
		list = append(list, Setting{d.Flag, d.Other})
	}
	return list
}

// Refusals are why lines of a file are no contacts, by their number, the most
// frequent first. They have no state.
func Refusals(counts map[string]int) []Reason {
	list := []Reason{}
	for reason, n := range counts {
		list = append(list, Reason{Reason: campaign.Text(reason), Contacts: n})
	}
	slices.SortFunc(list, func(a, b Reason) int {
		return cmp.Or(b.Contacts-a.Contacts, cmp.Compare(a.Reason.String(), b.Reason.String()))
	})
	return list
}

// States counts contacts by the name of their state; it holds every state.
type States map[string]int

// In counts the contacts in any of the states.
func (s States) In(states ...campaign.State) int {
	n := 0
	for _, state := range states {
		n += s[state.String()]
	}
	return n
}

// Open counts the contacts that are not through yet.
func (s States) Open() int { return s.In(campaign.Pending, campaign.Sending) }

// Problems counts the contacts that a person should look at once the campaign is
// over.
func (s States) Problems() int {
	return s.In(campaign.Rejected, campaign.Failed, campaign.Unconfirmed)
}

// A Reason is how many contacts are in a state for it.
type Reason struct {
	State    string           `json:"state"`
	Reason   campaign.Message `json:"reason"`
	Contacts int              `json:"contacts"`

	Code campaign.Reason `json:"-"`
}

// Over reports whether nothing more will happen by itself.
func (s Summary) Over() bool {
	return s.State == campaign.Finished || s.State == campaign.CanceledPhase && s.States.Open() == 0
}

// Find reads the overview of a campaign.
func Find(ctx context.Context, s *store.Store, name string) (Overview, error) {
	present, err := look(ctx, s)
	if err != nil {
		return Overview{}, err
	}
	c, tally, err := read(ctx, s, name)
	if err != nil {
		return Overview{}, err
	}
	o := Overview{
		Summary:    present.summary(c, tally),
		Reasons:    []Reason{},
		InDoubt:    make(States),
		Run:        int(c.Run),
		Chunks:     c.Chunks,
		ChunkSize:  c.Settings.ChunkSize,
		Settings:   settingsOf(c),
		Rows:       c.Counts.Rows,
		Invalid:    c.Counts.Invalid,
		Duplicates: c.Counts.Duplicates,
		Suppressed: c.Counts.Suppressed,
		NotChosen:  c.Counts.NotChosen,
		Refused:    c.Counts.Refused,
	}
	o.MayHaveBeenReached = tally.MayHaveBeenReached()
	for _, state := range campaign.States() {
		o.InDoubt[state.String()] = tally.InDoubt[state]
	}
	if o.Refused == nil {
		o.Refused = map[string]int{}
	}
	if quota, ok := present.quotas[c.Settings.Agent]; ok {
		if quota.Wait(present.now) == 0 { // over since the heartbeat
			quota.Next, quota.Reason, quota.Blocked = time.Time{}, "", false
		}
		o.Quota = &quota
	}
	openChunks, err := s.OpenChunks(ctx, name)
	if err != nil {
		return Overview{}, err
	}
	o.CallsLeft = callsLeft(c, openChunks, tally.Open())
	if err := o.foresee(ctx, s, c, present); err != nil {
		return Overview{}, err
	}
	known := reasons{store: s, campaign: name}
	for key, contacts := range tally.Reasons {
		reason, err := known.of(ctx, key.Reason)
		if err != nil {
			return Overview{}, err
		}
		o.Reasons = append(o.Reasons, Reason{key.State.String(), reason, contacts, key.Reason})
	}
	slices.SortFunc(o.Reasons, func(a, b Reason) int {
		return cmp.Or(b.Contacts-a.Contacts, cmp.Compare(a.State, b.State), cmp.Compare(a.Reason.String(), b.Reason.String()))
	})
	return o, nil
}

// List reads all campaigns, the newest first.
func List(ctx context.Context, s *store.Store) ([]Summary, error) {
	present, err := look(ctx, s)
	if err != nil {
		return nil, err
	}
	names, err := s.Names(ctx)
	if err != nil {
		return nil, err
	}
	list := []Summary{}
	var unread []error
	for _, name := range names {
		c, tally, err := read(ctx, s, name)
		if errors.Is(err, store.ErrNotFound) {
			continue // purged meanwhile
		}
		if err != nil {
			if _, gone := s.Now(ctx); gone != nil {
				return nil, err
			}
			unread = append(unread, err)
			continue
		}
		list = append(list, present.summary(c, tally))
	}
	slices.SortStableFunc(list, func(a, b Summary) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return list, errors.Join(unread...)
}

// Rejects writes the refused lines of a campaign's file as they were stored,
// and returns how many there are.
func Rejects(ctx context.Context, s *store.Store, name string, w io.Writer) (lines int, err error) {
	c, err := loaded(ctx, s, name)
	if err != nil {
		return 0, err
	}
	err = s.Rejects(ctx, name, func(part []byte) error {
		_, err := w.Write(part)
		return err
	})
	return c.Counts.Rows - c.Counts.Contacts, err
}

// read reads a campaign and then its tally: in this order, because a campaign
// that is seen loaded has its tally, while one seen before its tally was written
// would look finished.
func read(ctx context.Context, s *store.Store, name string) (campaign.Campaign, campaign.Tally, error) {
	c, err := s.Campaign(ctx, name)
	if err != nil || c.Phase == campaign.Loading {
		return c, campaign.Tally{}, err
	}
	tally, err := s.Tally(ctx, name)
	return c, tally, err
}

// loaded reads a campaign whose file has been stored as a whole.
func loaded(ctx context.Context, s *store.Store, name string) (campaign.Campaign, error) {
	c, err := s.Campaign(ctx, name)
	if err == nil && c.Phase == campaign.Loading {
		err = fmt.Errorf("campaign %s: its contact file is still being loaded", name)
	}
	if err == nil {
		err = c.Kept()
	}
	return c, err
}

// present is what does not belong to one campaign.
type present struct {
	now     time.Time      // Redis's clock
	workers map[string]int // alive, by agent
	quotas  map[string]store.Quota
	paused  map[string][]campaign.Lane
	refused *store.NoWritesError // nil: Redis takes writes
}

func look(ctx context.Context, s *store.Store) (present, error) {
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
	// With workers alive it is only the server that was asked which takes none.
	if refused := store.NoWrites(err); refused != nil && !(refused.ReadOnly && len(alive) > 0) {
		p.refused = refused
	}
	// All workers on a token see the same, so the latest look counts.
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
	if s.State == c.Phase { // a reason to be paused is none to be finished
		s.StateReason = campaign.ReadMessage(c.PhaseReason)
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

// waitingFor says why a campaign does not move.
func waitingFor(s Summary, loadUntil, startAt, now time.Time) campaign.Message {
	switch {
	case s.State == campaign.Loading && now.After(loadUntil):
		return campaign.Say(campaign.MsgLoadDied)
	case s.State == campaign.Loading:
		return campaign.Say(campaign.MsgLoading)
	case s.State == campaign.Scheduled:
		return campaign.Say(campaign.MsgScheduled, "start", startAt, "campaign", s.Campaign)
	case s.State == campaign.Ready:
		return campaign.Say(campaign.MsgToStart, "reason", cmp.Or(s.StateReason, campaign.Say(campaign.MsgWaitsPerson)), "campaign", s.Campaign)
	case s.State == campaign.Paused:
		return campaign.Say(campaign.MsgPaused, "reason", cmp.Or(s.StateReason, campaign.Say(campaign.MsgByPerson)), "campaign", s.Campaign)
	case s.States.Open() > 0 && s.Workers == 0:
		return campaign.Say(campaign.MsgNoWorker, "agent", s.Agent)
	}
	return campaign.Message{}
}

// queueWait says that the queue of a campaign is paused.
func queueWait(s Summary, lane campaign.Lane, paused []campaign.Lane) campaign.Message {
	if s.States.Open() == 0 || !slices.Contains(paused, lane) {
		return campaign.Message{}
	}
	return campaign.Say(campaign.MsgQueuePaused, "lane", lane, "agent", s.Agent)
}

// worthTelling is the shortest wait for the quota that is told, unless nobody may
// send: below it, the requests are simply spread over their window.
const worthTelling = 5 * time.Second

// quotaWait says that a campaign waits for its quota.
func quotaWait(s Summary, quota store.Quota, now time.Time) campaign.Message {
	wait, sending := quota.Wait(now), s.States.In(campaign.Sending)
	switch {
	case s.States.In(campaign.Pending) == 0:
		return campaign.Message{}
	case quota.Probing && !quota.Blocked: // what is under way holds up all else, for as long as a request may take
		return campaign.Say(campaign.MsgQuotaProbing)
	case wait == 0, !quota.Blocked && (wait < worthTelling || sending > 0):
		return campaign.Message{}
	case quota.Blocked && wait >= worthLifting:
		return campaign.Say(campaign.MsgQuotaBlocked, "reason", quota.Reason, "next", quota.Next, "agent", s.Agent)
	}
	return campaign.Say(campaign.MsgQuota, "reason", quota.Reason, "next", quota.Next)
}

// worthLifting is the shortest block that people are told how to lift.
const worthLifting = 2 * time.Minute
