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

// A row is a campaign in a list.
type row struct {
	report.Row
	Quota *store.Quota // of its agent; nil: unknown
}

// Say tells where a campaign stands, in steps of ten percent.
func (r row) Say() texts.Line {
	if r.State == campaign.Running && r.Contacts > 0 {
		share := texts.Name(fmt.Sprintf("%d %%", r.Through()*10/r.Contacts*10))
		return texts.Of("says.running", "campaign", texts.Name(r.Campaign), "state", r.State, "share", share)
	}
	return texts.Of("says.state", "campaign", texts.Name(r.Campaign), "state", r.State)
}

// Through counts the contacts that have been sent, with any result.
func (r row) Through() int { return r.Contacts - r.States.Open() - r.States.In(campaign.Canceled) }

// Reached counts the contacts that the platform took.
func (r row) Reached() int {
	return r.States.In(campaign.Accepted, campaign.Started, campaign.Ended)
}

// Percent is the share of contacts that are through.
func (r row) Percent() string { return report.Percent(r.Through(), r.Contacts) }

// PaceText is the recent pace; empty when nothing moves.
func (r row) PaceText() texts.Line {
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
func (r row) LeftText() texts.Line {
	if r.Left == 0 {
		return nil
	}
	return about(max(r.Left, time.Second))
}

// Waiting reports whether the campaign waits for something.
func (r row) Waiting() bool { return !r.WaitingFor.IsZero() }

// Paused reports whether a person or a rule has paused it.
func (r row) Paused() bool { return r.State == campaign.Paused }

// PausedFor is the reason for the pause.
func (r row) PausedFor() campaign.Message {
	return cmp.Or(r.StateReason, campaign.Say(campaign.MsgByPerson))
}

// Next is when the next request may leave; zero if the campaign does not wait for that.
func (r row) Next() time.Time {
	if !r.Paced || r.Quota == nil {
		return time.Time{}
	}
	return r.Quota.Next
}

// A part is the contacts in one state as a part of a bar that is 1000 wide.
type part struct {
	Campaign string
	State    campaign.State
	Contacts int
	Share    string
	X, Width int
}

// barOrder is the order of states in a bar: reached contacts grow from where reading
// begins, those to be sent shrink at the end.
var barOrder = []campaign.State{
	campaign.Ended, campaign.Started, campaign.Accepted, campaign.Unconfirmed, campaign.Failed, campaign.Rejected,
	campaign.Canceled, campaign.Sending, campaign.Pending,
}

// leastWidth is the width of the smallest part, so that one contact of a million is seen.
const leastWidth = 5

// Bar lists the states that have contacts.
func (r row) Bar() []part {
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
func (r row) Problems() []part {
	return slices.DeleteFunc(r.Bar(), func(p part) bool {
		return p.State != campaign.Rejected && p.State != campaign.Failed && p.State != campaign.Unconfirmed
	})
}

// Spoken is the bar in words.
func (r row) Spoken() []texts.Line {
	var parts []texts.Line
	for _, p := range r.Bar() {
		parts = append(parts, texts.Of("notice.state", "n", p.Contacts, "state", p.State))
	}
	return parts
}
