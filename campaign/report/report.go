// Package report is what people see of campaigns: where they stand, what they wait
// for, the state of each contact, and the lines that were refused.
//
// It reads and never changes anything. A campaign may run meanwhile, so each contact
// is shown as it was at one moment, but not all of them at the same moment.
package report

import (
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
)

// A Summary is a campaign in one row of a list.
type Summary struct {
	Campaign    string             `json:"campaign"`
	Title       string             `json:"title,omitempty"` // what people call it
	State       campaign.Phase     `json:"state"`
	StateReason campaign.Message   `json:"state_reason"`
	Contacts    int                `json:"contacts"`
	States      States             `json:"states"`
	WaitingFor  campaign.Message   `json:"waiting_for"`        // empty when it moves
	Approval    *campaign.Approval `json:"approval,omitempty"` // nil: none was asked for
	Paced       bool               `json:"-"`                  // it waits only for the quota
	Agent       string             `json:"agent"`
	Mode        campaign.Mode      `json:"mode"`
	Channel     int                `json:"channel"`
	PhaseCall   string             `json:"-"`       // see campaign.Campaign
	Lane        campaign.Lane      `json:"-"`       // of its agent's queues, that of its tasks
	Workers     int                `json:"workers"` // alive and serving the agent
	CreatedAt   time.Time          `json:"created_at"`
	EndedAt     time.Time          `json:"ended_at,omitzero"`  // when its last contact was sent
	PurgedAt    time.Time          `json:"purged_at,omitzero"` // since when it has no personal data
}

// Over reports whether nothing more happens without an operator.
func (s Summary) Over() bool {
	return s.State == campaign.Finished || s.State == campaign.CanceledPhase && s.States.Open() == 0
}

// Unapproved reports whether nothing is sent before somebody approves it.
func (s Summary) Unapproved() bool { return s.Approval != nil && s.Approval.Wanted }

// List reads all campaigns, the newest first.
func List(ctx context.Context, s Store) ([]Summary, error) {
	present, err := look(ctx, s)
	if err != nil {
		return nil, err
	}
	names, err := s.Latest(ctx, 0)
	if err != nil {
		return nil, err
	}
	found, unread, err := readAll(ctx, s, names)
	if err != nil {
		return nil, err
	}
	list := make([]Summary, len(found))
	for i, r := range found {
		list[i] = present.summary(r.Campaign, r.Tally)
	}
	slices.SortFunc(list, newestFirst) // nearly all are
	return list, unread
}

func newestFirst(a, b Summary) int {
	return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(a.Campaign, b.Campaign))
}

// readAll reads campaigns that are there. unread says which of them cannot be read; err,
// that Redis does not answer.
func readAll(ctx context.Context, s catalog, names []string) (list []store.Reading, unread, err error) {
	all, err := s.ReadAll(ctx, names)
	list = all[:0] // they are large
	var errs []error
	for _, r := range all {
		switch {
		case errors.Is(r.Err, store.ErrNotFound): // abandoned meanwhile
		case r.Err != nil:
			errs = append(errs, r.Err)
		default:
			list = append(list, r)
		}
	}
	return list, errors.Join(errs...), err
}

// Rejects writes the refused lines of a campaign's file as they were stored, and
// returns how many there are.
func Rejects(ctx context.Context, s Store, name string, w io.Writer) (lines int, err error) {
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

// read reads a campaign and then its tally. In this order a campaign seen as loaded
// has its tally; the other way round, one that is just being loaded would look
// finished.
func read(ctx context.Context, s catalog, name string) (campaign.Campaign, campaign.Tally, error) {
	c, err := s.Campaign(ctx, name)
	if err != nil || c.Phase == campaign.Loading {
		return c, campaign.Tally{}, err
	}
	tally, err := s.Tally(ctx, name)
	return c, tally, err
}

// loaded reads a campaign whose whole file has been stored.
func loaded(ctx context.Context, s catalog, name string) (campaign.Campaign, error) {
	c, err := s.Campaign(ctx, name)
	return c, cmp.Or(err, c.Loaded())
}

// present is what all campaigns share.
type present struct {
	now     time.Time      // Redis's clock
	workers map[string]int // alive, by agent
	quotas  map[string]store.Quota
	paused  map[string][]campaign.Lane
	tokens  map[string]string // keys of the agents' tokens
	alive   []store.Worker
	refused *store.NoWritesError // nil: Redis takes writes
}

// quotaOf is the quota of an agent, without a wait that is over since its heartbeat.
func (p present) quotaOf(agent string) (store.Quota, bool) {
	quota, known := p.quotas[agent]
	if quota.Wait(p.now) == 0 {
		quota.Next, quota.Reason, quota.Blocked = time.Time{}, campaign.Message{}, false
	}
	return quota, known
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
	p := present{now: now, workers: make(map[string]int), quotas: make(map[string]store.Quota), paused: make(map[string][]campaign.Lane), tokens: make(map[string]string), alive: alive}
	err = s.CheckWrites(ctx)
	// With living workers, only the server that was asked takes none.
	if refused := store.NoWrites(err); refused != nil && !(refused.ReadOnly && len(alive) > 0) {
		p.refused = refused
	}
	// All workers on a token see the same quota, so the latest look counts.
	alive = slices.Clone(alive)
	slices.SortStableFunc(alive, func(a, b store.Worker) int { return a.Looked.Compare(b.Looked) })
	for _, w := range alive {
		for _, agent := range w.Agents {
			p.workers[agent]++
		}
		maps.Copy(p.quotas, w.Quotas)
		maps.Copy(p.paused, w.Paused)
		maps.Copy(p.tokens, w.QuotaKeys)
	}
	return p, nil
}

// Hearing says why not all events of an agent's campaign are heard: it does not listen,
// though a worker could link its requests to the inbox, or one that sends it cannot. It is
// zero if nothing is wrong.
func Hearing(listens bool, agent string, alive []store.Worker) campaign.Message {
	could, cannot := false, false
	for _, w := range alive {
		could = could || w.Listens
		cannot = cannot || !w.Listens && slices.Contains(w.Agents, agent)
	}
	switch {
	case !listens && could:
		return campaign.Say(campaign.MsgDeaf)
	case listens && cannot:
		return campaign.Say(campaign.MsgUnlinked)
	}
	return campaign.Message{}
}

func (p present) summary(c campaign.Campaign, tally campaign.Tally) Summary {
	s := Summary{
		Campaign:  c.Name,
		Title:     c.Settings.Title,
		State:     tally.Phase(c.Phase),
		Contacts:  c.Counts.Contacts,
		States:    make(States),
		Agent:     c.Settings.Agent,
		Mode:      c.Settings.Mode,
		Channel:   c.Settings.ChannelID,
		PhaseCall: c.PhaseCall,
		Lane:      c.Settings.LaneFor(c.Chunks),
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
	if c.Approval.Wanted && s.State != campaign.Finished && s.State != campaign.CanceledPhase || c.Approval.By != "" {
		approval := c.Approval
		s.Approval = &approval
	}
	if p.refused != nil && s.State == campaign.Running {
		s.WaitingFor = campaign.Text(p.refused.Error())
	} else if s.WaitingFor = waitingFor(s, c.LoadUntil, c.Settings.StartAt, p.now); s.WaitingFor.IsZero() {
		s.WaitingFor = queueWait(s, s.Lane, p.paused[s.Agent])
	}
	if s.WaitingFor.IsZero() {
		s.WaitingFor = quotaWait(s, p.quotas[s.Agent], p.now)
		s.Paced = !s.WaitingFor.IsZero()
	}
	return s
}

// States counts contacts by the name of their state; it has every state.
type States map[string]int

// In counts the contacts in any of the states.
func (s States) In(states ...campaign.State) int {
	n := 0
	for _, state := range states {
		n += s[state.String()]
	}
	return n
}

// Open counts the contacts that are pending or sending.
func (s States) Open() int { return s.In(campaign.Pending, campaign.Sending) }

// Through counts the contacts that were sent, with any result.
func (s States) Through() (n int) {
	for _, contacts := range s {
		n += contacts
	}
	return n - s.Open() - s.In(campaign.Canceled)
}

// Problems counts the contacts that a person should look at after the campaign.
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

// Refusals are the reasons for refused lines, the most frequent first. They have no
// state.
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

// Store is all that reports read; *store.Store is the real one.
type Store interface {
	catalog
	chunks
	fleet
}

// catalog is about campaigns as a whole.
type catalog interface {
	Latest(ctx context.Context, most int) ([]string, error)
	ReadAll(ctx context.Context, names []string) ([]store.Reading, error)
	Campaign(ctx context.Context, name string) (campaign.Campaign, error)
	Tally(ctx context.Context, name string) (campaign.Tally, error)
	EverLive(ctx context.Context) ([]store.Live, error)
	Rungs(ctx context.Context, name string) (store.Rungs, error)
	Recent(ctx context.Context, names []string, most int) (map[string][]store.Sample, error)
	Reasons(ctx context.Context, name string) (map[campaign.Reason]campaign.Message, error)
	ExtractionKeys(ctx context.Context, name string) ([]string, error)
	TicketTally(ctx context.Context, name string) (map[campaign.TicketState]int, error)
	OpenChunks(ctx context.Context, name string) (int, error)
	Begun(ctx context.Context, name string, now time.Time) (int, error)
	Rejects(ctx context.Context, name string, yield func(part []byte) error) error
	ReadLog(name string) *store.LogReader
	LogPage(ctx context.Context, name string, at store.LogPlace, whole bool, n int) (page []store.Decision, next store.LogPlace, more bool, err error)
}

// chunks is about single contacts.
type chunks interface {
	ReadChunk(ctx context.Context, ref store.Ref) (*store.Chunk, error)
	ReadLedger(ctx context.Context, ref store.Ref) (*store.Chunk, error)
	Outcomes(ctx context.Context, ref store.Ref) (map[int]campaign.Outcome, error)
	Tickets(ctx context.Context, ref store.Ref) (map[int]campaign.Ticket, error)
	Follows(ctx context.Context, ref store.Ref) (map[int]campaign.Follow, error)
	Find(ctx context.Context, c campaign.Campaign, phone campaign.Phone) (ref store.Ref, index int, err error)
}

// fleet is about Redis and the workers.
type fleet interface {
	Now(ctx context.Context) (time.Time, error)
	Workers(ctx context.Context) ([]store.Worker, error)
	CheckWrites(ctx context.Context) error
}
