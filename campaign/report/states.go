package report

import (
	"cmp"
	"slices"

	"campaign-runner/campaign"
)

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
