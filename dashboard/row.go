package dashboard

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/campaign/report"
	"campaign-runner/campaign/store"
	"campaign-runner/campaign/texts"
)

// totals are a campaign in names and numbers: all that a viewer sees of one in a list. No
// word of the platform, of a person or about one is in them.
type totals struct {
	Campaign, Title string
	State           campaign.Phase
	Contacts        int
	States          report.States
	Agent, Queue    string // the queue of its tasks, as asynq knows it
	Mode            campaign.Mode
	Channel         int
	Workers         int // alive and serving the agent
	CreatedAt       time.Time
	EndedAt         time.Time
	PurgedAt        time.Time
	PerMinute       float64
	Left            time.Duration
	Waits           string    // what it waits for, as the catalogue has it; empty: nothing
	Next            time.Time // when the next request may leave; zero: it does not wait for that
	Unapproved      bool      // nothing is sent before somebody approves it
}

// A row is a campaign in a list, with why it stands still.
type row struct {
	totals
	StateReason campaign.Message
	WaitingFor  campaign.Message
	Approval    *campaign.Approval // nil: none was asked for
	Paced       bool               // it waits only for the quota
	Quota       *store.Quota       // of its agent; nil: unknown
}

func newRow(r report.Row, quota *store.Quota) row {
	t := totals{
		Campaign: r.Campaign, Title: r.Title, State: r.State, Contacts: r.Contacts, States: r.States, Agent: r.Agent, Queue: r.Lane.Queue(r.Agent), Mode: r.Mode, Channel: r.Channel,
		Workers: r.Workers, CreatedAt: r.CreatedAt, EndedAt: r.EndedAt, PurgedAt: r.PurgedAt, PerMinute: r.PerMinute, Left: r.Left, Waits: waitKey(r.WaitingFor),
		Unapproved: r.Unapproved(),
	}
	if r.Paced && quota != nil {
		t.Next = quota.Next
	}
	return row{t, r.StateReason, r.WaitingFor, r.Approval, r.Paced, quota}
}

// waitKeys are what campaigns wait for, as a viewer is told.
var waitKeys = map[string][]campaign.Code{
	"waits.loading":  {campaign.MsgLoading},
	"waits.died":     {campaign.MsgLoadDied},
	"waits.start":    {campaign.MsgScheduled},
	"waits.person":   {campaign.MsgToStart, campaign.MsgAllHeld},
	"waits.paused":   {campaign.MsgPaused},
	"waits.worker":   {campaign.MsgNoWorker},
	"waits.queue":    {campaign.MsgQueuePaused},
	"waits.quota":    {campaign.MsgQuota, campaign.MsgQuotaBlocked, campaign.MsgQuotaProbing},
	"waits.day":      {campaign.MsgDailyCap},
	"waits.approval": {campaign.MsgUnapproved, campaign.MsgAndUnapproved},
	"waits.hours":    {campaign.MsgOutsideHours},
	"waits.rungs":    {campaign.MsgRungs, campaign.MsgRungsPerhaps, campaign.MsgRungsToCome},
}

func waitKey(m campaign.Message) string {
	if m.IsZero() {
		return ""
	}
	for key, codes := range waitKeys {
		if slices.ContainsFunc(codes, m.Is) {
			return key
		}
	}
	return "waits.other"
}

// Say tells where a campaign stands, in steps of ten percent.
func (r totals) Say() texts.Line {
	if r.State == campaign.Running && r.Contacts > 0 {
		share := texts.Name(fmt.Sprintf("%d %%", r.States.Through()*10/r.Contacts*10))
		return texts.Of("says.running", "campaign", texts.Name(r.Campaign), "state", r.State, "share", share)
	}
	return texts.Of("says.state", "campaign", texts.Name(r.Campaign), "state", r.State)
}

// Accepted counts the contacts that the platform took.
func (r totals) Accepted() int {
	return r.States.In(campaign.Accepted, campaign.Started, campaign.Ended)
}

// Percent is the share of contacts that are through.
func (r totals) Percent() string { return report.Percent(r.States.Through(), r.Contacts) }

// PaceText is the recent pace; empty when nothing moves.
func (r totals) PaceText() texts.Line {
	if r.PerMinute == 0 {
		return nil
	}
	pace := campaign.Number(int(r.PerMinute + 0.5))
	if r.PerMinute < 10 {
		pace = fmt.Sprintf("%.1f", r.PerMinute)
	}
	return texts.Of("row.pace", "n", texts.Name(pace))
}

// LeftText is the time left at this pace.
func (r totals) LeftText() texts.Line {
	if r.Left == 0 {
		return nil
	}
	return about(max(r.Left, time.Second))
}

// Waiting reports whether the campaign waits for something.
func (r totals) Waiting() bool { return r.Waits != "" }

// Paused reports whether a person or a rule has paused it.
func (r totals) Paused() bool { return r.State == campaign.Paused }

// PausedFor is the reason for the pause.
func (r row) PausedFor() campaign.Message {
	return cmp.Or(r.StateReason, campaign.Say(campaign.MsgByPerson))
}

// A part is the contacts in one state as a part of a bar that is 1000 wide.
type part struct {
	Campaign string
	State    campaign.State
	Contacts int
	Share    string
	X, Width int
}

// barOrder is the order of states in a bar: accepted contacts grow from where reading
// begins, those to be sent shrink at the end.
var barOrder = []campaign.State{
	campaign.Ended, campaign.Started, campaign.Accepted, campaign.Unconfirmed, campaign.Failed, campaign.Rejected,
	campaign.Canceled, campaign.Sending, campaign.Pending,
}

// leastWidth is the width of the smallest part, so that one contact of a million is seen.
const leastWidth = 5

// Bar lists the states that have contacts.
func (r totals) Bar() []part {
	var parts []part
	widest, rest := 0, 1000
	for _, state := range barOrder {
		n := r.States.In(state)
		if n == 0 {
			continue
		}
		p := part{r.Campaign, state, n, "", 0, max(n*1000/max(r.Contacts, 1), leastWidth)}
		parts = append(parts, p)
		if rest -= p.Width; p.Width > parts[widest].Width {
			widest = len(parts) - 1
		}
	}
	if len(parts) == 0 {
		return nil
	}
	counts := make([]int, len(parts))
	for i, p := range parts {
		counts[i] = p.Contacts
	}
	for i, share := range report.Shares(counts) {
		parts[i].Share = share
	}
	parts[widest].Width += rest // rounding leaves some, or takes too much
	x := 0
	for i := range parts {
		parts[i].X = x
		x += parts[i].Width
	}
	return parts
}

// Problems lists the states that a person should look at.
func (r totals) Problems() []part {
	return slices.DeleteFunc(r.Bar(), func(p part) bool {
		return p.State != campaign.Rejected && p.State != campaign.Failed && p.State != campaign.Unconfirmed
	})
}

// Spoken is the bar in words.
func (r totals) Spoken() []texts.Line {
	var parts []texts.Line
	for _, p := range r.Bar() {
		parts = append(parts, texts.Of("notice.state", "n", p.Contacts, "state", p.State))
	}
	return parts
}
