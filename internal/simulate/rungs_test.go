//go:build simulate

package simulate

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"

	"campaign-runner/campaign"
)

// thenWithin is how long an event may still lead to a rung.
const thenWithin = 4 * time.Minute

// laddersBy draws rungs whose delays are so short that they come while things go wrong.
func laddersBy(rng *rand.Rand) (all []campaign.Ladder) {
	delay := func() time.Duration { return time.Duration(5+rng.IntN(40)) * time.Second }
	noAnswer, err := campaign.ParseRule("ended.no_answer")
	if err != nil {
		panic(err)
	}
	failed, err := campaign.ParseRule("state=failed")
	if err != nil {
		panic(err)
	}
	all = append(all, campaign.Ladder{Rule: noAnswer, Delays: []time.Duration{delay(), delay()}[:1+rng.IntN(2)]})
	if rng.IntN(2) == 0 {
		all = append(all, campaign.Ladder{Rule: failed, Delays: []time.Duration{delay()}})
	}
	return all
}

// setRungs gives a campaign other rungs, or none.
func setRungs(w *world, p *person, l *list, rng *rand.Rand) {
	var then []campaign.Ladder
	if rng.IntN(3) > 0 {
		then = laddersBy(rng)
	}
	w.change(p, l, fmt.Sprintf("set --then %v of %s", then, l.name), func(s *campaign.Settings) { s.Then, s.ThenWithin = then, thenWithin })
}

// settingsOf are those of a campaign as Redis has them now.
func (m *monitor) settingsOf(name string) (s campaign.Settings) {
	_ = json.Unmarshal([]byte(m.w.redis.m.HGet("c:{"+name+"}", "settings")), &s)
	return s
}

// outcomeOf is what Redis has of a contact's conversation.
func (m *monitor) outcomeOf(mi *mirror, i int) (o campaign.Outcome) {
	_ = json.Unmarshal([]byte(m.w.redis.m.HGet(fmt.Sprintf("c:{%s}:out:%d", mi.campaign, mi.chunk), strconv.Itoa(i))), &o)
	return o
}

// waitsForRung reports whether a contact is pending for a rung of which no request was made.
func waitsForRung(r campaign.Record) bool {
	return r.State == campaign.Pending && r.Rung > 0 && r.Tries == 0
}

// climbs judges a contact that is made pending by a rule. Each climb allows the platform to
// be reached once more, if it was reached before.
func (m *monitor) climbs(mi *mirror, i int, old, new campaign.Record, wrong func(string)) {
	o := m.outcomeOf(mi, i)
	same := o.Run == old.Run && o.Rung == old.Rung
	m.climbed++
	switch {
	case new.Rung != old.Rung+1 || new.Run != old.Run:
		wrong(fmt.Sprintf("it climbs from rung %d of run %d to %d of run %d", old.Rung, old.Run, new.Rung, new.Run))
	case old.MayHaveBeenReached() || old.State == campaign.Canceled:
		wrong("nobody knows whether it was reached")
	case m.w.redis.m.HGet("c:{"+mi.campaign+"}", "phase") != "running":
		wrong("it climbs in a campaign that does not run")
	case o.OptedOut:
		wrong("it climbs, and has opted out")
	case o.Said && same && old.State == campaign.Ended:
		wrong("it climbs, and has answered")
	}
}

// takenOff reports whether a contact that waited for its rung no longer does, without a
// request: what its climb allowed does not happen.
func takenOff(old, new campaign.Record) bool {
	return waitsForRung(old) && (new.State.Evidence() || new.State == campaign.Canceled)
}

// beginsAfterAnswer judges the begin of a contact for a rung, by what was told of the
// conversation before and has been applied.
func (m *monitor) beginsAfterAnswer(mi *mirror, i int, old campaign.Record, wrong func(string)) {
	if !waitsForRung(old) || m.w.losses > 0 {
		return
	}
	o := m.outcomeOf(mi, i)
	answered := o.Said && o.Run == old.Run && o.Rung+1 == old.Rung
	if (answered || o.OptedOut) && !m.tells(mi.numbers[i]) {
		wrong(fmt.Sprintf("it has answered (opted out: %v), and all that was told of it is applied", o.OptedOut))
	}
}

// tells reports whether an event about a number waits to be applied.
func (m *monitor) tells(number string) bool {
	events, _ := m.w.redis.m.Stream("events")
	return slices.ContainsFunc(events, func(e miniredis.StreamEntry) bool {
		return slices.ContainsFunc(e.Values, func(text string) bool { return strings.Contains(text, number[1:]) })
	})
}

// hasRung reports whether a rung is surely to come for a contact.
func hasRung(s campaign.Settings, r campaign.Record, o campaign.Outcome) bool {
	most := 0
	for _, l := range s.Then {
		most = max(most, len(l.Delays))
	}
	if s.MaxContactAttempts > 0 || int(r.Attempts) > most || r.InDoubt || o.OptedOut || o.Late {
		return false
	}
	for _, l := range s.Then {
		if int(r.Rung) >= len(l.Delays) {
			continue
		}
		switch l.Rule.String() {
		case "ended.no_answer":
			if r.State == campaign.Ended && o.Run == r.Run && o.Rung == r.Rung && !o.Said && !o.Ended.IsZero() {
				return true
			}
		case "state=failed":
			if r.State == campaign.Failed {
				return true
			}
		}
	}
	return false
}

// rungsAreWatched finds contacts that have a rung to come, in chunks that nothing looks at: a
// campaign without such chunks and without open contacts says that it is finished.
func (m *monitor) rungsAreWatched() {
	m.w.redis.between(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, mi := range m.chunks {
			key := "c:{" + mi.campaign + "}"
			s := m.settingsOf(mi.campaign)
			hash := func(field string) string { return m.w.redis.m.HGet(key, field) }
			if len(s.Then) == 0 || hash("rungs_since") != "" || hash("purge_began") != "" || hash("phase") == "canceled" {
				continue
			}
			if _, err := m.w.redis.m.ZScore(key+":rungs", strconv.Itoa(mi.chunk)); err == nil {
				continue
			}
			for i := range mi.ledger.Len() {
				if r := mi.ledger.At(i); hasRung(s, r, m.outcomeOf(mi, i)) {
					m.w.fail("%s/%d contact %s is %v on rung %d, its next one is to come, and nothing looks for it", mi.campaign, mi.chunk, mi.numbers[i], r.State, r.Rung)
				}
			}
		}
	})
}

// change sets something of a campaign. An approval from before does not hold for that.
func (w *world) change(p *person, l *list, what string, edit func(s *campaign.Settings)) {
	began := time.Now()
	changed := false
	if w.act(what, func(ctx context.Context) error {
		now, err := p.queue.Set(ctx, l.name, func(s *campaign.Settings) error { edit(s); return nil })
		changed = len(now) > 0
		return err
	}) && changed {
		w.monitor.void(l.name, began)
	}
}
