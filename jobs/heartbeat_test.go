package jobs

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"campaign-runner/campaign"
	"campaign-runner/campaign/store"
	"campaign-runner/jobs/timings"
	"campaign-runner/ratelimit"
)

func TestHeartbeats(t *testing.T) {
	start := time.Now()
	at := func(d time.Duration) time.Time { return start.Add(d) }
	var none *heartbeats
	if none.alive(start) || none.steady(start) {
		t.Error("alive without a heartbeat")
	}
	h := none.then(start, start)
	for d := timings.HeartbeatEvery; d <= timings.SteadyAfter; d += timings.HeartbeatEvery {
		if h.steady(at(d - time.Millisecond)) {
			t.Errorf("steady %v after the first", d)
		}
		h = h.then(at(d), at(d))
	}
	if !h.steady(at(timings.SteadyAfter)) {
		t.Error("not steady after an unbroken row of them")
	}
	if late := at(timings.SteadyAfter + timings.SteadyGap); h.steady(late) || !h.alive(late) {
		t.Error("after a gap without one: want alive, and not steady")
	}
	late := at(2*store.HeartbeatTTL + time.Second)
	if h.alive(late) || h.steady(late) {
		t.Error("alive although the last one is old")
	}
	if h = h.then(late, late); !h.alive(late) || h.steady(late) {
		t.Error("after a gap: want alive, and not steady")
	}
}

func TestOneHeartbeatThatWaitedForRedisBreaksTheRow(t *testing.T) {
	start := time.Now()
	at := func(d time.Duration) time.Time { return start.Add(d) }
	var h *heartbeats
	for d := time.Duration(0); d <= timings.SteadyAfter; d += timings.HeartbeatEvery {
		h = h.then(at(d), at(d))
	}
	h = h.then(at(timings.SteadyAfter+timings.HeartbeatEvery), at(timings.SteadyAfter+timings.HeartbeatEvery+timings.SteadyGap))
	arrived := at(timings.SteadyAfter + timings.HeartbeatEvery + timings.SteadyGap)
	if h.steady(arrived) {
		t.Error("steady, though Redis may just have come back")
	}
	if !h.since.Equal(arrived) {
		t.Errorf("the row begins %v before it arrived", arrived.Sub(h.since))
	}
	if h.alive(at(timings.SteadyAfter + timings.HeartbeatEvery + timings.AliveFor)) {
		t.Error("it lives from when it arrived: others count from when Redis had it, perhaps at once")
	}
}

// An outage is a time in which Redis does not answer.
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
		return time.Duration(rapid.IntRange(0, int(timings.HeartbeatTimeout/time.Millisecond)-1).Draw(t, label)) * time.Millisecond
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
		given := b.begun + timings.HeartbeatTimeout
		b.lost = b.arrived > given
		switch {
		case b.lost && b.done > given:
			at = given // Redis never had it
		case b.lost:
			beats, at = append(beats, b), given
		default:
			beats, at = append(beats, b), b.arrived
		}
		if next := b.begun + timings.HeartbeatEvery; next > at {
			at = next
		}
	}
	return beats
}

func TestASteadyWorkerMissesNoLivingPeer(t *testing.T) {
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
		t.Error("no worker was ever steady: nothing was tested")
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

func TestTheHeartbeatGivesTheReasonsOfTheQuota(t *testing.T) {
	for _, reason := range []ratelimit.Reason{
		ratelimit.Full, ratelimit.Pace, ratelimit.Refused, ratelimit.Failing, ratelimit.Probe, ratelimit.Held, ratelimit.Lost,
	} {
		if got := campaign.Say(quotaReasons[reason]).String(); got != string(reason) {
			t.Errorf("the heartbeat says %q, the quota's log %q", got, reason)
		}
	}
}
