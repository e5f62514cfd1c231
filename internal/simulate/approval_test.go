//go:build simulate

package simulate

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"time"

	"campaign-runner/campaign"
	"campaign-runner/jobs"
)

// An asking is one attempt of a person to approve a campaign.
type asking struct {
	began, over time.Time // over is zero while it goes on
}

// consent is what people have said of a campaign that may need approval. It is known without a
// look at what Redis says of it.
type consent struct {
	void   time.Time // when the last change began that was made: what was approved before does not count
	voided bool
	asked  []asking
}

// approve is what a second person does: the first one made the campaign.
func approve(w *world, _ *person, l *list, _ *rand.Rand) {
	w.act("approve "+l.name, func(ctx context.Context) error {
		over := w.monitor.asks(l.name)
		defer over()
		_, err := w.second.Approve(ctx, l.name, 0)
		return err
	})
}

// steered approves a campaign, changes it, and approves it again, each after a while.
func steered(w *world, p *person, l *list, rng *rand.Rand) {
	wait := func() { time.Sleep(time.Duration(rng.IntN(25_000)) * time.Millisecond) }
	wait()
	approve(w, p, l, rng)
	wait()
	set(w, p, l, rng)
	wait()
	approve(w, p, l, rng)
}

// secondPerson acts over the link of the first.
func (w *world) secondPerson() *jobs.Queue {
	return jobs.NewQueue(w.person.store, nil).By("somebody else")
}

func (m *monitor) consentOf(name string) *consent {
	if m.consents[name] == nil {
		m.consents[name] = new(consent)
	}
	return m.consents[name]
}

// asks notes that a person is about to approve a campaign, until over is called.
func (m *monitor) asks(name string) (over func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.consentOf(name)
	n := len(c.asked)
	c.asked = append(c.asked, asking{began: time.Now()})
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		c.asked[n].over = time.Now()
	}
}

// void notes that a person was told of a change that was made, and began then: only what is
// approved after that counts.
func (m *monitor) void(name string, began time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.consentOf(name); began.After(c.void) || !c.voided {
		c.void, c.voided = began, true
	}
}

// beginsApproved judges the begin or the climb of a contact in a campaign that needs a second
// person's word.
func (m *monitor) beginsApproved(mi *mirror, wrong func(string)) {
	c := m.consents[mi.campaign]
	if m.w.plan.approveAbove == 0 || c == nil || !c.voided || m.w.losses > 0 {
		return
	}
	var counts struct{ Contacts int }
	_ = json.Unmarshal([]byte(m.w.redis.m.HGet("c:{"+mi.campaign+"}", "counts")), &counts)
	if counts.Contacts <= m.w.plan.approveAbove {
		return
	}
	m.approved++
	for _, a := range c.asked {
		if a.over.IsZero() || !a.over.Before(c.void) {
			return
		}
	}
	wrong("nobody has approved the campaign as it is")
}

// letGo approves what waits for it, at the end.
func (w *world) letGo(c campaign.Campaign, l *list) {
	if c.Approval.Wanted {
		approve(w, w.person, l, nil)
	}
}
