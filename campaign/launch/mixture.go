package launch

import (
	"sync"

	"campaign-runner/campaign"
	"campaign-runner/campaign/hours"
	"campaign-runner/campaign/plan"
)

// A mixture says which contacts of a list go by which clock, chunk by chunk.
type mixture struct {
	groups []plan.Group
	chunks [][]plan.Part
}

// A mixer takes the chunks of a list, in any order.
type mixer struct {
	groups    *plan.Groups
	byContact bool
	mu        sync.Mutex
	chunks    [][]plan.Part
}

func newMixture(s campaign.Settings) (*mixer, error) {
	calendar, err := s.Hours.Calendar()
	if err != nil {
		return nil, err
	}
	return &mixer{groups: plan.NewGroups(calendar), byContact: calendar.ByContact()}, nil
}

// add takes chunk n. Numbers matter only if contacts have clocks of their own.
func (m *mixer) add(n int, contacts []campaign.Contact) {
	var parts []plan.Part
	if m.byContact {
		numbers := make([]string, len(contacts))
		for i, c := range contacts {
			numbers[i] = c.Phone.E164()
		}
		parts = m.groups.Parts(numbers)
	} else {
		parts = []plan.Part{{Group: m.groups.Of(""), Contacts: len(contacts)}}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.chunks) <= n {
		m.chunks = append(m.chunks, nil)
	}
	m.chunks[n] = parts
}

func (m *mixer) mixture() mixture { return mixture{m.groups.List(), m.chunks} }

// unmixed is the mixture of a campaign that was loaded before. Its contacts are not
// read again, so their own clocks are not known.
func unmixed(c campaign.Campaign) (mixture, error) {
	calendar, err := c.Settings.Hours.Calendar()
	if err != nil {
		return mixture{}, err
	}
	group := plan.Group{Clock: &hours.Clock{}}
	if !calendar.ByContact() {
		clock := calendar.Of("")
		group = plan.Group{Name: clock.Name, Clock: clock}
	}
	m := mixture{groups: []plan.Group{group}}
	for left, size := c.Counts.Contacts, c.Settings.ChunkSize; left > 0; left -= size {
		m.chunks = append(m.chunks, []plan.Part{{Contacts: min(left, size)}})
	}
	return m, nil
}
