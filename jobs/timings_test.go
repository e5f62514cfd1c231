package jobs

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"campaign-runner/campaign/store"
)

func TestTimingsFitTogether(t *testing.T) {
	const (
		// When Redis goes away, a living worker's heartbeat has this much left at the
		// least: the one at hand is lost with its timeout, the one before is older by
		// heartbeatEvery.
		left = store.HeartbeatTTL - heartbeatEvery - heartbeatTimeout
		// When Redis is back, it is there again after this at the most: one that was
		// begun too early fails first, the next takes its time.
		back = max(heartbeatEvery, heartbeatTimeout) + heartbeatTimeout
		// asynqPoll is how long a task lies in its queue before a free worker looks.
		asynqPoll = 1500 * time.Millisecond
		failover  = 30 * time.Second // of Redis, with its election
		slowest   = defaultRequestTimeout + claimMargin
	)
	for _, tt := range []struct {
		why          string
		less, atMost time.Duration
	}{
		{"a heartbeat that fails has been given up when the next is due", heartbeatTimeout, heartbeatEvery},
		{"one heartbeat that is lost makes nobody doubt a worker", 2*heartbeatEvery + heartbeatTimeout, aliveFor},
		{"a worker stops writing requests before others take it for dead: the rest is for writing this one", aliveFor + heartbeatTimeout, store.HeartbeatTTL},
		{"a worker whose heartbeats are only slow is steady", heartbeatEvery + heartbeatTimeout, steadyGap},
		{"an outage short enough to leave a worker steady lets no peer's heartbeat end before it can be back", steadyGap, left - back},
		{"whoever is steady when it asks for a heartbeat gets its answer before one could have ended in an outage that began since", steadyGap + store.AskDead, left},
		{"peers are back before a worker is steady again", back, steadyAfter},
		{"a worker that is not steady begins nothing that a steady one would not: it is alive for longer than it is steady", steadyGap, aliveFor},
		{"a living sender says that it has its chunk in hand a few times before the chunk is overdue", 3 * keepEvery, keepDue},
		{"a chunk is overdue only when the heartbeat of a dead sender has ended: the first look finds that", store.HeartbeatTTL + keepEvery, keepDue},
		{"a dead sender's chunk is looked at twice within the time its task would wait for it", 2 * sweepEvery, keepDue},
		{"the sweeper looks for a released chunk's task only after a worker had time to take it", asynqPoll + sweepEvery, releaseDue},
		{"a task that waits for somebody else's chunk comes back when the sweeper has seen to it", keepDue + 2*sweepEvery, busyWait},
		{"a chunk in trouble is looked at less often than a healthy one, and more often than one at rest", keepDue, troubleDue},
		{"a chunk in trouble is looked at more often than one at rest", troubleDue, restDue},
		{"a request is written only while its claim outlives its timeout, and its commit's first tries", writeBy + defaultRequestTimeout + 10*time.Second, slowest},
		{"a request that is late to be written is found out by its claim, too, not only by its heartbeat", aliveFor, writeBy},
		{"a begin that a frozen Redis carries out when its sender counts as dead is late", beginPatience + heartbeatTimeout, store.HeartbeatTTL},
		{"a begin that was decided on counts for less than its chunk is in living hands", beginPatience + keepEvery, keepDue},
		{"a number is looked at again only when the begin of the other request counts or is late", beginPatience, contestedWait},
		{"a chunk whose numbers somebody else has is put off for less than it takes to be overdue", contestedWait, keepDue},
		{"numbers are given back, and what answers have shown is asked, well within the claim", giveBackPatience + seenPatience, claimMargin},
		{"an answer waits for longer than a failover takes", failover, commitPatience},
		{"an answer waits for longer than asynq believes in its handler: nothing may rely on that belief", asynqLease, commitPatience},
		{"a request may be on its way for longer than asynq believes in its handler: the worker keeps count itself", asynqLease, defaultRequestTimeout},
		{"asynq itself has noticed a dead worker after ours have: its task of the chunk is no longer needed", keepDue + sweepEvery, asynqLease},
		{"a stop without an answer in hand is over before container runtimes kill, whether Redis answers or not", stopGrace + 2*leaveWithin + goodbyeWithin, killedAfter},
		{"asynq's loops have slept their second and a half out before the worker leaves without them", asynqPoll, leaveWithin},
		{"a worker that is stopping says more than once what it waits for", 2 * tellEvery, commitPatience},
		{"where quotas stand is not older than people look at", lookEvery, store.HeartbeatTTL},
		{"the dead are remembered for longer than they count as living", store.HeartbeatTTL, tidyEvery},
	} {
		if tt.less > tt.atMost {
			t.Errorf("%s: want %v at most %v", tt.why, tt.less, tt.atMost)
		}
	}
}

// An outage is a time in which Redis answers nobody.
type outage struct{ from, to time.Duration }

// A beat is a call that says that a worker lives: when it began, when Redis carried
// it out, and when its answer came. It has none when it was given up.
type beat struct {
	begun, done, arrived time.Duration
	lost                 bool
}

// drawBeats are the heartbeats of a living worker through the outages: begun by the
// ticker, carried out whenever Redis is there within their time, given up after it.
func drawBeats(t *rapid.T, label string, outages []outage, end time.Duration) (beats []beat) {
	slow := func() time.Duration {
		return time.Duration(rapid.IntRange(0, int(heartbeatTimeout/time.Millisecond)-1).Draw(t, label)) * time.Millisecond
	}
	for at := slow(); at < end; {
		b := beat{begun: at, done: at + slow()}
		if rapid.Bool().Draw(t, label+" quick") {
			b.done = at
		}
		for _, o := range outages {
			if b.done >= o.from && b.done < o.to {
				b.done = o.to + slow() // the same call, repeated
			}
		}
		b.arrived = b.done + rapid.SampledFrom([]time.Duration{0, time.Millisecond, 200 * time.Millisecond}).Draw(t, label+" answer")
		for _, o := range outages { // the answer, too, has to get through
			if b.arrived > o.from && b.done < o.from {
				b.arrived = max(b.arrived, o.to)
			}
		}
		given := b.begun + heartbeatTimeout
		b.lost = b.arrived > given
		switch {
		case b.lost && b.done > given:
			at = given // Redis never had it
		case b.lost:
			beats, at = append(beats, b), given
		default:
			beats, at = append(beats, b), b.arrived
		}
		if next := b.begun + heartbeatEvery; next > at {
			at = next
		}
	}
	return beats
}

func TestNobodySteadyMissesALivingPeer(t *testing.T) {
	steadyAtAll := 0
	rapid.Check(t, func(t *rapid.T) {
		var outages []outage
		at := time.Duration(0)
		for range 10 {
			at += time.Duration(rapid.OneOf(rapid.IntRange(9_000, 14_000), rapid.IntRange(50, 3_000)).Draw(t, "until the next")) * time.Millisecond
			o := outage{from: at}
			at += time.Duration(rapid.OneOf(rapid.IntRange(3_500, 8_500), rapid.IntRange(1, 12_000)).Draw(t, "lasts")) * time.Millisecond
			o.to = at
			outages = append(outages, o)
		}
		end := at + 30*time.Second
		peer, own := drawBeats(t, "peer", outages, end), drawBeats(t, "own", outages, end)
		start := time.Now()
		var h *heartbeats
		next := 0
		first := peer[0].done
		for now := time.Duration(0); now < end; now += 50 * time.Millisecond {
			for ; next < len(own) && (own[next].lost || own[next].arrived <= now); next++ {
				if !own[next].lost {
					h = h.then(start.Add(own[next].begun), start.Add(own[next].arrived))
				}
			}
			if !h.steady(start.Add(now)) {
				continue
			}
			steadyAtAll++
			// It asks now, and Redis answers at any time while it asks.
			for asked := now; asked < now+store.AskDead; asked += 50 * time.Millisecond {
				if asked < first || asked >= end || away(outages, asked) {
					continue
				}
				lives := false
				for _, b := range peer {
					lives = lives || b.done <= asked && asked < b.done+store.HeartbeatTTL
				}
				if !lives {
					t.Fatalf("steady at %v, and at %v a living peer's heartbeat is not there; outages %v", now, asked, outages)
				}
			}
		}
	})
	if steadyAtAll == 0 {
		t.Error("nobody was ever steady: nothing was tested")
	}
}

func away(outages []outage, at time.Duration) bool {
	for _, o := range outages {
		if at >= o.from && at < o.to {
			return true
		}
	}
	return false
}
